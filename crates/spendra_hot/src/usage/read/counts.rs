//! Lenient reading of counts: providers send integers, floats such as `62.0`, null, or nothing.

use serde_json::{Map, Value};

pub(in crate::usage) type Object = Map<String, Value>;

/// A count; anything that is not a number of zero or more counts as absent.
pub(in crate::usage) fn count(value: Option<&Value>) -> Option<u64> {
    let number = value?.as_number()?;
    number.as_u64().or_else(|| whole(&number.to_string()))
}

/// The first of several names that holds a count.
pub(in crate::usage) fn first(object: &Object, names: &[&str]) -> Option<u64> {
    names.iter().find_map(|name| count(object.get(*name)))
}

pub(in crate::usage) fn child<'a>(object: &'a Object, names: &[&str]) -> Option<&'a Object> {
    names.iter().find_map(|name| object.get(*name)?.as_object())
}

pub(in crate::usage) fn text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str().filter(|found| !found.is_empty())
}

/// A decimal number's whole part, rounded up.
fn whole(number: &str) -> Option<u64> {
    u64::try_from(scaled_up(number, 0)?).ok()
}

/// An amount of dollars as sent, in nano-USD, rounded up.
pub(in crate::usage) fn nanousd(value: Option<&Value>) -> Option<u64> {
    let number = value?.as_number()?;
    u64::try_from(scaled_up(&number.to_string(), 9)?).ok()
}

/// `number × 10^scale` of a JSON number's text, rounded up. None below zero or out of range.
fn scaled_up(number: &str, scale: i32) -> Option<u128> {
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}").parse::<u128>().ok()?;
    let shift = exponent
        .checked_add(scale)?
        .checked_sub(i32::try_from(fraction.len()).ok()?)?;
    shifted_up(digits, shift)
}

fn shifted_up(digits: u128, shift: i32) -> Option<u128> {
    let power = 10_u128.checked_pow(shift.unsigned_abs());
    if shift >= 0 {
        return digits.checked_mul(power?);
    }
    Some(power.map_or_else(|| u128::from(digits > 0), |power| digits.div_ceil(power)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts_are_lenient() {
        for (value, expected) in [
            (json!(7), Some(7)),
            (json!(62.0), Some(62)),
            (json!(-1), None),
            (json!(null), None),
            (json!("7"), None),
            (json!(1e300), None),
        ] {
            assert_eq!(count(Some(&value)), expected, "{value}");
        }
    }

    #[test]
    fn dollars_become_nanousd_rounded_up() {
        for (value, expected) in [
            (json!(4.01e-05), Some(40_100)),
            (json!(0.000_497_013_333_333_333_3), Some(497_014)),
            (json!(1), Some(1_000_000_000)),
            (json!(1e-12), Some(1)),
            (json!(1e-60), Some(1)),
            (json!(0.0), Some(0)),
        ] {
            assert_eq!(nanousd(Some(&value)), expected, "{value}");
        }
    }
}
