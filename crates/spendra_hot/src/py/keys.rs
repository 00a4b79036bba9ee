//! Keys in Python.

use std::collections::BTreeMap;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::hot_error;
use crate::keys;

#[pyclass(frozen, module = "spendra._hot")]
pub(super) struct Principal(pub(super) Arc<keys::Principal>);

#[pymethods]
impl Principal {
    #[getter]
    fn key_id(&self) -> &str {
        &self.0.key_id
    }

    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn environment(&self) -> &str {
        &self.0.environment
    }

    #[getter]
    fn projects(&self) -> Vec<&str> {
        self.0.projects.iter().map(|(name, _)| &**name).collect()
    }

    fn in_project(&self, name: &str) -> Option<Self> {
        self.0.in_project(name).map(|bound| Self(Arc::new(bound)))
    }

    fn scope(&self) -> BTreeMap<&str, Vec<&str>> {
        let scope = self.0.scope.iter();
        scope
            .map(|(name, values)| (&**name, values.iter().map(|value| &**value).collect()))
            .collect()
    }
}

#[pyclass(frozen, module = "spendra._hot")]
struct KeyShard(Arc<keys::KeyShard>);

#[pymethods]
impl KeyShard {
    #[staticmethod]
    fn load(py: Python<'_>, segment: &[u8]) -> PyResult<Self> {
        let shard = super::beside_python(py, segment, || keys::KeyShard::load(segment));
        shard.map(|shard| Self(Arc::new(shard))).map_err(hot_error)
    }
}

#[pyclass(frozen, module = "spendra._hot")]
struct KeyRing(keys::KeyRing);

#[pymethods]
impl KeyRing {
    #[new]
    fn new(shards: Vec<Py<KeyShard>>, pepper: &[u8]) -> PyResult<Self> {
        let shards = shards.into_iter().map(|shard| Arc::clone(&shard.get().0));
        keys::KeyRing::new(shards, pepper)
            .map(Self)
            .map_err(hot_error)
    }

    fn authenticate<'py>(
        &self,
        py: Python<'py>,
        presented: &str,
        now_ms: i64,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.0.authenticate(presented, now_ms) {
            Ok(principal) => Ok(Bound::new(py, Principal(Arc::clone(principal)))?.into_any()),
            Err(refused) => Ok(PyString::intern(py, refused.code()).into_any()),
        }
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

#[pyfunction]
#[pyo3(signature = (environment, key_id=None))]
fn mint_key(environment: &str, key_id: Option<String>) -> PyResult<(String, String)> {
    match key_id {
        Some(id) => keys::mint_again(environment, &id).map(|key| (key, id)),
        None => keys::mint(environment),
    }
    .map_err(hot_error)
}

#[pyfunction]
fn hash_key(key: &str, pepper: &[u8]) -> PyResult<String> {
    keys::hash(key, pepper).map(hex::encode).map_err(hot_error)
}

#[pyfunction]
fn shard_of_key(key_id: &str) -> u8 {
    keys::shard_of(key_id)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Principal>()?;
    module.add_class::<KeyShard>()?;
    module.add_class::<KeyRing>()?;
    module.add_function(wrap_pyfunction!(mint_key, module)?)?;
    module.add_function(wrap_pyfunction!(shard_of_key, module)?)?;
    module.add_function(wrap_pyfunction!(hash_key, module)?)
}
