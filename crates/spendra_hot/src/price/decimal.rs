//! Decimal strings to integers, exactly: never through a float.

use super::BadPrices;

/// `text × 10^scale`, exact: no sign, no exponent, no more than `scale` decimals.
pub(super) fn scaled(text: &str, scale: u32) -> Result<u64, BadPrices> {
    parse(text, scale).ok_or_else(|| {
        BadPrices(format!(
            "{text:?} is not a decimal amount with at most {scale} decimals, such as \"2.5\""
        ))
    })
}

fn parse(text: &str, scale: u32) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let missing = scale.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    if whole.is_empty() || text.ends_with('.') || !digits(whole) || !digits(fraction) {
        return None;
    }
    let joined = format!("{whole}{fraction}").parse::<u64>().ok()?;
    joined.checked_mul(10_u64.checked_pow(missing)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(scaled("2.5", 6), Ok(2_500_000));
        assert_eq!(scaled("0.000001", 6), Ok(1));
        assert_eq!(scaled("75", 6), Ok(75_000_000));
        for bad in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "1e3",
            "0.0000001",
            "1.2.3",
            "99999999999999",
            "１",
        ] {
            assert!(scaled(bad, 6).is_err(), "{bad}");
        }
    }
}
