//! Keys: minted, checked for typing errors, hashed, and looked up in the snapshot.

mod base62;
mod ring;
mod segment;
#[cfg(test)]
mod tests;
mod text;

pub use ring::{KeyRing, KeyShard, Principal, Refused, Scope};
pub use text::{hash, mint, mint_again, shard_of};

/// HMAC-SHA256 of a whole key text.
pub type KeyHash = [u8; 32];
