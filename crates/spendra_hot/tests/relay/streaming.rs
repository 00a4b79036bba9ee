//! Answers that come as they happen.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use spendra_hot::relay::{CAPACITY_BYTES, Filter};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::caller::{Ask, Caller, header, metered, quick};
use crate::upstream::{SSE, always, chunk, upstream};

#[tokio::test]
async fn every_event_comes_when_it_is_said() {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let url = upstream(move |mut talk| {
        let opened = Arc::clone(&opened);
        async move {
            talk.request().await;
            talk.say(SSE).await;
            for event in ["data: 1\n\n", "data: 2\n\n", ""] {
                opened.acquire().await.unwrap().forget();
                talk.say(chunk(event.as_bytes())).await;
            }
        }
    })
    .await;
    let caller = Caller::new(quick());
    let answer = caller.get(&url).await.unwrap();
    assert!(answer.head().unwrap().body.is_none());
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        gate.add_permits(1);
        assert_eq!(
            caller.next(&answer).await.unwrap().unwrap(),
            event.as_bytes()
        );
    }
    gate.add_permits(1);
    assert_eq!(caller.next(&answer).await.unwrap(), None);
    assert_eq!(metered(&answer), b"data: 1\n\ndata: 2\n\n");
}

/// Takes the letter `x` out, and says at the end that it did.
struct NoX;

impl Filter for NoX {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        out.extend(bytes.iter().filter(|byte| **byte != b'x'));
    }
    fn finish(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"no x");
    }
}

fn filtering() -> Ask {
    Ask {
        filter: Some(Box::new(NoX)),
        ..Ask::default()
    }
}

#[tokio::test]
async fn a_filter_changes_what_the_caller_gets_and_not_what_is_metered() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream;charset=utf-8\r\n";
    let url = always([head, "content-length: 5\r\n\r\naxbxc"].concat().into()).await;
    let caller = Caller::new(quick());
    let answer = caller.ask(&url, filtering()).await.unwrap();
    assert_eq!(caller.rest(&answer).await.0, b"abcno x");
    assert_eq!(metered(&answer), b"axbxc");
    assert_eq!(header(&answer, "content-length"), None);
}

#[tokio::test]
async fn a_filter_leaves_coded_streams_and_documents_alone() {
    let caller = Caller::new(quick());
    let coded = "content-type: text/event-stream\r\ncontent-encoding: x-odd\r\n";
    for headers in [coded, "content-type: application/json\r\n"] {
        let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: 5\r\n\r\naxbxc");
        let url = always(head.into()).await;
        let answer = caller.ask(&url, filtering()).await.unwrap();
        let body = answer.head().unwrap().body.clone().unwrap_or_default();
        assert_eq!(
            [body.to_vec(), caller.rest(&answer).await.0].concat(),
            b"axbxc"
        );
        assert_eq!(header(&answer, "content-length"), Some("5"));
    }
}

/// More than all buffers of two sockets hold.
const FLOOD_BYTES: usize = 128 << 20;

#[tokio::test]
async fn a_caller_that_does_not_read_stops_the_upstream() {
    let written = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&written);
    let url = upstream(move |mut talk| {
        let counter = Arc::clone(&counter);
        async move {
            talk.request().await;
            talk.say("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
                .await;
            let piece = vec![b'e'; 64 * 1024];
            while counter.load(Ordering::SeqCst) < FLOOD_BYTES {
                talk.socket.write_all(&piece).await.unwrap();
                counter.fetch_add(piece.len(), Ordering::SeqCst);
            }
        }
    })
    .await;
    let caller = Caller::new(quick());
    let answer = caller.get(&url).await.unwrap();
    stalled(&written).await;
    assert!(written.load(Ordering::SeqCst) < FLOOD_BYTES);
    assert!(metered(&answer).len() < CAPACITY_BYTES + 128 * 1024);
    let (bytes, end) = caller.rest(&answer).await;
    end.unwrap();
    assert_eq!(bytes.len(), FLOOD_BYTES);
}

/// Waits until the count stands still.
async fn stalled(count: &AtomicUsize) {
    let mut before = usize::MAX;
    while before != count.load(Ordering::SeqCst) {
        before = count.load(Ordering::SeqCst);
        sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test]
async fn chunks_that_wait_are_taken_together() {
    let url = upstream(|mut talk| async move {
        talk.request().await;
        talk.say(SSE).await;
        for _ in 0..50 {
            talk.say(chunk(b"data: 1\n\n")).await;
            tokio::task::yield_now().await;
        }
        talk.say(chunk(b"")).await;
        talk.gone().await;
    })
    .await;
    let caller = Caller::new(quick());
    let answer = caller.get(&url).await.unwrap();
    while metered(&answer).len() < 450 {
        tokio::task::yield_now().await;
    }
    let first = timeout(Duration::from_secs(10), caller.next(&answer))
        .await
        .unwrap();
    assert_eq!(first.unwrap().unwrap().len(), 450);
}
