//! Gemini repeats its whole usage in every event, and the last one counts: the one before is then
//! never parsed.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::sse::says_why_it_ended;
use super::tally::Tally;

static METADATA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usageMetadata\""));
static COUNT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("TokenCount\""));
static TRAFFIC: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"trafficType\""));
static TIER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"serviceTier\""));
static SEARCHED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"webSearchQueries\""));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));

/// The latest event that says nothing but text and usage, until it is read or superseded.
#[derive(Debug, Default)]
pub(super) struct Latest {
    json: Vec<u8>,
    /// Where in it the usage begins.
    usage_at: usize,
}

impl Latest {
    /// Takes an event that can wait, or reads what waits and then this one.
    pub fn hear(&mut self, json: &[u8], tally: &mut Tally) {
        let usage_at = tally.model.as_ref().and_then(|_| usage_alone_at(json));
        let Some(usage_at) = usage_at else {
            self.read(tally);
            return tally.read(json);
        };
        if tiers_of(json, usage_at) != tiers_of(&self.json, self.usage_at) {
            self.read(tally);
        }
        self.json.clear();
        self.json.extend_from_slice(json);
        self.usage_at = usage_at;
    }

    /// Reads what waits.
    pub fn read(&mut self, tally: &mut Tally) {
        if !self.json.is_empty() {
            tally.read(&self.json);
            self.json.clear();
        }
    }

    /// The tally as it is once what waits is read too.
    pub fn with<'a>(&self, tally: &'a Tally) -> Cow<'a, Tally> {
        if self.json.is_empty() {
            return Cow::Borrowed(tally);
        }
        let mut tally = tally.clone();
        tally.read(&self.json);
        Cow::Owned(tally)
    }
}

/// Where the usage of an event stands that has counts and says nothing else but text. Of members
/// with one name the last one counts.
fn usage_alone_at(json: &[u8]) -> Option<usize> {
    let at = METADATA.find_iter(json).last()?;
    let alone = has_count(json.get(at..)?)
        && SEARCHED.find(json).is_none()
        && ERROR.find(json).is_none()
        && !says_why_it_ended(json);
    alone.then_some(at)
}

fn has_count(metadata: &[u8]) -> bool {
    COUNT.find_iter(metadata).any(|at| {
        let value = metadata.get(at.saturating_add(COUNT.needle().len())..);
        let value = value.unwrap_or_default().trim_ascii_start();
        let value = value.strip_prefix(b":").unwrap_or_default();
        value
            .trim_ascii_start()
            .first()
            .is_some_and(u8::is_ascii_digit)
    })
}

/// The text of what tells the service tier, as it stands.
fn tiers_of(json: &[u8], usage_at: usize) -> [Option<&[u8]>; 2] {
    let usage = json.get(usage_at..).unwrap_or_default();
    [&TRAFFIC, &TIER].map(|name| {
        let rest = usage.get(name.find(usage)?..)?;
        let end = memchr::memchr2(b',', b'}', rest).unwrap_or(rest.len());
        rest.get(..end)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Latest, Tally};
    use crate::usage::Dialect;

    /// What events may hold besides each other.
    const PARTS: [&str; 11] = [
        r#""candidates":[{"content":{"parts":[{"text":"a"}]}}]"#,
        r#""candidates":[{"finishReason":"STOP"}]"#,
        r#""candidates":[{"groundingMetadata":{"webSearchQueries":["q","r"]}}]"#,
        r#""usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":3}"#,
        r#""usageMetadata":{"promptTokenCount":5,"trafficType":"ON_DEMAND_PRIORITY"}"#,
        r#""usageMetadata":{"trafficType":"ON_DEMAND_FLEX"}"#,
        r#""usageMetadata":{"candidatesTokenCount":9,"serviceTier":"flex"}"#,
        r#""modelVersion":"gemini-2.5-flash""#,
        r#""modelVersion":"gemini-2.5-pro""#,
        r#""error":{"code":503}"#,
        r#""promptFeedback":{"TokenCount": 1}"#,
    ];

    fn event() -> impl Strategy<Value = String> {
        let parts = prop::collection::btree_set(prop::sample::select(&PARTS[..]), 0..4);
        parts.prop_map(|parts| format!("{{{}}}", Vec::from_iter(parts).join(",")))
    }

    proptest! {
        #[test]
        fn what_is_never_parsed_would_have_changed_nothing(events in prop::collection::vec(event(), 0..8)) {
            let (mut latest, mut lazily, mut eagerly) = (Latest::default(), Tally::default(), Tally::default());
            for event in &events {
                latest.hear(event.as_bytes(), &mut lazily);
                eagerly.read(event.as_bytes());
                let told = latest.with(&lazily);
                prop_assert_eq!(told.metered(Dialect::Google), eagerly.metered(Dialect::Google));
                prop_assert_eq!(told.stream_finished(), eagerly.stream_finished());
            }
        }
    }
}
