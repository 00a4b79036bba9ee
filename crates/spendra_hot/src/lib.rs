//! The hot path of Spendra: pure computation that is measured to be hot.
//! `py/` is the only place that names `PyO3`, and nothing imports it.

#[cfg(feature = "python")]
mod py;
pub mod relay;
