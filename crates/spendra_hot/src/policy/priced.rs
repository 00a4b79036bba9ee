//! The price catalog, as a decision asks for it.

use super::{Prices, Quote};
use crate::price::{PriceBook, Priced};

impl Prices for PriceBook {
    type Quote<'a> = Priced<'a>;

    fn resolve<'a>(&'a self, provider: &'a str, model: &str, at_ms: i64) -> Option<Priced<'a>> {
        self.resolve(provider, model, at_ms)
    }
}

impl Quote for Priced<'_> {
    fn bound_nanousd(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        self.bound_nanousd(input_tokens, output_tokens)
    }

    fn text_bound_nanousd(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        self.text_bound_nanousd(input_tokens, output_tokens)
    }

    fn estimate_nanousd(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        self.estimate_nanousd(input_tokens, output_tokens)
    }

    fn context_window(&self) -> Option<u64> {
        self.context_window()
    }

    fn max_output(&self) -> Option<u64> {
        self.max_output()
    }

    fn version(&self) -> &str {
        self.version()
    }
}
