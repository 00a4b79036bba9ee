//! Compressed answers: the caller gets them as they came, the meter reads them.

use std::io::Write;

use brotli::CompressorWriter;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::caller::{Caller, metered, quick};
use crate::upstream::{SSE, always, chunk, whole};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn brotli(text: &[u8]) -> Vec<u8> {
    let mut encoder = CompressorWriter::new(Vec::new(), 4096, 5, 20);
    encoder.write_all(text).unwrap();
    encoder.into_inner()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(text, 3).unwrap()
}

type Code = fn(&[u8]) -> Vec<u8>;
const CODINGS: [(&str, Code); 4] = [
    ("gzip", gzip),
    ("deflate", deflate),
    ("br", brotli),
    ("zstd", zstd),
];

fn events() -> Vec<u8> {
    (0..300)
        .flat_map(|n| format!("data: {{\"n\":{n}}}\n\n").into_bytes())
        .collect()
}

#[tokio::test]
async fn the_meter_reads_what_the_caller_gets_packed() {
    let caller = Caller::new(quick());
    for (name, code) in CODINGS {
        let packed = code(&events());
        let url = always(whole(&packed, &format!("content-encoding: {name}\r\n"))).await;
        let answer = caller.get(&url).await.unwrap();
        assert_eq!(
            answer.head().unwrap().body.as_deref(),
            Some(&packed[..]),
            "{name}"
        );
        assert_eq!(metered(&answer), events(), "{name}");
    }
}

#[tokio::test]
async fn byte_by_byte_is_the_same() {
    let caller = Caller::new(quick());
    for (name, code) in CODINGS {
        let packed = code(&events());
        let coding = format!("content-encoding: {name}\r\n\r\n");
        let mut answer = [SSE.trim_end(), "\r\n", &coding].concat().into_bytes();
        for byte in &packed {
            answer.extend(chunk(&[*byte]));
        }
        answer.extend(chunk(b""));
        let answer = caller.get(&always(answer).await).await.unwrap();
        assert_eq!(caller.rest(&answer).await.0, packed, "{name}");
        assert_eq!(metered(&answer), events(), "{name}");
    }
}

#[tokio::test]
async fn a_small_body_that_unpacks_to_much_is_metered_up_to_a_limit() {
    let caller = Caller::new(quick());
    let zeros = vec![0; 80 << 20];
    for (name, code) in CODINGS {
        let url = always(whole(
            &code(&zeros),
            &format!("content-encoding: {name}\r\n"),
        ))
        .await;
        let answer = caller.get(&url).await.unwrap();
        let unpacked = answer.metered(|witness| witness.0.len()).unwrap();
        assert!(
            (32 << 20..=64 << 20).contains(&unpacked),
            "{name}: {unpacked}"
        );
    }
}

#[tokio::test]
async fn what_is_not_what_it_says_is_passed_on_unmetered() {
    let caller = Caller::new(quick());
    for name in ["gzip", "deflate", "br", "zstd", "odd", "gzip, br"] {
        let headers = format!("content-encoding: {name}\r\n");
        let answer = caller
            .get(&always(whole(b"\xffnot packed", &headers)).await)
            .await
            .unwrap();
        assert_eq!(
            answer.head().unwrap().body.as_deref(),
            Some(&b"\xffnot packed"[..])
        );
        assert_eq!(metered(&answer), b"", "{name}");
    }
}
