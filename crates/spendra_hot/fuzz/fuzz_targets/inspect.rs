//! Any body is read or refused, and a body that can be read can be capped.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spendra_hot::inspect::{Changes, inspect, rewrite};

const DIALECTS: [&str; 10] = [
    "openai",
    "openai_chat",
    "openai_max_tokens",
    "openai_completions",
    "openai_responses",
    "openai_embeddings",
    "anthropic",
    "google",
    "mistral",
    "cohere",
];
const CAP: u64 = 77;

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else {
        return;
    };
    let dialect = DIALECTS[usize::from(*choice) % DIALECTS.len()];
    let Ok(found) = inspect(body, dialect) else {
        return;
    };
    let changes = Changes {
        include_usage: true,
        output_cap: Some(CAP),
        model: None,
    };
    let rewritten = rewrite(body, dialect, &changes).expect("what was read can be rewritten");
    let again = inspect(&rewritten, dialect).expect("what was rewritten can be read");
    assert_eq!(again.model, found.model);
    assert_eq!(again.stream, found.stream);
    assert_eq!(again.choices, found.choices);
    assert_eq!(again.text_only, found.text_only);
    if found.generates {
        assert_eq!(again.output_limit, Some(CAP));
    }
});
