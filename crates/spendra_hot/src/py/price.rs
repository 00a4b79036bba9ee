//! Prices in Python.

use pyo3::prelude::*;

use super::usage::Usage;
use super::{beside_python, hot_error};
use crate::price;

#[pyclass(frozen, module = "spendra._hot")]
struct Cost(price::Cost);

#[pymethods]
impl Cost {
    #[getter]
    fn nanousd(&self) -> u64 {
        self.0.nanousd
    }

    #[getter]
    fn price_version(&self) -> &str {
        &self.0.price_version
    }

    #[getter]
    fn layer(&self) -> &str {
        self.0.layer.name()
    }
}

#[pyclass(frozen, module = "spendra._hot")]
pub(super) struct PriceBook(pub price::PriceBook);

#[pymethods]
impl PriceBook {
    #[staticmethod]
    fn load(py: Python<'_>, segment: &[u8]) -> PyResult<Self> {
        let book = beside_python(py, segment, || price::PriceBook::load(segment));
        book.map(Self).map_err(hot_error)
    }

    #[getter]
    fn version(&self) -> &str {
        self.0.version()
    }

    #[pyo3(signature = (provider, model, usage, *, service_tier, at_ms))]
    #[allow(clippy::needless_pass_by_value)]
    fn cost(
        &self,
        provider: &str,
        model: &str,
        usage: PyRef<'_, Usage>,
        service_tier: Option<&str>,
        at_ms: i64,
    ) -> Option<Cost> {
        self.0.cost(provider, model, &usage.0, service_tier, at_ms).ok().map(Cost)
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Cost>()?;
    module.add_class::<PriceBook>()
}
