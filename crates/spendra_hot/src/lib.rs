//! The hot path of Spendra: pure computation that is measured to be hot.
//! `py/` is the only place that names `PyO3`, and nothing imports it.

pub mod error;
pub mod glob;
pub mod inspect;
pub mod keys;
pub mod policy;
pub mod price;
pub mod relay;
pub mod tokens;
pub mod usage;

#[cfg(feature = "python")]
mod py;
