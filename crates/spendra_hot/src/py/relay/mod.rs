//! The relay as asyncio sees it: futures resolved on the loop's thread, woken by one eventfd.

mod desk;
mod exchange;
mod failure;
mod metering;
mod upload;

use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::relay::{Body, Outbound, Relay, Settings};
use desk::{Desk, Drain, Until};
use exchange::PyExchange;
use upload::PyUpload;

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    failure::register(m)?;
    m.add_class::<PyExchange>()?;
    m.add_class::<PyUpload>()?;
    m.add_class::<PyRelay>()
}

#[pyclass(frozen, name = "Relay", module = "spendra._hot")]
struct PyRelay {
    relay: Relay,
    desk: Arc<Desk>,
    event_loop: Mutex<Option<Py<PyAny>>>,
}

#[pymethods]
impl PyRelay {
    #[new]
    #[pyo3(signature = (*, connect_timeout_ms=5_000, first_byte_timeout_ms=600_000, idle_timeout_ms=300_000, max_idle_per_host=256))]
    fn new(
        connect_timeout_ms: u64,
        first_byte_timeout_ms: u64,
        idle_timeout_ms: u64,
        max_idle_per_host: usize,
    ) -> PyResult<Self> {
        let settings = Settings {
            connect_timeout: Duration::from_millis(connect_timeout_ms),
            first_byte_timeout: Duration::from_millis(first_byte_timeout_ms),
            idle_timeout: Duration::from_millis(idle_timeout_ms),
            max_idle_per_host,
            ..Settings::default()
        };
        let relay = Relay::new(settings).map_err(|e| PyOSError::new_err(e.to_string()))?;
        Ok(Self {
            relay,
            desk: Arc::default(),
            event_loop: Mutex::new(None),
        })
    }

    #[pyo3(name = "attach")]
    fn attach_loop(&self, r#loop: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = r#loop.py();
        self.detach_loop(py)?;
        let drain = Drain::new(Arc::clone(self.relay.completions()), Arc::clone(&self.desk));
        r#loop.call_method1(
            intern!(py, "add_reader"),
            (self.bell(), Py::new(py, drain)?),
        )?;
        self.set_loop(Some(r#loop.clone().unbind()));
        Ok(())
    }

    #[pyo3(signature = (head, *, method, url, headers, body, dialect, hide_usage, buffer_limit, streamed=false))]
    // The face in `_hot.pyi`: keyword arguments of one request.
    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
    fn send(
        &self,
        head: &Bound<'_, PyAny>,
        method: &str,
        url: &str,
        headers: Vec<(String, String)>,
        body: Given,
        dialect: &str,
        hide_usage: bool,
        buffer_limit: usize,
        streamed: bool,
    ) -> PyResult<Py<PyExchange>> {
        let py = head.py();
        let outbound = Outbound {
            method,
            url,
            headers: &headers,
        };
        let plugs = metering::plugs(dialect, hide_usage, streamed);
        let exchange = self
            .relay
            .send(outbound, body.taken()?, plugs, buffer_limit)
            .map_err(|e| PyValueError::new_err(e.to_string()))?;
        let exchange = Py::new(py, PyExchange::new(exchange, Arc::clone(&self.desk)))?;
        self.desk.expect(head, Until::Head(exchange.clone_ref(py)));
        Ok(exchange)
    }

    #[pyo3(signature = (length=None))]
    fn upload(&self, length: Option<u64>) -> PyUpload {
        PyUpload::new(self.relay.upload(length), Arc::clone(&self.desk))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.detach_loop(py)?;
        py.detach(|| self.relay.close());
        self.desk.cancel_all(py)
    }
}

/// What `send` takes as a body.
#[derive(FromPyObject)]
enum Given {
    Whole(PyBackedBytes),
    Pieces(Py<PyUpload>),
}

/// From here on it is worth not to copy, though the bytes are then freed with Python's lock.
const LARGE_BYTES: usize = 64 * 1024;

impl Given {
    fn taken(self) -> PyResult<Body> {
        match self {
            Self::Whole(bytes) if bytes.len() < LARGE_BYTES => {
                Ok(Body::Whole(Bytes::copy_from_slice(&bytes)))
            }
            Self::Whole(bytes) => Ok(Body::Whole(Bytes::from_owner(bytes))),
            Self::Pieces(upload) => upload
                .get()
                .take_body()
                .ok_or_else(|| PyValueError::new_err("an upload is sent with one request")),
        }
    }
}

impl PyRelay {
    fn bell(&self) -> i32 {
        self.relay.completions().as_fd().as_raw_fd()
    }

    fn set_loop(&self, event_loop: Option<Py<PyAny>>) -> Option<Py<PyAny>> {
        let mut attached = self
            .event_loop
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut attached, event_loop)
    }

    fn detach_loop(&self, py: Python<'_>) -> PyResult<()> {
        let Some(attached) = self.set_loop(None) else {
            return Ok(());
        };
        let is_closed = attached.call_method0(py, intern!(py, "is_closed"))?;
        if !is_closed.is_truthy(py)? {
            attached.call_method1(py, intern!(py, "remove_reader"), (self.bell(),))?;
        }
        Ok(())
    }
}
