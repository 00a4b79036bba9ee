//! Answers that are one document.

use crate::caller::{Ask, Caller, header, metered, quick};
use crate::upstream::{always, chunk, once, upstream, whole};

#[tokio::test]
async fn comes_with_the_head_in_one_completion() {
    let url = always(whole(
        b"{\"ok\":true}",
        "content-type: application/json\r\n",
    ))
    .await;
    let caller = Caller::new(quick());
    let answer = caller.get(&url).await.unwrap();
    let head = answer.head().unwrap();
    assert_eq!(
        (head.status, head.body.as_deref()),
        (200, Some(&b"{\"ok\":true}"[..]))
    );
    assert_eq!(metered(&answer), b"{\"ok\":true}");
    assert_eq!(caller.next(&answer).await.unwrap(), None);
    assert!(!caller.was_told(answer.id()));
}

#[tokio::test]
async fn chunked_is_collected_too() {
    let mut answer = b"HTTP/1.1 500 Oh\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    answer.extend([chunk(b"one "), chunk(b"two"), chunk(b"")].concat());
    let url = always(answer).await;
    let caller = Caller::new(quick());
    let answer = caller.get(&url).await.unwrap();
    let head = answer.head().unwrap();
    assert_eq!(
        (head.status, head.body.as_deref()),
        (500, Some(&b"one two"[..]))
    );
}

#[tokio::test]
async fn beyond_the_limit_it_is_streamed() {
    let body = b"0123456789".repeat(20_000);
    let known = whole(&body, "");
    let mut unknown = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    body.chunks(999)
        .for_each(|piece| unknown.extend(chunk(piece)));
    unknown.extend(chunk(b""));
    let caller = Caller::new(quick());
    for answer in [known, unknown] {
        let url = always(answer).await;
        let ask = Ask {
            buffer_limit: Some(100_000),
            ..Ask::default()
        };
        let answer = caller.ask(&url, ask).await.unwrap();
        assert!(answer.head().unwrap().body.is_none());
        let (bytes, end) = caller.rest(&answer).await;
        end.unwrap();
        assert!(bytes == body && metered(&answer) == body);
    }
}

#[tokio::test]
async fn an_answer_without_a_body_has_an_empty_one() {
    let url = once("HTTP/1.1 204 No Content\r\n\r\n").await;
    let answer = Caller::new(quick()).get(&url).await.unwrap();
    assert_eq!(answer.head().unwrap().body.as_deref(), Some(&b""[..]));
}

#[tokio::test]
async fn headers_of_one_connection_stay_there() {
    let head = "X-Request-Id: 7\r\nConnection: keep-alive, x-private\r\nx-private: 1\r\n\
                keep-alive: timeout=5\r\nProxy-Authenticate: Basic\r\nX-City: Z\u{fc}rich\r\n";
    let latin = [b"x-latin: Z\xfcrich\r\n".as_slice(), head.as_bytes()].concat();
    let answer = [
        b"HTTP/1.1 200 OK\r\n",
        &latin[..],
        b"content-length: 2\r\n\r\nok",
    ]
    .concat();
    let url = always(answer).await;
    let answer = Caller::new(quick()).get(&url).await.unwrap();
    let mut names: Vec<_> = answer
        .head()
        .unwrap()
        .headers
        .iter()
        .map(|(name, _)| name)
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["content-length", "x-city", "x-latin", "x-request-id"]
    );
    assert_eq!(header(&answer, "x-city"), Some("Zürich"));
    assert_eq!(header(&answer, "x-latin"), Some("Zürich"));
}

#[tokio::test]
async fn the_request_arrives_as_it_was_given() {
    let url = upstream(|mut talk| async move {
        let request = talk.request().await.unwrap();
        talk.say(whole(request.as_bytes(), "")).await;
    })
    .await;
    let given = [
        ("Authorization", "Bearer sk-1"),
        ("Connection", "x-mine"),
        ("X-Mine", "1"),
        ("Host", "elsewhere.example"),
        ("Content-Length", "999"),
        ("Transfer-Encoding", "chunked"),
        ("Proxy-Authorization", "Basic x"),
    ];
    let headers = given
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    let answer = Caller::new(quick())
        .ask(
            &url,
            Ask {
                headers,
                ..Ask::default()
            },
        )
        .await
        .unwrap();
    let seen = String::from_utf8(answer.head().unwrap().body.clone().unwrap().to_vec()).unwrap();
    let host = url.split('/').nth(2).unwrap();
    let mut lines: Vec<&str> = seen.split("\r\n").collect();
    lines[1..4].sort_unstable();
    let host = format!("host: {host}");
    let expected = [
        "POST /v1/chat/completions HTTP/1.1",
        "authorization: Bearer sk-1",
        "content-length: 7",
        &host,
        "",
        "{\"a\":1}",
    ];
    assert_eq!(lines, expected);
}
