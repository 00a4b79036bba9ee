//! The Python face. It converts and nothing else; `_hot.pyi` says what it looks like.

mod inspect;
mod keys;
mod policy;
mod price;
mod relay;
mod tokens;
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

/// From here on, work on a body is long enough to let other threads run meanwhile.
const LONG_BODY: usize = 64 * 1024;

/// Does the work, and for a long body without the GIL.
pub(crate) fn beside_python<T: Send>(
    py: Python<'_>,
    body: &[u8],
    work: impl FnOnce() -> T + Send,
) -> T {
    if body.len() < LONG_BODY {
        work()
    } else {
        py.detach(work)
    }
}

#[pymodule]
fn _hot(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("HotError", module.py().get_type::<HotError>())?;
    keys::register(module)?;
    inspect::register(module)?;
    tokens::register(module)?;
    usage::register(module)?;
    price::register(module)?;
    policy::register(module)?;
    relay::register(module)
}
