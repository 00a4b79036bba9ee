//! Base 62: digits, capitals, small letters.

use crate::error::Unusable;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Bytes from here on would favour the first letters.
const UNBIASED: u8 = 62 * 4;

/// So many letters of the system's randomness, each equally likely.
pub fn random(letters: usize) -> Result<String, Unusable> {
    let mut text = String::with_capacity(letters);
    let mut pool = [0_u8; 64];
    while text.len() < letters {
        getrandom::fill(&mut pool)
            .map_err(|error| Unusable::new(format!("no randomness from the system: {error}")))?;
        let fair = pool.iter().filter(|byte| **byte < UNBIASED);
        text.extend(
            fair.take(letters.saturating_sub(text.len()))
                .map(|byte| letter(u32::from(*byte))),
        );
    }
    Ok(text)
}

/// Six letters hold any 32-bit number, most significant first.
pub fn six(number: u32) -> String {
    (0..6_u32)
        .rev()
        .map(|place| {
            letter(
                number
                    .checked_div(62_u32.saturating_pow(place))
                    .unwrap_or(0),
            )
        })
        .collect()
}

pub fn is_text(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn letter(number: u32) -> char {
    let index = usize::try_from(number % 62).unwrap_or(0);
    ALPHABET.get(index).copied().map_or('0', char::from)
}
