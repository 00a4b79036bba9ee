//! OpenAI's usage object and those shaped after it: chat, Responses, embeddings, images, audio,
//! Azure, OpenRouter, Mistral, Groq, DeepSeek, xAI, Perplexity, Together.

use super::counts::{Object, child, count, first, nanousd};
use crate::usage::Usage;

/// What is not told by the object itself: whose face it is.
#[derive(Clone, Copy, Default)]
pub(in crate::usage) struct Face {
    /// Thinking may show only in the total (Gemini's OpenAI face).
    pub hides_thinking: bool,
    /// Top-level reasoning tokens come on top of the completion (Perplexity).
    pub adds_reasoning: bool,
}

const INPUT: [&str; 2] = ["prompt_tokens", "input_tokens"];
const OUTPUT: [&str; 2] = ["completion_tokens", "output_tokens"];
const INPUT_DETAILS: [&str; 3] = [
    "prompt_tokens_details",
    "input_tokens_details",
    "input_token_details",
];
const OUTPUT_DETAILS: [&str; 3] = [
    "completion_tokens_details",
    "output_tokens_details",
    "output_token_details",
];
const CACHED: [&str; 4] = [
    "prompt_cache_hit_tokens",
    "num_cached_tokens",
    "cached_tokens",
    "cache_read_input_tokens",
];

pub(in crate::usage) fn has_counts(usage: &Object) -> bool {
    let names = ["total_tokens", "search_units", "seconds", "pages_processed"];
    first(usage, &INPUT).is_some()
        || first(usage, &OUTPUT).is_some()
        || first(usage, &names).is_some()
}

pub(in crate::usage) fn read(usage: &Object, face: Face) -> Usage {
    let mut found = Usage {
        input_tokens: first(usage, &INPUT).unwrap_or(0),
        output_tokens: first(usage, &OUTPUT).unwrap_or(0),
        ..Usage::default()
    };
    read_input_details(usage, &mut found);
    read_output_details(usage, &mut found);
    read_others(usage, &mut found);
    settle_total(usage, face, &mut found);
    found
}

fn read_input_details(usage: &Object, found: &mut Usage) {
    let empty = Object::new();
    let details = child(usage, &INPUT_DETAILS).unwrap_or(&empty);
    let cached = child(details, &["cached_tokens_details"]).unwrap_or(&empty);
    found.cached_input_tokens = count(details.get("cached_tokens"))
        .or_else(|| first(usage, &CACHED))
        .unwrap_or(0);
    found.cache_write_tokens =
        first(details, &["cache_write_tokens", "cache_creation_tokens"]).unwrap_or(0);
    found.input_audio_tokens = count(details.get("audio_tokens")).unwrap_or(0);
    found.input_image_tokens = count(details.get("image_tokens")).unwrap_or(0);
    found.input_video_tokens = count(details.get("video_tokens")).unwrap_or(0);
    found.cached_audio_tokens = count(cached.get("audio_tokens")).unwrap_or(0);
    found.cached_image_tokens = count(cached.get("image_tokens")).unwrap_or(0);
}

fn read_output_details(usage: &Object, found: &mut Usage) {
    let empty = Object::new();
    let details = child(usage, &OUTPUT_DETAILS).unwrap_or(&empty);
    found.reasoning_tokens = count(details.get("reasoning_tokens"))
        .or_else(|| count(usage.get("reasoning_tokens")))
        .unwrap_or(0);
    found.output_audio_tokens = count(details.get("audio_tokens")).unwrap_or(0);
    found.output_image_tokens = count(details.get("image_tokens")).unwrap_or(0);
}

fn read_others(usage: &Object, found: &mut Usage) {
    let tools = child(
        usage,
        &["server_tool_use", "server_side_tool_usage_details"],
    );
    found.web_searches = tools
        .and_then(|tools| first(tools, &["web_search_requests", "web_search_calls"]))
        .or_else(|| count(usage.get("num_search_queries")))
        .unwrap_or(0);
    found.search_units = count(usage.get("search_units")).unwrap_or(0);
    found.citation_tokens = count(usage.get("citation_tokens")).unwrap_or(0);
    found.pages = count(usage.get("pages_processed")).unwrap_or(0);
    found.audio_ms = first(usage, &["seconds", "prompt_audio_seconds"])
        .unwrap_or(0)
        .saturating_mul(1000);
}

/// What the total holds beyond prompt and completion, by who is known to leave what out.
fn settle_total(usage: &Object, face: Face, found: &mut Usage) {
    let listed = found.input_tokens.saturating_add(found.output_tokens);
    let rest = count(usage.get("total_tokens"))
        .unwrap_or(0)
        .saturating_sub(listed);
    let top_reasoning = usage.contains_key("reasoning_tokens") && face.adds_reasoning;
    if top_reasoning || (rest > 0 && rest == found.reasoning_tokens) {
        found.output_tokens = found.output_tokens.saturating_add(found.reasoning_tokens);
    } else if rest > 0 && rest == found.input_audio_tokens {
        found.added_input_audio_tokens = rest;
    } else if face.hides_thinking {
        found.hidden_output_tokens = rest;
    }
}

/// What the provider says it charged: OpenRouter, Perplexity, xAI.
pub(in crate::usage) fn stated_cost(usage: &Object) -> Option<u64> {
    if let Some(ticks) = count(usage.get("cost_in_usd_ticks")) {
        return Some(ticks.div_ceil(10));
    }
    if let Some(cost) = child(usage, &["cost"]) {
        return nanousd(cost.get("total_cost"));
    }
    let charged = nanousd(usage.get("cost"))?;
    Some(charged.saturating_add(own_key_cost(usage)))
}

/// With the caller's own provider key, the provider's bill comes besides OpenRouter's.
fn own_key_cost(usage: &Object) -> u64 {
    if usage.get("is_byok").and_then(serde_json::Value::as_bool) != Some(true) {
        return 0;
    }
    let empty = Object::new();
    let details = child(usage, &["cost_details"]).unwrap_or(&empty);
    let part = |name: &str| nanousd(details.get(name)).unwrap_or(0);
    nanousd(details.get("upstream_inference_cost")).unwrap_or_else(|| {
        part("upstream_inference_prompt_cost")
            .saturating_add(part("upstream_inference_completions_cost"))
    })
}
