//! How tokens are spread over the slots of their table; the build and the lookup must agree.

/// Slots for so many tokens: a power of two, less than half of them filled.
#[allow(dead_code)] // only the build asks
pub fn slots_for(tokens: usize) -> usize {
    tokens.saturating_mul(2).next_power_of_two()
}

/// FNV-1a, its upper bits folded in.
pub fn hash(token: &[u8]) -> usize {
    let mixed = token.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    usize::try_from((mixed ^ (mixed >> 32)) & 0xffff_ffff).unwrap_or(0)
}
