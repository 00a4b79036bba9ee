//! Laws of metering and hiding, over arbitrary bytes and over streams as providers shape them.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used
)]

mod corpus;

use corpus::cases;
use proptest::prelude::*;
use spendra_hot::usage::{Dialect, Meter, UsageHider};

fn dialects() -> impl Strategy<Value = Dialect> {
    prop::sample::select(vec![
        "openai",
        "anthropic",
        "google",
        "cohere",
        "mistral",
        "openrouter",
        "azure",
        "xai",
        "perplexity",
        "groq",
        "deepseek",
        "nobody",
    ])
    .prop_map(Dialect::of)
}

/// Bytes that look enough like an answer to reach deep.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "data: ",
        "event: x\n",
        "\n",
        "\r\n",
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "\\",
        "\\u",
        "\"usage\":",
        "\"usageMetadata\":",
        "\"promptTokenCount\":",
        "\"delta\":",
        "\"choices\":",
        "\"index\":",
        "\"content\":\"hi\"",
        "\"prompt_tokens\":5",
        "null",
        "1e400",
        "-1",
        "[DONE]",
        "\"type\":\"message_start\"",
        "\"message\":",
        "\"error\":{}",
        "\u{feff}",
        " ",
        "é",
        "\\ud83d",
    ]);
    prop::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.concat().into_bytes())
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![fragments(), prop::collection::vec(any::<u8>(), 0..200)]
}

fn metered_in(dialect: Dialect, bytes: &[u8], cuts: &[usize]) -> spendra_hot::usage::Metered {
    let mut meter = Meter::new(dialect, true);
    let mut from = 0;
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    for cut in cuts {
        meter.feed(&bytes[from..cut]);
        from = cut;
    }
    meter.feed(&bytes[from..]);
    meter.finish()
}

fn hidden_in(bytes: &[u8], stride: usize) -> Vec<u8> {
    let mut hider = UsageHider::default();
    let mut out = Vec::new();
    for chunk in bytes.chunks(stride) {
        out.extend(hider.feed(chunk));
    }
    out.extend(hider.finish());
    out
}

#[derive(Clone, Debug)]
struct Chunk {
    text: String,
    filters: bool,
}

fn chunks() -> impl Strategy<Value = Vec<Chunk>> {
    let chunk = (".{0,12}", any::<bool>()).prop_map(|(text, filters)| Chunk { text, filters });
    prop::collection::vec(chunk, 0..8)
}

/// The stream as OpenAI sends it, with or without `stream_options.include_usage`.
fn stream(chunks: &[Chunk], line_end: &str, include_usage: bool) -> Vec<u8> {
    let mut out = String::new();
    let mut event = |json: String| out.push_str(&format!("data: {json}{line_end}{line_end}"));
    let usage = if include_usage { ",\"usage\":null" } else { "" };
    for chunk in chunks {
        let text = serde_json::to_string(&chunk.text).unwrap();
        event(if chunk.filters {
            format!("{{\"choices\":[],\"prompt_filter_results\":[{text}]{usage}}}")
        } else {
            format!(
                "{{\"id\":\"a\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{text}}}}}]{usage}}}"
            )
        });
    }
    if include_usage {
        event(
            "{\"id\":\"a\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"total_tokens\":1}}"
                .into(),
        );
    }
    event("[DONE]".into());
    out.into_bytes()
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_any_split_is_the_same(
        dialect in dialects(),
        bytes in bytes(),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        let whole = metered_in(dialect, &bytes, &[]);
        prop_assert_eq!(metered_in(dialect, &bytes, &cuts), whole);
    }

    #[test]
    fn hiding_arbitrary_bytes_never_panics_and_any_split_is_the_same(
        bytes in bytes(),
        stride in 1_usize..50,
    ) {
        prop_assert_eq!(hidden_in(&bytes, stride), hidden_in(&bytes, usize::MAX));
    }

    #[test]
    fn hidden_usage_leaves_the_stream_that_was_not_asked_for_it(
        chunks in chunks(),
        crlf in any::<bool>(),
        stride in 1_usize..80,
    ) {
        let line_end = if crlf { "\r\n" } else { "\n" };
        let asked = stream(&chunks, line_end, true);
        prop_assert_eq!(hidden_in(&asked, stride), stream(&chunks, line_end, false));
    }

    #[test]
    fn delivered_text_is_counted_whole(chunks in chunks(), stride in 1_usize..80) {
        let mut meter = Meter::new(Dialect::OpenAi, true);
        stream(&chunks, "\n", false).chunks(stride).for_each(|chunk| meter.feed(chunk));
        let said: usize = chunks.iter().filter(|c| !c.filters).map(|c| c.text.len()).sum();
        prop_assert_eq!(meter.finish().delivered.tokens(|text| text.len() as u64), said as u64);
    }
}

#[test]
fn real_streams_lose_their_usage_and_nothing_else() {
    for case in cases() {
        if case.text("api") != "chat" || !case.streaming() || case.index["status"] != 200 {
            continue;
        }
        let hidden = hidden_in(&case.body, 97);
        let mut meter = case.meter();
        meter.feed(&hidden);
        let (metered, whole) = (meter.finish(), case.metered());
        let also_says_it_elsewhere = case.text("provider") == "groq";
        assert!(
            also_says_it_elsewhere || metered.usage.is_none(),
            "{}",
            case.id
        );
        assert_eq!(metered.delivered, whole.delivered, "{}", case.id);
        if whole.usage.is_none() {
            assert_eq!(hidden, case.body, "{}", case.id);
        }
    }
}
