//! The `keys` segment as it comes in the snapshot (`spendra.snapshot.KeysSegment`).

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeysSegment {
    pub keys: Vec<KeyRecord>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRecord {
    pub id: String,
    pub name: String,
    pub environment: String,
    pub state: State,
    pub hashes: Vec<HashRecord>,
    pub scope: BTreeMap<String, Vec<String>>,
    /// Of a key for several projects: its whole scope in each.
    #[serde(default)]
    pub projects: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    #[serde(default)]
    pub models: Option<Vec<String>>,
    #[serde(default)]
    pub providers: Option<Vec<String>>,
    #[serde(default)]
    pub tools: Option<Vec<String>>,
    #[serde(default)]
    pub delegated_from: Vec<String>,
    #[serde(default)]
    pub max_request_nanousd: Option<u64>,
    #[serde(default)]
    pub expires_at_ms: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HashRecord {
    pub hash: String,
    #[serde(default)]
    pub expires_at_ms: Option<i64>,
}

#[derive(Debug, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Active,
    Paused,
    Revoked,
}
