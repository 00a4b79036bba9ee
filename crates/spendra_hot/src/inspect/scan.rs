//! A cursor over JSON bytes: it validates everything it passes and builds no tree.

use super::text::{self, Text};
use crate::error::Unusable;

pub type Scan<T> = Result<T, Unusable>;

/// Deepest nesting of objects and arrays, the outermost included.
pub const MAX_DEPTH: u8 = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Object,
    Array,
    Text,
    Number,
    Bool,
    Null,
}

/// An object's beginning: where its first member would go, and whether it has any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    pub at: usize,
    pub empty: bool,
}

pub struct Scanner<'a> {
    json: &'a [u8],
    at: usize,
    depth: u8,
    /// Bytes of all string values passed so far, escapes decoded.
    pub text_bytes: usize,
}

impl<'a> Scanner<'a> {
    /// Strings are passed by byte afterwards, so the encoding is checked once, here.
    pub fn new(json: &'a [u8]) -> Scan<Self> {
        match std::str::from_utf8(json) {
            Ok(_) => Ok(Self {
                json,
                at: 0,
                depth: 0,
                text_bytes: 0,
            }),
            Err(error) => Err(Unusable::new(format!(
                "the body is not UTF-8 at byte {}",
                error.valid_up_to()
            ))),
        }
    }

    /// Offset of the next byte.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What comes next. The cursor stands on its first byte afterwards.
    pub fn kind(&mut self) -> Scan<Kind> {
        match self.after_space() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::Text),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            _ => Err(self.expected("a value")),
        }
    }

    pub fn skip(&mut self) -> Scan<()> {
        match self.kind()? {
            Kind::Object => self.object(|scanner, _| scanner.skip()).map(|_| ()),
            Kind::Array => self.array(Self::skip),
            Kind::Text => self.text().map(|_| ()),
            Kind::Number => self.number().map(|_| ()),
            Kind::Bool => self.flag().map(|_| ()),
            Kind::Null => self.null(),
        }
    }

    /// Calls `member` with each key; it must pass the value.
    pub fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Text<'a>) -> Scan<()>,
    ) -> Scan<Opening> {
        self.open(b'{')?;
        let at = self.at;
        let empty = self.after_space() == Some(b'}');
        let mut more = !empty;
        while more {
            let key = self.key()?;
            self.punctuation(b':')?;
            member(self, key)?;
            more = self.comma(b'}')?;
        }
        self.close(b'}')?;
        Ok(Opening { at, empty })
    }

    /// Calls `item` before each item; it must pass it.
    pub fn array(&mut self, mut item: impl FnMut(&mut Self) -> Scan<()>) -> Scan<()> {
        self.open(b'[')?;
        let mut more = self.after_space() != Some(b']');
        while more {
            item(self)?;
            more = self.comma(b']')?;
        }
        self.close(b']')
    }

    pub fn text(&mut self) -> Scan<Text<'a>> {
        let text = self.key()?;
        self.text_bytes = self.text_bytes.saturating_add(text.bytes());
        Ok(text)
    }

    pub fn number(&mut self) -> Scan<&'a str> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        let digits = self.json.get(start..self.at).unwrap_or_default();
        std::str::from_utf8(digits).map_err(|_| self.expected("a number"))
    }

    pub fn flag(&mut self) -> Scan<bool> {
        let truth = self.byte() == Some(b't');
        self.word(if truth { "true" } else { "false" })?;
        Ok(truth)
    }

    pub fn null(&mut self) -> Scan<()> {
        self.word("null")
    }

    /// Nothing but space may follow.
    pub fn end(&mut self) -> Scan<()> {
        match self.after_space() {
            None => Ok(()),
            Some(_) => Err(self.expected("the end of the body")),
        }
    }

    pub fn expected(&self, what: &str) -> Unusable {
        Unusable::new(format!(
            "the body is not JSON: expected {what} at byte {}",
            self.at
        ))
    }

    fn key(&mut self) -> Scan<Text<'a>> {
        let rest = match self.after_space() {
            Some(b'"') => self.json.get(self.at..).unwrap_or_default(),
            _ => return Err(self.expected("a string")),
        };
        match text::read(rest) {
            Ok((text, length)) => {
                self.advance(length);
                Ok(text)
            }
            Err(offset) => {
                self.advance(offset);
                Err(self.expected("the rest of a string"))
            }
        }
    }

    fn open(&mut self, bracket: u8) -> Scan<()> {
        self.punctuation(bracket)?;
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_DEPTH {
            return Err(Unusable::new(format!(
                "the body is nested deeper than {MAX_DEPTH} at byte {}",
                self.at
            )));
        }
        Ok(())
    }

    fn close(&mut self, bracket: u8) -> Scan<()> {
        self.depth = self.depth.saturating_sub(1);
        self.punctuation(bracket)
    }

    /// Whether a comma, and so another member, comes before the closing bracket.
    fn comma(&mut self, bracket: u8) -> Scan<bool> {
        match self.after_space() {
            Some(b',') => {
                self.advance(1);
                Ok(true)
            }
            Some(byte) if byte == bracket => Ok(false),
            _ => Err(self.expected("a comma or a closing bracket")),
        }
    }

    fn punctuation(&mut self, mark: u8) -> Scan<()> {
        self.after_space();
        if self.eat(mark) {
            return Ok(());
        }
        Err(self.expected(&format!("`{}`", char::from(mark))))
    }

    fn digits(&mut self) -> Scan<()> {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.advance(1);
        }
        if self.at == start {
            Err(self.expected("a digit"))
        } else {
            Ok(())
        }
    }

    fn word(&mut self, word: &str) -> Scan<()> {
        let rest = self.json.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.expected(word));
        }
        self.advance(word.len());
        Ok(())
    }

    fn after_space(&mut self) -> Option<u8> {
        while matches!(self.byte(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.advance(1);
        }
        self.byte()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let here = self.byte() == Some(byte);
        self.advance(usize::from(here));
        here
    }

    fn byte(&self) -> Option<u8> {
        self.json.get(self.at).copied()
    }

    fn advance(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }
}
