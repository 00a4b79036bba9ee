//! Values of governed members: the right type, or absent (null), or an error that names them.

use super::scan::{Kind, Scan, Scanner};
use crate::error::Unusable;

pub fn text(scanner: &mut Scanner<'_>, name: &str) -> Scan<Option<String>> {
    match scanner.kind()? {
        Kind::Null => scanner.null().map(|()| None),
        Kind::Text => match scanner.text()?.decode() {
            Some(text) => Ok(Some(text.into_owned())),
            None => Err(Unusable::new(format!("`{name}` is not Unicode text"))),
        },
        _ => Err(must_be(name, "a string")),
    }
}

pub fn flag(scanner: &mut Scanner<'_>, name: &str) -> Scan<Option<bool>> {
    match scanner.kind()? {
        Kind::Null => scanner.null().map(|()| None),
        Kind::Bool => scanner.flag().map(Some),
        _ => Err(must_be(name, "true or false")),
    }
}

pub fn count(scanner: &mut Scanner<'_>, name: &str, least: u64) -> Scan<Option<u64>> {
    let number = match scanner.kind()? {
        Kind::Null => return scanner.null().map(|()| None),
        Kind::Number => scanner.number()?.parse::<u64>().ok(),
        _ => None,
    };
    match number {
        Some(number) if number >= least => Ok(Some(number)),
        _ => Err(must_be(
            name,
            &format!("a whole number of at least {least}"),
        )),
    }
}

/// Whether an object comes next; a null is passed and counts as absent.
pub fn is_object(scanner: &mut Scanner<'_>, name: &str) -> Scan<bool> {
    match scanner.kind()? {
        Kind::Null => scanner.null().map(|()| false),
        Kind::Object => Ok(true),
        _ => Err(must_be(name, "an object")),
    }
}

/// Passes any value; whether it was more than null.
pub fn is_present(scanner: &mut Scanner<'_>) -> Scan<bool> {
    let present = scanner.kind()? != Kind::Null;
    scanner.skip()?;
    Ok(present)
}

pub fn must_be(name: &str, what: &str) -> Unusable {
    Unusable::new(format!("`{name}` must be {what}"))
}

pub fn twice(name: &str) -> Unusable {
    Unusable::new(format!("the body has `{name}` twice"))
}

/// Keeps the first value of a member; another one is an error.
pub fn once<T>(slot: &mut Option<T>, value: Option<T>, name: &str) -> Scan<()> {
    if slot.is_some() {
        return Err(twice(name));
    }
    *slot = value;
    Ok(())
}
