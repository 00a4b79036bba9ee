//! Which requests a budget or policy is for.

use super::facts::{Dimension, Facts};
use super::segment::SelectorRecord;
use crate::error::Unusable;
use crate::glob::Globs;

/// Every term must match, by any one of its values; no terms match everything.
#[derive(Debug)]
pub(super) struct Selector(Box<[Term]>);

#[derive(Debug)]
struct Term {
    slot: Slot,
    accepts: Accepts,
}

#[derive(Debug)]
enum Slot {
    Fixed(usize),
    Label(Box<str>),
}

#[derive(Debug)]
enum Accepts {
    Exactly(Box<[Box<str>]>),
    Like(Globs),
}

impl Selector {
    pub fn compile(owner: &str, record: &SelectorRecord) -> Result<Self, Unusable> {
        let terms = record
            .iter()
            .map(|(name, values)| Term::compile(name, values));
        terms
            .collect::<Result<_, _>>()
            .map(Self)
            .map_err(|error| Unusable::new(format!("the selector of {owner}: {error}")))
    }

    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        self.0.iter().all(|term| term.matches(facts))
    }
}

impl Term {
    fn compile(name: &str, values: &[String]) -> Result<Self, Unusable> {
        if values.is_empty() {
            return Err(Unusable::new(format!(
                "{name:?} accepts no value, so nothing would match"
            )));
        }
        let slot = match Dimension::parse(name)? {
            Dimension::Fixed(slot) => Slot::Fixed(slot),
            Dimension::Label(label) => Slot::Label(label.into()),
        };
        let accepts = match name {
            "model" => Accepts::Like(Globs::new(values)),
            _ => Accepts::Exactly(values.iter().map(|value| value.as_str().into()).collect()),
        };
        Ok(Self { slot, accepts })
    }

    fn matches(&self, facts: &Facts<'_>) -> bool {
        let dimension = match &self.slot {
            Slot::Fixed(slot) => Dimension::Fixed(*slot),
            Slot::Label(label) => Dimension::Label(label),
        };
        facts.matches(dimension, |value| match &self.accepts {
            Accepts::Exactly(values) => values.iter().any(|accepted| **accepted == *value),
            Accepts::Like(globs) => globs.matching(value).is_some(),
        })
    }
}
