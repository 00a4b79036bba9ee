//! JSON strings: found by eight bytes at a time, decoded only when somebody asks.

use std::borrow::Cow;

/// A JSON string as it stands in the body, quotes included.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    quoted: &'a [u8],
    /// Bytes that decoding takes away, quotes not counted.
    shrinks: usize,
}

impl<'a> Text<'a> {
    /// Bytes of the decoded string.
    pub fn bytes(&self) -> usize {
        self.quoted
            .len()
            .saturating_sub(2)
            .saturating_sub(self.shrinks)
    }

    /// None when it escapes half a surrogate pair: such a string is no Unicode text.
    pub fn decode(&self) -> Option<Cow<'a, str>> {
        if self.shrinks > 0 {
            return serde_json::from_slice(self.quoted).ok().map(Cow::Owned);
        }
        let inner = self.quoted.get(1..self.quoted.len().checked_sub(1)?)?;
        std::str::from_utf8(inner).ok().map(Cow::Borrowed)
    }
}

/// The string at the start of `json` (a quote) and its length, or the offset of what ends it early.
pub fn read(json: &[u8]) -> Result<(Text<'_>, usize), usize> {
    let (mut at, mut shrinks) = (1_usize, 0_usize);
    loop {
        let rest = json.get(at..).unwrap_or_default();
        at = at.saturating_add(plain(rest));
        let rest = json.get(at..).unwrap_or_default();
        match rest.first() {
            Some(b'"') => {
                let end = at.saturating_add(1);
                let quoted = json.get(..end).unwrap_or_default();
                return Ok((Text { quoted, shrinks }, end));
            }
            Some(b'\\') => {
                let (written, meant) = escape(rest).ok_or(at)?;
                at = at.saturating_add(written);
                shrinks = shrinks.saturating_add(written.saturating_sub(meant));
            }
            _ => return Err(at),
        }
    }
}

/// Bytes of an escape as written, and as meant in UTF-8.
fn escape(json: &[u8]) -> Option<(usize, usize)> {
    match json.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some((2, 1)),
        b'u' => Some((6, utf8_bytes(json.get(2..6)?)?)),
        _ => None,
    }
}

/// Half a surrogate pair counts two bytes, so that a pair counts four.
fn utf8_bytes(hex: &[u8]) -> Option<usize> {
    let unit = hex.iter().try_fold(0_u32, |unit, digit| {
        char::from(*digit)
            .to_digit(16)
            .map(|value| (unit << 4) | value)
    })?;
    Some(match unit {
        0..0x80 => 1,
        0x80..0x800 | 0xD800..0xE000 => 2,
        _ => 3,
    })
}

const ONES: u64 = u64::from_le_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);

/// Bytes before the first quote, backslash or control character.
fn plain(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let hit = marks(u64::from_le_bytes(*word));
        if hit != 0 {
            let inside = usize::try_from(hit.trailing_zeros() >> 3).unwrap_or(0);
            return index.saturating_mul(8).saturating_add(inside);
        }
    }
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let inside = tail.iter().position(ends).unwrap_or(tail.len());
    words.len().saturating_mul(8).saturating_add(inside)
}

/// The high bit of each byte that ends a plain run; exact up to the lowest one.
fn marks(word: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let quote = zero(word ^ ONES.wrapping_mul(u64::from(b'"')));
    let backslash = zero(word ^ ONES.wrapping_mul(u64::from(b'\\')));
    let control = word.wrapping_sub(ONES.wrapping_mul(0x20)) & !word;
    (quote | backslash | control) & HIGHS
}
