//! Prices and costs in Python.

use pyo3::prelude::*;

use super::hot_error;
use super::usage::Usage;
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
    fn layer(&self) -> &'static str {
        self.0.layer.name()
    }

    #[getter]
    fn unpriced(&self) -> Vec<&'static str> {
        self.0.unpriced.iter().map(|unit| unit.name()).collect()
    }
}

#[pyclass(frozen, module = "spendra._hot")]
pub(super) struct PriceBook(pub(super) price::PriceBook);

#[pymethods]
impl PriceBook {
    #[staticmethod]
    fn load(py: Python<'_>, segment: &[u8]) -> PyResult<Self> {
        let book = py.detach(|| price::PriceBook::load(segment));
        book.map(Self).map_err(hot_error)
    }

    #[staticmethod]
    fn units() -> Vec<&'static str> {
        price::Unit::NAMES.to_vec()
    }

    #[getter]
    fn version(&self) -> &str {
        self.0.version()
    }

    #[pyo3(signature = (provider, model, usage, *, service_tier, at_ms))]
    fn cost(
        &self,
        provider: &str,
        model: &str,
        usage: &Usage,
        service_tier: Option<&str>,
        at_ms: i64,
    ) -> Option<Cost> {
        let cost = self.0.cost(provider, model, &usage.0, service_tier, at_ms);
        cost.ok().map(Cost)
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Cost>()?;
    module.add_class::<PriceBook>()
}
