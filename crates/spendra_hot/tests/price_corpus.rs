//! Real usage at catalog prices: within one percent of what providers say they charged.
#![allow(clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects)]

mod corpus;

use corpus::{Case, cases};
use spendra_hot::price::PriceBook;

const NOW_MS: i64 = 1_795_300_000_000;

fn book() -> PriceBook {
    let catalog = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../control_plane/spendra_control_plane/catalog/prices.json"
    );
    PriceBook::load(&std::fs::read(catalog).unwrap()).unwrap()
}

/// Why the provider's own figure is not tokens times today's list price.
fn exception(case: &Case) -> Option<&'static str> {
    let _ = case;
    None
}

#[test]
fn costs_are_what_providers_state() {
    let book = book();
    let mut wrong = Vec::new();
    let mut compared = 0;
    for case in cases() {
        let metered = case.metered();
        let Some(stated) = metered.stated_cost_nanousd else { continue };
        let Some(usage) = metered.usage else { continue };
        let Some(model) = metered.model.or_else(|| Some(case.text("model_requested").to_owned())) else { continue };
        let at = NOW_MS;
        let cost = book.cost(case.text("provider"), &model, &usage, metered.service_tier.as_deref(), at);
        match cost {
            Ok(cost) => {
                compared += 1;
                if cost.nanousd.abs_diff(stated) * 100 > stated.max(100) && exception(&case).is_none() {
                    wrong.push(format!("{} {model}: {} not {stated} at {at} {:?}", case.id, cost.nanousd, case.index["usage_raw"].to_string()));
                }
            }
            Err(why) => wrong.push(format!("{} {model} {why:?}", case.id)),
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}: {wrong:#?}", wrong.len());
}

#[test]
fn models_resolve() {
    let book = book();
    let mut wrong = Vec::new();
    for case in cases() {
        let metered = case.metered();
        let Some(usage) = metered.usage else { continue };
        let Some(model) = metered.model.or_else(|| Some(case.text("model_requested").to_owned())) else { continue };
        let at = NOW_MS;
        if let Err(why) = book.cost(case.text("provider"), &model, &usage, metered.service_tier.as_deref(), at) {
            wrong.push(format!("{} {} {model} {why:?}", case.text("provider"), case.id));
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{}: {wrong:#?}", wrong.len());
}
