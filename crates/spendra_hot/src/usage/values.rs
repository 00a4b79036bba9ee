//! JSON values one after another: a whole body, NDJSON, or the elements of a JSON-array stream.

use super::sse::MAX_LINE;
use super::tally::Tally;
use super::text::Delivered;

#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // the state of a scanner, one bit each
pub(super) struct Values {
    /// The value that is not whole yet.
    partial: Vec<u8>,
    depth: usize,
    in_string: bool,
    escaped: bool,
    in_array: bool,
    /// Every value so far was whole, and an array was closed.
    closed: bool,
    pub tally: Tally,
    pub delivered: Delivered,
    gave_up: bool,
}

impl Values {
    pub fn feed(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while !rest.is_empty() && !self.gave_up {
            let taken = if self.depth == 0 {
                self.between(rest)
            } else {
                self.inside(rest)
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    /// Skips to the next value's first byte, and takes it.
    fn between(&mut self, bytes: &[u8]) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'{' => return self.open(at),
                b'[' if !self.in_array => self.in_array = true,
                b']' => self.closed = true,
                _ => {}
            }
        }
        bytes.len()
    }

    fn open(&mut self, at: usize) -> usize {
        self.depth = 1;
        self.partial.push(b'{');
        self.closed = false;
        at.saturating_add(1)
    }

    /// Takes bytes up to the value's end, or all of them.
    fn inside(&mut self, bytes: &[u8]) -> usize {
        let end = self
            .scan(bytes)
            .map_or(bytes.len(), |at| at.saturating_add(1));
        let taken = bytes.get(..end).unwrap_or_default();
        if self.partial.len().saturating_add(taken.len()) > MAX_LINE {
            self.gave_up = true;
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(taken);
        }
        if self.depth == 0 && !self.gave_up {
            self.value();
        }
        end
    }

    /// Where the brace that closes the value stands.
    fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        bytes.iter().position(|byte| self.step(*byte))
    }

    fn step(&mut self, byte: u8) -> bool {
        if self.in_string {
            self.step_in_string(byte);
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.depth == 0
    }

    fn step_in_string(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
    }

    fn value(&mut self) {
        let json = std::mem::take(&mut self.partial);
        self.tally.read(&json);
        self.delivered.collect_value(&json);
        self.closed = !self.in_array;
        if json.len() <= 1 << 20 {
            self.partial = json;
            self.partial.clear();
        }
    }

    /// A value that was cut has still delivered its text.
    pub fn finish(&mut self) {
        let cut = std::mem::take(&mut self.partial);
        if self.depth > 0 && !cut.is_empty() {
            self.delivered.collect_value(&cut);
        }
    }

    /// Whether the body is whole. NDJSON events say by themselves which is the last.
    pub fn finished(&self) -> bool {
        self.depth == 0 && self.closed && (self.tally.done || !self.tally.is_event_stream)
    }
}
