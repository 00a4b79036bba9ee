//! Lays out OpenAI's vocabularies, which `bpe-openai` ships, as tables that are read in place:
//! a process maps them and builds nothing, where the crate's own form takes 66 MiB of memory.

#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)] // a build may panic

use std::path::Path;
use std::{env, fs, io};

use bpe_openai::byte_pair_encoding::BytePairEncoding;

#[path = "src/tokens/spread.rs"]
mod spread;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/tokens/spread.rs");
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    lay_out(Path::new(&out), "cl100k", &bpe_openai::cl100k_base().bpe)?;
    lay_out(Path::new(&out), "o200k", &bpe_openai::o200k_base().bpe)
}

/// `<name>.text`: all tokens, by rank; `.starts`: where each begins, and the end; `.slots`: by
/// hash, a token's rank and one, or zero. Numbers are 32 bits, little-endian.
fn lay_out(out: &Path, name: &str, encoding: &BytePairEncoding) -> io::Result<()> {
    let count = u32::try_from(encoding.num_tokens()).map_err(io::Error::other)?;
    let (mut text, mut starts) = (Vec::new(), vec![0]);
    let mut slots = vec![0; spread::slots_for(encoding.num_tokens())];
    for rank in 0..count {
        let token = encoding.token_bytes(rank);
        let mut slot = spread::hash(token) % slots.len();
        while slots[slot] != 0 {
            slot = (slot + 1) % slots.len();
        }
        slots[slot] = rank + 1;
        text.extend_from_slice(token);
        starts.push(u32::try_from(text.len()).map_err(io::Error::other)?);
    }
    fs::write(out.join(format!("{name}.text")), text)?;
    fs::write(out.join(format!("{name}.starts")), little_endian(&starts))?;
    fs::write(out.join(format!("{name}.slots")), little_endian(&slots))
}

fn little_endian(numbers: &[u32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}
