//! The hot path of Spendra: pure computation that is measured to be hot.
//! `py/` is the only place that names `PyO3`, and nothing imports it.

pub mod price;
pub mod usage;

#[cfg(feature = "python")]
mod py;
