//! The price catalog as decisions ask it.

use super::prices::{Prices, Quote};
use crate::price::{PriceBook, Priced};
use crate::usage::Usage;

impl Prices for PriceBook {
    type Quote<'a> = Priced<'a>;

    fn resolve<'a>(&'a self, provider: &'a str, model: &str, at_ms: i64) -> Option<Priced<'a>> {
        Self::resolve(self, provider, model, at_ms).filter(Priced::has_rates)
    }
}

impl Quote for Priced<'_> {
    fn at_tier(self, tier: &str) -> Self {
        Self::at_tier(self, tier)
    }

    fn bound_nanousd(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        Self::bound_nanousd(self, input_tokens, output_tokens)
    }

    fn text_bound_nanousd(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        Self::text_bound_nanousd(self, input_tokens, output_tokens)
    }

    fn estimate_nanousd(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        Self::estimate_nanousd(self, input_tokens, output_tokens)
    }

    fn fees_bound_nanousd(&self, fees: &Usage) -> Result<u64, &'static str> {
        Self::fees_bound_nanousd(self, fees)
    }

    fn context_window(&self) -> Option<u64> {
        Self::context_window(self)
    }

    fn max_output(&self) -> Option<u64> {
        Self::max_output(self)
    }

    fn version(&self) -> &str {
        Self::version(self)
    }
}
