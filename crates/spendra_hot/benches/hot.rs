//! CPU of what every request pays: `cargo bench`.
#![allow(clippy::unwrap_used)]

#[path = "../tests/flat_prices/mod.rs"]
mod flat_prices;

use std::collections::BTreeMap;
use std::sync::Arc;

use divan::{Bencher, black_box, counter::BytesCount};
use flat_prices::FlatPrices;
use serde_json::{Value, json};
use spendra_hot::inspect::{Changes, inspect, rewrite};
use spendra_hot::keys::{KeyRing, KeyShard, hash, mint, shard_of};
use spendra_hot::policy::{PolicyTree, Request};
use spendra_hot::tokens;

fn main() {
    divan::main();
}

/// A conversation with two tools, about 4 KB.
fn body() -> Vec<u8> {
    let text = "The quarterly figures show \"growth\" in all regions.\n".repeat(6);
    let message = |role: &str| json!({"role": role, "content": text});
    let tool = |name: &str| {
        json!({"type": "function", "function": {"name": name, "parameters": {
        "type": "object", "properties": {"query": {"type": "string", "description": "What to look for"}}}}})
    };
    let roles = [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ];
    let messages: Vec<Value> = roles.into_iter().map(message).collect();
    json!({"model": "gpt-4o", "stream": true, "max_tokens": 500, "messages": messages,
        "metadata": {"feature": "search"}, "tools": [tool("look"), tool("find")]})
    .to_string()
    .into_bytes()
}

/// 200 policies, of which a tenth apply, and 10 budgets.
fn tree() -> PolicyTree {
    let selector = |n: usize| match n % 10 {
        0 => json!({"project": ["alpha"], "model": ["gpt-*"]}),
        1..4 => json!({"project": [format!("project-{n}")]}),
        4..7 => json!({"team": [format!("team-{n}")], "environment": ["staging"]}),
        _ => json!({"label:feature": [format!("feature-{n}")], "model": ["claude-*"]}),
    };
    let rules = json!({"models_allow": ["gpt-*", "o?"], "max_output_tokens": 1000, "max_request_nanousd": 9_000_000_000_u64});
    let policies: Vec<Value> = (0..200)
        .map(|n| json!({"id": format!("pol_{n}"), "name": "n", "selector": selector(n), "rules": rules}))
        .collect();
    let budgets: Vec<Value> = (0..10)
        .map(|n| json!({"id": format!("bud_{n}"), "name": "n", "selector": selector(n), "period": "month",
            "timezone": "UTC", "limit_nanousd": 1, "kind": "hard", "version": 1}))
        .collect();
    let segment = json!({"budgets": budgets, "policies": policies, "default_output_tokens": 1000});
    PolicyTree::load(segment.to_string().as_bytes()).unwrap()
}

fn ring(keys: usize) -> (String, KeyRing) {
    let (key, id) = mint("prod").unwrap();
    let record = |id: &str, hash: String| {
        json!({"id": id, "name": "n", "environment": "prod", "state": "active",
        "hashes": [{"hash": hash}], "scope": {"project": ["alpha"], "team": ["shop"]}})
    };
    let mut records: Vec<Value> = (1..keys)
        .map(|n| record(&format!("{n:012}"), format!("{n:064x}")))
        .collect();
    records.push(record(&id, hex::encode(hash(&key, b"pepper").unwrap())));
    (key, load(&shards(&records)))
}

fn shards(records: &[Value]) -> Vec<String> {
    let mut by_shard: BTreeMap<u8, Vec<&Value>> = BTreeMap::new();
    for record in records {
        let number = shard_of(record["id"].as_str().unwrap());
        by_shard.entry(number).or_default().push(record);
    }
    by_shard
        .values()
        .map(|records| json!({"keys": records}).to_string())
        .collect()
}

fn load(segments: &[String]) -> KeyRing {
    let shards = segments
        .iter()
        .map(|segment| Arc::new(KeyShard::load(segment.as_bytes()).unwrap()));
    KeyRing::new(shards, b"pepper").unwrap()
}

#[divan::bench]
fn inspect_4_kb(bencher: Bencher<'_, '_>) {
    let body = body();
    bencher
        .counter(BytesCount::of_slice(&body))
        .bench(|| inspect(black_box(&body), "openai").unwrap());
}

#[divan::bench]
fn rewrite_4_kb(bencher: Bencher<'_, '_>) {
    let body = body();
    let changes = Changes {
        include_usage: true,
        output_cap: Some(100),
        model: None,
        limit_tools: false,
    };
    bencher.bench(|| rewrite(black_box(&body), "openai", &changes).unwrap());
}

#[divan::bench]
fn inspect_and_decide_4_kb(bencher: Bencher<'_, '_>) {
    let (body, tree, (key, ring)) = (body(), tree(), ring(1));
    let prices: FlatPrices = serde_json::from_value(json!({"openai/gpt-4o": {
        "input_nanousd": 2500, "output_nanousd": 10000, "context_window": 128_000, "max_output": 16384}}))
    .unwrap();
    let headers = BTreeMap::from([("run".to_owned(), "r1".to_owned())]);
    let principal = ring.authenticate(&key, 0).unwrap();
    bencher.bench(|| {
        let inspected = inspect(black_box(&body), "openai").unwrap();
        let request = Request {
            principal,
            inspected: &inspected,
            provider: "openai",
            model: None,
            headers: &headers,
            now_ms: 0,
            body_tokens: None,
            tier: None,
            closed: &[],
            granted_nanousd: None,
            affordable_output: None,
        };
        tree.decide(&request, &prices).unwrap()
    });
}

#[divan::bench]
fn authenticate_among_100_000(bencher: Bencher<'_, '_>) {
    let (key, ring) = ring(100_000);
    bencher.bench(|| ring.authenticate(black_box(&key), 0).is_ok());
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn load_100_000_keys(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(|| {
        let record = |n: usize| json!({"id": format!("{n:012}"), "name": "n", "environment": "prod",
            "state": "active", "hashes": [{"hash": format!("{n:064x}")}], "scope": {"project": ["alpha"]}});
        shards(&(0..100_000).map(record).collect::<Vec<_>>())
    })
    .bench_values(|segments| load(&segments));
}

#[divan::bench]
fn count_chat_4_kb(bencher: Bencher<'_, '_>) {
    let body = body();
    bencher
        .counter(BytesCount::of_slice(&body))
        .bench(|| tokens::count_chat(black_box(&body), "gpt-4o").unwrap());
}
