#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{KeyRing, KeyShard, Refused, hash, mint, mint_again, shard_of};

const PEPPER: &[u8] = b"a pepper of the tests, 32 bytes.";

fn record(id: &str, hashes: &Value) -> Value {
    json!({"id": id, "name": "n", "environment": "prod", "state": "active", "hashes": hashes,
           "scope": {"project": ["alpha"], "team": ["a", "b"]}})
}

fn shard(records: &[Value]) -> Result<Arc<KeyShard>, crate::error::Unusable> {
    KeyShard::load(json!({"keys": records}).to_string().as_bytes()).map(Arc::new)
}

fn ring(records: &[Value]) -> KeyRing {
    let mut by_shard: BTreeMap<u8, Vec<Value>> = BTreeMap::new();
    for record in records {
        let number = shard_of(record["id"].as_str().unwrap());
        by_shard.entry(number).or_default().push(record.clone());
    }
    let shards = by_shard.values().map(|records| shard(records).unwrap());
    KeyRing::new(shards, PEPPER).unwrap()
}

fn hexed(key: &str) -> String {
    hex::encode(hash(key, PEPPER).unwrap())
}

#[test]
fn a_minted_key_is_recognised() {
    let (key, id) = mint("prod").unwrap();
    assert_eq!(key.len(), "spd_prod_".len() + 12 + 1 + 32 + 6);
    let ring = ring(&[record(&id, &json!([{"hash": hexed(&key)}]))]);
    let principal = ring.authenticate(&key, 0).unwrap();
    assert_eq!(&*principal.key_id, id);
    assert_eq!(principal.scope.len(), 2);
}

#[test]
fn checksum_is_the_crc32_of_what_precedes_it() {
    // CRC-32 check value of "123456789" is 0xCBF43926.
    assert_eq!(super::base62::six(0xCBF4_3926), "3jZRME");
    assert_eq!(super::base62::six(u32::MAX), "4gfFC3");
    assert_eq!(super::base62::six(0), "000000");
    let key = format!("spd_prod_{}_{}3ZRwww", "0".repeat(12), "0".repeat(32));
    assert!(hash(&key, PEPPER).is_ok());
}

#[test]
fn environments_are_checked() {
    for bad in ["", "Prod", "a_b", "seventeenletters7"] {
        assert!(mint(bad).is_err(), "{bad}");
    }
}

#[test]
fn refusals_come_in_their_order() {
    let (key, id) = mint("prod").unwrap();
    let (other, _) = mint("prod").unwrap();
    let mut state = record(&id, &json!([{"hash": hexed(&key)}]));
    assert_eq!(
        ring(&[]).authenticate("sk-123", 0).unwrap_err(),
        Refused::Malformed
    );
    assert_eq!(
        ring(&[]).authenticate(&key, 0).unwrap_err(),
        Refused::Unknown
    );
    assert_eq!(
        ring(&[state.clone()]).authenticate(&other, 0).unwrap_err(),
        Refused::Unknown
    );
    state["expires_at_ms"] = json!(10);
    assert!(ring(&[state.clone()]).authenticate(&key, 9).is_ok());
    assert_eq!(
        ring(&[state.clone()]).authenticate(&key, 10).unwrap_err(),
        Refused::Expired
    );
    state["state"] = json!("paused");
    assert_eq!(
        ring(&[state.clone()]).authenticate(&key, 10).unwrap_err(),
        Refused::Paused
    );
    state["state"] = json!("revoked");
    assert_eq!(
        ring(&[state]).authenticate(&key, 10).unwrap_err(),
        Refused::Revoked
    );
}

#[test]
fn a_rotated_out_secret_ends_with_its_grace() {
    let (old, id) = mint("prod").unwrap();
    let new = format!("spd_prod_{id}_{}", "x".repeat(32));
    let new = format!("{new}{}", super::base62::six(crc(&new)));
    let hashes = json!([{"hash": hexed(&new)}, {"hash": hexed(&old), "expires_at_ms": 100}]);
    let ring = ring(&[record(&id, &hashes)]);
    assert!(ring.authenticate(&old, 99).is_ok());
    assert_eq!(ring.authenticate(&old, 100).unwrap_err(), Refused::Unknown);
    assert!(ring.authenticate(&new, 100).is_ok());
}

#[test]
fn a_rotated_key_keeps_its_id() {
    let (old, id) = mint("prod").unwrap();
    let new = mint_again("prod", &id).unwrap();
    let ring = ring(&[record(&id, &json!([{"hash": hexed(&new)}]))]);
    assert_eq!(&*ring.authenticate(&new, 0).unwrap().key_id, id);
    assert_eq!(ring.authenticate(&old, 0).unwrap_err(), Refused::Unknown);
    assert!(mint_again("prod", "short").is_err());
}

/// The table-driven algorithm, written anew.
fn crc(text: &str) -> u32 {
    let table: Vec<u32> = (0..256_u32)
        .map(|n| {
            (0..8).fold(n, |c, _| {
                if c & 1 == 1 {
                    0xEDB8_8320 ^ (c >> 1)
                } else {
                    c >> 1
                }
            })
        })
        .collect();
    !text.bytes().fold(!0, |c, b| {
        table[((c ^ u32::from(b)) & 0xFF) as usize] ^ (c >> 8)
    })
}

#[test]
fn segments_that_cannot_be_meant_are_refused() {
    let good = record("abcdefghijkl", &json!([]));
    let of_another = record("abcdefghijkm", &json!([]));
    assert!(shard(std::slice::from_ref(&good)).is_ok());
    for (bad, what) in [
        (vec![good.clone(), good.clone()], "twice"),
        (vec![good.clone(), of_another], "not of the shard"),
        (vec![], "no keys"),
    ] {
        assert!(
            shard(&bad).unwrap_err().to_string().contains(what),
            "{what}"
        );
    }
    for (field, value) in [
        ("surprise", json!(1)),
        ("state", json!("asleep")),
        ("scope", json!({"model": ["gpt-4o"]})),
        ("hashes", json!([{"hash": "12"}])),
        ("max_request_nanousd", json!(-1)),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        assert!(shard(&[bad]).is_err(), "{field}");
    }
    assert!(KeyRing::new([], b"").is_err());
    let one = shard(&[good]).unwrap();
    let twice = KeyRing::new([Arc::clone(&one), one], PEPPER);
    assert!(twice.unwrap_err().to_string().contains("twice"));
}

#[test]
fn a_shard_is_the_last_byte_of_the_crc32_of_the_id() {
    assert_eq!(shard_of("123456789"), 0x26);
}

#[test]
fn a_hundred_thousand_keys_load() {
    let records: Vec<Value> = (0..100_000)
        .map(|n| record(&format!("{n:012}"), &json!([{"hash": format!("{n:064x}")}])))
        .collect();
    assert_eq!(ring(&records).len(), 100_000);
}

proptest! {
    #[test]
    fn any_one_wrong_letter_is_malformed(place in 0_usize..200, letter in "[0-9A-Za-z_]") {
        let (key, id) = mint("prod").unwrap();
        let place = place % key.len();
        prop_assume!(key[place..=place] != *letter);
        let mistyped = format!("{}{letter}{}", &key[..place], &key[place + 1..]);
        let ring = ring(&[record(&id, &json!([{"hash": hexed(&key)}]))]);
        prop_assert_eq!(ring.authenticate(&mistyped, 0).unwrap_err(), Refused::Malformed);
    }

    #[test]
    fn any_text_is_answered(text in "\\PC*") {
        prop_assert_eq!(ring(&[]).authenticate(&text, 0).unwrap_err(), Refused::Malformed);
    }
}
