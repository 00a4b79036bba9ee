//! Scripted upstreams: what each connection says, to the byte.

use std::future::Future;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub struct Talk {
    pub socket: TcpStream,
    /// Counts connections from 0.
    pub nth: usize,
    received: Vec<u8>,
}

impl Talk {
    /// One whole request; nothing when the caller has gone.
    pub async fn request(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.whole_request() {
                let request: Vec<u8> = self.received.drain(..end).collect();
                return Some(String::from_utf8(request).unwrap());
            }
            match self.socket.read_buf(&mut self.received).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    fn whole_request(&self) -> Option<usize> {
        let text = std::str::from_utf8(&self.received).unwrap();
        let head = text.find("\r\n\r\n")? + 4;
        let length = text[..head]
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let end = head + length.map_or(0, |length| length.parse().unwrap());
        (self.received.len() >= end).then_some(end)
    }

    pub async fn say(&mut self, text: impl AsRef<[u8]>) {
        // The caller may be gone: that is for the test to find out.
        let _ = self.socket.write_all(text.as_ref()).await;
    }

    /// Waits until the caller closes.
    pub async fn gone(&mut self) {
        while self.request().await.is_some() {}
    }
}

/// Listens, and runs the script for each connection; dropping the socket at its end closes it.
pub async fn upstream<F, T>(script: F) -> String
where
    F: Fn(Talk) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "http://{}/v1/chat/completions",
        listener.local_addr().unwrap()
    );
    tokio::spawn(async move {
        for nth in 0.. {
            let (socket, _) = listener.accept().await.unwrap();
            tokio::spawn(script(Talk {
                socket,
                nth,
                received: Vec::new(),
            }));
        }
    });
    url
}

/// An upstream that gives every request the same answer, and keeps the connection.
pub async fn always(answer: Vec<u8>) -> String {
    upstream(move |mut talk| {
        let answer = answer.clone();
        async move {
            while talk.request().await.is_some() {
                talk.say(&answer).await;
            }
        }
    })
    .await
}

/// An upstream that answers the first request of a connection and closes it.
pub async fn once(answer: &'static str) -> String {
    upstream(move |mut talk| async move {
        talk.request().await;
        talk.say(answer).await;
    })
    .await
}

pub fn whole(body: &[u8], headers: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

pub const SSE: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// One chunk of chunked transfer coding; an empty one is the end.
pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
