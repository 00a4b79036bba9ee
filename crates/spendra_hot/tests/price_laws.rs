//! Laws of prices, over the whole frozen catalog and over layers of a customer's own.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used
)]

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use spendra_hot::price::{Layer, PriceBook, Unpriced};
use spendra_hot::usage::{Pass, Usage};

const NOW_MS: i64 = 1_795_300_000_000;
const TIERS: [Option<&str>; 7] = [
    None,
    Some("default"),
    Some("flex"),
    Some("priority"),
    Some("batch"),
    Some("fast"),
    Some("provisioned_throughput"),
];

static CATALOG: LazyLock<Value> = LazyLock::new(|| {
    let catalog = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../control_plane/spendra_control_plane/catalog/prices.json"
    );
    serde_json::from_slice(&std::fs::read(catalog).unwrap()).unwrap()
});
static BOOK: LazyLock<PriceBook> = LazyLock::new(|| load(&CATALOG));

fn load(segment: &Value) -> PriceBook {
    PriceBook::load(&serde_json::to_vec(segment).unwrap()).unwrap()
}

/// A provider and model of the catalog, by position.
fn name_at(position: usize) -> (&'static str, &'static str) {
    let providers = CATALOG["providers"].as_array().unwrap();
    let names: Vec<_> = providers
        .iter()
        .flat_map(|p| {
            p["models"]
                .as_array()
                .unwrap()
                .iter()
                .map(move |m| (&p["id"], &m["id"]))
        })
        .collect();
    let (provider, model) = names[position % names.len()];
    (provider.as_str().unwrap(), model.as_str().unwrap())
}

prop_compose! {
    /// Parts that do not overlap, so that more of one is more in all.
    fn usages()(
        fresh in 0_u64..600_000, cached in 0_u64..300_000, written in 0_u64..300_000,
        hour in 0_u64..300_000, audio in 0_u64..1000, output in 0_u64..200_000,
        reasoning in 0_u64..200_000, hidden in 0_u64..1000,
    ) -> Usage {
        Usage {
            input_tokens: fresh + cached + written.max(hour) + audio,
            cached_input_tokens: cached,
            cache_write_tokens: written.max(hour),
            cache_write_1h_tokens: hour,
            input_audio_tokens: audio,
            output_tokens: output + reasoning,
            reasoning_tokens: reasoning,
            hidden_output_tokens: hidden,
            ..Usage::default()
        }
    }
}

fn cost(book: &PriceBook, name: (&str, &str), usage: &Usage, tier: Option<&str>) -> Option<u64> {
    let cost = book.cost(name.0, name.1, usage, tier, NOW_MS);
    cost.ok().map(|cost| cost.nanousd)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_bound_is_never_below_the_cost(
        position in any::<usize>(), usage in usages(), tier in prop::sample::select(&TIERS[..]),
        spare in 0_u64..100_000,
    ) {
        let name = name_at(position);
        let Some(priced) = BOOK.resolve(name.0, name.1, NOW_MS) else { return Ok(()) };
        let output = usage.output_tokens + usage.hidden_output_tokens + spare;
        let bound = priced.bound_nanousd(usage.input_tokens + spare, output);
        if let Some(cost) = cost(&BOOK, name, &usage, tier) {
            prop_assert!(cost <= bound, "{name:?} {cost} > {bound}");
            let text = Usage { input_audio_tokens: 0, ..usage };
            let text = (cost_of_text(name, &text, tier), priced.text_bound_nanousd(text.input_tokens, output));
            prop_assert!(text.0 <= Some(text.1), "{name:?} {text:?}");
        }
    }

    #[test]
    fn more_tokens_never_cost_less(
        position in any::<usize>(), usage in usages(), tier in prop::sample::select(&TIERS[..]),
        more in 0_u64..50_000, kind in 0_u8..5,
    ) {
        let name = name_at(position);
        let mut dearer = usage.clone();
        match kind {
            0 => dearer.input_tokens += more,
            1 => { dearer.input_tokens += more; dearer.cached_input_tokens += more; }
            2 => { dearer.input_tokens += more; dearer.cache_write_tokens += more; }
            3 => dearer.output_tokens += more,
            _ => { dearer.output_tokens += more; dearer.reasoning_tokens += more; }
        }
        prop_assert!(cost(&BOOK, name, &usage, tier) <= cost(&BOOK, name, &dearer, tier), "{name:?}");
    }

    #[test]
    fn any_counts_are_priced_without_panic(counts in prop::collection::vec(any::<u64>(), 12)) {
        let usage = Usage {
            input_tokens: counts[0], cached_input_tokens: counts[1], cache_write_tokens: counts[2],
            cache_write_1h_tokens: counts[3], output_tokens: counts[4], reasoning_tokens: counts[5],
            input_audio_tokens: counts[6], added_input_audio_tokens: counts[7], web_searches: counts[8],
            audio_ms: counts[9], cached_audio_tokens: counts[10], tool_use_input_tokens: counts[11],
            ..Usage::default()
        };
        let found = BOOK.cost("openai", "gpt-4o-2024-08-06", &usage, None, NOW_MS).unwrap();
        let priced = BOOK.resolve("openai", "gpt-4o", NOW_MS).unwrap();
        prop_assert!(found.nanousd > 0 && priced.bound_nanousd(counts[0], counts[4]) > 0);
    }
}

fn cost_of_text(name: (&str, &str), usage: &Usage, tier: Option<&str>) -> Option<u64> {
    cost(&BOOK, name, usage, tier)
}

fn tokens(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage {
        input_tokens,
        output_tokens,
        ..Usage::default()
    }
}

#[test]
fn known_models_resolve_under_the_names_of_every_route() {
    for (provider, model) in [
        ("openai", "gpt-4o-2024-08-06"),
        ("OpenAI", "GPT-4o"),
        ("azure", "gpt-4o-2024-11-20"),
        ("google", "models/gemini-2.5-flash"),
        ("vertex", "gemini-2.5-pro"),
        ("gemini", "gemini-2.5-pro"),
        ("vertex", "claude-sonnet-4-5@20250929"),
        ("anthropic", "claude-opus-4-8"),
        ("openrouter", "openai/gpt-4o-mini"),
        ("xai", "grok-4.3"),
        ("openai", "gpt-5.4-20260305"),
    ] {
        let priced = BOOK.resolve(provider, model, NOW_MS);
        assert!(
            priced.is_some_and(|p| p.estimate_nanousd(1000, 1000) > 0),
            "{provider} {model}"
        );
    }
    assert!(BOOK.resolve("openai", "gpt-none", NOW_MS).is_none());
    assert!(BOOK.resolve("nobody", "gpt-4o", NOW_MS).is_none());
}

#[test]
fn an_unknown_tier_is_an_outcome() {
    let cost = |tier| BOOK.cost("openai", "gpt-4o", &tokens(10, 10), Some(tier), NOW_MS);
    assert_eq!(cost("platinum"), Err(Unpriced::Tier("platinum".into())));
    assert!(cost("priority").unwrap().nanousd > cost("default").unwrap().nanousd);
}

#[test]
fn a_price_is_that_of_its_day_and_hour() {
    let o3 = |at_ms| {
        BOOK.cost("openai", "o3", &tokens(1_000_000, 0), None, at_ms)
            .unwrap()
    };
    assert_eq!(o3(1_749_000_000_000).nanousd, 10_000_000_000);
    assert_eq!(o3(1_749_600_000_000).nanousd, 2_000_000_000);
    let at = |hour: i64| (20_000 * 24 + hour) * 3_600_000;
    let night = |hour| {
        BOOK.cost(
            "deepseek",
            "deepseek-chat",
            &tokens(1_000_000, 0),
            None,
            at(hour),
        )
    };
    assert_eq!(night(20).unwrap().nanousd * 2, night(12).unwrap().nanousd);
}

#[test]
fn long_context_prices_the_whole_request_and_each_round_by_itself() {
    let cost = |usage: &Usage| {
        BOOK.cost("openai", "gpt-5.4", usage, None, NOW_MS)
            .unwrap()
            .nanousd
    };
    assert_eq!(cost(&tokens(272_000, 0)), 680_000_000);
    assert_eq!(cost(&tokens(272_001, 0)), 1_360_005_000);
    let rounds = Usage {
        rounds: vec![tokens(200_000, 0), tokens(200_000, 0)],
        ..tokens(400_000, 0)
    };
    assert_eq!(cost(&rounds), 1_000_000_000);
}

#[test]
fn passes_are_priced_as_their_own_models() {
    let advisor = Pass {
        kind: "advisor_message".into(),
        model: Some("claude-opus-4-8".into()),
        usage: tokens(1_000_000, 0),
    };
    let usage = Usage {
        passes: vec![advisor],
        ..tokens(0, 0)
    };
    let cost = BOOK
        .cost(
            "anthropic",
            "claude-haiku-4-5",
            &usage,
            Some("standard"),
            NOW_MS,
        )
        .unwrap();
    assert_eq!(cost.nanousd, 5_000_000_000);
}

#[test]
fn rounding_up_happens_once() {
    let usage = tokens(1, 1);
    let cost = BOOK
        .cost("google", "gemini-2.5-flash", &usage, None, NOW_MS)
        .unwrap();
    assert_eq!(cost.nanousd, 2_800, "0.3 and 2.5 USD per million, exact");
    let cached = Usage {
        cached_input_tokens: 1,
        ..tokens(1, 0)
    };
    let cost = BOOK
        .cost("openai", "gpt-4.1-nano", &cached, None, NOW_MS)
        .unwrap();
    assert_eq!(cost.nanousd, 25);
}

fn layered() -> PriceBook {
    let mut segment = CATALOG.clone();
    segment["multipliers"] = json!([
        {"id": "m1", "provider": "openai", "model": "gpt-4o*", "multiplier": "0.9"},
        {"id": "m2", "provider": "*", "model": "*", "multiplier": "0.5", "starts_at_ms": 5000},
    ]);
    segment["customer_prices"] = json!([
        {"id": "c1", "provider": "openai", "model": "gpt-4o-mini", "starts_at_ms": 1000,
         "ends_at_ms": 2000, "rates": {"input_mtok": "1", "output_mtok": "1"}},
        {"id": "c2", "provider": "openai", "model": "in-house", "rates": {"input_mtok": "0.000001"}},
    ]);
    load(&segment)
}

#[test]
fn the_first_layer_that_matches_prices() {
    let book = layered();
    let cost = |model: &str, at_ms| {
        let cost = book
            .cost("openai", model, &tokens(1_000_000, 0), None, at_ms)
            .unwrap();
        (cost.layer, cost.nanousd)
    };
    assert_eq!(
        cost("gpt-4o-mini", 999),
        (Layer::CustomerMultiplier, 135_000_000)
    );
    assert_eq!(
        cost("gpt-4o-mini", 1000),
        (Layer::CustomerPrice, 1_000_000_000)
    );
    assert_eq!(
        cost("gpt-4o-mini", 2000),
        (Layer::CustomerMultiplier, 135_000_000)
    );
    assert_eq!(cost("gpt-4.1-nano", 4999), (Layer::Catalog, 100_000_000));
    assert_eq!(
        cost("gpt-4.1-nano", 5000),
        (Layer::CustomerMultiplier, 50_000_000)
    );
    assert_eq!(cost("in-house", 0), (Layer::CustomerPrice, 1000));
    let version = book
        .resolve("openai", "gpt-4o-mini", 1000)
        .unwrap()
        .version()
        .to_owned();
    assert!(version.ends_with(":customer_price:c1"), "{version}");
}

#[test]
fn a_bad_segment_says_what_is_wrong() {
    for (segment, word) in [
        (json!({"version": "v"}), "providers"),
        (
            json!({"version": "v", "providers": [], "multipliers": [
            {"id": "m", "provider": "*", "model": "*", "multiplier": "1e3"}]}),
            "1e3",
        ),
        (
            json!({"version": "v", "providers": [{"id": "p", "models": [
            {"id": "m", "match": {"regex": "("}, "prices": []}]}]}),
            "pattern",
        ),
        (
            json!({"version": "v", "providers": [{"id": "p", "models": [
            {"id": "m", "match": {"equals": "m"}, "prices": [{"rates": {"input_mtok": "-1"}}]}]}]}),
            "model m",
        ),
    ] {
        let error = PriceBook::load(&serde_json::to_vec(&segment).unwrap()).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn a_kind_of_price_from_the_future_is_an_outcome() {
    let book = load(
        &json!({"version": "v", "providers": [{"id": "p", "models": [
        {"id": "m", "match": {"equals": "m"}, "prices": [{"rates": {"input_mtok": "1", "thoughts_mtok": "1"}}]}]}]}),
    );
    let cost = book.cost("p", "m", &tokens(1, 0), None, 0);
    assert_eq!(cost, Err(Unpriced::Rate("thoughts_mtok".into())));
}
