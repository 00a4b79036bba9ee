//! One answer, read from bytes as they come.

use std::io;

use memchr::memmem;

const MOST_HEADERS: usize = 96;

#[derive(Clone, Copy)]
enum Place {
    Head,
    /// So many bytes of the body are still to come.
    Sized(usize),
    Chunk,
    End,
}

/// A status, and the pieces of a body. A piece of a chunked body is a whole chunk.
pub struct Answer {
    pub status: u16,
    pub closes: bool,
    place: Place,
}

impl Answer {
    pub const fn new() -> Self {
        Self {
            status: 0,
            closes: false,
            place: Place::Head,
        }
    }

    pub const fn ended(&self) -> bool {
        matches!(self.place, Place::End)
    }

    /// Takes the next piece off `received`. `None`: more bytes are needed, or it ended.
    pub fn next(&mut self, received: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        if matches!(self.place, Place::Head) && !self.read_head(received)? {
            return Ok(None);
        }
        match self.place {
            Place::Sized(left) => Ok(self.sized(left, received)),
            Place::Chunk => self.chunk(received),
            Place::Head | Place::End => Ok(None),
        }
    }

    fn read_head(&mut self, received: &mut Vec<u8>) -> io::Result<bool> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(received).map_err(io::Error::other)?;
        let httparse::Status::Complete(length) = parsed else {
            return Ok(false);
        };
        self.status = response.code.unwrap_or(0);
        self.closes = value(&response, "connection").is_some_and(|v| v == "close");
        self.place = body(&response)?;
        received.drain(..length);
        Ok(true)
    }

    fn sized(&mut self, left: usize, received: &mut Vec<u8>) -> Option<Vec<u8>> {
        let length = left.min(received.len());
        let rest = left.saturating_sub(length);
        self.place = if rest == 0 {
            Place::End
        } else {
            Place::Sized(rest)
        };
        (length > 0).then(|| received.drain(..length).collect())
    }

    fn chunk(&mut self, received: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        let Some(line) = memmem::find(received, b"\r\n") else {
            return Ok(None);
        };
        let size = size(received.get(..line).unwrap_or_default())?;
        let start = line.saturating_add(2);
        let end = start.saturating_add(size);
        if received.len() < end.saturating_add(2) {
            return Ok(None);
        }
        let data = received.get(start..end).unwrap_or_default().to_vec();
        received.drain(..end.saturating_add(2));
        if size == 0 {
            self.place = Place::End;
            return Ok(None);
        }
        Ok(Some(data))
    }
}

fn size(line: &[u8]) -> io::Result<usize> {
    let text = std::str::from_utf8(line).map_err(io::Error::other)?;
    let digits = text.split(';').next().unwrap_or_default().trim();
    usize::from_str_radix(digits, 16).map_err(io::Error::other)
}

fn body(response: &httparse::Response<'_, '_>) -> io::Result<Place> {
    if value(response, "transfer-encoding").is_some_and(|v| v == "chunked") {
        return Ok(Place::Chunk);
    }
    let length = value(response, "content-length").and_then(|text| text.parse().ok());
    let unframed = || io::Error::other("an answer without a length");
    length.map(Place::Sized).ok_or_else(unframed)
}

fn value(response: &httparse::Response<'_, '_>, name: &str) -> Option<String> {
    let named = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case(name);
    let header = response.headers.iter().find(named)?;
    let text = std::str::from_utf8(header.value).ok()?;
    Some(text.trim().to_ascii_lowercase())
}
