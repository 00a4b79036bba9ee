//! The meter and the filter that the relay is given: the only file here that knows them.

use pyo3::prelude::*;

use crate::relay::{Beside, Exchange, Plugs};

/// Counts bytes.
#[derive(Clone, Copy, Default)]
pub struct AnswerMeter(u64);

impl Beside for AnswerMeter {
    fn feed(&mut self, bytes: &[u8]) {
        self.0 = self.0.saturating_add(bytes.len() as u64);
    }
}

pub fn plugs(_dialect: &str, _hide_usage: bool) -> Plugs<AnswerMeter> {
    Plugs {
        meter: Box::new(|_shape| AnswerMeter::default()),
        filter: None,
    }
}

pub fn metered(py: Python<'_>, exchange: &Exchange<AnswerMeter>) -> PyResult<Py<PyAny>> {
    let meter = exchange.metered(|meter| *meter).unwrap_or_default();
    Ok(meter.0.into_pyobject(py)?.into_any().unbind())
}
