//! Many streams at once, in a process of their own: its memory is what is measured.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    dead_code,
    missing_docs
)]

#[path = "../relay/caller.rs"]
mod caller;
mod crowd;
#[path = "../relay/upstream.rs"]
mod upstream;
