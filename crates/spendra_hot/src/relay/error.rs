//! What can go wrong upstream, and whether the request may have been acted upon.

use std::error::Error;
use std::fmt;
use std::io;

use hyper_util::client::legacy;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No connection: name resolution, TCP, TLS, or out of time for all of them.
    Connect,
    /// Connected, but no response head in time.
    FirstByteTimeout,
    /// The body stopped coming.
    IdleTimeout,
    /// The connection or stream was closed before the message's end.
    Cut,
    /// What came is not HTTP.
    Protocol,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::Cut => "cut",
            Self::Protocol => "protocol",
        }
    }
}

#[derive(Clone, Debug)]
pub struct UpstreamError {
    pub kind: Kind,
    /// False only when no byte of the request can have been sent.
    pub may_have_left: bool,
    pub detail: String,
}

impl UpstreamError {
    pub(super) fn unsent(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            may_have_left: false,
            detail: detail.into(),
        }
    }

    pub(super) fn sent(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            may_have_left: true,
            detail: detail.into(),
        }
    }

    /// From a request that got no response head.
    ///
    /// hyper-util attaches the connection to every error that happens once a request has been
    /// given to one. `is_canceled` is what hyper says when the connection's task closes with the
    /// request still in its queue, before a byte of it was encoded (hyper `client/dispatch.rs`,
    /// `Envelope::drop`; `proto/h1/dispatch.rs`, `recv_msg`).
    pub(super) fn of_request(error: &legacy::Error) -> Self {
        let cause = error
            .source()
            .and_then(|source| source.downcast_ref::<hyper::Error>());
        let unstarted = cause.is_some_and(hyper::Error::is_canceled);
        if error.connect_info().is_none() || unstarted {
            return Self::unsent(Kind::Connect, chain(error));
        }
        Self::sent(cause.map_or(Kind::Cut, kind_of), chain(error))
    }

    pub(super) fn of_body(error: &hyper::Error) -> Self {
        Self::sent(kind_of(error), chain(error))
    }
}

fn kind_of(error: &hyper::Error) -> Kind {
    let malformed = error.is_parse() || error.is_user() || has_invalid_data(error);
    if malformed { Kind::Protocol } else { Kind::Cut }
}

/// hyper reports a malformed chunk as an I/O error of a body.
fn has_invalid_data(error: &hyper::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.downcast_ref::<io::Error>().is_some_and(is_malformed) {
            return true;
        }
        cause = inner.source();
    }
    false
}

fn is_malformed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
    )
}

/// An error with its causes, outermost first.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.detail)
    }
}

impl Error for UpstreamError {}

/// A request that cannot be sent as it is.
#[derive(Debug)]
pub struct Unusable(pub String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Unusable {}
