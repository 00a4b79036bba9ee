//! `Upload`: a request body that is sent in pieces.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyBool;

use super::desk::{Desk, Until};
use crate::relay::{Body, Pushed, Upload};

#[pyclass(frozen, name = "Upload", module = "spendra._hot")]
pub struct PyUpload {
    upload: Upload,
    body: Mutex<Option<Body>>,
    desk: Arc<Desk>,
}

#[pymethods]
impl PyUpload {
    fn push(slf: &Bound<'_, Self>, future: &Bound<'_, PyAny>, piece: &[u8]) -> Py<PyAny> {
        let this = slf.get();
        // Before the piece is sent: it may be taken at once.
        this.desk.expect(future, Until::Room(slf.clone().unbind()));
        let pushed = this.upload.push(Bytes::copy_from_slice(piece));
        if pushed != Pushed::Waiting {
            this.desk.forget(this.id());
        }
        told(slf.py(), pushed).unwrap_or_else(|| slf.py().None())
    }

    fn finish(&self) {
        self.upload.finish();
    }

    fn cut(&self) {
        self.upload.end();
    }
}

impl PyUpload {
    pub fn new((upload, body): (Upload, Body), desk: Arc<Desk>) -> Self {
        Self {
            upload,
            body: Mutex::new(Some(body)),
            desk,
        }
    }

    pub fn id(&self) -> u64 {
        self.upload.id()
    }

    /// Once: a body is sent with one request.
    pub fn take_body(&self) -> Option<Body> {
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        body.take()
    }

    /// Whether the last piece was taken; nothing while it waits.
    pub fn outcome(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        told(py, self.upload.outcome())
    }
}

fn told(py: Python<'_>, pushed: Pushed) -> Option<Py<PyAny>> {
    let is_taken = match pushed {
        Pushed::Taken => true,
        Pushed::Unwanted => false,
        Pushed::Waiting => return None,
    };
    Some(PyBool::new(py, is_taken).to_owned().into_any().unbind())
}
