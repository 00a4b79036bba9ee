//! Anthropic's usage object: input excludes cache reads and writes, so they are added here.

use super::counts::{Object, child, count, text};
use crate::usage::{Pass, Usage};

const MARKS: [&str; 4] = [
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "iterations",
    "server_tool_use",
];

/// Whether the object says by its own fields that it is Anthropic's.
pub(in crate::usage) fn is_marked(usage: &Object) -> bool {
    !usage.contains_key("prompt_tokens")
        && !usage.contains_key("total_tokens")
        && MARKS.iter().any(|mark| usage.contains_key(*mark))
}

/// A later event overrides an earlier one field by field; null says nothing.
pub(in crate::usage) fn merge(into: &mut Object, from: Object) {
    into.extend(from.into_iter().filter(|(_, value)| !value.is_null()));
}

pub(in crate::usage) fn read(usage: &Object) -> Usage {
    let mut found = read_counts(usage);
    let items = usage.get("iterations").and_then(|items| items.as_array());
    let items = items.into_iter().flatten().filter_map(|i| i.as_object());
    for item in items {
        match text(item, "type") {
            Some("message") | None => found.rounds.push(read_counts(item)),
            Some(kind) => found.passes.push(pass(kind, item)),
        }
    }
    if found.rounds.len() < 2 || !is_sum(&found) {
        found.rounds.clear();
    }
    found
}

fn pass(kind: &str, item: &Object) -> Pass {
    Pass {
        kind: kind.to_owned(),
        model: text(item, "model").map(str::to_owned),
        usage: read_counts(item),
    }
}

/// Rounds may stand for the whole only when they are the whole.
fn is_sum(usage: &Usage) -> bool {
    let sum = |of: fn(&Usage) -> u64| usage.rounds.iter().map(of).fold(0, u64::saturating_add);
    sum(|u| u.input_tokens) == usage.input_tokens
        && sum(|u| u.cached_input_tokens) == usage.cached_input_tokens
        && sum(|u| u.cache_write_tokens) == usage.cache_write_tokens
        && sum(|u| u.output_tokens) == usage.output_tokens
}

fn read_counts(usage: &Object) -> Usage {
    let empty = Object::new();
    let of = |name: &str| count(usage.get(name)).unwrap_or(0);
    let kept = child(usage, &["cache_creation"]).unwrap_or(&empty);
    let tools = child(usage, &["server_tool_use"]).unwrap_or(&empty);
    let details = child(usage, &["output_tokens_details"]).unwrap_or(&empty);
    let read = of("cache_read_input_tokens");
    let hour = count(kept.get("ephemeral_1h_input_tokens")).unwrap_or(0);
    let minutes = count(kept.get("ephemeral_5m_input_tokens")).unwrap_or(0);
    let written = of("cache_creation_input_tokens").max(hour.saturating_add(minutes));
    Usage {
        input_tokens: of("input_tokens")
            .saturating_add(read)
            .saturating_add(written),
        cached_input_tokens: read,
        cache_write_tokens: written,
        cache_write_1h_tokens: hour,
        output_tokens: of("output_tokens"),
        reasoning_tokens: count(details.get("thinking_tokens")).unwrap_or(0),
        web_searches: count(tools.get("web_search_requests")).unwrap_or(0),
        ..Usage::default()
    }
}

/// The tier that priced it: fast mode is a price of its own.
pub(in crate::usage) fn tier(usage: &Object) -> Option<String> {
    let fast = text(usage, "speed").filter(|speed| *speed == "fast");
    fast.or_else(|| text(usage, "service_tier"))
        .map(str::to_owned)
}
