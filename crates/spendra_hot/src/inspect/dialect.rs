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
}

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

static GENERATE_CONTENT: Shape = Shape {
    limits: &[Field::GenerationConfig],
    cap: &["generationConfig", "maxOutputTokens"],
    usage_on_request: false,
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

const MISTRAL_FIELDS: &[(&str, Field)] = &[
    ("model", Field::Model),
    ("messages", Field::Messages),
    ("input", Field::Input),
    ("stream", Field::Stream),
    ("max_tokens", Field::MaxTokens),
    ("n", Field::Choices),
    ("tools", Field::Tools),
    ("metadata", Field::Labels),
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

static DIALECTS: [Dialect; 10] = [
    OPENAI,
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
        shape: Some(&MAX_TOKENS),
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
