//! Counting and estimating tokens in Python.

use pyo3::prelude::*;

use super::{beside_python, hot_error};
use crate::tokens;

#[pyfunction]
fn count_tokens(py: Python<'_>, text: &str, model: &str) -> u64 {
    beside_python(py, text.as_bytes(), || tokens::count(text, model))
}

#[pyfunction]
fn count_chat_tokens(py: Python<'_>, body: &[u8], model: &str) -> PyResult<u64> {
    beside_python(py, body, || tokens::count_chat(body, model)).map_err(hot_error)
}

#[pyfunction]
#[pyo3(signature = (text_bytes, provider, *, has_tools))]
fn estimate_tokens(text_bytes: u64, provider: &str, has_tools: bool) -> u64 {
    tokens::estimate(text_bytes, provider, has_tools)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(count_tokens, module)?)?;
    module.add_function(wrap_pyfunction!(count_chat_tokens, module)?)?;
    module.add_function(wrap_pyfunction!(estimate_tokens, module)?)
}
