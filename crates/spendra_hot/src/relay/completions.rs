//! How the relay's thread tells another event loop that exchanges have something to take.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;

use rustix::event::{EventfdFlags, eventfd};

use super::lock;

/// A queue of exchange ids and the eventfd that says it is not empty.
pub struct Completions {
    ids: Mutex<Vec<u64>>,
    bell: OwnedFd,
}

impl Completions {
    pub(super) fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let ids = Mutex::new(Vec::new());
        Ok(Self { ids, bell })
    }

    /// One wake-up serves all that is pushed until the queue is drained.
    pub(super) fn push(&self, id: u64) {
        let mut ids = lock(&self.ids);
        let ring = ids.is_empty();
        ids.push(id);
        drop(ids);
        if ring {
            // The only failure is a full counter, and then the bell is ringing already.
            let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
    }

    /// Everything that was completed since the last call; silences the bell.
    pub fn drain(&self) -> Vec<u64> {
        // Silence first: an id that is pushed in between rings again rather than never.
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        std::mem::take(&mut *lock(&self.ids))
    }
}

impl AsFd for Completions {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
