//! What the events of one answer say together: later counts replace earlier ones.

use serde_json::value::RawValue;

use super::event::{Event, is_present, object, string};
use super::meter::Dialect;
use super::read::counts::{Object, child, count, text};
use super::read::openai::Face;
use super::read::{anthropic, cohere, google, openai};
use super::{Metered, Usage};

/// Which reading rule the last usage object is under.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Anthropic,
    Cohere,
    Gemini,
    Interaction,
    OpenAi,
    Characters,
}

#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // four independent things that an answer may say
pub(super) struct Tally {
    usage: Option<(Shape, Object)>,
    pub model: Option<String>,
    service_tier: Option<String>,
    web_searches: u64,
    file_searches: u64,
    /// A choice or candidate said why it ended.
    ended: bool,
    /// The protocol's own last event was seen.
    pub done: bool,
    failed: bool,
    /// The values are events of a stream, not whole bodies.
    pub is_event_stream: bool,
}

impl Tally {
    pub fn read(&mut self, json: &[u8]) {
        let Some(event) = Event::read(json) else {
            return;
        };
        let name = event.name();
        self.learn(&event, &name);
        for inner in [event.response, event.message, event.interaction] {
            if let Some(inner) = Event::inside(inner) {
                self.learn(&inner, &name);
            }
        }
        self.note_end(&event, &name);
    }

    fn learn(&mut self, event: &Event<'_>, name: &str) {
        self.learn_model(event);
        self.learn_usage(event, name);
        self.failed |= is_error(event, name);
        if let Some(output) = event.output.or(event.candidates) {
            self.learn_searches(event, output.get());
        }
    }

    fn learn_model(&mut self, event: &Event<'_>) {
        if self.model.is_none() {
            let model = string(event.model).or_else(|| string(event.model_version));
            self.model = model.map(|model| model.trim_start_matches("models/").to_owned());
        }
        if let Some(tier) = string(event.service_tier) {
            self.service_tier = Some(tier);
        }
    }

    fn learn_usage(&mut self, event: &Event<'_>, name: &str) {
        if string(event.object).as_deref() == Some("batch") {
            return; // A batch job sums up answers that are billed one by one.
        }
        for raw in [event.usage, event.usage_info, event.meta] {
            self.take(object(raw), name);
        }
        for raw in [event.x_groq, event.delta] {
            let usage = object(raw).and_then(|outer| outer.get("usage")?.as_object().cloned());
            self.take(usage, name);
        }
        if let Some(metadata) = object(event.usage_metadata) {
            self.take_gemini(metadata);
        }
        let billed = object(event.metadata).filter(|m| m.contains_key("billableCharacterCount"));
        self.usage = billed
            .map(|metadata| (Shape::Characters, metadata))
            .or_else(|| self.usage.take());
    }

    fn take(&mut self, usage: Option<Object>, name: &str) {
        let Some(usage) = usage else { return };
        if anthropic::is_marked(&usage) || is_anthropic_event(name) {
            self.take_anthropic(usage);
        } else if let Some(shape) = shape_of(&usage) {
            if let Some(tier) = text(&usage, "service_tier") {
                self.service_tier = Some(tier.to_owned());
            }
            self.usage = Some((shape, usage));
        }
    }

    fn take_anthropic(&mut self, usage: Object) {
        self.service_tier = anthropic::tier(&usage).or_else(|| self.service_tier.take());
        match &mut self.usage {
            Some((Shape::Anthropic, merged)) => anthropic::merge(merged, usage),
            other => *other = Some((Shape::Anthropic, usage)),
        }
    }

    fn take_gemini(&mut self, metadata: Object) {
        self.service_tier = google::tier(&metadata).or_else(|| self.service_tier.take());
        if google::has_counts(&metadata) {
            self.usage = Some((Shape::Gemini, metadata));
        }
    }

    fn learn_searches(&mut self, event: &Event<'_>, items: &str) {
        let stated = object(event.tool_usage)
            .and_then(|tools| count(child(&tools, &["web_search"])?.get("num_requests")));
        let found = match event.candidates {
            Some(_) => google::web_queries(items),
            None => stated.unwrap_or_else(|| calls(items, "web_search_call")),
        };
        self.web_searches = self.web_searches.max(found);
        self.file_searches = self.file_searches.max(calls(items, "file_search_call"));
    }

    fn note_end(&mut self, event: &Event<'_>, name: &str) {
        self.ended |= [event.choices, event.candidates]
            .into_iter()
            .any(says_why_it_ended);
        self.is_event_stream |= event.is_finished.is_some() || event.event_type.is_some();
        self.done |= is_last(name) || event.is_finished.is_some_and(|raw| raw.get() == "true");
    }

    /// Whether a stream is over: its last event, or all that its last event would say.
    pub fn stream_finished(&self) -> bool {
        self.done || (self.ended && self.usage.is_some())
    }

    pub fn metered(&self, dialect: Dialect) -> Metered {
        let usage = self.usage.as_ref();
        let stated = usage
            .filter(|_| states_costs(dialect))
            .and_then(|(_, object)| openai::stated_cost(object));
        Metered {
            usage: usage.map(|(shape, object)| self.convert(*shape, object, dialect)),
            model: self.model.clone(),
            service_tier: self.service_tier.clone(),
            stated_cost_nanousd: stated,
            failed: self.failed,
            ..Metered::default()
        }
    }

    fn convert(&self, shape: Shape, object: &Object, dialect: Dialect) -> Usage {
        let mut usage = match shape {
            Shape::Anthropic => anthropic::read(object),
            Shape::Gemini => google::read(object),
            Shape::Interaction => google::read_interaction(object),
            Shape::OpenAi => openai::read(object, face(dialect)),
            Shape::Cohere => cohere::billed_units(object)
                .map(|billed| cohere::read(object, billed))
                .unwrap_or_default(),
            Shape::Characters => Usage {
                billable_characters: count(object.get("billableCharacterCount")).unwrap_or(0),
                ..Usage::default()
            },
        };
        usage.web_searches = usage.web_searches.max(self.web_searches);
        usage.file_searches = usage.file_searches.max(self.file_searches);
        usage
    }
}

fn face(dialect: Dialect) -> Face {
    Face {
        hides_thinking: dialect == Dialect::Google,
        adds_reasoning: dialect == Dialect::Perplexity,
    }
}

/// Others copy the members and leave them at zero (Grok on Azure).
fn states_costs(dialect: Dialect) -> bool {
    matches!(
        dialect,
        Dialect::OpenRouter | Dialect::Xai | Dialect::Perplexity
    )
}

fn shape_of(usage: &Object) -> Option<Shape> {
    if cohere::billed_units(usage).is_some() {
        return Some(Shape::Cohere);
    }
    if google::is_interaction(usage) {
        return Some(Shape::Interaction);
    }
    openai::has_counts(usage).then_some(Shape::OpenAi)
}

fn is_anthropic_event(name: &str) -> bool {
    matches!(name, "message_start" | "message_delta" | "message")
}

/// The events after which a protocol says nothing more.
fn is_last(name: &str) -> bool {
    matches!(
        name,
        "message_stop"
            | "message-end"
            | "stream-end"
            | "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "interaction.completed"
            | "interaction.complete"
            | "transcript.text.done"
            | "speech.audio.done"
            | "image_generation.completed"
            | "image_edit.completed"
    )
}

fn is_error(event: &Event<'_>, name: &str) -> bool {
    let status = string(event.status);
    let object = string(event.object);
    // Mistral and Cohere refuse with a bare `detail` or `message`, and nothing that was generated.
    let bare = event.usage.is_none() && event.choices.is_none() && event.meta.is_none();
    let refused = is_present(event.detail) || string(event.message).is_some();
    is_present(event.error)
        || matches!(name, "error" | "response.failed")
        || object.as_deref() == Some("error")
        || (status.as_deref() == Some("failed") && event.output.is_some())
        || (bare && refused)
}

fn says_why_it_ended(choices: Option<&RawValue>) -> bool {
    choices.is_some_and(|raw| super::sse::says_why_it_ended(raw.get().as_bytes()))
}

/// Searches of a kind that Responses ran; of the web's, page visits are not counted.
fn calls(output: &str, kind: &str) -> u64 {
    if !output.contains(kind) {
        return 0;
    }
    let Ok(serde_json::Value::Array(items)) = serde_json::from_str(output) else {
        return 0;
    };
    let searched = |item: &&serde_json::Value| {
        let action = item.pointer("/action/type").and_then(|kind| kind.as_str());
        item.get("type").and_then(|found| found.as_str()) == Some(kind)
            && matches!(action, None | Some("search"))
    };
    items
        .iter()
        .filter(searched)
        .count()
        .try_into()
        .unwrap_or(u64::MAX)
}
