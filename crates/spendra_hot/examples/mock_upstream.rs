//! A fast stand-in for an OpenAI-compatible provider, for benches on this machine.
//!
//! `POST /v1/chat/completions` answers with a fixed completion, or with a stream of `--chunks`
//! events when the body has `"stream": true` (and a usage event when it has
//! `"include_usage": true`). Everything else is 404.
//!
//! ```text
//! cargo run --release --example mock_upstream -- --port 9000 --delay-ms 0 --chunk-ms 0 --chunks 20 --threads 1
//! ```

#![allow(clippy::print_stdout)]

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

const COMPLETION: &str = r#"{"id":"chatcmpl-mock","object":"chat.completion","created":1700000000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"The quick brown fox jumps over the lazy dog.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_mock"}"#;
const EVENT_START: &str = r#"data: {"id":"chatcmpl-mock","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_mock","choices":"#;
const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
const READ_BYTES: usize = 16 * 1024;

#[derive(Clone, Copy)]
struct Options {
    port: u16,
    /// Before the head of every answer.
    delay: Duration,
    /// Before every event of a stream; with none, a stream is one write.
    chunk_delay: Duration,
    chunks: usize,
    threads: usize,
}

impl Options {
    fn from_args() -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            port: 9000,
            delay: Duration::ZERO,
            chunk_delay: Duration::ZERO,
            chunks: 20,
            threads: 1,
        };
        let mut args = env::args().skip(1);
        while let Some(name) = args.next() {
            let value = args.next().ok_or_else(|| format!("{name} wants a value"))?;
            options.set(&name, &value)?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Box<dyn Error>> {
        match name {
            "--port" => self.port = value.parse()?,
            "--delay-ms" => self.delay = Duration::from_millis(value.parse()?),
            "--chunk-ms" => self.chunk_delay = Duration::from_millis(value.parse()?),
            "--chunks" => self.chunks = value.parse()?,
            "--threads" => self.threads = value.parse()?,
            _ => return Err(format!("unknown option {name}").into()),
        }
        Ok(())
    }
}

/// The answers, made once.
struct Answers {
    options: Options,
    whole: String,
    events: Vec<String>,
    usage_event: String,
    end: String,
}

impl Answers {
    fn new(options: Options) -> Self {
        let length = COMPLETION.len();
        Self {
            options,
            whole: format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{COMPLETION}"
            ),
            events: (0..options.chunks).map(text_event).collect(),
            usage_event: framed(&event(
                r#"[],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29}"#,
            )),
            end: framed("data: [DONE]\n\n") + "0\r\n\r\n",
        }
    }
}

fn text_event(index: usize) -> String {
    framed(&event(&format!(
        r#"[{{"index":0,"delta":{{"content":"word{index} "}},"logprobs":null,"finish_reason":null}}]"#
    )))
}

fn event(choices_and_rest: &str) -> String {
    format!("{EVENT_START}{choices_and_rest}}}\n\n")
}

/// One chunk of chunked transfer coding.
fn framed(text: &str) -> String {
    let mut frame = String::new();
    let _ = write!(frame, "{:x}\r\n{text}\r\n", text.len());
    frame
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args()?;
    let mut builder = match options.threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder
        .worker_threads(options.threads.max(1))
        .enable_all()
        .build()?;
    runtime.block_on(serve(options))
}

async fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let answers = Arc::new(Answers::new(options));
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        // A caller that goes away is not our error.
        tokio::spawn(converse(socket, Arc::clone(&answers)));
    }
}

async fn converse(mut socket: TcpStream, answers: Arc<Answers>) -> io::Result<()> {
    let mut received = Vec::with_capacity(READ_BYTES);
    loop {
        match parse(&received)? {
            Some(request) => {
                let body = received.get(request.body.clone()).unwrap_or_default();
                answer(&mut socket, &answers, request.is_completion, body).await?;
                received.drain(..request.body.end);
            }
            None if socket.read_buf(&mut received).await? == 0 => return Ok(()),
            None => {}
        }
    }
}

struct Parsed {
    is_completion: bool,
    body: Range<usize>,
}

/// `None` until the whole request is there.
fn parse(received: &[u8]) -> io::Result<Option<Parsed>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let status = request.parse(received).map_err(io::Error::other)?;
    let httparse::Status::Complete(start) = status else {
        return Ok(None);
    };
    let end = start.saturating_add(content_length(&request));
    let is_completion = request.path == Some("/v1/chat/completions");
    Ok((received.len() >= end).then_some(Parsed {
        is_completion,
        body: start..end,
    }))
}

fn content_length(request: &httparse::Request<'_, '_>) -> usize {
    let is_length =
        |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case("content-length");
    let header = request.headers.iter().find(is_length);
    let text = header.and_then(|header| std::str::from_utf8(header.value).ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

async fn answer(
    socket: &mut TcpStream,
    answers: &Answers,
    is_completion: bool,
    body: &[u8],
) -> io::Result<()> {
    if !answers.options.delay.is_zero() {
        sleep(answers.options.delay).await;
    }
    if !is_completion {
        return socket.write_all(NOT_FOUND.as_bytes()).await;
    }
    if says_true(body, "stream") {
        return stream(socket, answers, says_true(body, "include_usage")).await;
    }
    socket.write_all(answers.whole.as_bytes()).await
}

/// Whether a JSON text has this member set, wherever; with at most one space after the colon.
fn says_true(body: &[u8], member: &str) -> bool {
    let says = |text: String| memmem::find(body, text.as_bytes()).is_some();
    says(format!("\"{member}\":true")) || says(format!("\"{member}\": true"))
}

async fn stream(socket: &mut TcpStream, answers: &Answers, with_usage: bool) -> io::Result<()> {
    let usage = with_usage.then_some(&answers.usage_event);
    let events = answers.events.iter().chain(usage);
    if answers.options.chunk_delay.is_zero() {
        let mut text = String::from(STREAM_HEAD);
        text.extend(events.map(String::as_str));
        text.push_str(&answers.end);
        return socket.write_all(text.as_bytes()).await;
    }
    socket.write_all(STREAM_HEAD.as_bytes()).await?;
    for event in events {
        sleep(answers.options.chunk_delay).await;
        socket.write_all(event.as_bytes()).await?;
    }
    socket.write_all(answers.end.as_bytes()).await
}
