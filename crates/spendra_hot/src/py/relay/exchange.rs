//! `Exchange`: what the caller holds of one request.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes};

use super::super::usage::Metered;
use super::desk::{Desk, Until};
use super::failure::raised;
use super::metering;
use crate::relay::{Exchange, Head, Taken};
use crate::usage::Meter;

#[pyclass(frozen, name = "Exchange", module = "spendra._hot")]
pub struct PyExchange {
    exchange: Exchange<Meter>,
    desk: Arc<Desk>,
    body: PyOnceLock<Option<Py<PyBytes>>>,
}

#[pymethods]
impl PyExchange {
    #[getter]
    fn status(&self) -> u16 {
        self.exchange.head().map_or(0, |head| head.status)
    }

    #[getter]
    fn headers(&self) -> Vec<(&str, &str)> {
        let pairs = self.exchange.head().map_or(&[][..], |head| &head.headers);
        pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    #[getter]
    fn body(&self, py: Python<'_>) -> Option<Py<PyBytes>> {
        let head = self.exchange.head()?;
        let body = self.body.get_or_init(py, || whole(py, head));
        body.as_ref().map(|body| body.clone_ref(py))
    }

    fn next(slf: &Bound<'_, Self>, future: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let this = slf.get();
        this.desk.forget(this.exchange.id());
        if let Some(taken) = this.take(slf.py())? {
            return Ok(taken);
        }
        this.desk.expect(future, Until::Bytes(slf.clone().unbind()));
        Ok(PyBool::new(slf.py(), false).to_owned().into_any().unbind())
    }

    fn metered(&self) -> Metered {
        metering::metered(&self.exchange)
    }

    fn delivered_bytes(&self) -> usize {
        let known = self.exchange.metered(|meter| meter.delivered_bytes());
        known.unwrap_or_default()
    }

    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        self.exchange.cancel();
        self.desk.cancel(py, self.exchange.id())
    }
}

impl PyExchange {
    pub fn new(exchange: Exchange<Meter>, desk: Arc<Desk>) -> Self {
        Self {
            exchange,
            desk,
            body: PyOnceLock::new(),
        }
    }

    pub fn id(&self) -> u64 {
        self.exchange.id()
    }

    /// Whether the head is there; an error when it never will be.
    pub fn has_head(&self, py: Python<'_>) -> PyResult<bool> {
        if self.exchange.head().is_some() {
            return Ok(true);
        }
        self.exchange
            .failure()
            .map_or(Ok(false), |failure| Err(raised(py, &failure)))
    }

    /// Bytes, Python's None at the end, or nothing yet.
    pub fn take(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        match self.exchange.take() {
            Taken::Bytes(chunks) => Ok(Some(join(py, &chunks)?.into_any())),
            Taken::End => Ok(Some(py.None())),
            Taken::Failed(failure) => Err(raised(py, &failure)),
            Taken::Nothing => Ok(None),
        }
    }
}

fn whole(py: Python<'_>, head: &Head) -> Option<Py<PyBytes>> {
    head.body
        .as_ref()
        .map(|body| PyBytes::new(py, body).unbind())
}

fn join(py: Python<'_>, chunks: &[bytes::Bytes]) -> PyResult<Py<PyBytes>> {
    let length = chunks.iter().map(bytes::Bytes::len).sum();
    let joined = PyBytes::new_with(py, length, |mut room| {
        for chunk in chunks {
            if let Some((place, rest)) = std::mem::take(&mut room).split_at_mut_checked(chunk.len())
            {
                place.copy_from_slice(chunk);
                room = rest;
            }
        }
        Ok(())
    })?;
    Ok(joined.unbind())
}
