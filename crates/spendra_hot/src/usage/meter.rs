//! One meter for one answer: it finds out the framing by itself and reads what is to be read.

use super::Metered;
use super::sse::Sse;
use super::values::Values;

/// Whose protocol the answer speaks. Shapes are told apart by the body; the dialect settles
/// what bodies leave open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    OpenAi,
    Anthropic,
    Google,
    Cohere,
    Mistral,
    OpenRouter,
    Azure,
    Xai,
    Perplexity,
    Groq,
    DeepSeek,
    /// Bytes pass and nothing is reported.
    Unknown,
}

impl Dialect {
    pub fn of(name: &str) -> Self {
        match name {
            "openai" => Self::OpenAi,
            "anthropic" => Self::Anthropic,
            "google" | "gemini" | "vertex" => Self::Google,
            "cohere" => Self::Cohere,
            "mistral" => Self::Mistral,
            "openrouter" => Self::OpenRouter,
            "azure" => Self::Azure,
            "xai" => Self::Xai,
            "perplexity" => Self::Perplexity,
            "groq" => Self::Groq,
            "deepseek" => Self::DeepSeek,
            _ => Self::Unknown,
        }
    }
}

#[derive(Debug)]
enum Framing {
    /// Nothing but white space so far.
    Open,
    Events(Box<Sse>),
    Json(Box<Values>),
    /// Neither: audio, images, files.
    Opaque,
}

/// Sans-I/O: feed bytes in any split, then ask. What cannot be read is ignored.
#[derive(Debug)]
pub struct Meter {
    dialect: Dialect,
    streaming: bool,
    framing: Framing,
}

impl Meter {
    /// `streaming`: the caller asked for a stream. The framing itself is told by the bytes;
    /// this settles whether bytes that look like neither are still read as events.
    pub fn new(dialect: Dialect, streaming: bool) -> Self {
        Self {
            dialect,
            streaming,
            framing: Framing::Open,
        }
    }

    pub fn feed(&mut self, chunk: &[u8]) {
        if self.dialect == Dialect::Unknown {
            return;
        }
        let mut chunk = chunk;
        if let Framing::Open = self.framing {
            chunk = chunk.trim_ascii_start();
            self.framing = framing_of(chunk, self.streaming);
        }
        match &mut self.framing {
            Framing::Open | Framing::Opaque => {}
            Framing::Events(events) => events.feed(chunk),
            Framing::Json(values) => values.feed(chunk),
        }
    }

    /// What is known by now.
    pub fn metered(&self) -> Metered {
        match &self.framing {
            Framing::Open | Framing::Opaque => Metered::default(),
            Framing::Events(events) => {
                let tally = events.tally();
                Metered {
                    finished: tally.stream_finished(),
                    delivered: events.delivered.clone(),
                    ..tally.metered(self.dialect)
                }
            }
            Framing::Json(values) => Metered {
                finished: values.finished(),
                delivered: values.delivered.clone(),
                ..values.tally.metered(self.dialect)
            },
        }
    }

    /// Bytes of text that were delivered so far.
    pub fn delivered_bytes(&self) -> usize {
        match &self.framing {
            Framing::Open | Framing::Opaque => 0,
            Framing::Events(events) => events.delivered.bytes(),
            Framing::Json(values) => values.delivered.bytes(),
        }
    }

    /// No more bytes will come: a last line without its line end is read too.
    pub fn end(&mut self) {
        match &mut self.framing {
            Framing::Open | Framing::Opaque => {}
            Framing::Events(events) => events.finish(),
            Framing::Json(values) => values.finish(),
        }
    }

    /// What is known at the end.
    pub fn finish(mut self) -> Metered {
        self.end();
        self.metered()
    }
}

fn framing_of(start: &[u8], streaming: bool) -> Framing {
    match start.first() {
        None => Framing::Open,
        Some(b'{' | b'[') => Framing::Json(Box::default()),
        // The fields of server-sent events: data, event, id, retry, and comments.
        Some(b'd' | b'e' | b'i' | b'r' | b':') => Framing::Events(Box::default()),
        Some(_) if streaming => Framing::Events(Box::default()),
        Some(_) => Framing::Opaque,
    }
}
