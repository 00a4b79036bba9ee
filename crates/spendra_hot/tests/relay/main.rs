//! The relay against real sockets: scripted upstreams that misbehave to the byte, and hyper's
//! server where HTTP/2 is spoken.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod caller;
mod cancelling;
mod coded;
mod failing;
mod pool;
mod streaming;
mod tls;
mod upstream;
mod whole;
