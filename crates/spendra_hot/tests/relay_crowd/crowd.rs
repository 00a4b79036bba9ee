//! Many slow streams at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::caller::{Caller, quick};
use crate::upstream::{SSE, chunk, upstream};

const STREAMS: usize = 1_000;
const EVENTS: usize = 10;
const GROWTH_LIMIT_BYTES: usize = 150 << 20;

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[tokio::test]
async fn a_thousand_slow_streams_are_whole_and_cost_little() {
    let url = upstream(|mut talk| async move {
        talk.request().await;
        talk.say(SSE).await;
        for _ in 0..EVENTS {
            sleep(Duration::from_millis(100)).await;
            talk.say(chunk(b"data: {\"choices\":[]}\n\n")).await;
        }
        talk.say(chunk(b"")).await;
    })
    .await;
    let before = resident_bytes();
    let caller = Arc::new(Caller::new(quick()));
    let streams: Vec<_> = (0..u32::try_from(STREAMS).unwrap())
        .map(|number| {
            let (caller, url) = (Arc::clone(&caller), url.clone());
            tokio::spawn(async move {
                // All within half a stream's length: no faster than the kernel's queue of
                // connections that wait to be accepted can take.
                sleep(Duration::from_micros(500) * number).await;
                let answer = caller.get(&url).await.unwrap();
                caller.rest(&answer).await
            })
        })
        .collect();
    let mut most = 0;
    for stream in streams {
        let (bytes, end) = stream.await.unwrap();
        end.unwrap();
        assert_eq!(bytes, b"data: {\"choices\":[]}\n\n".repeat(EVENTS));
        most = most.max(resident_bytes());
    }
    assert!(
        most.saturating_sub(before) < GROWTH_LIMIT_BYTES,
        "{before} to {most}"
    );
}
