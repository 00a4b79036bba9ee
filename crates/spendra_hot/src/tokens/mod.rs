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

/// The fast estimate of tokens in so many bytes of text: a quarter, rounded up, plus framing.
///
/// English prose has 4 to 5 bytes a token, code 3 to 4, Chinese or Japanese about 3.
pub fn estimate(text_bytes: u64) -> u64 {
    text_bytes.div_ceil(4).saturating_add(FRAMING_TOKENS)
}

/// Fewer tokens than so many bytes of ordinary text ever make: an eighth.
pub fn at_least(text_bytes: u64) -> u64 {
    text_bytes >> 3
}
