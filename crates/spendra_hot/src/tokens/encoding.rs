//! Which of OpenAI's vocabularies a model uses, and how each cuts a text before it is encoded.

use std::sync::LazyLock;

use bpe_openai::Tokenizer;
use bpe_openai::byte_pair_encoding::BytePairEncoding;

use super::vocabulary::Vocabulary;

/// Models older than gpt-4o; everything else, known or not, counts with `o200k_base`.
const CL100K_PREFIXES: &[&str] = &["gpt-4-", "gpt-3.5", "text-embedding-", "gpt-35"];

/// Alternatives of tiktoken's patterns, the last three of which stand for its `\s+(?!\S)|\s+`.
const CL100K_PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+$";
const O200K_PATTERN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+$";

macro_rules! table {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name))
    };
}

static CL100K: Encoding = Encoding {
    cut: LazyLock::new(|| cutter(CL100K_PATTERN)),
    vocabulary: Vocabulary {
        text: table!("cl100k.text"),
        starts: table!("cl100k.starts"),
        slots: table!("cl100k.slots"),
    },
};
static O200K: Encoding = Encoding {
    cut: LazyLock::new(|| cutter(O200K_PATTERN)),
    vocabulary: Vocabulary {
        text: table!("o200k.text"),
        starts: table!("o200k.starts"),
        slots: table!("o200k.slots"),
    },
};

struct Encoding {
    /// None: the pattern does not compile, which a test rules out.
    cut: LazyLock<Option<Tokenizer>>,
    vocabulary: Vocabulary,
}

/// The crate's way of cutting a text into pieces, with no vocabulary of its own.
fn cutter(pattern: &str) -> Option<Tokenizer> {
    let bytes = (0..=u8::MAX).map(|byte| vec![byte]);
    let encoding = BytePairEncoding::from_dictionary(bytes, None);
    let patterns = [(pattern, false), (r"\s+\s", true), (r"\s+", false)];
    Tokenizer::new_lookahead(encoding, &patterns, false).ok()
}

/// Tokens of a text, exact for OpenAI models; special tokens count as ordinary text.
pub fn count(text: &str, model: &str) -> u64 {
    let encoding = of(model);
    let count = match &*encoding.cut {
        Some(cut) => cut
            .split(text)
            .map(|piece| encoding.vocabulary.count(piece.as_bytes()))
            .fold(0, usize::saturating_add),
        None => text.len(),
    };
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn of(model: &str) -> &'static Encoding {
    // A router's name such as `openai/gpt-4` ends in the model's own.
    let model = model.rsplit('/').next().unwrap_or(model);
    let old = model == "gpt-4"
        || CL100K_PREFIXES
            .iter()
            .any(|prefix| model.starts_with(prefix));
    if old { &CL100K } else { &O200K }
}
