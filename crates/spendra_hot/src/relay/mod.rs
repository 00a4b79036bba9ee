//! The upstream relay: a pool of connections on one thread, in a current-thread runtime.
//!
//! A caller sends a request and is told by a bell (an eventfd, see [`Completions`]) when there is
//! something to take. Nothing here waits for the caller: what it does not take stays in a bounded
//! [`Pipe`](pipe::Pipe), and the upstream is read no further until there is room again.

mod carry;
mod client;
mod completions;
mod decode;
mod error;
mod exchange;
mod headers;
mod pipe;
mod plug;
mod sent;
mod tap;
mod thread;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use client::Settings;
pub use completions::Completions;
pub use error::{Kind, Unusable, UpstreamError};
pub use exchange::{Exchange, Head};
pub use headers::Outbound;
pub use pipe::{CAPACITY_BYTES, Taken};
pub use plug::{Beside, Filter, Plugs, Shape};
pub use sent::{Body, Pushed, Upload};
pub use thread::Relay;

/// What a poisoned lock guards is still whole here: every critical section is a few plain moves.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
