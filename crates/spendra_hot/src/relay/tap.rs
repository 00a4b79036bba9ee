//! Where the plugs sit on the way of the bytes: the meter beside, the filter in between.

use bytes::Bytes;

use super::decode::{Coding, Decoder};
use super::plug::{Beside, Filter};

/// The meter with what it needs to read coded bytes.
pub(super) struct Tap<M> {
    decoder: Decoder,
    meter: M,
}

impl<M: Beside> Tap<M> {
    pub(super) fn new(meter: M, coding: Coding) -> Self {
        Self {
            decoder: Decoder::new(coding),
            meter,
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let meter = &mut self.meter;
        self.decoder.feed(bytes, |unpacked| meter.feed(unpacked));
    }

    pub(super) fn meter(&mut self) -> &mut M {
        &mut self.meter
    }
}

/// What goes on to the caller, filtered or as it came.
pub(super) struct Sieve(pub(super) Option<Box<dyn Filter>>);

impl Sieve {
    pub(super) fn pass(&mut self, chunk: Bytes) -> Bytes {
        let Some(filter) = &mut self.0 else {
            return chunk;
        };
        let mut out = Vec::with_capacity(chunk.len());
        filter.feed(&chunk, &mut out);
        out.into()
    }

    pub(super) fn rest(&mut self) -> Bytes {
        let mut out = Vec::new();
        if let Some(filter) = &mut self.0 {
            filter.finish(&mut out);
        }
        out.into()
    }
}
