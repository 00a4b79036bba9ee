//! Usage objects, each by its own provider's rule of what includes what.

pub(super) mod anthropic;
pub(super) mod cohere;
pub(super) mod counts;
pub(super) mod google;
pub(super) mod openai;
