//! Any segment of a snapshot is loaded or refused, and what is loaded decides without a panic.
#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use spendra_hot::inspect::{Inspected, inspect};
use spendra_hot::keys::{KeyRing, KeyShard, hash, mint};
use spendra_hot::policy::{PolicyTree, Request};
use spendra_hot::price::PriceBook;

const PEPPER: &[u8] = b"pepper";
const PRICES: &[u8] =
    include_bytes!("../../../../control_plane/spendra_control_plane/catalog/prices.json");

/// A key, the ring that knows it, a request and the catalog.
struct Sound {
    key: String,
    ring: KeyRing,
    inspected: Inspected,
    prices: PriceBook,
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let (key, id) = mint("prod").expect("randomness");
    let hash = hash(&key, PEPPER).expect("a sound key");
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let record = json!({"id": id, "name": "n", "environment": "prod", "state": "active",
        "hashes": [{"hash": hash}], "scope": {"project": ["alpha"], "team": ["shop"]}});
    let segment = json!({"keys": [record]}).to_string();
    let shard = KeyShard::load(segment.as_bytes()).expect("a sound shard");
    let body = br#"{"model":"gpt-4o","n":2,"messages":[{"role":"user","content":"hi"}]}"#;
    Sound {
        ring: KeyRing::new([Arc::new(shard)], PEPPER).expect("a sound ring"),
        key,
        inspected: inspect(body, "openai_chat").expect("a sound body"),
        prices: PriceBook::load(PRICES).expect("a sound catalog"),
    }
});

fuzz_target!(|data: &[u8]| {
    let Some((choice, segment)) = data.split_first() else {
        return;
    };
    match choice % 3 {
        0 => drop(KeyShard::load(segment)),
        1 => price(segment),
        _ => decide(segment),
    }
});

fn price(segment: &[u8]) {
    let Ok(prices) = PriceBook::load(segment) else {
        return;
    };
    if let Some(priced) = prices.resolve("openai", "gpt-4o", 0) {
        let bound = priced.text_bound_nanousd(1000, 1000);
        assert!(priced.bound_nanousd(1000, 1000) >= bound);
        assert!(priced.bound_nanousd(u64::MAX, 1000) >= bound);
    }
}

fn decide(segment: &[u8]) {
    let Ok(tree) = PolicyTree::load(segment) else {
        return;
    };
    let principal = SOUND.ring.authenticate(&SOUND.key, 0).expect("it is known");
    let headers = BTreeMap::from([("run".to_owned(), "r".to_owned())]);
    let request = Request {
        principal,
        inspected: &SOUND.inspected,
        provider: "openai",
        headers: &headers,
        now_ms: 0,
            body_tokens: None,
            tier: None,
        closed: &[],
        granted_nanousd: None,
        affordable_output: None,
    };
    let decision = tree.decide(&request, &SOUND.prices).expect("sound facts");
    assert!(decision.allowed() || !decision.message.is_empty());
}
