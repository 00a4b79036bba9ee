//! Facts: what a request is, by dimension. The words are those of `spendra.scopes`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::decide::Request;
use crate::error::Unusable;

/// What a key can be bound to.
pub const KEY_DIMENSIONS: [&str; 6] = ["team", "project", "person", "agent", "cost_center", "tier"];

const FIXED: [&str; 11] = [
    "agent",
    "cost_center",
    "environment",
    "key",
    "model",
    "person",
    "project",
    "provider",
    "run",
    "team",
    "tier",
];
const LABEL_PREFIX: &str = "label:";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dimension<'a> {
    /// Position in `FIXED`.
    Fixed(usize),
    Label(&'a str),
}

impl<'a> Dimension<'a> {
    pub fn parse(name: &'a str) -> Result<Self, Unusable> {
        let label = name
            .strip_prefix(LABEL_PREFIX)
            .filter(|label| !label.is_empty());
        let fixed = FIXED
            .iter()
            .position(|known| *known == name)
            .map(Self::Fixed);
        fixed
            .or(label.map(Self::Label))
            .ok_or_else(|| Unusable::new(format!("{name:?} is not a dimension that a request has")))
    }
}

#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    fixed: [Vec<&'a str>; FIXED.len()],
    labels: BTreeMap<&'a str, &'a str>,
}

impl<'a> Facts<'a> {
    /// The facts, and what the headers say against the key, if anything.
    pub fn gather(request: &Request<'a>) -> Result<(Self, Option<String>), Unusable> {
        let mut facts = Self::default();
        facts.add_principal(request)?;
        facts.add("provider", request.provider)?;
        let body = request.inspected.model.as_deref();
        if let Some(model) = request.model.or(body) {
            facts.add("model", model)?;
        }
        let conflict = facts.add_headers(request.headers)?;
        for (label, value) in request
            .inspected
            .labels
            .iter()
            .filter(|(label, _)| !label.is_empty())
        {
            facts.labels.entry(label).or_insert(value);
        }
        Ok((facts, conflict))
    }

    pub fn matches(&self, dimension: Dimension<'_>, accepts: impl Fn(&str) -> bool) -> bool {
        match dimension {
            Dimension::Fixed(slot) => self
                .fixed
                .get(slot)
                .is_some_and(|values| values.iter().any(|value| accepts(value))),
            Dimension::Label(label) => self.labels.get(label).is_some_and(|value| accepts(value)),
        }
    }

    pub fn label(&self, name: &str) -> Option<&'a str> {
        self.labels.get(name).copied()
    }

    /// The model asked for: the body's, else the one in the path.
    pub fn model(&self) -> Option<&'a str> {
        let slot = FIXED.iter().position(|name| *name == "model")?;
        self.fixed.get(slot)?.first().copied()
    }

    /// JSON object, dimension to values, sorted by dimension.
    pub fn to_json(&self) -> String {
        let fixed = FIXED.iter().zip(&self.fixed);
        let fixed = fixed.filter(|(_, values)| !values.is_empty());
        let fixed = fixed.map(|(name, values)| (Cow::Borrowed(*name), values.as_slice()));
        let labels = self.labels.iter();
        let labels = labels.map(|(name, value)| {
            let name = Cow::Owned(format!("{LABEL_PREFIX}{name}"));
            (name, std::slice::from_ref(value))
        });
        let all: BTreeMap<Cow<'_, str>, &[&str]> = fixed.chain(labels).collect();
        serde_json::to_string(&all).unwrap_or_default()
    }

    fn add_principal(&mut self, request: &Request<'a>) -> Result<(), Unusable> {
        for (dimension, values) in &request.principal.scope {
            for value in values {
                self.add(dimension, value)?;
            }
        }
        self.add("key", &request.principal.key_id)?;
        for above in &request.principal.delegated_from {
            self.add("key", above)?;
        }
        self.add("environment", &request.principal.environment)
    }

    fn add(&mut self, dimension: &'a str, value: &'a str) -> Result<(), Unusable> {
        match Dimension::parse(dimension)? {
            Dimension::Fixed(slot) => {
                if let Some(values) = self.fixed.get_mut(slot) {
                    values.push(value);
                }
            }
            Dimension::Label(label) => {
                self.labels.insert(label, value);
            }
        }
        Ok(())
    }

    /// A header adds where nothing is known; what is known is never narrowed nor replaced.
    fn add_headers(
        &mut self,
        headers: &'a BTreeMap<String, String>,
    ) -> Result<Option<String>, Unusable> {
        let mut conflict = None;
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            let dimension = Dimension::parse(name)?;
            if !self.matches(dimension, |_| true) {
                self.add(name, value)?;
            } else if !self.matches(dimension, |known| known == value) {
                conflict.get_or_insert_with(|| {
                    format!("the request says {name} {value:?}, which this key or request is not")
                });
            }
        }
        Ok(conflict)
    }
}
