//! The `prices` segment as the control plane sends it. Times are Unix milliseconds; prices are
//! decimal strings in USD per the unit that a rate's name says (`input_mtok`: a million tokens).

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Segment {
    pub version: String,
    pub providers: Vec<Provider>,
    #[serde(default)]
    pub customer_prices: Vec<CustomerPrice>,
    #[serde(default)]
    pub multipliers: Vec<Multiplier>,
}

#[derive(Deserialize)]
pub(super) struct Provider {
    pub id: String,
    /// Other names of the provider.
    #[serde(default)]
    pub r#match: Option<Clause>,
    /// Providers whose models it serves too.
    #[serde(default)]
    pub fallback: Vec<String>,
    pub models: Vec<Model>,
}

#[derive(Deserialize)]
pub(super) struct Model {
    pub id: String,
    pub r#match: Clause,
    #[serde(default)]
    pub context_window: Option<u64>,
    #[serde(default)]
    pub max_output: Option<u64>,
    /// The last that is in force wins; the first, if none is.
    pub prices: Vec<Dated>,
    /// What service tiers change, the first in force wins.
    #[serde(default)]
    pub tiers: Vec<Tiered>,
}

#[derive(Deserialize)]
pub(super) struct Dated {
    #[serde(flatten)]
    pub when: When,
    pub rates: BTreeMap<String, Amount>,
}

#[derive(Deserialize)]
pub(super) struct Tiered {
    pub tier: String,
    #[serde(flatten)]
    pub when: When,
    pub rates: BTreeMap<String, Amount>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct When {
    #[serde(default)]
    pub from_ms: Option<i64>,
    /// Minutes of the UTC day, from and until; may pass midnight.
    #[serde(default)]
    pub daily: Option<(u16, u16)>,
}

/// One price, or a base and the prices above each count of input tokens.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Amount {
    Flat(String),
    Stepped {
        base: String,
        above: Vec<(u64, String)>,
    },
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Clause {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Regex(String),
    Or(Vec<Clause>),
    And(Vec<Clause>),
    Not(Box<Clause>),
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Effective {
    #[serde(default)]
    pub starts_at_ms: Option<i64>,
    #[serde(default)]
    pub ends_at_ms: Option<i64>,
}

/// A price of the customer's own. `*` matches every model; a tier prices only that tier.
#[derive(Deserialize)]
pub(super) struct CustomerPrice {
    pub id: String,
    pub provider: String,
    pub model: String,
    #[serde(default)]
    pub service_tier: Option<String>,
    #[serde(flatten)]
    pub effective: Effective,
    pub rates: BTreeMap<String, Amount>,
}

/// A share of the catalog price, such as `"0.85"`. `*` matches every provider or model.
#[derive(Deserialize)]
pub(super) struct Multiplier {
    pub id: String,
    pub provider: String,
    pub model: String,
    #[serde(flatten)]
    pub effective: Effective,
    #[serde(rename = "multiplier")]
    pub share: String,
}
