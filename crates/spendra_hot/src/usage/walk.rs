//! Walking the strings of a JSON text that may be cut, and undoing their escapes.

/// Members whose strings repeat what stands elsewhere, or are no output.
fn is_muted(key: &[u8]) -> bool {
    matches!(
        key,
        b"reasoning_details"
            | b"logprobs"
            | b"tools"
            | b"usage"
            | b"usageMetadata"
            | b"error"
            | b"citations"
            | b"search_results"
            | b"annotations"
    )
}

/// Walks the strings of one JSON value, with the name of the member each stands under.
pub(super) struct Walk<'a> {
    json: &'a [u8],
    at: usize,
    depth: usize,
    key: &'a [u8],
    muted_at: Option<usize>,
}

impl<'a> Walk<'a> {
    pub fn new(json: &'a [u8]) -> Self {
        Self {
            json,
            at: 0,
            depth: 0,
            key: b"",
            muted_at: None,
        }
    }

    /// The next string value and its member's name; None at the value's end.
    pub fn next_string(&mut self) -> Option<(&'a [u8], &'a [u8])> {
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
        while let Some(rest) = self.json.get(self.at..) {
            let Some(found) = memchr::memchr2(b'"', b'\\', rest) else {
                self.at = self.json.len();
                break;
            };
            self.at = self.at.saturating_add(found);
            if rest.get(found) == Some(&b'"') {
                break;
            }
            self.at = self.at.saturating_add(2);
        }
        let end = self.at.min(self.json.len());
        self.at = end.saturating_add(1);
        self.json.get(start..end).unwrap_or_default()
    }

    fn names_a_member(&mut self) -> bool {
        let rest = self.json.get(self.at..).unwrap_or_default();
        let skipped = rest
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
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

/// JSON escapes undone; what is no valid escape or no UTF-8 becomes the replacement character.
pub(super) fn unescape(text: &[u8]) -> String {
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
        let digits = escape
            .get(2..6)
            .and_then(|hex| std::str::from_utf8(hex).ok());
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

    #[test]
    fn surrogates_split_over_events_are_joined() {
        assert_eq!(unescape(br"a\ud83d\ude00\n\u00e9\q"), "a😀\néq");
        assert_eq!(unescape(br"\ud83d"), "\u{FFFD}");
        assert_eq!(unescape(br"\u12"), "\u{FFFD}");
    }

    #[test]
    fn a_cut_text_gives_up_what_it_has() {
        let mut walk = Walk::new(br#"{"a":"b","c":["d",{"e":"fg"#);
        let mut found = Vec::new();
        while let Some((key, text)) = walk.next_string() {
            found.push((key, text));
        }
        assert_eq!(found, [(&b"a"[..], &b"b"[..]), (b"c", b"d"), (b"e", b"fg")]);
    }
}
