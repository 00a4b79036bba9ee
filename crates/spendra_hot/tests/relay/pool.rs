//! Connections that are used again, and those that cannot be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use spendra_hot::relay::Kind;
use tokio::sync::Semaphore;

use crate::caller::{Ask, Caller, quick};
use crate::upstream::{upstream, whole};

#[tokio::test]
async fn a_connection_is_used_again() {
    let url = upstream(|mut talk| async move {
        while talk.request().await.is_some() {
            talk.say(whole(talk.nth.to_string().as_bytes(), "")).await;
        }
    })
    .await;
    let caller = Caller::new(quick());
    for _ in 0..5 {
        let answer = caller.get(&url).await.unwrap();
        assert_eq!(answer.head().unwrap().body.as_deref(), Some(&b"0"[..]));
    }
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced() {
    let closed = Arc::new(Semaphore::new(0));
    let closing = Arc::clone(&closed);
    let url = upstream(move |mut talk| {
        let closing = Arc::clone(&closing);
        async move {
            talk.request().await;
            talk.say(whole(talk.nth.to_string().as_bytes(), "")).await;
            drop(talk);
            closing.add_permits(1);
        }
    })
    .await;
    let caller = Caller::new(quick());
    for nth in 0..5 {
        let answer = caller.get(&url).await.unwrap();
        assert_eq!(
            answer.head().unwrap().body.as_deref(),
            Some(nth.to_string().as_bytes())
        );
        closed.acquire().await.unwrap().forget();
    }
}

/// Connections that close at any moment after an answer: whatever the race, no request is seen
/// twice, and one that was seen without an answer says that it may have left.
#[tokio::test]
async fn no_request_is_sent_twice() {
    let seen: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let counted = Arc::clone(&seen);
    let url = upstream(move |mut talk| {
        let counted = Arc::clone(&counted);
        async move {
            for _ in 0..=talk.nth % 3 {
                let Some(request) = talk.request().await else {
                    return;
                };
                let id = request.lines().find_map(|line| line.strip_prefix("x-id: "));
                *counted
                    .lock()
                    .unwrap()
                    .entry(id.unwrap().to_owned())
                    .or_default() += 1;
                talk.say(whole(b"ok", "")).await;
            }
        }
    })
    .await;
    let caller = Caller::new(quick());
    let mut answered = 0;
    for id in 0..600 {
        let headers = vec![("x-id".to_owned(), id.to_string())];
        let result = caller
            .ask(
                &url,
                Ask {
                    headers,
                    ..Ask::default()
                },
            )
            .await;
        let times = seen
            .lock()
            .unwrap()
            .get(&id.to_string())
            .copied()
            .unwrap_or(0);
        match result {
            Ok(_) => {
                answered += 1;
                assert_eq!(times, 1);
            }
            Err(error) => {
                assert_eq!(
                    (error.kind, error.may_have_left),
                    (Kind::Cut, true),
                    "{error}"
                );
                assert!(times <= 1);
            }
        }
    }
    assert!(answered > 300, "{answered}");
}
