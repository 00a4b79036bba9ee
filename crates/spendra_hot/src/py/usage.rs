//! Usage and meters in Python.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

use super::beside_python;
use crate::{tokens, usage};

#[pyclass(frozen, module = "spendra._hot")]
pub(super) struct Usage(pub usage::Usage);

#[pymethods]
impl Usage {
    #[new]
    #[pyo3(signature = (*, input_tokens=0, cached_input_tokens=0, cache_write_tokens=0,
        cache_write_1h_tokens=0, output_tokens=0, reasoning_tokens=0, input_audio_tokens=0,
        output_audio_tokens=0))]
    // The face in `_hot.pyi`: one keyword per kind of token.
    #[allow(clippy::too_many_arguments)]
    fn new(
        input_tokens: u64,
        cached_input_tokens: u64,
        cache_write_tokens: u64,
        cache_write_1h_tokens: u64,
        output_tokens: u64,
        reasoning_tokens: u64,
        input_audio_tokens: u64,
        output_audio_tokens: u64,
    ) -> Self {
        Self(usage::Usage {
            input_tokens,
            cached_input_tokens,
            cache_write_tokens,
            cache_write_1h_tokens,
            output_tokens,
            reasoning_tokens,
            input_audio_tokens,
            output_audio_tokens,
            ..usage::Usage::default()
        })
    }

    #[getter]
    fn input_tokens(&self) -> u64 {
        self.0.input_tokens
    }

    #[getter]
    fn cached_input_tokens(&self) -> u64 {
        self.0.cached_input_tokens
    }

    #[getter]
    fn cache_write_tokens(&self) -> u64 {
        self.0.cache_write_tokens
    }

    #[getter]
    fn cache_write_1h_tokens(&self) -> u64 {
        self.0.cache_write_1h_tokens
    }

    #[getter]
    fn output_tokens(&self) -> u64 {
        self.0.output_tokens
    }

    #[getter]
    fn reasoning_tokens(&self) -> u64 {
        self.0.reasoning_tokens
    }

    #[getter]
    fn input_audio_tokens(&self) -> u64 {
        self.0.input_audio_tokens
    }

    #[getter]
    fn output_audio_tokens(&self) -> u64 {
        self.0.output_audio_tokens
    }
}

#[pyclass(frozen, module = "spendra._hot")]
pub(super) struct Metered(pub usage::Metered);

#[pymethods]
impl Metered {
    #[getter]
    fn usage(&self) -> Option<Usage> {
        self.0.usage.clone().map(Usage)
    }

    #[getter]
    fn model(&self) -> Option<&str> {
        self.0.model.as_deref()
    }

    #[getter]
    fn service_tier(&self) -> Option<&str> {
        self.0.service_tier.as_deref()
    }

    #[getter]
    fn stated_cost_nanousd(&self) -> Option<u64> {
        self.0.stated_cost_nanousd
    }

    #[getter]
    fn finished(&self) -> bool {
        self.0.finished
    }

    #[getter]
    fn failed(&self) -> bool {
        self.0.failed
    }

    fn delivered_tokens(&self, py: Python<'_>, model: &str) -> u64 {
        py.detach(|| self.0.delivered.tokens(|text| tokens::count(text, model)))
    }
}

#[pyclass(frozen, module = "spendra._hot")]
struct Meter(Mutex<usage::Meter>);

#[pymethods]
impl Meter {
    #[new]
    #[pyo3(signature = (dialect, *, streaming))]
    fn new(dialect: &str, streaming: bool) -> Self {
        Self(Mutex::new(usage::Meter::new(usage::Dialect::of(dialect), streaming)))
    }

    fn feed(&self, py: Python<'_>, chunk: &[u8]) {
        beside_python(py, chunk, || {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).feed(chunk);
        });
    }

    fn finish(&self) -> Metered {
        Metered(self.0.lock().unwrap_or_else(PoisonError::into_inner).metered())
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Usage>()?;
    module.add_class::<Metered>()?;
    module.add_class::<Meter>()
}
