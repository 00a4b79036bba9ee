//! Inspection and rewriting in Python.

use std::collections::BTreeMap;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::{beside_python, hot_error};
use crate::inspect;

#[pyclass(frozen, module = "spendra._hot")]
pub(super) struct Inspected(pub(super) inspect::Inspected);

#[pymethods]
impl Inspected {
    #[getter]
    fn model(&self) -> Option<&str> {
        self.0.model.as_deref()
    }

    #[getter]
    fn stream(&self) -> bool {
        self.0.stream
    }

    #[getter]
    fn include_usage(&self) -> bool {
        self.0.include_usage
    }

    #[getter]
    fn output_limit(&self) -> Option<u64> {
        self.0.output_limit
    }

    #[getter]
    fn choices(&self) -> u64 {
        self.0.choices
    }

    #[getter]
    fn tools(&self) -> Vec<&str> {
        self.0.tools.iter().map(String::as_str).collect()
    }

    #[getter]
    fn text_only(&self) -> bool {
        self.0.text_only
    }

    #[getter]
    fn stored_state(&self) -> bool {
        self.0.stored_state
    }

    #[getter]
    fn labels(&self) -> BTreeMap<&str, &str> {
        self.0
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    #[getter]
    fn service_tier(&self) -> Option<&str> {
        self.0.service_tier.as_deref()
    }

    #[getter]
    fn bounded_by_bytes(&self) -> bool {
        self.0.is_bounded_by_bytes()
    }

    #[getter]
    fn hosted_tools(&self) -> bool {
        self.0.hosted_tools
    }

    #[getter]
    fn web_searches(&self) -> u64 {
        self.0.fees.web_searches
    }

    #[getter]
    fn billable_characters(&self) -> u64 {
        self.0.fees.billable_characters
    }

    #[getter]
    fn body_bytes(&self) -> u64 {
        self.0.body_bytes
    }

    #[getter]
    fn text_bytes(&self) -> u64 {
        self.0.text_bytes
    }

    #[getter]
    fn messages(&self) -> u64 {
        self.0.messages
    }
}

#[pyfunction(name = "inspect")]
fn inspect_body(py: Python<'_>, body: &[u8], dialect: &str) -> PyResult<Inspected> {
    let found = beside_python(py, body, || inspect::inspect(body, dialect));
    found.map(Inspected).map_err(hot_error)
}

#[pyfunction]
#[pyo3(signature = (body, dialect, *, include_usage, output_cap, model, limit_tools=false))]
fn rewrite<'py>(
    py: Python<'py>,
    body: &[u8],
    dialect: &str,
    include_usage: bool,
    output_cap: Option<u64>,
    model: Option<&str>,
    limit_tools: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let changes = inspect::Changes {
        include_usage,
        output_cap,
        model,
        limit_tools,
    };
    let rewritten = beside_python(py, body, || inspect::rewrite(body, dialect, &changes));
    rewritten
        .map(|body| PyBytes::new(py, &body))
        .map_err(hot_error)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Inspected>()?;
    module.add_function(wrap_pyfunction!(inspect_body, module)?)?;
    module.add_function(wrap_pyfunction!(rewrite, module)?)
}
