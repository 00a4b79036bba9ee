//! Tokens: counted exactly with OpenAI's vocabularies, or estimated from bytes.

mod chat;
mod encoding;
mod spread;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use chat::count_chat;
pub use encoding::count;

/// Framing of one message and of the reply, which any request has.
const FRAMING_TOKENS: u64 = 7;
/// What providers put before a request with tools, and before any: medians of recorded traffic
/// (`python -m benches.estimation`).
const WITH_TOOLS: [(&str, u64); 7] = [
    ("anthropic", 550),
    ("deepseek", 290),
    ("xai", 170),
    ("azure", 160),
    ("groq", 150),
    ("openrouter", 130),
    ("mistral", 60),
];
const ALWAYS: [(&str, u64); 1] = [("xai", 150)];

/// The most that a provider adds to a request with tools: three times the most that was seen.
pub const TOOLS_BOUND: u64 = 1024;
/// What framing may add to the tokens of a whole body.
pub const FRAMING_BOUND: u64 = 32;

/// The fast estimate of tokens in so many bytes of text: a quarter, rounded up, plus framing, and
/// what the provider adds.
///
/// English prose has 4 to 5 bytes a token, code 3 to 4, Chinese or Japanese about 3.
pub fn estimate(text_bytes: u64, provider: &str, has_tools: bool) -> u64 {
    let added = if has_tools {
        &WITH_TOOLS[..]
    } else {
        &ALWAYS[..]
    };
    let added = added.iter().find(|(name, _)| *name == provider);
    text_bytes
        .div_ceil(4)
        .saturating_add(FRAMING_TOKENS)
        .saturating_add(added.map_or(0, |(_, tokens)| *tokens))
}

/// Fewer tokens than so many bytes of ordinary text ever make: an eighth.
pub fn at_least(text_bytes: u64) -> u64 {
    text_bytes >> 3
}
