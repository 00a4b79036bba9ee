//! Recorded provider traffic: `SPENDRA_WIRE`, or `shared/wire` beside the repository.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    dead_code
)]

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use spendra_hot::usage::{Dialect, Meter, Metered};

pub struct Case {
    pub id: String,
    pub index: Value,
    pub body: Vec<u8>,
}

impl Case {
    pub fn text(&self, field: &str) -> &str {
        self.index[field].as_str().unwrap_or_default()
    }

    pub fn streaming(&self) -> bool {
        self.index["streaming"].as_bool().unwrap_or(false)
    }

    pub fn dialect(&self) -> Dialect {
        Dialect::of(match self.text("provider") {
            "gemini" | "vertex" => "google",
            "together" | "cerebras" | "zai" => "openai",
            provider => provider,
        })
    }

    pub fn meter(&self) -> Meter {
        Meter::new(self.dialect(), self.streaming())
    }

    pub fn metered(&self) -> Metered {
        let mut meter = self.meter();
        meter.feed(&self.body);
        meter.finish()
    }
}

/// The traffic is not part of the repository: None where it is not, unless `SPENDRA_WIRE` says
/// that it is.
fn folder() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/wire");
    let named = std::env::var("SPENDRA_WIRE");
    let folder = PathBuf::from(named.as_deref().unwrap_or(beside)).join("corpus");
    let is_there = folder.join("index.jsonl").is_file();
    assert!(
        is_there || named.is_err(),
        "no recorded traffic at {}",
        folder.display()
    );
    is_there.then_some(folder)
}

/// Every recorded case; empty where the traffic is not at hand.
pub fn cases() -> Vec<Case> {
    let Some(folder) = folder() else {
        eprintln!("no recorded traffic here; set SPENDRA_WIRE to the folder that holds corpus/");
        return Vec::new();
    };
    let index = fs::read_to_string(folder.join("index.jsonl")).unwrap();
    let read = |line: &str| {
        let index: Value = serde_json::from_str(line).unwrap();
        let id = index["id"].as_str().unwrap().to_owned();
        let body = fs::read(folder.join(format!("{id}.body"))).unwrap();
        Case { id, index, body }
    };
    index.lines().map(read).collect()
}
