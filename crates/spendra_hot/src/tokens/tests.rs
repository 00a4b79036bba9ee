#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use serde_json::json;

use super::{count, count_chat, estimate};

/// Counts that OpenAI's tiktoken gives.
#[test]
fn counts_are_tiktokens() {
    for (text, model, tokens) in [
        ("", "gpt-4o", 0),
        ("tiktoken is great!", "gpt-4o", 6),
        ("tiktoken is great!", "gpt-4", 6),
        ("antidisestablishmentarianism", "gpt-4", 6),
        ("お誕生日おめでとう", "gpt-4", 9),
        ("お誕生日おめでとう", "gpt-4o", 8),
        ("お誕生日おめでとう", "somebody-elses-model", 8),
        ("2 + 2 = 4", "gpt-3.5-turbo", 7),
    ] {
        assert_eq!(count(text, model), tokens, "{text} for {model}");
    }
}

#[test]
fn each_model_has_its_vocabulary() {
    let japanese = "お誕生日おめでとう";
    for model in [
        "gpt-4",
        "gpt-4-turbo",
        "gpt-3.5-turbo-0125",
        "text-embedding-3-small",
    ] {
        assert_eq!(count(japanese, model), 9, "{model}");
    }
    for model in [
        "gpt-4o-mini",
        "gpt-4.1",
        "gpt-4.5-preview",
        "gpt-5",
        "o1",
        "chatgpt-4o-latest",
        "openai/o3",
    ] {
        assert_eq!(count(japanese, model), 8, "{model}");
    }
}

/// The example of OpenAI's cookbook, "How to count tokens with tiktoken": 124 for gpt-4o.
#[test]
fn a_chat_counts_as_openai_counts_it() {
    let system =
        |name: &str, content: &str| json!({"role": "system", "name": name, "content": content});
    let user =
        "This late pivot means we don't have time to boil the ocean for the client deliverable.";
    let body = json!({"model": "gpt-4o", "messages": [
        {"role": "system", "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
        system("example_user", "New synergies will help drive top-line growth."),
        system("example_assistant", "Things working well together will increase revenue."),
        system("example_user", "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."),
        system("example_assistant", "Let's talk later when we're less busy about how to do better."),
        {"role": "user", "content": user},
    ]});
    assert_eq!(
        count_chat(body.to_string().as_bytes(), "gpt-4o").unwrap(),
        124
    );
    assert_eq!(
        count_chat(body.to_string().as_bytes(), "gpt-4").unwrap(),
        129
    );
}

#[test]
fn parts_calls_and_tools_count() {
    let plain = json!({"messages": [{"role": "user", "content": "hello there"}]});
    let parts = json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "hello there"}]}]});
    let counted =
        |body: &serde_json::Value| count_chat(body.to_string().as_bytes(), "gpt-4o").unwrap();
    assert_eq!(counted(&plain), 3 + 1 + 2 + 3);
    assert_eq!(counted(&plain), counted(&parts));
    let call = json!({"messages": [{"role": "assistant", "content": null, "tool_calls": [
        {"id": "c", "type": "function", "function": {"name": "hello", "arguments": "there"}}]}]});
    assert_eq!(counted(&call), 3 + 1 + 2 + 3);
    let mut tools = plain.clone();
    tools["tools"] = json!([{"type": "function"}]);
    assert_eq!(
        counted(&tools),
        counted(&plain) + count("{\"type\":\"function\"}", "gpt-4o")
    );
    assert!(count_chat(b"{}", "gpt-4o").is_err());
}

#[test]
fn the_estimate_is_a_quarter_and_framing() {
    let plainly = |bytes| estimate(bytes, "openai", false);
    assert_eq!(
        (plainly(0), plainly(1), plainly(4), plainly(5)),
        (7, 8, 8, 9)
    );
    assert_eq!(plainly(u64::MAX), u64::MAX / 4 + 8);
    assert_eq!(estimate(4, "anthropic", true), 558);
    assert_eq!(estimate(4, "openai", true), 8);
}

#[test]
fn a_text_without_end_is_counted_in_parts() {
    let text = "a".repeat(1 << 20);
    let whole = bpe_openai::o200k_base().count(text.as_str()) as u64;
    let counted = count(&text, "gpt-4o");
    assert!(
        whole <= counted && counted <= whole + (1 << 20) / 4096,
        "{counted}, not {whole}"
    );
}

proptest! {
    #[test]
    fn counts_are_those_of_the_crate_that_ships_the_vocabulary(
        text in prop_oneof!["\\PC{0,200}", "[a-cA-C '\t\n.,0-9é日]{0,400}", "(.|\n){0,100}"],
    ) {
        prop_assert_eq!(count(&text, "gpt-4o"), bpe_openai::o200k_base().count(text.as_str()) as u64);
        prop_assert_eq!(count(&text, "gpt-4"), bpe_openai::cl100k_base().count(text.as_str()) as u64);
    }

    #[test]
    fn there_are_never_more_tokens_than_bytes(text in "\\PC{0,200}") {
        prop_assert!(count(&text, "gpt-4o") <= text.len() as u64);
        prop_assert!(count(&text, "gpt-4") <= text.len() as u64);
    }
}
