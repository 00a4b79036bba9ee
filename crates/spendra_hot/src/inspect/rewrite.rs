//! Changes to a body, made by splicing: all other bytes stay as they came.

use std::ops::Range;

use super::dialect::{Dialect, Field};
use super::scan::Opening;
use super::survey::{Place, Survey, survey};
use crate::error::Unusable;

/// What to set. The default changes nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Changes<'a> {
    /// Ask for usage in the stream, where the dialect has to ask.
    pub include_usage: bool,
    /// Output tokens per choice, where the request generates any.
    pub output_cap: Option<u64>,
    pub model: Option<&'a str>,
    /// Write down how often the provider's own tools may run, where that is not said.
    pub limit_tools: bool,
}

/// The same body with the asked members set. Errors as for `inspect`.
pub fn rewrite(body: &[u8], dialect: &str, changes: &Changes<'_>) -> Result<Vec<u8>, Unusable> {
    let survey = survey(body, Dialect::named(dialect)?)?;
    let mut splices = Splices {
        survey: &survey,
        edits: Vec::new(),
        members: Vec::new(),
    };
    if let Some(model) = changes.model {
        splices.set(Field::Model, &["model"], &quoted(model));
    }
    if let Some(cap) = changes.output_cap {
        splices.cap(&cap.to_string());
    }
    if changes.include_usage && survey.shape.usage_on_request {
        splices.set(
            Field::StreamOptions,
            &["stream_options", "include_usage"],
            "true",
        );
    }
    if changes.limit_tools {
        splices.limit_tools();
    }
    Ok(splices.apply(body))
}

struct Splices<'a> {
    survey: &'a Survey,
    edits: Vec<(Range<usize>, String)>,
    /// New members of the outermost object.
    members: Vec<String>,
}

impl<'a> Splices<'a> {
    fn place(&self, field: Field) -> Option<&'a Place> {
        self.survey.places.iter().find(|place| place.field == field)
    }

    fn limit_tools(&mut self) {
        let uses = self.survey.shape.rounds.uses.to_string();
        for opening in &self.survey.unlimited_tools {
            self.insert(*opening, &member("max_uses", &uses));
        }
        let has_limit = self.place(Field::MaxToolCalls).is_some();
        let is_responses = self.survey.shape.cap == ["max_output_tokens"];
        if is_responses && self.survey.found.hosted_tools && !has_limit {
            self.members.push(member("max_tool_calls", &uses));
        }
    }

    fn cap(&mut self, cap: &str) {
        let shape = self.survey.shape;
        let present = shape
            .limits
            .iter()
            .filter(|limit| self.place(**limit).is_some());
        let present: Vec<Field> = present.copied().collect();
        for limit in &present {
            self.set(*limit, shape.cap, cap);
        }
        if let ([], Some(limit)) = (present.as_slice(), shape.limits.first()) {
            self.set(*limit, shape.cap, cap);
        }
    }

    /// Sets a member (`[name]`) or a member of an object (`[outer, name]`).
    fn set(&mut self, field: Field, path: &[&str], value: &str) {
        let (name, outer) = match path {
            [name] => (*name, None),
            [outer, name] => (*name, Some(*outer)),
            _ => return,
        };
        match (self.place(field), outer) {
            (Some(place), None) => self.replace(&place.value, value.to_owned()),
            (None, None) => self.members.push(member(name, value)),
            (None, Some(outer)) => self.members.push(member(outer, &object(name, value))),
            (Some(place), Some(_)) => self.set_inside(place, name, value),
        }
    }

    fn set_inside(&mut self, place: &Place, name: &str, value: &str) {
        match (&place.inner, place.opening) {
            (Some(inner), _) => self.replace(inner, value.to_owned()),
            (None, Some(opening)) => self.insert(opening, &member(name, value)),
            (None, None) => self.replace(&place.value, object(name, value)),
        }
    }

    fn replace(&mut self, span: &Range<usize>, with: String) {
        self.edits.push((span.clone(), with));
    }

    fn insert(&mut self, opening: Opening, members: &str) {
        let comma = if opening.empty { "" } else { "," };
        self.edits
            .push((opening.at..opening.at, format!("{members}{comma}")));
    }

    fn apply(mut self, body: &[u8]) -> Vec<u8> {
        if !self.members.is_empty() {
            self.insert(self.survey.root, &self.members.join(","));
        }
        self.edits.sort_by_key(|(span, _)| span.start);
        let added: usize = self.edits.iter().map(|(_, text)| text.len()).sum();
        let mut spliced = Vec::with_capacity(body.len().saturating_add(added));
        let mut kept = 0;
        for (span, text) in &self.edits {
            spliced.extend_from_slice(body.get(kept..span.start).unwrap_or_default());
            spliced.extend_from_slice(text.as_bytes());
            kept = span.end;
        }
        spliced.extend_from_slice(body.get(kept..).unwrap_or_default());
        spliced
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn member(name: &str, value: &str) -> String {
    format!("{}:{value}", quoted(name))
}

fn object(name: &str, value: &str) -> String {
    format!("{{{}}}", member(name, value))
}
