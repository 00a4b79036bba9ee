//! Who waits for what: the futures of exchanges, resolved on the loop's thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;

use super::exchange::PyExchange;
use super::upload::PyUpload;
use crate::relay::Completions;

/// What is waited for. It is kept alive as long.
pub enum Until {
    Head(Py<PyExchange>),
    Bytes(Py<PyExchange>),
    Room(Py<PyUpload>),
}

struct Waiting {
    future: Py<PyAny>,
    until: Until,
}

/// At most one future per exchange or upload.
#[derive(Default)]
pub struct Desk(Mutex<HashMap<u64, Waiting>>);

impl Desk {
    pub fn expect(&self, future: &Bound<'_, PyAny>, until: Until) {
        let future = future.clone().unbind();
        self.put(until.id(), Waiting { future, until });
    }

    pub fn forget(&self, id: u64) {
        // Dropped after the lock is free: it may run Python code.
        let _forgotten = self.remove(id);
    }

    pub fn cancel(&self, py: Python<'_>, id: u64) -> PyResult<()> {
        let Some(waiting) = self.remove(id) else {
            return Ok(());
        };
        waiting.future.call_method0(py, intern!(py, "cancel"))?;
        Ok(())
    }

    pub fn cancel_all(&self, py: Python<'_>) -> PyResult<()> {
        let ids: Vec<u64> = self.waiting().keys().copied().collect();
        ids.into_iter().try_for_each(|id| self.cancel(py, id))
    }

    fn settle(&self, py: Python<'_>, id: u64) -> PyResult<()> {
        let Some(waiting) = self.remove(id) else {
            return Ok(());
        };
        // A future that was given up takes nothing: the bytes stay for the next one.
        if waiting
            .future
            .call_method0(py, intern!(py, "done"))?
            .is_truthy(py)?
        {
            return Ok(());
        }
        match waiting.until.outcome(py) {
            Ok(None) => self.put(id, waiting),
            Ok(Some(result)) => waiting.resolve(py, result)?,
            Err(error) => waiting.fail(py, error)?,
        }
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, id: u64, waiting: Waiting) {
        let _replaced = self.waiting().insert(id, waiting);
    }

    fn remove(&self, id: u64) -> Option<Waiting> {
        self.waiting().remove(&id)
    }
}

impl Until {
    fn id(&self) -> u64 {
        match self {
            Self::Head(exchange) | Self::Bytes(exchange) => exchange.get().id(),
            Self::Room(upload) => upload.get().id(),
        }
    }

    fn outcome(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        match self {
            Self::Head(exchange) if exchange.get().has_head(py)? => {
                Ok(Some(exchange.clone_ref(py).into_any()))
            }
            Self::Head(_) => Ok(None),
            Self::Bytes(exchange) => exchange.get().take(py),
            Self::Room(upload) => Ok(upload.get().outcome(py)),
        }
    }
}

impl Waiting {
    fn resolve(&self, py: Python<'_>, result: Py<PyAny>) -> PyResult<()> {
        self.future
            .call_method1(py, intern!(py, "set_result"), (result,))
            .map(drop)
    }

    fn fail(&self, py: Python<'_>, error: PyErr) -> PyResult<()> {
        self.future
            .call_method1(py, intern!(py, "set_exception"), (error,))
            .map(drop)
    }
}

/// What the loop calls when the bell rings.
#[pyclass(frozen, module = "spendra._hot")]
pub struct Drain {
    completions: Arc<Completions>,
    desk: Arc<Desk>,
}

impl Drain {
    pub fn new(completions: Arc<Completions>, desk: Arc<Desk>) -> Self {
        Self { completions, desk }
    }
}

#[pymethods]
impl Drain {
    fn __call__(&self, py: Python<'_>) {
        for id in self.completions.drain() {
            if let Err(error) = self.desk.settle(py, id) {
                // One loop's trouble with one future does not take the others' answers.
                error.write_unraisable(py, None);
            }
        }
    }
}
