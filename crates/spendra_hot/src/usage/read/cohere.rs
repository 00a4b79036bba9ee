//! Cohere charges `billed_units`; `tokens` is what the model processed and is not charged.

use super::counts::{Object, child, count};
use crate::usage::Usage;

pub(in crate::usage) fn billed_units(usage: &Object) -> Option<&Object> {
    child(usage, &["billed_units"])
}

pub(in crate::usage) fn read(usage: &Object, billed: &Object) -> Usage {
    let empty = Object::new();
    let processed = child(usage, &["tokens"]).unwrap_or(&empty);
    let of = |name: &str| count(billed.get(name)).unwrap_or(0);
    let image = count(processed.get("image_tokens")).unwrap_or(0);
    Usage {
        input_tokens: of("input_tokens"),
        output_tokens: of("output_tokens"),
        input_image_tokens: image.max(of("image_tokens")),
        search_units: of("search_units"),
        ..Usage::default()
    }
}
