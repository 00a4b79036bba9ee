//! What a decision asks of the price catalog. Tokens are counts, amounts nano-USD.

use crate::usage::Usage;

pub trait Prices {
    type Quote<'a>: Quote
    where
        Self: 'a;

    /// None: this model has no price then.
    fn resolve<'a>(&'a self, provider: &'a str, model: &str, at_ms: i64)
    -> Option<Self::Quote<'a>>;
}

/// One model's prices at one time.
pub trait Quote: Sized {
    /// At this tier only, where it has a price of its own.
    #[must_use]
    fn at_tier(self, _tier: &str) -> Self {
        self
    }
    /// At the dearest tier, route and kind of token; saturating.
    fn bound_nanousd(&self, input_tokens: u64, output_tokens: u64) -> u64;
    /// The same for input that is known to be text.
    fn text_bound_nanousd(&self, input_tokens: u64, output_tokens: u64) -> u64;
    fn estimate_nanousd(&self, input_tokens: u64, output_tokens: u64) -> u64;
    /// The most that calls, pages and characters can cost; the name of one without a price.
    fn fees_bound_nanousd(&self, _fees: &Usage) -> Result<u64, &'static str> {
        Ok(0)
    }
    fn context_window(&self) -> Option<u64>;
    /// Largest output of one choice.
    fn max_output(&self) -> Option<u64>;
    fn version(&self) -> &str;
}
