#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Changes, Inspected, inspect, rewrite};

fn seen(body: &Value, dialect: &str) -> Inspected {
    inspect(body.to_string().as_bytes(), dialect).unwrap()
}

fn refusal(body: &str, dialect: &str) -> String {
    inspect(body.as_bytes(), dialect).unwrap_err().to_string()
}

#[test]
fn a_chat_is_read() {
    let body = json!({
        "model": "gpt-4o", "stream": true, "stream_options": {"include_usage": true}, "n": 3,
        "max_completion_tokens": 100, "service_tier": "flex", "metadata": {"feature": "search"},
        "messages": [{"role": "system", "content": "é"}, {"role": "user", "content": "hi"}],
        "tools": [{"type": "function", "function": {"name": "look"}}, {"type": "web_search"}],
    });
    let found = seen(&body, "openai");
    assert_eq!(found.model.as_deref(), Some("gpt-4o"));
    assert!(found.stream && found.include_usage && found.text_only && !found.stored_state);
    assert_eq!(
        (found.output_limit, found.choices, found.messages),
        (Some(100), 3, 2)
    );
    assert_eq!(found.tools, ["look", "web_search"]);
    assert!(found.hosted_tools);
    assert_eq!(found.labels["feature"], "search");
    assert_eq!(found.service_tier.as_deref(), Some("flex"));
    assert_eq!(found.body_bytes, body.to_string().len() as u64);
    let texts =
        "gpt-4o".len() + "flex".len() + "search".len() + "system".len() + 2 + "user".len() + 2;
    let tools = "function".len() + "look".len() + "web_search".len();
    assert_eq!(found.text_bytes, (texts + tools) as u64);
}

#[test]
fn an_empty_body_says_nothing() {
    let found = inspect(b" {\n} ", "openai").unwrap();
    assert_eq!(
        (found.model, found.output_limit, found.choices),
        (None, None, 1)
    );
    assert!(!found.stream && !found.include_usage && found.generates && found.text_only);
}

#[test]
fn nulls_count_as_absent() {
    let body = json!({"model": null, "stream": null, "stream_options": null, "max_tokens": null,
        "n": null, "tools": null, "metadata": null, "service_tier": null, "messages": null,
        "previous_response_id": null, "conversation": null, "prompt": null, "input": null});
    let found = seen(&body, "openai_chat");
    let empty = inspect(b"{}", "openai_chat").unwrap();
    let bytes = found.body_bytes;
    assert_eq!(
        found,
        Inspected {
            body_bytes: bytes,
            ..empty
        }
    );
}

#[test]
fn only_members_that_bind_the_shape_limit_it() {
    for (body, dialect, limit) in [
        (r#"{"messages":[],"max_tokens":5}"#, "openai", Some(5)),
        (r#"{"messages":[],"max_output_tokens":5}"#, "openai", None),
        (
            r#"{"input":"x","max_output_tokens":5,"max_tokens":9}"#,
            "openai",
            Some(5),
        ),
        (r#"{"input":"x","max_tokens":5}"#, "openai", None),
        (r#"{"prompt":"x","max_tokens":5}"#, "openai", Some(5)),
        (
            r#"{"prompt":"x","max_completion_tokens":5}"#,
            "openai",
            None,
        ),
        (
            r#"{"messages":[],"max_tokens":5,"max_completion_tokens":5}"#,
            "openai",
            Some(5),
        ),
        (
            r#"{"messages":[],"max_completion_tokens":5}"#,
            "openai_max_tokens",
            None,
        ),
        (r#"{"max_tokens":0}"#, "anthropic", Some(0)),
        (
            r#"{"generationConfig":{"maxOutputTokens":7}}"#,
            "google",
            Some(7),
        ),
        (
            r#"{"generation_config":{"max_output_tokens":7}}"#,
            "google",
            Some(7),
        ),
    ] {
        assert_eq!(
            inspect(body.as_bytes(), dialect).unwrap().output_limit,
            limit,
            "{body}"
        );
    }
}

#[test]
fn choices_multiply() {
    for (body, choices) in [
        (r#"{"prompt":"x","n":2}"#, 2),
        (r#"{"prompt":["x","y","z"],"n":2}"#, 6),
        (r#"{"prompt":[1,2,3],"n":2,"best_of":5}"#, 5),
        (r#"{"prompt":[[1],[2]]}"#, 2),
        (r#"{"prompt":[]}"#, 1),
    ] {
        assert_eq!(
            inspect(body.as_bytes(), "openai").unwrap().choices,
            choices,
            "{body}"
        );
    }
    assert_eq!(
        inspect(br#"{"prompt":"x"}"#, "openai")
            .unwrap()
            .implied_limit,
        Some(16)
    );
    let google = br#"{"generationConfig":{"candidateCount":4}}"#;
    assert_eq!(inspect(google, "google").unwrap().choices, 4);
}

#[test]
fn parts_that_bytes_do_not_bound_are_seen() {
    for kind in [
        "image_url",
        "input_image",
        "input_audio",
        "file",
        "input_file",
        "image",
        "document",
        "video",
    ] {
        let chat = json!({"messages": [{"role": "user", "content": [{"type": kind}]}]});
        assert!(!seen(&chat, "openai").text_only, "{kind}");
        let nested = json!({"messages": [{"content": [{"type": "tool_result", "content": [{"type": kind}]}]}]});
        assert!(!seen(&nested, "anthropic").text_only, "{kind}");
    }
    for key in ["inlineData", "fileData", "inline_data", "file_data"] {
        let body = json!({"contents": [{"parts": [{key: {}}]}]});
        assert!(!seen(&body, "google").text_only, "{key}");
    }
    let text = json!({"messages": [{"content": [{"type": "text", "text": "image_url"}]}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]});
    assert!(seen(&text, "openai").text_only);
    let escaped = br#"{"messages":[{"content":[{"t\u0079pe":"im\u0061ge_url"}]}]}"#;
    assert!(!inspect(escaped, "openai").unwrap().text_only);
}

#[test]
fn stored_state_is_seen() {
    for (body, dialect, stored) in [
        (
            json!({"input": "x", "previous_response_id": "resp_1"}),
            "openai",
            true,
        ),
        (
            json!({"input": "x", "conversation": {"id": "c"}}),
            "openai",
            true,
        ),
        (json!({"prompt": {"id": "pmpt_1"}}), "openai", true),
        (
            json!({"input": [{"type": "item_reference", "id": "i"}]}),
            "openai",
            true,
        ),
        (
            json!({"input": [{"type": "reasoning", "id": "r"}]}),
            "openai",
            true,
        ),
        (
            json!({"input": [{"type": "reasoning", "encrypted_content": "x"}]}),
            "openai",
            false,
        ),
        (json!({"cachedContent": "c"}), "google", true),
        (json!({"input": "x"}), "openai", false),
    ] {
        assert_eq!(seen(&body, dialect).stored_state, stored, "{body}");
    }
}

#[test]
fn tools_have_their_names() {
    let openai = json!({"tools": [{"type": "function", "name": "a"}, {"type": "custom", "custom": {"name": "b"}},
        {"type": "mcp", "server_label": "s"}], "functions": [{"name": "c"}]});
    let found = inspect(openai.to_string().as_bytes(), "openai_responses").unwrap();
    assert_eq!(found.tools.len(), 4);
    assert!(
        ["a", "b", "mcp", "c"]
            .iter()
            .all(|name| found.tools.iter().any(|tool| tool == name))
    );
    let anthropic = json!({"tools": [{"name": "a", "input_schema": {}}, {"type": "web_search_20250305", "name": "web_search"}]});
    assert_eq!(
        seen(&anthropic, "anthropic").tools,
        ["a", "web_search_20250305"]
    );
    let google =
        json!({"tools": [{"functionDeclarations": [{"name": "a"}]}, {"googleSearch": {}}]});
    let found = seen(&google, "google");
    assert_eq!(found.tools, ["a", "googleSearch"]);
    assert!(found.hosted_tools);
    let single = json!({"tools": {"function_declarations": {"name": "a"}}});
    assert!(refusal(&single.to_string(), "google").contains("a list"));
    let single = json!({"tools": {"function_declarations": [{"name": "a"}]}});
    assert_eq!(seen(&single, "google").tools, ["a"]);
    assert!(!seen(&json!({"tools": [{"name": "a"}]}), "anthropic").hosted_tools);
}

#[test]
fn shapes_that_report_usage_by_themselves_say_so() {
    for (body, dialect, usage) in [
        (r#"{"messages":[]}"#, "openai", false),
        (r#"{"input":""}"#, "openai", true),
        ("{}", "anthropic", true),
        ("{}", "google", true),
        ("{}", "mistral", true),
    ] {
        assert_eq!(
            inspect(body.as_bytes(), dialect).unwrap().include_usage,
            usage,
            "{body}"
        );
    }
    assert!(
        !inspect(br#"{"input":""}"#, "openai_embeddings")
            .unwrap()
            .generates
    );
}

#[test]
fn errors_name_what_is_wrong() {
    for (body, dialect, word) in [
        (r#"{"model":"a","model":"b"}"#, "openai", "`model` twice"),
        (
            r#"{"model":"a","mod\u0065l":"b"}"#,
            "openai",
            "`model` twice",
        ),
        (
            r#"{"max_tokens":1,"Max_Tokens":2}"#,
            "openai",
            "`Max_Tokens` must be written `max_tokens`",
        ),
        (
            r#"{"stream_options":{"include_usage":true,"include_usage":false}}"#,
            "openai",
            "`include_usage` twice",
        ),
        (
            r#"{"generationConfig":{},"generation_config":{}}"#,
            "google",
            "twice",
        ),
        (
            r#"{"metadata":{"a":"1","a":"2"}}"#,
            "openai",
            "`metadata.a` twice",
        ),
        (r#"{"tools":[{"name":"a","name":"b"}]}"#, "openai", "twice"),
        (
            r#"{"max_tokens":1,"max_completion_tokens":2,"messages":[]}"#,
            "openai",
            "differ",
        ),
        (r#"{"messages":[],"input":""}"#, "openai", "only one of"),
        (r#"{"model":5}"#, "openai", "`model` must be a string"),
        (r#"{"model":"\ud800"}"#, "openai", "`model` is not Unicode"),
        (
            r#"{"stream":"yes"}"#,
            "openai",
            "`stream` must be true or false",
        ),
        (
            r#"{"stream_options":[]}"#,
            "openai",
            "`stream_options` must be an object",
        ),
        (
            r#"{"n":0}"#,
            "openai",
            "`n` must be a whole number of at least 1",
        ),
        (r#"{"max_tokens":1.5}"#, "openai", "`max_tokens` must be"),
        (r#"{"max_tokens":-1}"#, "openai", "`max_tokens` must be"),
        (
            r#"{"max_tokens":99999999999999999999}"#,
            "openai",
            "`max_tokens` must be",
        ),
        (r#"{"tools":{}}"#, "openai", "`tools` must be a list"),
        ("[]", "openai", "not a JSON object"),
        ("", "openai", "expected a value at byte 0"),
        ("{} x", "openai", "the end of the body at byte 3"),
        ("{}", "klingon", "not a dialect"),
    ] {
        let message = refusal(body, dialect);
        assert!(message.contains(word), "{body}: {message}");
    }
    assert!(
        inspect(b"{\"a\":\"\xff\"}", "openai")
            .unwrap_err()
            .to_string()
            .contains("UTF-8 at byte 6")
    );
}

#[test]
fn nesting_ends_at_128() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(inspect(nested(127).as_bytes(), "openai").is_ok());
    assert!(refusal(&nested(128), "openai").contains("deeper than 128"));
    assert!(refusal(&"{\"a\":".repeat(1_000_000), "openai").contains("deeper than 128"));
}

#[test]
fn twenty_megabytes_are_fine() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "a \"b\"\n".repeat(3_000_000)}]});
    let found = seen(&body, "openai");
    assert!(found.body_bytes > 20_000_000);
    assert_eq!(found.text_bytes, 1 + 4 + 6 * 3_000_000);
}

fn changed(body: &str, dialect: &str, changes: &Changes<'_>) -> String {
    String::from_utf8(rewrite(body.as_bytes(), dialect, changes).unwrap()).unwrap()
}

#[test]
#[allow(clippy::too_many_lines)] // a table of cases
fn changes_are_spliced() {
    let usage = Changes {
        include_usage: true,
        ..Changes::default()
    };
    let cap = Changes {
        output_cap: Some(9),
        ..Changes::default()
    };
    let model = Changes {
        model: Some("a\"b"),
        ..Changes::default()
    };
    for (body, dialect, changes, expected) in [
        (
            "{}",
            "openai",
            usage,
            r#"{"stream_options":{"include_usage":true}}"#,
        ),
        (" { } ", "openai", cap, r#" {"max_completion_tokens":9 } "#),
        (
            r#"{"stream_options" : { } }"#,
            "openai",
            usage,
            r#"{"stream_options" : {"include_usage":true } }"#,
        ),
        (
            r#"{"stream_options":null}"#,
            "openai",
            usage,
            r#"{"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream_options":{"a":1}}"#,
            "openai",
            usage,
            r#"{"stream_options":{"include_usage":true,"a":1}}"#,
        ),
        (
            r#"{"stream_options":{"include_usage": false}}"#,
            "openai",
            usage,
            r#"{"stream_options":{"include_usage": true}}"#,
        ),
        (
            r#"{"messages":[],"max_tokens": 50}"#,
            "openai",
            cap,
            r#"{"messages":[],"max_tokens": 9}"#,
        ),
        (
            r#"{"messages":[]}"#,
            "openai_max_tokens",
            cap,
            r#"{"max_tokens":9,"messages":[]}"#,
        ),
        (
            r#"{"max_tokens":5,"max_completion_tokens":5}"#,
            "openai",
            cap,
            r#"{"max_tokens":9,"max_completion_tokens":9}"#,
        ),
        (
            r#"{"max_completion_tokens":null}"#,
            "openai",
            cap,
            r#"{"max_completion_tokens":9}"#,
        ),
        (
            r#"{"input":""}"#,
            "openai",
            cap,
            r#"{"max_output_tokens":9,"input":""}"#,
        ),
        (r#"{"input":""}"#, "openai", usage, r#"{"input":""}"#),
        (
            r#"{"input":""}"#,
            "openai_embeddings",
            cap,
            r#"{"input":""}"#,
        ),
        ("{}", "anthropic", usage, "{}"),
        (
            "{}",
            "google",
            cap,
            r#"{"generationConfig":{"maxOutputTokens":9}}"#,
        ),
        (
            r#"{"generationConfig":{"a":1}}"#,
            "google",
            cap,
            r#"{"generationConfig":{"maxOutputTokens":9,"a":1}}"#,
        ),
        (
            r#"{"generation_config":{"max_output_tokens":1}}"#,
            "google",
            cap,
            r#"{"generation_config":{"max_output_tokens":9}}"#,
        ),
        (r#"{"model":"x"}"#, "openai", model, r#"{"model":"a\"b"}"#),
        ("{}", "openai", model, r#"{"model":"a\"b"}"#),
    ] {
        assert_eq!(changed(body, dialect, &changes), expected, "{body}");
    }
    let all = Changes {
        include_usage: true,
        output_cap: Some(9),
        model: Some("m"),
        limit_tools: false,
    };
    let expected =
        r#"{"model":"m","max_completion_tokens":9,"stream_options":{"include_usage":true}}"#;
    assert_eq!(changed("{}", "openai", &all), expected);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = prop_oneof![
            "[a-z]{1,6}",
            Just("type".to_owned()),
            Just("image_url".to_owned())
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A chat body with any of the governed members, among others.
fn any_chat() -> impl Strategy<Value = Value> {
    let options = prop_oneof![
        Just(json!(null)),
        Just(json!({})),
        Just(json!({"include_usage": false})),
        Just(json!({"x": [1]})),
    ];
    let others = prop::collection::btree_map("[a-z]{6,9}", any_json(), 0..4);
    (
        others,
        prop::option::of(options),
        prop::option::of(1_u64..99),
        any::<bool>(),
        any_json(),
    )
        .prop_map(|(others, options, limit, old, messages)| {
            let mut body: serde_json::Map<_, _> = others.into_iter().collect();
            body.insert("messages".into(), messages);
            options.map(|options| body.insert("stream_options".into(), options));
            let name = if old {
                "max_tokens"
            } else {
                "max_completion_tokens"
            };
            limit.map(|limit| body.insert(name.into(), limit.into()));
            Value::Object(body)
        })
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = inspect(&bytes, "openai");
        let _ = rewrite(&bytes, "google", &Changes { output_cap: Some(1), ..Changes::default() });
    }

    #[test]
    fn it_accepts_what_serde_accepts(text in "[\\[\\]{}\",:a\\\\u0-9.eE+\\- tfn\n]{0,12}") {
        let body = format!("{{\"a\":{text}}}");
        let json = serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok();
        prop_assert_eq!(inspect(body.as_bytes(), "openai").is_ok(), json, "{}", body);
    }

    #[test]
    fn mutations_are_judged_as_serde_judges_them(
        body in any_chat(), place in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = body.to_string().into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let accepted = inspect(&bytes, "openai").is_ok();
        let json = std::str::from_utf8(&bytes).is_ok()
            && serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok();
        prop_assert!(json || !accepted);
    }

    #[test]
    fn texts_are_summed(body in any_json()) {
        fn sum(value: &Value) -> usize {
            match value {
                Value::String(text) => text.len(),
                Value::Array(items) => items.iter().map(sum).sum(),
                Value::Object(members) => members.values().map(sum).sum(),
                _ => 0,
            }
        }
        let body = json!({"xyzzy": body});
        prop_assert_eq!(seen(&body, "openai").text_bytes, sum(&body) as u64);
    }

    #[test]
    fn a_rewrite_sets_its_fields_and_nothing_else(body in any_chat(), pretty in any::<bool>(), cap in 1_u64..999) {
        let text = if pretty { serde_json::to_string_pretty(&body).unwrap() } else { body.to_string() };
        let changes = Changes { include_usage: true, output_cap: Some(cap), model: Some("m"), ..Changes::default() };
        let rewritten = changed(&text, "openai", &changes);
        let mut expected = body.clone();
        expected["model"] = json!("m");
        let name = if body.get("max_tokens").is_some() { "max_tokens" } else { "max_completion_tokens" };
        expected[name] = json!(cap);
        expected["stream_options"]["include_usage"] = json!(true);
        prop_assert_eq!(serde_json::from_str::<Value>(&rewritten).unwrap(), expected);
        let found = inspect(rewritten.as_bytes(), "openai").unwrap();
        prop_assert_eq!((found.output_limit, found.include_usage), (Some(cap), true));
        prop_assert_eq!(changed(&rewritten, "openai", &changes), rewritten.clone());
    }

    #[test]
    fn bytes_outside_the_splice_stay(before in any_json(), after in any_json(), limit in 1_u64..9999) {
        let (before, after) = (format!("{{\"first\" : {before},\n"), format!(" ,\"other\":{after} }}\n"));
        let changes = Changes { output_cap: Some(7), ..Changes::default() };
        let body = format!("{before}\"max_tokens\":{limit}{after}");
        prop_assert_eq!(changed(&body, "openai_chat", &changes), format!("{before}\"max_tokens\":7{after}"));
    }
}

#[test]
fn a_chat_that_searches_is_held_for_one_search() {
    let searches = |body: &serde_json::Value| {
        let found = inspect(body.to_string().as_bytes(), "openai_chat").unwrap();
        found.fees.web_searches
    };
    let asked = json!({"model": "gpt-5", "messages": [], "web_search_options": {}});
    assert_eq!(searches(&asked), 1);
    let always = json!({"model": "gpt-4o-mini-search-preview-2025-03-11", "messages": []});
    assert_eq!(searches(&always), 1);
    assert_eq!(
        searches(&json!({"model": "gpt-4o-mini", "messages": []})),
        0
    );
}
