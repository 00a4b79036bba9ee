//! What usage costs: exact in pico-USD, rounded up once to nano-USD.
//!
//! Layers, first match wins: customer price, customer multiplier, catalog, each at the
//! request's time. What has no price is a value of the result, never zero.

mod book;
mod charge;
mod decimal;
mod matching;
mod model;
mod priced;
mod rates;
mod segment;

pub use book::PriceBook;
pub use priced::Priced;
pub use rates::Unit;

/// A segment that cannot be used; the message says what is wrong and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPrices(pub String);

impl std::fmt::Display for BadPrices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadPrices {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    CustomerPrice,
    CustomerMultiplier,
    Catalog,
}

impl Layer {
    pub fn name(self) -> &'static str {
        match self {
            Self::CustomerPrice => "customer_price",
            Self::CustomerMultiplier => "customer_multiplier",
            Self::Catalog => "catalog",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    pub nanousd: u64,
    /// Catalog version, layer and model entry that priced it.
    pub price_version: String,
    pub layer: Layer,
    /// Calls and pages that were used and have no price of their own here.
    pub unpriced: Vec<Unit>,
}

/// Why there is no cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unpriced {
    /// No layer knows the model of that provider at that time.
    Model,
    /// The model has no price at that service tier.
    Tier(String),
    /// The model has no price for tokens of a kind that was used.
    Unit(Unit),
    /// The entry has a kind of price that this release does not know.
    Rate(String),
}
