//! Upstreams that fail, each in its own way.

use std::time::Duration;

use bytes::Bytes;
use spendra_hot::relay::{Body, Kind, Outbound, Plugs, Settings};
use tokio::net::TcpListener;

use crate::caller::{Ask, Caller, Witness, metered, quick};
use crate::upstream::{SSE, chunk, once, upstream};

const SHORT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn a_refused_port_is_a_connect_error_and_nothing_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let error = Caller::new(quick()).get(&url).await.err().unwrap();
    assert_eq!(
        (error.kind, error.may_have_left),
        (Kind::Connect, false),
        "{error}"
    );
}

#[tokio::test]
async fn an_unknown_host_is_a_connect_error() {
    let error = Caller::new(quick())
        .get("http://upstream.invalid/")
        .await
        .err()
        .unwrap();
    assert_eq!(
        (error.kind, error.may_have_left),
        (Kind::Connect, false),
        "{error}"
    );
}

#[tokio::test]
async fn tls_that_is_not_answered_in_time_is_a_connect_error() {
    let url = upstream(|talk| async move { drop(talk) }).await;
    let silent = upstream(|talk| async move {
        std::future::pending::<()>().await;
        drop(talk);
    })
    .await;
    let caller = Caller::new(Settings {
        connect_timeout: SHORT,
        ..quick()
    });
    for url in [url, silent] {
        let error = caller
            .get(&url.replace("http:", "https:"))
            .await
            .err()
            .unwrap();
        assert_eq!(
            (error.kind, error.may_have_left),
            (Kind::Connect, false),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_first_byte_that_comes_before_no_connection_is_a_connect_error() {
    let silent = upstream(|talk| async move {
        std::future::pending::<()>().await;
        drop(talk);
    })
    .await;
    let caller = Caller::new(Settings {
        first_byte_timeout: SHORT,
        ..quick()
    });
    let error = caller
        .get(&silent.replace("http:", "https:"))
        .await
        .err()
        .unwrap();
    assert_eq!(
        (error.kind, error.may_have_left),
        (Kind::Connect, false),
        "{error}"
    );
    let error = caller.get(&silent).await.err().unwrap();
    assert_eq!(
        (error.kind, error.may_have_left),
        (Kind::FirstByteTimeout, true),
        "{error}"
    );
}

#[tokio::test]
async fn a_body_that_stops_is_an_idle_timeout() {
    let caller = Caller::new(Settings {
        idle_timeout: SHORT,
        ..quick()
    });
    let stalls = |head: &'static str| {
        upstream(move |mut talk| async move {
            talk.request().await;
            talk.say(head).await;
            talk.gone().await;
        })
    };
    let url = stalls("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart").await;
    let error = caller.get(&url).await.err().unwrap();
    assert_eq!(
        (error.kind, error.may_have_left),
        (Kind::IdleTimeout, true),
        "{error}"
    );
    let url = stalls("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1").await;
    let answer = caller.get(&url).await.unwrap();
    let (bytes, end) = caller.rest(&answer).await;
    assert_eq!(
        (bytes.as_slice(), end.unwrap_err().kind),
        (&b"data: 1"[..], Kind::IdleTimeout)
    );
}

#[tokio::test]
async fn a_document_that_is_cut_has_no_head_but_is_metered() {
    let caller = Caller::new(quick());
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n",
    ] {
        let exchange = caller.start(&once(answer).await, Ask::default());
        caller.told(exchange.id()).await;
        let error = exchange.failure().unwrap();
        assert_eq!(
            (error.kind, error.may_have_left),
            (Kind::Cut, true),
            "{error}"
        );
        assert_eq!(metered(&exchange), b"part");
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_gives_all_that_came_before() {
    let url = upstream(|mut talk| async move {
        talk.request().await;
        talk.say([SSE.as_bytes(), &chunk(b"data: 1\n\n"), b"ff\r\ndata"].concat())
            .await;
    })
    .await;
    let caller = Caller::new(quick());
    let answer = caller.get(&url).await.unwrap();
    let (bytes, end) = caller.rest(&answer).await;
    let error = end.unwrap_err();
    assert_eq!(bytes, b"data: 1\n\ndata");
    assert_eq!(
        (error.kind, error.may_have_left),
        (Kind::Cut, true),
        "{error}"
    );
    assert_eq!(caller.next(&answer).await.unwrap_err().kind, Kind::Cut);
}

#[tokio::test]
async fn a_connection_closed_before_the_head_is_cut() {
    for said in ["", "HTTP/1.1 200 OK\r\ncontent-"] {
        let error = Caller::new(quick())
            .get(&once(said).await)
            .await
            .err()
            .unwrap();
        assert_eq!(
            (error.kind, error.may_have_left),
            (Kind::Cut, true),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_error() {
    for said in [
        "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
    ] {
        let error = Caller::new(quick())
            .get(&once(said).await)
            .await
            .err()
            .unwrap();
        assert_eq!(
            (error.kind, error.may_have_left),
            (Kind::Protocol, true),
            "{said}: {error}"
        );
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_is_refused_at_once() {
    let relay = Caller::new(quick()).relay;
    let secret = vec![("x-key".to_owned(), "secret\n".to_owned())];
    let spaced = vec![("x key".to_owned(), "1".to_owned())];
    let asked = [
        ("POST", "ftp://host/", &Vec::new()),
        ("POST", "/v1/chat/completions", &Vec::new()),
        ("POST", "http://", &Vec::new()),
        ("NO METHOD", "http://host/", &Vec::new()),
        ("POST", "http://host/", &secret),
        ("POST", "http://host/", &spaced),
    ];
    for (method, url, headers) in asked {
        let plugs = Plugs {
            meter: Box::new(|_| Witness::default()),
            streamed: false,
            filter: None,
        };
        let outbound = Outbound {
            method,
            url,
            headers,
        };
        let refused = relay
            .send(outbound, Body::Whole(Bytes::new()), plugs, 0)
            .err()
            .unwrap();
        assert!(!refused.0.is_empty() && !refused.0.contains("secret"));
    }
}
