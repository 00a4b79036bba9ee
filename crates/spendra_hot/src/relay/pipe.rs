//! The bounded buffer between the upstream (written on the relay's thread) and the caller.

use std::sync::Mutex;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use super::{UpstreamError, lock};

/// The upstream is read no further while this many bytes wait for the caller.
pub const CAPACITY_BYTES: usize = 256 * 1024;

/// What a caller finds in the pipe.
#[derive(Debug)]
pub enum Taken {
    /// All bytes that had arrived, in order, never empty.
    Bytes(Vec<Bytes>),
    End,
    Failed(UpstreamError),
    /// Nothing yet; the exchange's id will be completed when there is.
    Nothing,
}

#[derive(Default)]
pub(super) struct Pipe {
    state: Mutex<State>,
    taken: Notify,
}

#[derive(Default)]
struct State {
    chunks: Vec<Bytes>,
    held_bytes: usize,
    end: Option<Result<(), UpstreamError>>,
    reader_waits: bool,
    writer_waits: bool,
}

impl State {
    fn call_reader(&mut self) -> bool {
        std::mem::take(&mut self.reader_waits)
    }
}

impl Pipe {
    /// True when a reader waits and must be told.
    #[must_use]
    pub(super) fn push(&self, chunk: Bytes) -> bool {
        if chunk.is_empty() {
            return false;
        }
        let mut state = lock(&self.state);
        state.held_bytes = state.held_bytes.saturating_add(chunk.len());
        state.chunks.push(chunk);
        state.call_reader()
    }

    /// The first end counts. True when a reader waits and must be told.
    #[must_use]
    pub(super) fn finish(&self, end: Result<(), UpstreamError>) -> bool {
        let mut state = lock(&self.state);
        state.end.get_or_insert(end);
        state.call_reader()
    }

    pub(super) async fn room(&self) {
        while self.is_full() {
            self.taken.notified().await;
        }
    }

    fn is_full(&self) -> bool {
        let mut state = lock(&self.state);
        state.writer_waits = state.held_bytes >= CAPACITY_BYTES;
        state.writer_waits
    }

    pub(super) fn take(&self) -> Taken {
        let mut state = lock(&self.state);
        if state.chunks.is_empty() {
            return Self::ended(&mut state);
        }
        state.held_bytes = 0;
        if std::mem::take(&mut state.writer_waits) {
            self.taken.notify_one();
        }
        Taken::Bytes(std::mem::take(&mut state.chunks))
    }

    fn ended(state: &mut State) -> Taken {
        match &state.end {
            Some(Ok(())) => Taken::End,
            Some(Err(error)) => Taken::Failed(error.clone()),
            None => {
                state.reader_waits = true;
                Taken::Nothing
            }
        }
    }

    pub(super) fn failure(&self) -> Option<UpstreamError> {
        lock(&self.state).end.as_ref()?.as_ref().err().cloned()
    }

    /// The whole body, when it has been collected before anyone took a part of it.
    pub(super) fn take_whole(&self) -> Bytes {
        let mut state = lock(&self.state);
        state.held_bytes = 0;
        let mut chunks = std::mem::take(&mut state.chunks);
        match chunks.len() {
            0 | 1 => chunks.pop().unwrap_or_default(),
            _ => join(&chunks),
        }
    }
}

fn join(chunks: &[Bytes]) -> Bytes {
    let mut whole = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
    for chunk in chunks {
        whole.extend_from_slice(chunk);
    }
    whole.freeze()
}
