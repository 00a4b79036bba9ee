//! Takes the usage that we asked for out of a stream again, for callers who did not ask.

use memchr::memmem;

use super::event::Event;

/// A line longer than this passes as it is.
const MAX_LINE: usize = 32 << 20;

/// Sans-I/O filter for OpenAI chat streams: drops the extra `choices: []` event that holds only
/// usage, and cuts the `usage` member out of every other event. All other bytes pass untouched.
#[derive(Debug, Default)]
pub struct UsageHider {
    /// A line whose end has not come yet.
    partial: Vec<u8>,
    /// After a dropped event, the empty line that ended it goes too.
    dropping: bool,
    /// The rest of a line too long to be looked at.
    overlong: bool,
}

impl UsageHider {
    pub fn feed(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(chunk.len());
        let mut rest = chunk;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at.saturating_add(1));
            let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            rest = after;
            if self.partial.is_empty() && line.ends_with(b"\n") {
                self.line(line, &mut out);
            } else {
                self.piece(line, &mut out);
            }
        }
        out
    }

    /// What was held back.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let last = std::mem::take(&mut self.partial);
        self.line(&last, &mut out);
        out
    }

    fn piece(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        self.partial.extend_from_slice(piece);
        if piece.ends_with(b"\n") {
            let line = std::mem::take(&mut self.partial);
            self.line(&line, out);
        } else if self.overlong || self.partial.len() > MAX_LINE {
            self.overlong = true;
            out.append(&mut self.partial);
        }
    }

    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        if std::mem::take(&mut self.overlong) {
            out.extend_from_slice(line);
        } else if line.trim_ascii().is_empty() {
            if !std::mem::take(&mut self.dropping) {
                out.extend_from_slice(line);
            }
        } else {
            self.dropping = false;
            self.event_line(line, out);
        }
    }

    fn event_line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let Some((start, member)) = usage_member(line) else {
            return out.extend_from_slice(line);
        };
        let json = line.get(start..).unwrap_or_default().trim_ascii();
        if !json.ends_with(NULL_AT_END) && is_only_usage(json) {
            self.dropping = true;
            return;
        }
        out.extend_from_slice(line.get(..member.0).unwrap_or_default());
        out.extend_from_slice(line.get(member.1..).unwrap_or_default());
    }
}

/// How nearly every event ends. What stands before the last brace is at the top level, and a
/// bare `null` is no part of a string.
const NULL_AT_END: &[u8] = b",\"usage\":null}";

/// Where the line's JSON begins, and where its top-level `usage` member stands, with the comma
/// that goes with it.
fn usage_member(line: &[u8]) -> Option<(usize, (usize, usize))> {
    if !line.starts_with(b"data:") {
        return None;
    }
    if let Some(kept) = line.trim_ascii_end().strip_suffix(NULL_AT_END) {
        let end = kept.len().checked_add(NULL_AT_END.len())?.checked_sub(1)?;
        return Some((memchr::memchr(b'{', line)?, (kept.len(), end)));
    }
    memmem::find(line, b"\"usage\"")?;
    let start = memchr::memchr(b'{', line)?;
    let json = line.get(start..)?;
    let (from, to) = find_member(json, b"usage")?;
    let (from, to) = with_comma(json, from, to);
    Some((start, (start.checked_add(from)?, start.checked_add(to)?)))
}

/// The bytes of a member at the top level of an object, from its name's quote to its value's end.
fn find_member(json: &[u8], name: &[u8]) -> Option<(usize, usize)> {
    let mut at = 1;
    loop {
        at = skip_space(json, at);
        if json.get(at)? != &b'"' {
            return None;
        }
        let from = at;
        at = string_end(json, at)?;
        let is_it = json.get(from.checked_add(1)?..at.checked_sub(1)?)? == name;
        at = skip_space(json, at);
        (json.get(at)? == &b':').then_some(())?;
        at = value_end(json, skip_space(json, at.checked_add(1)?))?;
        if is_it {
            return Some((from, at));
        }
        at = skip_space(json, at);
        (json.get(at)? == &b',').then_some(())?;
        at = at.checked_add(1)?;
    }
}

/// The comma before a member goes with it, or the one behind it where it is the first.
fn with_comma(json: &[u8], from: usize, to: usize) -> (usize, usize) {
    let before = json.get(..from).unwrap_or_default().trim_ascii_end();
    if before.ends_with(b",") {
        return (before.len().saturating_sub(1), to);
    }
    let behind = skip_space(json, to);
    if json.get(behind) == Some(&b',') {
        return (from, skip_space(json, behind.saturating_add(1)));
    }
    (from, to)
}

fn skip_space(json: &[u8], at: usize) -> usize {
    let rest = json.get(at..).unwrap_or_default().iter();
    at.saturating_add(rest.take_while(|byte| byte.is_ascii_whitespace()).count())
}

/// Behind the closing quote of the string that begins here.
fn string_end(json: &[u8], at: usize) -> Option<usize> {
    let mut at = at.checked_add(1)?;
    loop {
        let found = memchr::memchr2(b'"', b'\\', json.get(at..)?)?;
        at = at.checked_add(found)?;
        let step = if json.get(at)? == &b'"' { 1 } else { 2 };
        at = at.checked_add(step)?;
        if step == 1 {
            return Some(at);
        }
    }
}

fn value_end(json: &[u8], at: usize) -> Option<usize> {
    match json.get(at)? {
        b'"' => string_end(json, at),
        b'{' | b'[' => container_end(json, at),
        _ => {
            let rest = json.get(at..)?.iter();
            let is_end =
                |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
            at.checked_add(rest.take_while(|byte| !is_end(byte)).count())
        }
    }
}

fn container_end(json: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    let end = json.get(at..)?.iter().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth = depth.saturating_add(1),
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })?;
    at.checked_add(end)?.checked_add(1)
}

/// The event that exists only because usage was asked for: usage, and no choice.
fn is_only_usage(json: &[u8]) -> bool {
    let Some(event) = Event::read(json) else {
        return false;
    };
    let empty = |text: &str| {
        text.bytes()
            .all(|b| matches!(b, b'[' | b']') || b.is_ascii_whitespace())
    };
    event.choices.is_some_and(|choices| empty(choices.get()))
        && event.usage.is_some_and(|usage| usage.get() != "null")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn hidden(stream: &str) -> String {
        let mut hider = UsageHider::default();
        let mut out = hider.feed(stream.as_bytes());
        out.extend(hider.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_extra_event_and_the_null_members_go() {
        let asked = "data: {\"id\":\"a\",\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\"\"}}],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\ndata: [DONE]\n\n";
        let plain = "data: {\"id\":\"a\",\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\"\"}}]}\n\ndata: [DONE]\n\n";
        assert_eq!(hidden(asked), plain);
    }

    #[test]
    fn usage_beside_choices_loses_only_the_usage() {
        assert_eq!(
            hidden("data: {\"usage\": {\"a\":[1,\"}\"]}, \"choices\":[{\"index\":0}]}\r\n\r\n"),
            "data: {\"choices\":[{\"index\":0}]}\r\n\r\n"
        );
    }

    #[test]
    fn an_empty_event_without_usage_stays() {
        let filters = "data: {\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}\n\n";
        assert_eq!(hidden(filters), filters);
        let nested =
            "data: {\"choices\":[{\"x\":{\"usage\":1}}]}\n\n: keep-alive\n\ndata: {\"usage\"";
        assert_eq!(hidden(nested), nested);
    }

    #[test]
    fn the_first_event_of_azure_loses_only_its_null() {
        assert_eq!(
            hidden("data: {\"choices\":[],\"prompt_filter_results\":[],\"usage\":null}\n\n"),
            "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n"
        );
    }
}
