//! The text that was delivered, kept for counting where an answer ends without usage.
//!
//! Pieces are copied as they stand in the JSON and unescaped only if somebody asks.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::walk::{Walk, unescape};

/// Text beyond this is counted by the ratio of tokens to bytes before it.
const MAX_KEPT: usize = 1 << 20;
const MAX_CHOICES: usize = 128;

static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"delta\":"));
static INDEX: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"index\":"));
static METADATA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usageMetadata\""));
static CANDIDATES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"candidates\""));
static CHOICES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"choices\""));

/// Bounded: what was delivered, per choice, still escaped as in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    choices: Vec<Vec<u8>>,
    kept: usize,
    /// Bytes delivered beyond what is kept.
    dropped: usize,
}

impl Delivered {
    /// Output tokens of the delivered text, by a counter of one text's tokens.
    pub fn tokens(&self, count: impl Fn(&str) -> u64) -> u64 {
        let counts = self.choices.iter().map(|text| count(&unescape(text)));
        let counted = counts.fold(0, u64::saturating_add);
        if self.dropped == 0 || self.kept == 0 {
            return counted;
        }
        let all = self.kept.saturating_add(self.dropped);
        let scaled = u128::from(counted)
            .saturating_mul(all as u128)
            .div_ceil(self.kept as u128);
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }

    /// Bytes of the delivered text, escapes counted as they are written.
    pub fn bytes(&self) -> usize {
        self.kept.saturating_add(self.dropped)
    }

    pub fn is_empty(&self) -> bool {
        self.kept == 0
    }

    /// One event of a stream; `kind` is its type where that leads the event.
    pub(super) fn collect(&mut self, kind: &[u8], json: &[u8]) {
        match kind {
            b"" => self.untyped(json),
            b"content_block_start" | b"response.output_item.added" => self.walk(0, json, NAMES),
            b"completion" => self.walk(0, json, COMPLETION),
            b"text-generation" => self.walk(0, json, TEXT),
            b"response.audio.delta" | b"response.output_audio.delta" => {}
            _ => {
                if let Some(at) = DELTA.find(json) {
                    self.walk(0, after(json, at), TYPED_DELTA);
                }
            }
        }
    }

    /// One value of a body or of an array stream, perhaps cut.
    pub(super) fn collect_value(&mut self, json: &[u8]) {
        if contains(json, b"\"event_type\":\"stream-end\"") {
            return;
        }
        self.walk(0, json, BODY);
    }

    fn untyped(&mut self, json: &[u8]) {
        let start = CHOICES.find(json);
        let Some(first) = DELTA.find(json) else {
            return match start {
                Some(_) => self.walk(0, json, TEXT),
                None => self.walk(0, before_usage(json), BODY),
            };
        };
        let keys = if start.is_some() { CHAT } else { TYPED_DELTA };
        let mut from = start.unwrap_or(first);
        let mut at = first;
        loop {
            let choice = index_in(json.get(from..at).unwrap_or_default());
            self.walk(choice, after(json, at), keys);
            from = at.saturating_add(DELTA.needle().len());
            match DELTA.find(json.get(from..).unwrap_or_default()) {
                Some(next) => at = from.saturating_add(next),
                None => return,
            }
        }
    }

    /// Keeps every string under one of `keys` in the JSON value that begins here.
    fn walk(&mut self, choice: usize, json: &[u8], keys: Keys) {
        let mut walk = Walk::new(json);
        while let Some((key, value)) = walk.next_string() {
            if key.is_empty() || keys(key) {
                self.keep(choice, value);
            }
        }
    }

    fn keep(&mut self, choice: usize, text: &[u8]) {
        if self.kept.saturating_add(text.len()) > MAX_KEPT {
            self.dropped = self.dropped.saturating_add(text.len());
            return;
        }
        let choice = choice.min(MAX_CHOICES);
        if self.choices.len() <= choice {
            self.choices.resize_with(choice.saturating_add(1), Vec::new);
        }
        if let Some(kept) = self.choices.get_mut(choice) {
            kept.extend_from_slice(text);
            self.kept = self.kept.saturating_add(text.len());
        }
    }
}

type Keys = fn(&[u8]) -> bool;

const CHAT: Keys = |key| {
    matches!(
        key,
        b"content"
            | b"refusal"
            | b"reasoning"
            | b"reasoning_content"
            | b"name"
            | b"arguments"
            | b"text"
    )
};
const TYPED_DELTA: Keys = |key| {
    matches!(
        key,
        b"text"
            | b"thinking"
            | b"partial_json"
            | b"tool_plan"
            | b"name"
            | b"arguments"
            | b"content"
    )
};
const TEXT: Keys = |key| matches!(key, b"text");
const NAMES: Keys = |key| matches!(key, b"name");
const COMPLETION: Keys = |key| matches!(key, b"completion");
const BODY: Keys = |key| {
    matches!(
        key,
        b"text"
            | b"content"
            | b"refusal"
            | b"reasoning"
            | b"reasoning_content"
            | b"thinking"
            | b"name"
            | b"arguments"
            | b"completion"
            | b"tool_plan"
            | b"transcript"
            | b"code"
    )
};

/// Gemini says in each event, behind the text, what all was used so far.
fn before_usage(json: &[u8]) -> &[u8] {
    let (text, usage) = json
        .split_at_checked(METADATA.find(json).unwrap_or(json.len()))
        .unwrap_or((json, &[]));
    match CANDIDATES.find(usage) {
        Some(_) => json,
        None => text,
    }
}

fn after(json: &[u8], at: usize) -> &[u8] {
    let at = at.saturating_add(DELTA.needle().len());
    json.get(at..).unwrap_or_default()
}

fn contains(json: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(json, needle).is_some()
}

/// The choice that the last `index` in these bytes names.
fn index_in(json: &[u8]) -> usize {
    let Some(at) = INDEX.find_iter(json).last() else {
        return 0;
    };
    let digits = json.get(at.saturating_add(8)..).unwrap_or_default();
    let digits = digits.trim_ascii_start().iter();
    digits
        .take_while(|digit| digit.is_ascii_digit())
        .fold(0, |number: usize, digit| {
            let digit = usize::from(digit.saturating_sub(b'0'));
            number.saturating_mul(10).saturating_add(digit)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(events: &[&str]) -> Vec<String> {
        let mut delivered = Delivered::default();
        for event in events {
            delivered.collect(b"", event.as_bytes());
        }
        delivered
            .choices
            .iter()
            .map(|text| unescape(text))
            .collect()
    }

    #[test]
    fn chat_deltas_are_kept_per_choice() {
        let found = text_of(&[
            r#"{"choices":[{"index":0,"delta":{"content":"He"},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":1,"delta":{"content":"Bon"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"llo"}},{"index":1,"delta":{"content":"jour"}}]}"#,
        ]);
        assert_eq!(found, ["Hello", "Bonjour"]);
    }

    #[test]
    fn reasoning_is_kept_once() {
        let found = text_of(&[
            r#"{"choices":[{"index":0,"delta":{"content":"","reasoning":"Ok","reasoning_details":[{"type":"reasoning.text","text":"Ok"}],"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{\"a\""}}]}}]}"#,
        ]);
        assert_eq!(found, ["Okf{\"a\""]);
    }

    #[test]
    fn text_beyond_the_bound_is_counted_by_ratio() {
        let mut delivered = Delivered::default();
        for _ in 0..3 {
            delivered.keep(0, &vec![b'x'; MAX_KEPT / 2]);
        }
        let kept = MAX_KEPT as u64;
        assert_eq!(delivered.tokens(|text| text.len() as u64), kept + kept / 2);
    }
}
