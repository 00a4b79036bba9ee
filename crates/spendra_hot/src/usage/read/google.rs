//! Gemini and Vertex: `usageMetadata` of generateContent, and `usage` of interactions.

use serde_json::Value;

use super::counts::{Object, count, first};
use crate::usage::Usage;

#[derive(Clone, Copy, PartialEq)]
enum Modality {
    Image,
    Video,
    Audio,
    Other,
}

impl Modality {
    /// By name, or by number as Vertex sends with `enum-encoding=int`.
    fn of(value: Option<&Value>) -> Self {
        let name = value.and_then(Value::as_str).unwrap_or_default();
        match (name.to_ascii_uppercase().as_str(), count(value)) {
            ("IMAGE", _) | (_, Some(2)) => Self::Image,
            ("VIDEO", _) | (_, Some(3)) => Self::Video,
            ("AUDIO", _) | (_, Some(4)) => Self::Audio,
            _ => Self::Other,
        }
    }
}

/// Middle chunks may hold only a traffic type: those say nothing about usage.
pub(in crate::usage) fn has_counts(metadata: &Object) -> bool {
    metadata
        .iter()
        .any(|(name, value)| name.ends_with("TokenCount") && count(Some(value)).is_some())
}

pub(in crate::usage) fn read(metadata: &Object) -> Usage {
    let of = |name: &str| count(metadata.get(name)).unwrap_or(0);
    let part = |names: &[&str], modality| modal(metadata, names, modality, "tokenCount");
    let prompt = ["promptTokensDetails", "promptTokenDetails"];
    let cached = ["cacheTokensDetails"];
    let output = ["candidatesTokensDetails", "responseTokensDetails"];
    let candidates = first(metadata, &["candidatesTokenCount", "responseTokenCount"]);
    let thoughts = of("thoughtsTokenCount");
    Usage {
        input_tokens: of("promptTokenCount"),
        cached_input_tokens: of("cachedContentTokenCount"),
        output_tokens: candidates.unwrap_or(0).saturating_add(thoughts),
        reasoning_tokens: thoughts,
        tool_use_input_tokens: of("toolUsePromptTokenCount"),
        input_audio_tokens: part(&prompt, Modality::Audio),
        input_image_tokens: part(&prompt, Modality::Image),
        input_video_tokens: part(&prompt, Modality::Video),
        cached_audio_tokens: part(&cached, Modality::Audio),
        cached_image_tokens: part(&cached, Modality::Image),
        output_audio_tokens: part(&output, Modality::Audio),
        output_image_tokens: part(&output, Modality::Image),
        ..Usage::default()
    }
}

pub(in crate::usage) fn is_interaction(usage: &Object) -> bool {
    first(usage, &["total_input_tokens", "total_output_tokens"]).is_some()
}

pub(in crate::usage) fn read_interaction(usage: &Object) -> Usage {
    let of = |name: &str| count(usage.get(name)).unwrap_or(0);
    let part = |name: &str, modality| modal(usage, &[name], modality, "tokens");
    let thoughts = first(usage, &["total_thought_tokens", "total_reasoning_tokens"]).unwrap_or(0);
    Usage {
        input_tokens: of("total_input_tokens"),
        cached_input_tokens: of("total_cached_tokens"),
        output_tokens: of("total_output_tokens").saturating_add(thoughts),
        reasoning_tokens: thoughts,
        tool_use_input_tokens: of("total_tool_use_tokens"),
        input_audio_tokens: part("input_tokens_by_modality", Modality::Audio),
        input_image_tokens: part("input_tokens_by_modality", Modality::Image),
        input_video_tokens: part("input_tokens_by_modality", Modality::Video),
        output_audio_tokens: part("output_tokens_by_modality", Modality::Audio),
        output_image_tokens: part("output_tokens_by_modality", Modality::Image),
        ..Usage::default()
    }
}

fn modal(object: &Object, names: &[&str], modality: Modality, tokens: &str) -> u64 {
    let items = names.iter().find_map(|name| object.get(*name)?.as_array());
    items
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .filter(|item| Modality::of(item.get("modality")) == modality)
        .filter_map(|item| count(item.get(tokens)))
        .fold(0, u64::saturating_add)
}

/// Vertex says by traffic type what others say by service tier.
pub(in crate::usage) fn tier(metadata: &Object) -> Option<String> {
    let tier = metadata.get("serviceTier").and_then(Value::as_str);
    let traffic = metadata.get("trafficType");
    let by_traffic = match (traffic.and_then(Value::as_str), count(traffic)) {
        (Some("ON_DEMAND_PRIORITY"), _) => Some("priority"),
        (Some("ON_DEMAND_FLEX"), _) => Some("flex"),
        (Some("PROVISIONED_THROUGHPUT"), _) | (_, Some(2)) => Some("provisioned_throughput"),
        _ => None,
    };
    tier.or(by_traffic).map(str::to_owned)
}

/// Queries that were grounded by search: `groundingMetadata.webSearchQueries` of any candidate.
pub(in crate::usage) fn web_queries(candidates: &str) -> u64 {
    if !candidates.contains("\"webSearchQueries\"") {
        return 0;
    }
    let Ok(Value::Array(items)) = serde_json::from_str(candidates) else {
        return 0;
    };
    items
        .iter()
        .filter_map(|item| {
            item.pointer("/groundingMetadata/webSearchQueries")?
                .as_array()
        })
        .filter_map(|queries| u64::try_from(queries.len()).ok())
        .fold(0, u64::saturating_add)
}
