//! Callers that go away.

use std::sync::Arc;

use spendra_hot::relay::{Body, Kind, Outbound, Plugs};
use tokio::sync::Semaphore;

use crate::caller::{Ask, Caller, Witness, metered, quick};
use crate::upstream::{SSE, chunk, upstream};

/// Says this much after a request, and opens the gate when the caller closed.
async fn listening(said: Vec<u8>, asked: &Arc<Semaphore>, gone: &Arc<Semaphore>) -> String {
    let (asked, gone) = (Arc::clone(asked), Arc::clone(gone));
    upstream(move |mut talk| {
        let (said, asked, gone) = (said.clone(), Arc::clone(&asked), Arc::clone(&gone));
        async move {
            talk.request().await;
            talk.say(said).await;
            asked.add_permits(1);
            talk.gone().await;
            gone.add_permits(1);
        }
    })
    .await
}

fn gates() -> (Arc<Semaphore>, Arc<Semaphore>) {
    (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)))
}

async fn pass(gate: &Semaphore) {
    gate.acquire().await.unwrap().forget();
}

#[tokio::test]
async fn before_the_head_it_closes_the_connection() {
    let (asked, gone) = gates();
    let url = listening(Vec::new(), &asked, &gone).await;
    let caller = Caller::new(quick());
    let exchange = caller.start(&url, Ask::default());
    pass(&asked).await;
    exchange.cancel();
    exchange.cancel();
    pass(&gone).await;
    assert!(exchange.head().is_none());
    assert_eq!(metered(&exchange), b"");
}

#[tokio::test]
async fn amid_a_stream_it_closes_the_connection_and_the_meter_remembers() {
    let (asked, gone) = gates();
    let said = [SSE.as_bytes(), &chunk(b"data: 1\n\n")].concat();
    let url = listening(said, &asked, &gone).await;
    let caller = Caller::new(quick());
    let answer = caller.get(&url).await.unwrap();
    assert_eq!(caller.next(&answer).await.unwrap().unwrap(), b"data: 1\n\n");
    answer.cancel();
    pass(&gone).await;
    assert_eq!(metered(&answer), b"data: 1\n\n");
    assert_eq!(caller.next(&answer).await.unwrap_err().kind, Kind::Cut);
}

#[tokio::test]
async fn dropping_an_exchange_cancels_it() {
    let (asked, gone) = gates();
    let url = listening(SSE.into(), &asked, &gone).await;
    let caller = Caller::new(quick());
    drop(caller.get(&url).await.unwrap());
    pass(&gone).await;
}

#[tokio::test]
async fn a_full_pipe_does_not_hinder_it() {
    let (asked, gone) = gates();
    let said = [SSE.as_bytes(), &chunk(&vec![b'e'; 2 << 20])].concat();
    let url = listening(said, &asked, &gone).await;
    let caller = Caller::new(quick());
    let answer = caller.get(&url).await.unwrap();
    while metered(&answer).len() < 256 * 1024 {
        tokio::task::yield_now().await;
    }
    answer.cancel();
    pass(&gone).await;
}

#[tokio::test]
async fn closing_the_relay_closes_every_connection() {
    let (asked, gone) = gates();
    let url = listening(SSE.into(), &asked, &gone).await;
    let caller = Caller::new(quick());
    let _one = caller.get(&url).await.unwrap();
    let _other = caller.start(&url, Ask::default());
    pass(&asked).await;
    pass(&asked).await;
    caller.relay.close();
    caller.relay.close();
    pass(&gone).await;
    pass(&gone).await;
    let plugs = Plugs {
        meter: Box::new(|_| Witness::default()),
        streamed: false,
        filter: None,
    };
    let outbound = Outbound {
        method: "GET",
        url: &url,
        headers: &[],
    };
    assert!(
        caller
            .relay
            .send(outbound, Body::Whole(bytes::Bytes::new()), plugs, 0)
            .is_err()
    );
}
