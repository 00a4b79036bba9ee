//! Any answer is metered without a panic, and however it is cut the meter says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spendra_hot::usage::{Dialect, Meter, UsageHider};

const DIALECTS: [&str; 12] = [
    "openai", "anthropic", "google", "cohere", "mistral", "openrouter", "azure", "xai",
    "perplexity", "groq", "deepseek", "nobody",
];

fuzz_target!(|data: &[u8]| {
    let [choice, step, answer @ ..] = data else {
        return;
    };
    let dialect = Dialect::of(DIALECTS[usize::from(*choice >> 1) % DIALECTS.len()]);
    let (streaming, step) = (choice & 1 == 1, usize::from(*step).max(1));

    let mut whole = Meter::new(dialect, streaming);
    whole.feed(answer);
    let mut pieces = Meter::new(dialect, streaming);
    for piece in answer.chunks(step) {
        pieces.feed(piece);
    }
    assert_eq!(whole.finish(), pieces.finish());

    let (mut whole, mut pieces) = (UsageHider::default(), UsageHider::default());
    let mut shown = whole.feed(answer).to_vec();
    shown.extend_from_slice(&whole.finish());
    let mut joined = Vec::new();
    for piece in answer.chunks(step) {
        joined.extend_from_slice(&pieces.feed(piece));
    }
    joined.extend_from_slice(&pieces.finish());
    assert_eq!(shown, joined);
});
