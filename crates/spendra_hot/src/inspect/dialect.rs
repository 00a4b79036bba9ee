//! Which fields each dialect governs, and how a request of each shape is bounded.
//!
//! Names and their meaning follow the providers' API references; see `Field`.

use crate::error::Unusable;

/// What a governed top-level member means. Two names of one field are the same member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Model,
    Stream,
    StreamOptions,
    MaxTokens,
    MaxCompletionTokens,
    MaxOutputTokens,
    /// Google's object that holds `maxOutputTokens` and `candidateCount`.
    GenerationConfig,
    Choices,
    BestOf,
    Tools,
    /// The older `functions`, each a bare definition.
    Functions,
    /// A provider-side tool switched on by a member of its own.
    HostedTool,
    /// How often the provider's own tools may run.
    MaxToolCalls,
    /// Texts to be ranked; search units are counted by them.
    Documents,
    /// Pages of a document to be read.
    Pages,
    /// Text to be spoken; characters are billed.
    Speech,
    /// Size of the audio of a form.
    AudioBytes,
    Labels,
    ServiceTier,
    Messages,
    Input,
    /// Texts of a completion, or the id of a stored prompt.
    Prompt,
    PreviousResponse,
    Conversation,
    CachedContent,
}

impl Field {
    pub fn bit(self) -> u32 {
        1_u32.wrapping_shl(self as u32)
    }
}

/// How the members of `tools` are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolForm {
    /// `{"type": ..., "function": {"name": ...}}` or `{"type": ..., "name": ...}`.
    Typed,
    /// `{"functionDeclarations": [{"name": ...}]}` or `{"googleSearch": {}}`.
    Keyed,
}

/// How one kind of request is bounded.
#[derive(Debug)]
pub struct Shape {
    /// Members that bind the output, of which all that are present must agree.
    pub limits: &'static [Field],
    /// Where a cap goes when none of `limits` is present: a member, or a member of an object.
    pub cap: &'static [&'static str],
    /// The provider's own limit when the caller sets none.
    pub implied_limit: Option<u64>,
    /// Streams carry usage only when `stream_options.include_usage` asks for it.
    pub usage_on_request: bool,
    pub generates: bool,
    pub rounds: Rounds,
    /// The provider's models end a little after their output limit.
    pub overshoots: bool,
}

/// How often a provider may read the input again for the tools that it runs by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounds {
    /// Where the request does not say: written into it where the provider obeys a limit.
    pub uses: u64,
    /// The output limit holds for each round, not for all of them (Anthropic).
    pub each_has_output: bool,
}

/// The one search of a search model is part of its answer.
const ONE_ROUND: Rounds = Rounds {
    uses: 0,
    each_has_output: false,
};
const TOOL_ROUNDS: Rounds = Rounds {
    uses: 5,
    each_has_output: false,
};

#[derive(Debug)]
pub struct Dialect {
    pub name: &'static str,
    pub fields: &'static [(&'static str, Field)],
    pub tools: ToolForm,
    /// None: told by the body's members (`messages`, `input` or `prompt`).
    pub shape: Option<&'static Shape>,
}

impl Dialect {
    pub fn named(name: &str) -> Result<&'static Self, Unusable> {
        DIALECTS
            .iter()
            .find(|dialect| dialect.name == name)
            .ok_or_else(|| Unusable::new(format!("{name:?} is not a dialect that is spoken here")))
    }

    /// The field that a member's name means, and that name as it must be written.
    pub fn field(&self, name: &str) -> Option<(&'static str, Field)> {
        self.fields
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .copied()
    }
}

pub static CHAT: Shape = Shape {
    limits: &[Field::MaxCompletionTokens, Field::MaxTokens],
    cap: &["max_completion_tokens"],
    implied_limit: None,
    usage_on_request: true,
    generates: true,
    rounds: ONE_ROUND,
    overshoots: false,
};

/// OpenAI's chat at Google, whose limits are not hard.
static GOOGLE_CHAT: Shape = Shape {
    overshoots: true,
    ..CHAT
};

/// Chat at a provider that heeds `max_tokens` only.
static CHAT_MAX_TOKENS: Shape = Shape {
    limits: &[Field::MaxTokens],
    cap: &["max_tokens"],
    ..CHAT
};

/// A completion is 16 tokens long unless the caller says otherwise.
pub static COMPLETIONS: Shape = Shape {
    limits: &[Field::MaxTokens],
    cap: &["max_tokens"],
    implied_limit: Some(16),
    ..CHAT
};

pub static RESPONSES: Shape = Shape {
    limits: &[Field::MaxOutputTokens],
    cap: &["max_output_tokens"],
    usage_on_request: false,
    rounds: TOOL_ROUNDS,
    ..CHAT
};

static EMBEDDINGS: Shape = Shape {
    limits: &[],
    cap: &[],
    usage_on_request: false,
    generates: false,
    ..CHAT
};

static MAX_TOKENS: Shape = Shape {
    usage_on_request: false,
    ..CHAT_MAX_TOKENS
};

static MESSAGES: Shape = Shape {
    rounds: Rounds {
        uses: 5,
        each_has_output: true,
    },
    ..MAX_TOKENS
};

/// Usage comes unasked.
static CHAT_QUIET: Shape = Shape {
    usage_on_request: false,
    ..CHAT
};

static COMPLETE: Shape = Shape {
    limits: &[Field::MaxTokens],
    cap: &["max_tokens_to_sample"],
    usage_on_request: false,
    ..CHAT
};

/// An image of the largest size and quality is 6,240 tokens, and 100 for each partial one
/// (OpenAI, image generation guide); no member of the request limits them.
static IMAGES: Shape = Shape {
    limits: &[],
    cap: &[],
    implied_limit: Some(8_192),
    usage_on_request: false,
    ..CHAT
};

/// Speech is at most so many tokens long; no member of the request limits them.
static SPEECH: Shape = Shape {
    implied_limit: Some(16_384),
    ..IMAGES
};

static INTERACTION: Shape = Shape {
    limits: &[Field::GenerationConfig],
    cap: &["generation_config", "max_output_tokens"],
    usage_on_request: false,
    overshoots: true,
    rounds: TOOL_ROUNDS,
    ..CHAT
};

static GENERATE_CONTENT: Shape = Shape {
    limits: &[Field::GenerationConfig],
    cap: &["generationConfig", "maxOutputTokens"],
    usage_on_request: false,
    overshoots: true,
    rounds: TOOL_ROUNDS,
    ..CHAT
};

const OPENAI_FIELDS: &[(&str, Field)] = &[
    ("model", Field::Model),
    ("messages", Field::Messages),
    ("input", Field::Input),
    ("prompt", Field::Prompt),
    ("stream", Field::Stream),
    ("stream_options", Field::StreamOptions),
    ("max_tokens", Field::MaxTokens),
    ("max_completion_tokens", Field::MaxCompletionTokens),
    ("max_output_tokens", Field::MaxOutputTokens),
    ("n", Field::Choices),
    ("best_of", Field::BestOf),
    ("tools", Field::Tools),
    ("functions", Field::Functions),
    ("web_search_options", Field::HostedTool),
    ("metadata", Field::Labels),
    ("service_tier", Field::ServiceTier),
    ("previous_response_id", Field::PreviousResponse),
    ("conversation", Field::Conversation),
    ("max_tool_calls", Field::MaxToolCalls),
];

const ANTHROPIC_FIELDS: &[(&str, Field)] = &[
    ("model", Field::Model),
    ("messages", Field::Messages),
    ("stream", Field::Stream),
    ("max_tokens", Field::MaxTokens),
    ("tools", Field::Tools),
    ("mcp_servers", Field::HostedTool),
    ("metadata", Field::Labels),
    ("service_tier", Field::ServiceTier),
    ("container", Field::Conversation),
];

/// Protobuf's JSON takes either spelling of a name.
const GOOGLE_FIELDS: &[(&str, Field)] = &[
    ("model", Field::Model),
    ("contents", Field::Messages),
    ("generationConfig", Field::GenerationConfig),
    ("generation_config", Field::GenerationConfig),
    ("tools", Field::Tools),
    ("labels", Field::Labels),
    ("cachedContent", Field::CachedContent),
    ("cached_content", Field::CachedContent),
];

const INTERACTION_FIELDS: &[(&str, Field)] = &[
    ("model", Field::Model),
    ("input", Field::Input),
    ("stream", Field::Stream),
    ("generation_config", Field::GenerationConfig),
    ("service_tier", Field::ServiceTier),
    ("tools", Field::Tools),
    ("agent", Field::HostedTool),
    ("previous_interaction_id", Field::PreviousResponse),
];

const COMPLETE_FIELDS: &[(&str, Field)] = &[
    ("model", Field::Model),
    ("stream", Field::Stream),
    ("max_tokens_to_sample", Field::MaxTokens),
    ("metadata", Field::Labels),
];

const SINGLE_FIELDS: &[(&str, Field)] = &[
    ("model", Field::Model),
    ("stream", Field::Stream),
    ("documents", Field::Documents),
    ("pages", Field::Pages),
    ("n", Field::Choices),
];

/// The fields of a multipart form, as the sidecar writes them down.
const FORM_FIELDS: &[(&str, Field)] = &[
    ("model", Field::Model),
    ("stream", Field::Stream),
    ("n", Field::Choices),
    ("audio_bytes", Field::AudioBytes),
];

const SPEECH_FIELDS: &[(&str, Field)] = &[("model", Field::Model), ("input", Field::Speech)];

const MISTRAL_FIELDS: &[(&str, Field)] = &[
    ("model", Field::Model),
    ("messages", Field::Messages),
    ("input", Field::Input),
    ("stream", Field::Stream),
    ("max_tokens", Field::MaxTokens),
    ("n", Field::Choices),
    ("tools", Field::Tools),
    ("metadata", Field::Labels),
    ("agent_id", Field::Conversation),
];

const COHERE_FIELDS: &[(&str, Field)] = &[
    ("model", Field::Model),
    ("messages", Field::Messages),
    ("stream", Field::Stream),
    ("max_tokens", Field::MaxTokens),
    ("num_generations", Field::Choices),
    ("tools", Field::Tools),
    ("connectors", Field::HostedTool),
    ("conversation_id", Field::Conversation),
];

const OPENAI: Dialect = Dialect {
    name: "openai",
    fields: OPENAI_FIELDS,
    tools: ToolForm::Typed,
    shape: None,
};

static DIALECTS: [Dialect; 22] = [
    OPENAI,
    Dialect {
        name: "google_chat",
        shape: Some(&GOOGLE_CHAT),
        ..OPENAI
    },
    Dialect {
        name: "image_form",
        fields: FORM_FIELDS,
        shape: Some(&IMAGES),
        ..OPENAI
    },
    Dialect {
        name: "audio_form",
        fields: FORM_FIELDS,
        shape: Some(&SPEECH),
        ..OPENAI
    },
    Dialect {
        name: "openai_chat_quiet",
        shape: Some(&CHAT_QUIET),
        ..OPENAI
    },
    Dialect {
        name: "openai_max_tokens_quiet",
        shape: Some(&MAX_TOKENS),
        ..OPENAI
    },
    Dialect {
        name: "openai_images",
        fields: SINGLE_FIELDS,
        shape: Some(&IMAGES),
        ..OPENAI
    },
    Dialect {
        name: "openai_speech",
        fields: SPEECH_FIELDS,
        shape: Some(&SPEECH),
        ..OPENAI
    },
    Dialect {
        name: "rerank",
        fields: SINGLE_FIELDS,
        shape: Some(&EMBEDDINGS),
        ..OPENAI
    },
    Dialect {
        name: "ocr",
        fields: SINGLE_FIELDS,
        shape: Some(&EMBEDDINGS),
        ..OPENAI
    },
    Dialect {
        name: "anthropic_complete",
        fields: COMPLETE_FIELDS,
        shape: Some(&COMPLETE),
        ..OPENAI
    },
    Dialect {
        name: "google_embed",
        fields: GOOGLE_FIELDS,
        tools: ToolForm::Keyed,
        shape: Some(&EMBEDDINGS),
    },
    Dialect {
        name: "google_interaction",
        fields: INTERACTION_FIELDS,
        shape: Some(&INTERACTION),
        ..OPENAI
    },
    Dialect {
        name: "openai_chat",
        shape: Some(&CHAT),
        ..OPENAI
    },
    Dialect {
        name: "openai_max_tokens",
        shape: Some(&CHAT_MAX_TOKENS),
        ..OPENAI
    },
    Dialect {
        name: "openai_completions",
        shape: Some(&COMPLETIONS),
        ..OPENAI
    },
    Dialect {
        name: "openai_responses",
        shape: Some(&RESPONSES),
        ..OPENAI
    },
    Dialect {
        name: "openai_embeddings",
        shape: Some(&EMBEDDINGS),
        ..OPENAI
    },
    Dialect {
        name: "anthropic",
        fields: ANTHROPIC_FIELDS,
        shape: Some(&MESSAGES),
        ..OPENAI
    },
    Dialect {
        name: "google",
        fields: GOOGLE_FIELDS,
        tools: ToolForm::Keyed,
        shape: Some(&GENERATE_CONTENT),
    },
    Dialect {
        name: "mistral",
        fields: MISTRAL_FIELDS,
        shape: Some(&MAX_TOKENS),
        ..OPENAI
    },
    Dialect {
        name: "cohere",
        fields: COHERE_FIELDS,
        shape: Some(&MAX_TOKENS),
        ..OPENAI
    },
];
