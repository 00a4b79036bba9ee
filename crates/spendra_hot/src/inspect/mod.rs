//! Requests: read in one pass, changed only by splicing.

mod dialect;
mod parts;
mod read;
mod rewrite;
mod scan;
mod survey;
#[cfg(test)]
mod tests;
mod text;
mod tools;

use std::collections::BTreeMap;

pub use rewrite::{Changes, rewrite};

use crate::error::Unusable;
use crate::usage::Usage;

/// What one pass over a request body found. The body itself is not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)]
pub struct Inspected {
    pub model: Option<String>,
    pub stream: bool,
    /// The caller gets usage in the stream without our asking.
    pub include_usage: bool,
    /// Output tokens per choice, when the caller limits them.
    pub output_limit: Option<u64>,
    /// The provider's own limit for a request that sets none.
    pub implied_limit: Option<u64>,
    /// False where the answer has no output tokens (embeddings).
    pub generates: bool,
    /// Answers asked for: `n` or `best_of`, times the prompts of a completion.
    pub choices: u64,
    pub tools: Vec<String>,
    /// A tool runs at the provider and brings input that is not in the body.
    pub hosted_tools: bool,
    /// No images, audio, files or URLs: then bytes bound the tokens.
    pub text_only: bool,
    /// It names a stored response, conversation, prompt, item or cache.
    pub stored_state: bool,
    /// What it may use besides tokens, at most: searches, search units, pages, characters.
    pub fees: Usage,
    /// Times that the provider may read the input again, for tools that it runs by itself.
    pub rereads: u64,
    /// The output limit holds for each of these readings.
    pub rounds_have_output: bool,
    /// The output may end a little after its limit.
    pub overshoots: bool,
    /// False where the provider takes no limit on its output.
    pub takes_cap: bool,
    pub labels: BTreeMap<String, String>,
    pub service_tier: Option<String>,
    pub body_bytes: u64,
    /// Bytes of all string values, escapes decoded.
    pub text_bytes: u64,
    /// Items of `messages`, `input` or `contents`.
    pub messages: u64,
}

impl Inspected {
    /// All input is in the body's texts, so that its bytes bound its tokens.
    pub fn is_bounded_by_bytes(&self) -> bool {
        self.text_only && !self.stored_state && !self.hosted_tools
    }
}

/// One pass over a JSON body.
///
/// Errors: not one JSON object in UTF-8 of depth 128 at most, a governed member twice or in
/// other letters, a governed member of the wrong type, an unknown dialect.
pub fn inspect(body: &[u8], dialect: &str) -> Result<Inspected, Unusable> {
    survey::survey(body, dialect::Dialect::named(dialect)?).map(|survey| survey.found)
}
