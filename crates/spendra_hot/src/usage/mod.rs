//! What a provider says it will bill, read out of its answers beside the relay.
//!
//! Sans-I/O: bytes in any split give the same answer, and what cannot be read is ignored.

mod event;
pub mod hide;
mod latest;
mod meter;
mod read;
mod sse;
mod tally;
mod text;
mod values;
mod walk;

pub use hide::UsageHider;
pub use meter::{Dialect, Meter};
pub use text::Delivered;

/// What an answer says was used. `input_tokens` includes cache reads and writes and
/// `output_tokens` includes reasoning; fields named `added_*` and `hidden_*` are billed besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub input_tokens: u64,
    pub cached_input_tokens: u64,
    /// All cache writes; `cache_write_1h_tokens` is the part kept for an hour.
    pub cache_write_tokens: u64,
    pub cache_write_1h_tokens: u64,
    pub output_tokens: u64,
    pub reasoning_tokens: u64,
    pub input_audio_tokens: u64,
    /// The part of `input_audio_tokens` that is not in `input_tokens` (Mistral).
    pub added_input_audio_tokens: u64,
    pub cached_audio_tokens: u64,
    pub output_audio_tokens: u64,
    pub input_image_tokens: u64,
    pub cached_image_tokens: u64,
    pub output_image_tokens: u64,
    pub input_video_tokens: u64,
    /// Results of the provider's own tools, read as input, not in `input_tokens` (Gemini).
    pub tool_use_input_tokens: u64,
    /// Output that shows only in the total (thinking behind Gemini's OpenAI face).
    pub hidden_output_tokens: u64,
    /// Cited text, billed besides the output (Perplexity).
    pub citation_tokens: u64,
    pub web_searches: u64,
    pub file_searches: u64,
    pub search_units: u64,
    pub billable_characters: u64,
    pub audio_ms: u64,
    pub pages: u64,
    pub annotated_pages: u64,
    /// Model passes billed besides the counts above (Anthropic compaction, advisor).
    pub passes: Vec<Pass>,
    /// The rounds that the counts above sum up, when there were several: each is judged by
    /// itself for long-context prices (Anthropic `iterations`).
    pub rounds: Vec<Usage>,
}

/// One pass of a model billed besides the answer's own counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The provider's word: `compaction`, `advisor_message`, `fallback_message`.
    pub kind: String,
    /// The model that ran it; None: the answer's own.
    pub model: Option<String>,
    pub usage: Usage,
}

/// What a meter learnt from an answer, whole or cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metered {
    pub usage: Option<Usage>,
    pub model: Option<String>,
    pub service_tier: Option<String>,
    /// What the provider itself says the answer cost, rounded up to nano-USD.
    pub stated_cost_nanousd: Option<u64>,
    /// The protocol's end was seen: a whole JSON body, or the stream's last event.
    pub finished: bool,
    /// The body carried the protocol's error object.
    pub failed: bool,
    pub delivered: Delivered,
}
