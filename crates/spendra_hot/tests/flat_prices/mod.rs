//! Prices of one rate for input and one for output, for tests and benches of decisions.

use std::collections::HashMap;

use serde::Deserialize;
use spendra_hot::policy::{Prices, Quote};

/// Models by `provider/model`.
#[derive(Deserialize)]
pub struct FlatPrices(HashMap<String, FlatPrice>);

#[derive(Deserialize)]
pub struct FlatPrice {
    input_nanousd: u64,
    output_nanousd: u64,
    context_window: Option<u64>,
    max_output: Option<u64>,
}

impl Prices for FlatPrices {
    type Quote<'a> = &'a FlatPrice;

    fn resolve<'a>(&'a self, provider: &'a str, model: &str, _at_ms: i64) -> Option<&'a FlatPrice> {
        self.0.get(&format!("{provider}/{model}"))
    }
}

impl Quote for &FlatPrice {
    fn bound_nanousd(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        let output = self.output_nanousd.saturating_mul(output_tokens);
        self.input_nanousd
            .saturating_mul(input_tokens)
            .saturating_add(output)
    }

    fn text_bound_nanousd(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        self.bound_nanousd(input_tokens, output_tokens)
    }

    fn estimate_nanousd(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        self.bound_nanousd(input_tokens, output_tokens)
    }

    fn context_window(&self) -> Option<u64> {
        self.context_window
    }

    fn max_output(&self) -> Option<u64> {
        self.max_output
    }

    fn version(&self) -> &'static str {
        "flat"
    }
}
