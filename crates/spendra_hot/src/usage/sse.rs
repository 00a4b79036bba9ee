//! Server-sent events: lines are cut out of the stream, and only those that can say something
//! about usage, model, end or error are parsed.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::latest::Latest;
use super::tally::Tally;
use super::text::Delivered;

/// A line longer than this ends the metering, not the relaying.
pub(super) const MAX_LINE: usize = 32 << 20;

macro_rules! finders {
    ($($name:ident = $needle:literal;)*) => {
        $(static $name: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new($needle));)*
    };
}

finders! {
    USAGE = "\"usage";
    ERROR = "\"error\"";
    MODEL = "\"model";
    CHOICES = "\"choices\"";
    FINISH = "inish_reason\"";
    FINISH_CAMEL = "finishReason\"";
}

/// Lines, then events, of one stream.
#[derive(Debug, Default)]
pub(super) struct Sse {
    /// A line whose end has not come yet.
    partial: Vec<u8>,
    /// An event whose JSON spans several `data:` lines.
    pending: Vec<u8>,
    tally: Tally,
    latest: Latest,
    pub delivered: Delivered,
    gave_up: bool,
}

impl Sse {
    pub fn feed(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = split_line(rest, end);
            if self.partial.is_empty() {
                self.line(line);
            } else {
                self.keep(line);
                let whole = std::mem::take(&mut self.partial);
                self.line(&whole);
                self.reuse(whole);
            }
            rest = after;
        }
        self.keep(rest);
    }

    /// What has no line end yet is read as if it had one.
    pub fn finish(&mut self) {
        let last = std::mem::take(&mut self.partial);
        self.line(&last);
        self.line(b"");
        self.latest.read(&mut self.tally);
    }

    /// What the events so far say together.
    pub fn tally(&self) -> Cow<'_, Tally> {
        self.latest.with(&self.tally)
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.gave_up || self.partial.len().saturating_add(bytes.len()) > MAX_LINE {
            self.gave_up = true;
            self.partial = Vec::new();
            return;
        }
        self.partial.extend_from_slice(bytes);
    }

    fn reuse(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= 1 << 20 {
            buffer.clear();
            self.partial = buffer;
        }
    }

    fn line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.gave_up {
            return;
        }
        if line.is_empty() {
            let event = std::mem::take(&mut self.pending);
            self.event(&event);
        } else if let Some(data) = data_of(line) {
            self.data(data);
        }
    }

    fn data(&mut self, data: &[u8]) {
        let whole = data.first() == Some(&b'{') && data.last() == Some(&b'}');
        if self.pending.is_empty() && (whole || data == b"[DONE]") {
            self.event(data);
        } else if self.pending.len().saturating_add(data.len()) > MAX_LINE {
            self.gave_up = true;
        } else {
            self.pending.extend_from_slice(data);
        }
    }

    fn event(&mut self, json: &[u8]) {
        if json.is_empty() {
            return;
        }
        if json == b"[DONE]" {
            self.tally.done = true;
            return;
        }
        let kind = leading_type(json);
        self.delivered.collect(kind, json);
        if wants(kind, json, self.tally.model.is_none()) {
            self.latest.hear(json, &mut self.tally);
        }
    }
}

fn split_line(bytes: &[u8], end: usize) -> (&[u8], &[u8]) {
    let (line, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    (line, rest.get(1..).unwrap_or_default())
}

/// The value of a `data` field, without the spaces around it.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
    line.strip_prefix(b"data:").map(<[u8]>::trim_ascii)
}

/// The event's type where it is the first member, as Anthropic, OpenAI and Cohere send it.
fn leading_type(json: &[u8]) -> &[u8] {
    let rest = json.strip_prefix(b"{\"type\":").unwrap_or_default();
    let Some(rest) = rest.trim_ascii_start().strip_prefix(b"\"") else {
        return b"";
    };
    let end = memchr::memchr(b'"', rest).unwrap_or(0);
    rest.get(..end).unwrap_or_default()
}

fn is_delta(kind: &[u8]) -> bool {
    kind.ends_with(b".delta")
        || matches!(
            kind,
            b"content_block_delta" | b"content-delta" | b"tool-call-delta" | b"tool-plan-delta"
        )
}

/// Whether the event can hold more than a piece of the answer's text.
fn wants(kind: &[u8], json: &[u8], model_unknown: bool) -> bool {
    if !kind.is_empty() {
        return !is_delta(kind);
    }
    if CHOICES.find(json).is_none() {
        return true;
    }
    (model_unknown && MODEL.find(json).is_some())
        || USAGE.find_iter(json).any(|at| !is_null_after(json, at, 7))
        || ERROR.find_iter(json).any(|at| !is_null_after(json, at, 7))
        || says_why_it_ended(json)
}

/// Whether any choice has a reason for its end that is not null.
pub(super) fn says_why_it_ended(json: &[u8]) -> bool {
    let snake = FINISH
        .find_iter(json)
        .any(|at| !is_null_after(json, at, 13));
    snake
        || FINISH_CAMEL
            .find_iter(json)
            .any(|at| !is_null_after(json, at, 13))
}

/// Whether the member whose name of `length` bytes stands at `at` is null.
fn is_null_after(json: &[u8], at: usize, length: usize) -> bool {
    let rest = json.get(at.saturating_add(length)..).unwrap_or_default();
    let rest = rest.trim_ascii_start();
    let value = rest.strip_prefix(b":").unwrap_or(rest);
    value.trim_ascii_start().starts_with(b"null")
}
