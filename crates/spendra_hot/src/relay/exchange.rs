//! One request on its way, as its caller holds it and as the relay's thread serves it.

use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use tokio::task::AbortHandle;

use super::error::{Kind, UpstreamError};
use super::pipe::{Pipe, Taken};
use super::plug::Beside;
use super::tap::Tap;
use super::{Completions, lock};

/// The response's head, and its body when it was collected whole.
#[derive(Debug)]
pub struct Head {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Option<Bytes>,
}

/// What caller and relay share.
pub(super) struct Shared<M> {
    id: u64,
    head: OnceLock<Head>,
    tap: Mutex<Option<Tap<M>>>,
    pub(super) pipe: Pipe,
    completions: Arc<Completions>,
}

impl<M: Beside> Shared<M> {
    pub(super) fn new(id: u64, completions: Arc<Completions>) -> Self {
        Self {
            id,
            head: OnceLock::new(),
            tap: Mutex::new(None),
            pipe: Pipe::default(),
            completions,
        }
    }

    pub(super) fn plug(&self, tap: Tap<M>) {
        *lock(&self.tap) = Some(tap);
    }

    pub(super) fn meter(&self, chunk: &[u8]) {
        if let Some(tap) = &mut *lock(&self.tap) {
            tap.feed(chunk);
        }
    }

    pub(super) fn publish(&self, head: Head) {
        // Only `carry` publishes, and once.
        let _ = self.head.set(head);
        self.completions.push(self.id);
    }

    pub(super) fn push(&self, chunk: Bytes) {
        if self.pipe.push(chunk) {
            self.completions.push(self.id);
        }
    }

    pub(super) fn finish(&self, end: Result<(), UpstreamError>) {
        let headless = self.head.get().is_none();
        if self.pipe.finish(end) || headless {
            self.completions.push(self.id);
        }
    }
}

/// The caller's end. Dropping it closes the upstream connection or stream.
pub struct Exchange<M: Beside> {
    pub(super) shared: Arc<Shared<M>>,
    pub(super) task: AbortHandle,
}

impl<M: Beside> Exchange<M> {
    /// What [`Completions::drain`] names this exchange by.
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// `None` until the head is there; its absence and a [`Self::failure`] are final.
    pub fn head(&self) -> Option<&Head> {
        self.shared.head.get()
    }

    pub fn failure(&self) -> Option<UpstreamError> {
        self.shared.pipe.failure()
    }

    /// The bytes that came since the last call. A failure is told once they are all taken.
    pub fn take(&self) -> Taken {
        self.shared.pipe.take()
    }

    /// Looks at the meter, fed with all that has arrived; `None` before the head.
    pub fn metered<R>(&self, look: impl FnOnce(&mut M) -> R) -> Option<R> {
        lock(&self.shared.tap).as_mut().map(|tap| look(tap.meter()))
    }

    /// Closes the upstream connection or stream, whatever it is doing. The meter keeps what it saw.
    pub fn cancel(&self) {
        self.task.abort();
        let cancelled = UpstreamError::sent(Kind::Cut, "cancelled");
        // Nobody is told: who cancels knows.
        let _ = self.shared.pipe.finish(Err(cancelled));
    }
}

impl<M: Beside> Drop for Exchange<M> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
