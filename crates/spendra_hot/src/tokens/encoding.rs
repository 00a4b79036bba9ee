//! Which of OpenAI's vocabularies a model uses. Each is loaded at its first use and kept.

use bpe_openai::{Tokenizer, cl100k_base, o200k_base};

/// Models older than gpt-4o; everything else, known or not, counts with `o200k_base`.
const CL100K_PREFIXES: &[&str] = &["gpt-4-", "gpt-3.5", "text-embedding-", "gpt-35"];

/// Tokens of a text, exact for OpenAI models; special tokens count as ordinary text.
pub fn count(text: &str, model: &str) -> u64 {
    u64::try_from(of(model).count(text)).unwrap_or(u64::MAX)
}

fn of(model: &str) -> &'static Tokenizer {
    // A router's name such as `openai/gpt-4` ends in the model's own.
    let model = model.rsplit('/').next().unwrap_or(model);
    let old = model == "gpt-4"
        || CL100K_PREFIXES
            .iter()
            .any(|prefix| model.starts_with(prefix));
    if old { cl100k_base() } else { o200k_base() }
}
