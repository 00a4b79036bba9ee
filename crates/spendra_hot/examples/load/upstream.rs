//! An upstream in the same process: streams of events that say when each was sent.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::Run;

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
const EVENT: &str = r#"data: {"id":"chatcmpl-load","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini-2024-07-18","choices":"#;
const USAGE: &str = r#"[],"usage":{"prompt_tokens":19,"completion_tokens":50,"total_tokens":69}"#;
const MARK: &[u8] = b"sent@";

pub async fn listen(run: Arc<Run>) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", run.options.upstream_port)).await?;
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(converse(socket, Arc::clone(&run)));
        }
    });
    Ok(())
}

/// The times at which the events in these bytes were sent.
pub fn stamp_in(bytes: &[u8]) -> impl Iterator<Item = u64> {
    memmem::find_iter(bytes, MARK).filter_map(|at| {
        let digits = bytes.get(at.saturating_add(MARK.len())..)?;
        let length = digits.iter().take_while(|b| b.is_ascii_digit()).count();
        std::str::from_utf8(digits.get(..length)?)
            .ok()?
            .parse()
            .ok()
    })
}

async fn converse(mut socket: TcpStream, run: Arc<Run>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut received = Vec::with_capacity(16 * 1024);
    loop {
        match whole_request(&received)? {
            Some(length) => {
                received.drain(..length);
                stream(&mut socket, &run).await?;
            }
            None if socket.read_buf(&mut received).await? == 0 => return Ok(()),
            None => {}
        }
    }
}

/// The length of the first request, once it is all there.
fn whole_request(received: &[u8]) -> io::Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; 96];
    let mut request = httparse::Request::new(&mut headers);
    let status = request.parse(received).map_err(io::Error::other)?;
    let httparse::Status::Complete(head) = status else {
        return Ok(None);
    };
    let named = |h: &&httparse::Header<'_>| h.name.eq_ignore_ascii_case("content-length");
    let header = request.headers.iter().find(named);
    let text = header.and_then(|header| std::str::from_utf8(header.value).ok());
    let body: usize = text.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let length = head.saturating_add(body);
    Ok((received.len() >= length).then_some(length))
}

async fn stream(socket: &mut TcpStream, run: &Run) -> io::Result<()> {
    socket.write_all(HEAD.as_bytes()).await?;
    for _ in 0..run.options.events {
        sleep(run.options.event_pause).await;
        let choice = format!(
            r#"[{{"index":0,"delta":{{"content":"sent@{} "}},"finish_reason":null}}]"#,
            run.now()
        );
        socket.write_all(event(&choice).as_bytes()).await?;
    }
    let end = event(USAGE) + &framed("data: [DONE]\n\n") + "0\r\n\r\n";
    socket.write_all(end.as_bytes()).await
}

fn event(choices: &str) -> String {
    framed(&format!("{EVENT}{choices}}}\n\n"))
}

/// One chunk of chunked transfer coding.
fn framed(text: &str) -> String {
    let mut frame = String::new();
    let _ = write!(frame, "{:x}\r\n{text}\r\n", text.len());
    frame
}
