//! Decisions in Python.

use std::collections::BTreeMap;

use pyo3::prelude::*;

use super::inspect::Inspected;
use super::keys::Principal;
use super::price::PriceBook;
use super::{beside_python, hot_error};
use crate::policy;

#[pyclass(frozen, module = "spendra._hot")]
struct Reason(policy::Reason);

#[pymethods]
impl Reason {
    #[getter]
    fn policy_id(&self) -> &str {
        &self.0.policy_id
    }

    #[getter]
    fn rule(&self) -> &str {
        self.0.rule
    }

    #[getter]
    fn verdict(&self) -> &str {
        self.0.verdict.word()
    }

    #[getter]
    fn detail(&self) -> String {
        self.0.detail()
    }
}

#[pyclass(frozen, module = "spendra._hot")]
struct Decision(policy::Decision);

#[pymethods]
impl Decision {
    #[getter]
    fn allowed(&self) -> bool {
        self.0.allowed()
    }

    #[getter]
    fn reason(&self) -> &str {
        self.0.reason
    }

    #[getter]
    fn message(&self) -> &str {
        &self.0.message
    }

    #[getter]
    fn reasons(&self) -> Vec<Reason> {
        self.0.reasons.iter().cloned().map(Reason).collect()
    }

    #[getter]
    fn warning(&self) -> String {
        self.0.warning()
    }

    #[getter]
    fn budgets(&self) -> Vec<usize> {
        self.0.budgets.clone()
    }

    #[getter]
    fn limits(&self) -> Vec<(&str, &str, u64)> {
        let limits = self.0.limits.iter();
        limits
            .map(|limit| (limit.rule, &*limit.policy_id, limit.most))
            .collect()
    }

    #[getter]
    fn most_tokens(&self) -> u64 {
        self.0.most_tokens
    }

    #[getter]
    fn output_cap(&self) -> Option<u64> {
        self.0.output_cap
    }

    #[getter]
    fn write_cap(&self) -> bool {
        self.0.write_cap
    }

    #[getter]
    fn watched(&self) -> bool {
        self.0.watched
    }

    #[getter]
    fn input_bound_tokens(&self) -> u64 {
        self.0.input_bound_tokens
    }

    #[getter]
    fn estimated_input_tokens(&self) -> u64 {
        self.0.estimated_input_tokens
    }

    #[getter]
    fn estimated_nanousd(&self) -> u64 {
        self.0.estimated_nanousd
    }

    #[getter]
    fn reserved_nanousd(&self) -> u64 {
        self.0.reserved_nanousd
    }

    #[getter]
    fn reserved_input_nanousd(&self) -> u64 {
        self.0.reserved_input_nanousd
    }

    #[getter]
    fn price_version(&self) -> &str {
        &self.0.price_version
    }

    #[getter]
    fn facts(&self) -> &str {
        &self.0.facts
    }
}

#[pyclass(frozen, module = "spendra._hot")]
struct PolicyTree(policy::PolicyTree);

#[pymethods]
impl PolicyTree {
    #[staticmethod]
    fn load(py: Python<'_>, segment: &[u8]) -> PyResult<Self> {
        let tree = beside_python(py, segment, || policy::PolicyTree::load(segment));
        tree.map(Self).map_err(hot_error)
    }

    #[pyo3(signature = (principal, inspected, prices, *, provider, facts, now_ms, body_tokens=None, model=None, service_tier=None, closed=None, granted_nanousd=None, affordable_output=None))]
    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
    fn decide(
        &self,
        principal: PyRef<'_, Principal>,
        inspected: PyRef<'_, Inspected>,
        prices: PyRef<'_, PriceBook>,
        provider: &str,
        facts: BTreeMap<String, String>,
        now_ms: i64,
        body_tokens: Option<u64>,
        model: Option<&str>,
        service_tier: Option<&str>,
        closed: Option<Vec<String>>,
        granted_nanousd: Option<u64>,
        affordable_output: Option<u64>,
    ) -> PyResult<Decision> {
        let request = policy::Request {
            principal: &principal.0,
            inspected: &inspected.0,
            provider,
            model,
            headers: &facts,
            now_ms,
            body_tokens,
            tier: service_tier,
            closed: closed.as_deref().unwrap_or_default(),
            granted_nanousd,
            affordable_output,
        };
        self.0
            .decide(&request, &prices.0)
            .map(Decision)
            .map_err(hot_error)
    }
}

#[pyfunction]
fn vendor_of(provider: &str, model: &str) -> String {
    policy::vendor(provider, model)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Reason>()?;
    module.add_class::<Decision>()?;
    module.add_function(wrap_pyfunction!(vendor_of, module)?)?;
    module.add_class::<PolicyTree>()
}
