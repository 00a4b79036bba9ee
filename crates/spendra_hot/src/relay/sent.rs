//! Request bodies: whole, or in pieces as the caller sends them.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use http_body_util::{Either, Full};
use hyper::body::Frame;
use tokio::runtime::Handle;

use super::{Completions, lock};

/// Pieces that wait for the upstream to take them.
const PIECES: usize = 4;

pub(super) type Sent = Either<Full<Bytes>, Channel<Bytes, io::Error>>;

/// What a request is sent with.
#[derive(Debug)]
pub enum Body {
    Whole(Bytes),
    /// Of so many bytes, where that is known.
    Pieces(Pieces, Option<u64>),
}

/// The end of an [`Upload`] that the upstream reads.
#[derive(Debug)]
pub struct Pieces(Channel<Bytes, io::Error>);

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
            Self::Pieces(pieces, _) => Either::Right(pieces.0),
        }
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
/// the request: a part must not pass for the whole.
pub struct Upload {
    id: u64,
    sender: Arc<Mutex<Option<Sender<Bytes, io::Error>>>>,
    outcome: Arc<Mutex<Pushed>>,
    runtime: Handle,
    completions: Arc<Completions>,
}

impl Upload {
    pub(super) fn new(id: u64, runtime: Handle, completions: Arc<Completions>) -> (Self, Pieces) {
        let (sender, channel) = Channel::new(PIECES);
        let upload = Self {
            id,
            sender: Arc::new(Mutex::new(Some(sender))),
            outcome: Arc::new(Mutex::new(Pushed::Taken)),
            runtime,
            completions,
        };
        (upload, Pieces(channel))
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    /// One piece after the other: not before the last one was taken.
    pub fn push(&self, piece: Bytes) -> Pushed {
        let Some(mut sender) = lock(&self.sender).take() else {
            return Pushed::Unwanted;
        };
        let piece = match sender.try_send(Frame::data(piece)) {
            Ok(()) => {
                *lock(&self.sender) = Some(sender);
                return Pushed::Taken;
            }
            Err(frame) => frame.into_data().unwrap_or_default(),
        };
        *lock(&self.outcome) = Pushed::Waiting;
        let (home, outcome) = (Arc::clone(&self.sender), Arc::clone(&self.outcome));
        let (id, completions) = (self.id, Arc::clone(&self.completions));
        self.runtime.spawn(async move {
            let pushed = if sender.send_data(piece).await.is_ok() {
                *lock(&home) = Some(sender);
                Pushed::Taken
            } else {
                Pushed::Unwanted
            };
            *lock(&outcome) = pushed;
            completions.push(id);
        });
        Pushed::Waiting
    }

    /// What became of the last piece.
    pub fn outcome(&self) -> Pushed {
        *lock(&self.outcome)
    }

    /// The body is whole.
    pub fn finish(&self) {
        drop(lock(&self.sender).take());
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(sender) = lock(&self.sender).take() {
            sender.abort(io::Error::other("the caller sent no more"));
        }
    }
}
