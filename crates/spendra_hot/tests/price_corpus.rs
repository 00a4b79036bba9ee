//! Real usage at catalog prices: within one percent of what providers say they charged.
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

use std::collections::BTreeSet;

use corpus::{Case, cases};
use spendra_hot::price::{Cost, PriceBook, Unpriced};

const NOW_MS: i64 = 1_795_300_000_000;

fn book() -> PriceBook {
    let catalog = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../control_plane/spendra_control_plane/catalog/prices.json"
    );
    PriceBook::load(&std::fs::read(catalog).unwrap()).unwrap()
}

/// Providers that answer without a model were asked for one.
fn cost(book: &PriceBook, case: &Case, at_ms: i64) -> Option<Result<Cost, Unpriced>> {
    let metered = case.metered();
    let usage = metered.usage?;
    let asked = Some(case.text("model_requested").to_owned());
    let model = metered.model.or(asked).filter(|model| !model.is_empty())?;
    let tier = metered.service_tier.as_deref();
    Some(book.cost(case.text("provider"), &model, &usage, tier, at_ms))
}

/// Cases where the provider's own figure is not tokens times the catalog's list price, and why.
const EXCEPTIONS: [(&str, &str); 17] = [
    (
        "openrouter-chat-06e590f0",
        "the same tokens reported as cached and as written",
    ),
    (
        "openrouter-chat-5cb49b66",
        "web search fee, not reported as a count",
    ),
    (
        "openrouter-chat-719712c2",
        "web search fee, not in the catalog",
    ),
    (
        "openrouter-chat-8a04bb69",
        "web search fee, not in the catalog",
    ),
    (
        "openrouter-chat-ee9f874d",
        "web search fee, not in the catalog",
    ),
    (
        "openrouter-chat-f4bed9c2",
        "web search fee, not reported as a count",
    ),
    (
        "openrouter-chat-a3632cb6",
        "routed to an upstream with a price of its own",
    ),
    (
        "openrouter-chat-a6e6dd57",
        "routed to an upstream with a price of its own",
    ),
    (
        "openrouter-responses-f0afdba3",
        "routed to an upstream with a price of its own",
    ),
    (
        "openrouter-responses-02de3412",
        "recorded before the price fell",
    ),
    (
        "openrouter-responses-50b2868d",
        "recorded before the price fell",
    ),
    (
        "perplexity-chat-42a83ce3",
        "the catalog's request fee is that of the largest search context",
    ),
    (
        "perplexity-chat-a23d855b",
        "the catalog's request fee is that of the largest search context",
    ),
    (
        "perplexity-chat-d74c92b4",
        "the catalog's request fee is that of the largest search context",
    ),
    (
        "perplexity-chat-f75e653c",
        "the catalog's request fee is that of the largest search context",
    ),
    (
        "xai-responses-6ce53c14",
        "server-side tool fees, not in the catalog",
    ),
    (
        "xai-responses-ec08134a",
        "server-side tool fees, not in the catalog",
    ),
];

#[test]
fn costs_are_what_providers_state() {
    let book = book();
    let mut compared = 0;
    for case in cases() {
        let stated = case.metered().stated_cost_nanousd;
        let (Some(stated), Some(Ok(cost))) = (stated, cost(&book, &case, NOW_MS)) else {
            continue;
        };
        let near = cost.nanousd.abs_diff(stated) * 100 <= stated.max(100);
        let excepted = EXCEPTIONS.iter().any(|(id, _)| *id == case.id);
        assert_eq!(near, !excepted, "{}: {cost:?}, stated {stated}", case.id);
        compared += usize::from(near);
    }
    let enough = if corpus::cases().is_empty() { 0 } else { 40 };
    assert!(compared >= enough, "only {compared} compared");
}

/// What the catalog has no price for, or no price at that tier.
const UNPRICED: &str = include_str!("unpriced.txt");

#[test]
fn every_other_model_has_a_price() {
    let book = book();
    let mut unpriced = BTreeSet::new();
    for case in cases() {
        if let Some(Err(why)) = cost(&book, &case, NOW_MS) {
            let model = case
                .metered()
                .model
                .unwrap_or_else(|| case.text("model_requested").into());
            unpriced.insert(format!("{} {model}: {why:?}", case.text("provider")));
        }
    }
    let expected: BTreeSet<String> = UNPRICED.lines().map(str::to_owned).collect();
    if !corpus::cases().is_empty() {
        assert_eq!(unpriced, expected);
    }
}
