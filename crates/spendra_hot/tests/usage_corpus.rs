//! Every recorded answer is read as its index says, whole and in any split.
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

use corpus::{Case, cases};
use serde_json::Value;
use spendra_hot::usage::{Metered, Usage};

fn counts(usage: &Usage) -> [(&'static str, u64); 13] {
    [
        ("input_tokens", usage.input_tokens),
        ("cached_input_tokens", usage.cached_input_tokens),
        ("cache_write_tokens", usage.cache_write_tokens),
        ("cache_write_1h_tokens", usage.cache_write_1h_tokens),
        ("output_tokens", usage.output_tokens),
        ("reasoning_tokens", usage.reasoning_tokens),
        ("input_audio_tokens", usage.input_audio_tokens),
        ("output_audio_tokens", usage.output_audio_tokens),
        ("input_image_tokens", usage.input_image_tokens),
        ("input_video_tokens", usage.input_video_tokens),
        ("output_image_tokens", usage.output_image_tokens),
        ("tool_use_input_tokens", usage.tool_use_input_tokens),
        ("search_units", usage.search_units),
    ]
}

/// Known to be read in finer detail than the index does: pages, and images of interactions.
fn is_finer(case: &Case, name: &str) -> bool {
    match case.text("api") {
        "ocr" => name == "usage",
        "interactions" => name == "input_image_tokens",
        _ => false,
    }
}

/// Where a count differs from the index; a count that the index does not name is zero.
fn differences(case: &Case, metered: &Metered) -> Vec<String> {
    let expected = &case.index["usage"];
    let Some(usage) = &metered.usage else {
        return if expected.is_null() {
            vec![]
        } else {
            vec!["no usage".to_owned()]
        };
    };
    if expected.is_null() {
        if is_finer(case, "usage") {
            return vec![];
        }
        return vec![format!("usage where there is none: {usage:?}")];
    }
    let differs = |name: &str, found: u64| {
        let said = expected[name].as_u64().unwrap_or(0);
        (said != found && !is_finer(case, name)).then(|| format!("{name} {found}, not {said}"))
    };
    counts(usage)
        .iter()
        .filter_map(|(name, found)| differs(name, *found))
        .collect()
}

#[test]
fn usage_is_what_the_index_says() {
    let wrong: Vec<_> = cases()
        .iter()
        .map(|case| (case.id.clone(), differences(case, &case.metered())))
        .filter(|(_, differences)| !differences.is_empty())
        .collect();
    assert!(wrong.is_empty(), "{} cases: {wrong:#?}", wrong.len());
}

#[test]
fn passes_are_what_the_index_says() {
    for case in cases() {
        let passes = case
            .metered()
            .usage
            .map(|usage| usage.passes)
            .unwrap_or_default();
        let expected = case.index["usage_extra"].as_array().unwrap().clone();
        assert_eq!(passes.len(), expected.len(), "{}", case.id);
        for (pass, expected) in passes.iter().zip(&expected) {
            assert_eq!(pass.kind, expected["kind"].as_str().unwrap(), "{}", case.id);
            assert_eq!(
                pass.model.as_deref(),
                expected["model"].as_str(),
                "{}",
                case.id
            );
            for (name, found) in counts(&pass.usage).iter().take(5) {
                assert_eq!(Some(*found), expected[name].as_u64(), "{} {name}", case.id);
            }
        }
    }
}

#[test]
fn model_and_searches_are_what_the_index_says() {
    for case in cases() {
        let metered = case.metered();
        let expected = case.index["model_response"].as_str();
        if let Some(expected) = expected.filter(|_| metered.usage.is_some()) {
            let expected = expected.trim_start_matches("models/");
            assert_eq!(metered.model.as_deref(), Some(expected), "{}", case.id);
        }
        if let Some(searches) = case.index["usage"]["web_search_requests"].as_u64() {
            assert_eq!(metered.usage.unwrap().web_searches, searches, "{}", case.id);
        }
    }
}

#[test]
fn stated_costs_are_read() {
    for case in cases() {
        let Some(stated) = case.index["usage"]["cost_reported_usd"].as_f64() else {
            continue;
        };
        let own_key = case.index["usage_raw"]["is_byok"] == Value::Bool(true);
        let found = case.metered().stated_cost_nanousd.unwrap();
        #[allow(clippy::cast_precision_loss)]
        let difference = found as f64 - stated * 1e9;
        assert!(
            own_key || (-1e-3..=1.0).contains(&difference),
            "{}: {found}",
            case.id
        );
    }
}

#[test]
fn errors_are_seen() {
    for case in cases() {
        let refused = case.index["status"].as_u64().unwrap() >= 400;
        let in_band = case.index["tags"]
            .as_array()
            .unwrap()
            .contains(&"error-in-band".into());
        assert_eq!(case.metered().failed, refused || in_band, "{}", case.id);
    }
}

#[test]
fn whole_answers_are_finished() {
    let unfinished: Vec<_> = cases()
        .iter()
        .filter(|case| {
            let kind = case.index["response_headers"]["content-type"]
                .as_str()
                .unwrap_or("");
            let readable = kind.contains("json") || kind.contains("event-stream");
            readable && case.text("api") != "files" && case.text("api") != "batches"
        })
        .filter(|case| !case.metered().finished)
        .map(|case| case.id.clone())
        .collect();
    assert!(unfinished.is_empty(), "{unfinished:#?}");
}

struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }
}

/// Every place to cut, or a seeded thousand of them.
fn cuts(length: usize) -> Vec<usize> {
    if length <= 1 << 12 {
        return (0..=length).collect();
    }
    let mut seeded = Seeded(length as u64);
    let count = if length <= 1 << 17 { 1000 } else { 20 };
    (0..count).map(|_| seeded.below(length)).collect()
}

#[test]
fn any_cut_in_two_gives_the_same_answer() {
    for case in cases() {
        let whole = case.metered();
        for cut in cuts(case.body.len()) {
            let mut meter = case.meter();
            meter.feed(&case.body[..cut]);
            meter.feed(&case.body[cut..]);
            assert_eq!(meter.finish(), whole, "{} cut at {cut}", case.id);
        }
    }
}

#[test]
fn any_stride_gives_the_same_answer() {
    for case in cases() {
        let whole = case.metered();
        for stride in [1, 2, 3, 5, 7, 11, 64, 1000, 4096] {
            let mut meter = case.meter();
            case.body.chunks(stride).for_each(|chunk| meter.feed(chunk));
            assert_eq!(meter.finish(), whole, "{} by {stride}", case.id);
        }
    }
}

#[test]
fn a_cut_answer_says_no_more_than_the_whole() {
    for case in cases() {
        let Some(whole) = case.metered().usage else {
            continue;
        };
        // Gemini's early chunks may overstate, and one recording holds several answers.
        let may_fall =
            case.text("api") == "generate_content" || case.id == "azure-responses-c2ac1c74";
        for cut in cuts(case.body.len()) {
            let mut meter = case.meter();
            meter.feed(&case.body[..cut]);
            let Some(part) = meter.finish().usage else {
                continue;
            };
            assert!(
                may_fall || part.output_tokens <= whole.output_tokens,
                "{} at {cut}",
                case.id
            );
        }
    }
}
