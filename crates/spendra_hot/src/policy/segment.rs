//! The `policy` segment as it comes in the snapshot (`spendra.snapshot.PolicySegment`).

use std::collections::BTreeMap;

use serde::Deserialize;

pub(super) type SelectorRecord = BTreeMap<String, Vec<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicySegment {
    pub budgets: Vec<BudgetRecord>,
    pub policies: Vec<PolicyRecord>,
    pub default_output_tokens: u64,
}

/// Only its selector matters here; the rest is checked so that a misspelt field is an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub(super) struct BudgetRecord {
    pub id: String,
    name: String,
    pub selector: SelectorRecord,
    period: Period,
    timezone: String,
    limit_nanousd: i64,
    kind: Kind,
    version: i64,
    #[serde(default)]
    starts_at_ms: Option<i64>,
    #[serde(default)]
    ends_at_ms: Option<i64>,
    #[serde(default)]
    open_up_to_nanousd: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Period {
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Fixed,
    None,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Hard,
    Soft,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyRecord {
    pub id: String,
    #[serde(rename = "name")]
    _name: String,
    pub selector: SelectorRecord,
    pub rules: RulesRecord,
}

/// What is done where the caller sets no output limit, the strictest first.
#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unlimited {
    /// The default is written into the request.
    Cap,
    /// The default is held, and more as the stream needs it.
    Watch,
    /// The model's own limit is held.
    Model,
}

impl Unlimited {
    pub fn word(self) -> &'static str {
        match self {
            Self::Cap => "a cap is written",
            Self::Watch => "the stream is watched",
            Self::Model => "the model's own limit is held",
        }
    }
}

/// What becomes of a request that somebody should look at.
#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "lowercase")]
pub(super) enum Review {
    /// It waits for an approval.
    #[default]
    Block,
    /// It passes, and says so.
    Flag,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RulesRecord {
    pub models_allow: Option<Vec<String>>,
    pub models_deny: Option<Vec<String>>,
    pub providers_allow: Option<Vec<String>>,
    pub providers_deny: Option<Vec<String>>,
    pub vendors_allow: Option<Vec<String>>,
    pub vendors_deny: Option<Vec<String>>,
    pub tools_allow: Option<Vec<String>>,
    pub tools_deny: Option<Vec<String>>,
    pub required_labels: Option<Vec<String>>,
    /// Label to the values that it may have.
    pub labels_allow: Option<BTreeMap<String, Vec<String>>>,
    pub max_input_tokens: Option<u64>,
    pub max_output_tokens: Option<u64>,
    pub max_request_nanousd: Option<u64>,
    pub requests_per_minute: Option<u64>,
    pub tokens_per_minute: Option<u64>,
    pub max_concurrency: Option<u64>,
    pub default_output_tokens: Option<u64>,
    /// The smallest output that is worth having where a budget has no room for more.
    pub fit_output_to_budget: Option<u64>,
    pub unlimited_output: Option<Unlimited>,
    pub environments_allow: Option<Vec<String>>,
    /// Which of the policies are closed now is said with each request.
    #[serde(rename = "hours")]
    _hours: Option<serde::de::IgnoredAny>,
    pub routing: Option<RoutingRecord>,
    pub review_above_nanousd: Option<u64>,
    pub review: Option<Review>,
}

/// Which models may be served by cheaper ones; by which is looked up by whoever sends.
#[derive(Deserialize)]
pub(super) struct RoutingRecord {
    pub routes: Vec<RoutedRecord>,
}

#[derive(Deserialize)]
pub(super) struct RoutedRecord {
    pub models: Vec<String>,
}
