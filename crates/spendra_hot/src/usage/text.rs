//! The text that was delivered, kept for counting where an answer ends without usage.
//!
//! Pieces are copied as they stand in the JSON and unescaped only if somebody asks.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// Text beyond this is counted by the ratio of tokens to bytes before it.
const MAX_KEPT: usize = 1 << 20;
const MAX_CHOICES: usize = 128;

static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"delta\":"));
static INDEX: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"index\":"));
static CHOICES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"choices\""));

/// Bounded: what was delivered, per choice, still escaped as in JSON.
#[derive(Clone, Debug, Default)]
pub struct Delivered {
    choices: Vec<Vec<u8>>,
    kept: usize,
    /// Bytes delivered beyond what is kept.
    dropped: usize,
}

impl Delivered {
    /// Output tokens of the delivered text, by a counter of one text's tokens.
    pub fn tokens(&self, count: impl Fn(&str) -> u64) -> u64 {
        let counted: u64 = self.choices.iter().map(|text| count(&unescape(text))).sum();
        if self.dropped == 0 || self.kept == 0 {
            return counted;
        }
        let all = self.kept.saturating_add(self.dropped);
        let scaled = u128::from(counted).saturating_mul(all as u128).div_ceil(self.kept as u128);
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }

    pub fn is_empty(&self) -> bool {
        self.kept == 0
    }

    /// One event of a stream; `kind` is its type where that leads the event.
    pub(super) fn collect(&mut self, kind: &[u8], json: &[u8]) {
        match kind {
            b"" => self.untyped(json),
            b"content_block_start" => self.walk(0, json, NAMES),
            b"response.output_item.added" => self.walk(0, json, NAMES),
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
            let keys = if start.is_some() { TEXT } else { BODY };
            return self.walk(0, json, keys);
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
        b"content" | b"refusal" | b"reasoning" | b"reasoning_content" | b"name" | b"arguments" | b"text"
    )
};
const TYPED_DELTA: Keys = |key| {
    matches!(
        key,
        b"text" | b"thinking" | b"partial_json" | b"tool_plan" | b"name" | b"arguments" | b"content"
    )
};
const TEXT: Keys = |key| matches!(key, b"text");
const NAMES: Keys = |key| matches!(key, b"name");
const COMPLETION: Keys = |key| matches!(key, b"completion");
const BODY: Keys = |key| {
    matches!(
        key,
        b"text" | b"content" | b"refusal" | b"reasoning" | b"reasoning_content" | b"thinking"
            | b"name" | b"arguments" | b"completion" | b"tool_plan" | b"transcript" | b"code"
    )
};

/// Members whose strings repeat what stands elsewhere, or are no output.
fn is_muted(key: &[u8]) -> bool {
    matches!(
        key,
        b"reasoning_details" | b"logprobs" | b"tools" | b"usage" | b"usageMetadata" | b"error"
            | b"citations" | b"search_results" | b"annotations"
    )
}

/// Walks the strings of one JSON value, with the name of the member each stands under.
struct Walk<'a> {
    json: &'a [u8],
    at: usize,
    depth: usize,
    key: &'a [u8],
    muted_at: Option<usize>,
}

impl<'a> Walk<'a> {
    fn new(json: &'a [u8]) -> Self {
        Self {
            json,
            at: 0,
            depth: 0,
            key: b"",
            muted_at: None,
        }
    }

    /// The next string value and its member's name; None at the value's end.
    fn next_string(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        loop {
            let byte = *self.json.get(self.at)?;
            self.at = self.at.saturating_add(1);
            match byte {
                b'"' => {
                    let text = self.string();
                    if self.names_a_member() {
                        self.enter(text);
                    } else if self.muted_at.is_none() {
                        return Some((self.key, text));
                    }
                    if self.depth == 0 {
                        return None;
                    }
                }
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => {
                    self.depth = self.depth.checked_sub(1).filter(|depth| *depth > 0)?;
                }
                _ if self.depth == 0 && !byte.is_ascii_whitespace() => return None,
                _ => {}
            }
        }
    }

    /// The string whose quote was just passed, perhaps cut; stands behind it then.
    fn string(&mut self) -> &'a [u8] {
        let start = self.at;
        while let Some(byte) = self.json.get(self.at) {
            match byte {
                b'"' => break,
                b'\\' => self.at = self.at.saturating_add(2),
                _ => self.at = self.at.saturating_add(1),
            }
        }
        let end = self.at.min(self.json.len());
        self.at = end.saturating_add(1);
        self.json.get(start..end).unwrap_or_default()
    }

    fn names_a_member(&mut self) -> bool {
        let rest = self.json.get(self.at..).unwrap_or_default();
        let skipped = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        rest.get(skipped) == Some(&b':')
    }

    fn enter(&mut self, key: &'a [u8]) {
        if self.muted_at.is_some_and(|depth| self.depth <= depth) {
            self.muted_at = None;
        }
        if self.muted_at.is_none() && is_muted(key) {
            self.muted_at = Some(self.depth);
        }
        self.key = key;
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

/// JSON escapes undone; what is no valid escape or no UTF-8 becomes the replacement character.
fn unescape(text: &[u8]) -> String {
    let mut units: Vec<u16> = Vec::new();
    let mut found = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        if !plain.is_empty() {
            flush(&mut units, &mut found);
            found.push_str(&String::from_utf8_lossy(plain));
        }
        rest = take_escape(escape, &mut units);
    }
    flush(&mut units, &mut found);
    found.push_str(&String::from_utf8_lossy(rest));
    found
}

/// Surrogates may come in pieces that belong together, so units are joined before decoding.
fn flush(units: &mut Vec<u16>, found: &mut String) {
    if !units.is_empty() {
        found.push_str(&String::from_utf16_lossy(units));
        units.clear();
    }
}

fn take_escape<'a>(escape: &'a [u8], units: &mut Vec<u16>) -> &'a [u8] {
    let letter = escape.get(1).copied().unwrap_or(b'\\');
    if letter == b'u' {
        let digits = escape.get(2..6).and_then(|hex| std::str::from_utf8(hex).ok());
        let unit = digits.and_then(|hex| u16::from_str_radix(hex, 16).ok());
        units.push(unit.unwrap_or(0xFFFD));
        return escape.get(6..).unwrap_or_default();
    }
    units.push(u16::from(match letter {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'f' => 12,
        other if other.is_ascii() => other,
        _ => b'?',
    }));
    escape.get(2..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(events: &[&str]) -> Vec<String> {
        let mut delivered = Delivered::default();
        for event in events {
            delivered.collect(b"", event.as_bytes());
        }
        delivered.choices.iter().map(|text| unescape(text)).collect()
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
    fn surrogates_split_over_events_are_joined() {
        assert_eq!(unescape(br"a\ud83d\ude00\n\u00e9\q"), "a😀\né".to_owned() + "q");
        assert_eq!(unescape(br"\ud83d"), "\u{FFFD}");
        assert_eq!(unescape(br"\u12"), "\u{FFFD}");
    }

    #[test]
    fn text_beyond_the_bound_is_counted_by_ratio() {
        let mut delivered = Delivered::default();
        for _ in 0..3 {
            delivered.keep(0, &vec![b'x'; MAX_KEPT / 2]);
        }
        let kept = u64::try_from(MAX_KEPT).unwrap();
        assert_eq!(delivered.tokens(str::len), kept + kept / 2);
    }
}
