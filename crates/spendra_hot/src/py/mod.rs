//! The Python face. It converts and nothing else; `_hot.pyi` says what it looks like.

mod price;
mod usage;

use std::fmt::Display;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

pyo3::create_exception!(
    spendra._hot,
    HotError,
    PyValueError,
    "Input that cannot be used; the message says what is wrong and where."
);

/// What an error of this crate becomes in Python.
pub(crate) fn hot_error(error: impl Display) -> PyErr {
    HotError::new_err(error.to_string())
}

#[pymodule]
fn _hot(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("HotError", module.py().get_type::<HotError>())?;
    usage::register(module)?;
    price::register(module)
}
