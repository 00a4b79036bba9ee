//! The text of a key: `spd_<environment>_<id>_<secret><checksum>`.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{KeyHash, base62};
use crate::error::Unusable;

const ID_LETTERS: usize = 12;
/// 190 bits.
const SECRET_LETTERS: usize = 32;
const CHECKSUM_LETTERS: usize = 6;

pub(super) type Pepper = Hmac<Sha256>;

/// A fresh key for an environment (1 to 16 of a-z and 0-9), and its id.
pub fn mint(environment: &str) -> Result<(String, String), Unusable> {
    let id = base62::random(ID_LETTERS)?;
    mint_again(environment, &id).map(|key| (key, id))
}

/// A key with a fresh secret under an id that is there already: a rotation.
pub fn mint_again(environment: &str, id: &str) -> Result<String, Unusable> {
    if !is_environment(environment) {
        return Err(Unusable::new(format!(
            "the environment {environment:?} of a key must be 1 to 16 of a-z and 0-9"
        )));
    }
    if !is_base62(id, ID_LETTERS) {
        return Err(Unusable::new(format!("{id:?} is not the id of a key")));
    }
    let open = format!("spd_{environment}_{id}_{}", base62::random(SECRET_LETTERS)?);
    let checksum = base62::six(crc32(open.as_bytes()));
    Ok(open + &checksum)
}

/// HMAC-SHA256 of the whole key text, for a well-formed key.
pub fn hash(key: &str, pepper: &[u8]) -> Result<KeyHash, Unusable> {
    let pepper = self::pepper(pepper)?;
    match id_of(key) {
        Some(_) => Ok(digest(&pepper, key)),
        None => Err(Unusable::new(
            "not a Spendra key, or mistyped: its checksum does not fit",
        )),
    }
}

/// The id within a well-formed key; None when it is mistyped, cut or no key at all.
pub(super) fn id_of(key: &str) -> Option<&str> {
    let mut parts = key.strip_prefix("spd_")?.split('_');
    let (environment, id, tail) = (parts.next()?, parts.next()?, parts.next()?);
    let (open, checksum) = key.split_at_checked(key.len().checked_sub(CHECKSUM_LETTERS)?)?;
    let shaped = parts.next().is_none()
        && is_environment(environment)
        && is_base62(id, ID_LETTERS)
        && is_base62(tail, SECRET_LETTERS.saturating_add(CHECKSUM_LETTERS));
    (shaped && base62::six(crc32(open.as_bytes())) == checksum).then_some(id)
}

/// Which of the 256 shards of keys an id is in: the last byte of its CRC-32.
pub fn shard_of(id: &str) -> u8 {
    crc32(id.as_bytes()).to_be_bytes()[3]
}

pub(super) fn pepper(secret: &[u8]) -> Result<Pepper, Unusable> {
    if secret.is_empty() {
        return Err(Unusable::new("the pepper of the keys is empty"));
    }
    Pepper::new_from_slice(secret)
        .map_err(|error| Unusable::new(format!("the pepper of the keys: {error}")))
}

pub(super) fn digest(pepper: &Pepper, key: &str) -> KeyHash {
    let mut state = pepper.clone();
    state.update(key.as_bytes());
    state.finalize().into_bytes().into()
}

fn is_environment(text: &str) -> bool {
    (1..=16).contains(&text.len())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'))
}

fn is_base62(text: &str, letters: usize) -> bool {
    text.len() == letters && base62::is_text(text)
}

/// CRC-32 of IEEE 802.3, bit by bit: keys are short.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            let mask = (crc & 1).wrapping_neg();
            (crc >> 1) ^ (0xEDB8_8320 & mask)
        })
    })
}
