//! Request bodies: whole, or in pieces as the caller sends them.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Frame;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::{Completions, lock};

/// Pieces that wait for the upstream to take them.
const PIECES: usize = 4;

pub(super) type Sent = Either<Full<Bytes>, Pieces>;

/// What a request is sent with.
#[derive(Debug)]
pub enum Body {
    Whole(Bytes),
    /// Of so many bytes, where that is known.
    Pieces(Pieces, Option<u64>),
}

impl Body {
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Whole(_) => None,
            Self::Pieces(_, length) => *length,
        }
    }

    pub(super) fn into_sent(self) -> Sent {
        match self {
            Self::Whole(bytes) => Either::Left(Full::new(bytes)),
            Self::Pieces(pieces, _) => Either::Right(pieces),
        }
    }
}

/// The end of an [`Upload`] that the upstream reads.
#[derive(Debug)]
pub struct Pieces {
    coming: Receiver<Bytes>,
    is_whole: Arc<AtomicBool>,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    /// A part must not pass for the whole: without [`Upload::finish`] the end is an error.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = ready!(self.coming.poll_recv(cx));
        Poll::Ready(match piece {
            Some(piece) => Some(Ok(Frame::data(piece))),
            None if self.is_whole.load(Ordering::Acquire) => None,
            None => Some(Err(io::Error::other("the caller sent no more"))),
        })
    }
}

/// How a push ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is on its way.
    Taken,
    /// Nobody reads any more: the exchange has ended, or will.
    Unwanted,
    /// There is no room yet; the upload's id is completed when the piece was taken or refused.
    Waiting,
}

/// The caller's end of a body that is sent in pieces. Dropped before [`Self::finish`], it cuts
/// the request.
pub struct Upload {
    id: u64,
    /// None once the body has ended.
    sender: Mutex<Option<Sender<Bytes>>>,
    is_whole: Arc<AtomicBool>,
    outcome: Arc<Mutex<Pushed>>,
    runtime: Handle,
    completions: Arc<Completions>,
}

impl Upload {
    pub(super) fn new(id: u64, runtime: Handle, completions: Arc<Completions>) -> (Self, Pieces) {
        let (sender, coming) = mpsc::channel(PIECES);
        let is_whole = Arc::<AtomicBool>::default();
        let pieces = Pieces {
            coming,
            is_whole: Arc::clone(&is_whole),
        };
        let upload = Self {
            id,
            sender: Mutex::new(Some(sender)),
            is_whole,
            outcome: Arc::new(Mutex::new(Pushed::Taken)),
            runtime,
            completions,
        };
        (upload, pieces)
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    /// One piece after the other: not before the last one was taken.
    pub fn push(&self, piece: Bytes) -> Pushed {
        let Some(sender) = lock(&self.sender).clone() else {
            return Pushed::Unwanted;
        };
        match sender.try_send(piece) {
            Ok(()) => Pushed::Taken,
            Err(TrySendError::Closed(_)) => Pushed::Unwanted,
            Err(TrySendError::Full(piece)) => {
                self.wait(sender, piece);
                Pushed::Waiting
            }
        }
    }

    fn wait(&self, sender: Sender<Bytes>, piece: Bytes) {
        *lock(&self.outcome) = Pushed::Waiting;
        let (id, completions) = (self.id, Arc::clone(&self.completions));
        let outcome = Arc::clone(&self.outcome);
        self.runtime.spawn(async move {
            let is_taken = sender.send(piece).await.is_ok();
            *lock(&outcome) = if is_taken {
                Pushed::Taken
            } else {
                Pushed::Unwanted
            };
            completions.push(id);
        });
    }

    /// What became of the last piece that had to wait.
    pub fn outcome(&self) -> Pushed {
        *lock(&self.outcome)
    }

    /// The body is whole.
    pub fn finish(&self) {
        self.is_whole.store(true, Ordering::Release);
        self.end();
    }

    /// It ends here: cut, unless it was finished before.
    pub fn end(&self) {
        drop(lock(&self.sender).take());
    }
}
