//! `UpstreamError`, with `kind` and `may_have_left` as attributes.

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

use crate::relay::UpstreamError as Failure;

create_exception!(
    spendra._hot,
    UpstreamError,
    PyException,
    "The upstream failed."
);

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let class = m.py().get_type::<UpstreamError>();
    class.setattr("kind", "protocol")?;
    class.setattr("may_have_left", true)?;
    m.add("UpstreamError", class)
}

pub fn raised(py: Python<'_>, failure: &Failure) -> PyErr {
    let error = UpstreamError::new_err(failure.to_string());
    let described = describe(error.value(py), failure);
    described.map_or_else(|instead| instead, |()| error)
}

fn describe(value: &Bound<'_, PyAny>, failure: &Failure) -> PyResult<()> {
    value.setattr("kind", failure.kind.as_str())?;
    value.setattr("may_have_left", failure.may_have_left)
}
