//! Content codings undone for the meter; the caller gets the bytes as they came.

use std::io::{self, Write};

use brotli::DecompressorWriter;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, HeaderMap};

/// A document that unpacks to more than this is not an answer worth metering.
const LIMIT_BYTES: usize = 64 * 1024 * 1024;
/// Compressed bytes unpacked at a time: bounds what one step can grow to.
const STEP_BYTES: usize = 4 * 1024;
const BROTLI_BUFFER_BYTES: usize = 8 * 1024;

/// How the body is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
    /// Unknown, or several on top of each other: not metered.
    Other,
}

impl Coding {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let first = values
            .next()
            .map_or("", |value| value.to_str().unwrap_or("?").trim());
        if values.next().is_some() {
            return Self::Other;
        }
        match first.to_ascii_lowercase().as_str() {
            "" | "identity" => Self::Identity,
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "br" => Self::Brotli,
            "zstd" => Self::Zstd,
            _ => Self::Other,
        }
    }
}

pub(super) enum Decoder {
    Identity,
    Gzip(MultiGzDecoder<Bounded>),
    Deflate(ZlibDecoder<Bounded>),
    Brotli(Box<DecompressorWriter<Bounded>>),
    Zstd(zstd::stream::write::Decoder<'static, Bounded>),
    Deaf,
}

impl Decoder {
    pub(super) fn new(coding: Coding) -> Self {
        let out = Bounded {
            unpacked: Vec::new(),
            left_bytes: LIMIT_BYTES,
        };
        match coding {
            Coding::Identity => Self::Identity,
            Coding::Gzip => Self::Gzip(MultiGzDecoder::new(out)),
            Coding::Deflate => Self::Deflate(ZlibDecoder::new(out)),
            Coding::Brotli => {
                Self::Brotli(Box::new(DecompressorWriter::new(out, BROTLI_BUFFER_BYTES)))
            }
            Coding::Zstd => zstd::stream::write::Decoder::new(out).map_or(Self::Deaf, Self::Zstd),
            Coding::Other => Self::Deaf,
        }
    }

    /// Unpacks as far as the bytes go. After an error, or past the limit, it hears nothing more.
    pub(super) fn feed(&mut self, bytes: &[u8], mut unpacked: impl FnMut(&[u8])) {
        if matches!(self, Self::Identity) {
            return unpacked(bytes);
        }
        for step in bytes.chunks(STEP_BYTES) {
            let written = self.write(step);
            if let Some(out) = self.out() {
                unpacked(&out.unpacked);
                out.unpacked.clear();
            }
            if written.is_err() {
                *self = Self::Deaf;
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sink: &mut dyn Write = match self {
            Self::Gzip(decoder) => decoder,
            Self::Deflate(decoder) => decoder,
            Self::Brotli(decoder) => decoder,
            Self::Zstd(decoder) => decoder,
            Self::Identity | Self::Deaf => return Ok(()),
        };
        sink.write_all(bytes)?;
        sink.flush()
    }

    fn out(&mut self) -> Option<&mut Bounded> {
        match self {
            Self::Gzip(decoder) => Some(decoder.get_mut()),
            Self::Deflate(decoder) => Some(decoder.get_mut()),
            Self::Brotli(decoder) => Some(decoder.get_mut()),
            Self::Zstd(decoder) => Some(decoder.get_mut()),
            Self::Identity | Self::Deaf => None,
        }
    }
}

/// Refuses to grow past its limit: a small body can unpack to gigabytes.
pub(super) struct Bounded {
    unpacked: Vec<u8>,
    left_bytes: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left_bytes.checked_sub(bytes.len());
        self.left_bytes = left.ok_or_else(|| io::Error::other("unpacks to too much"))?;
        self.unpacked.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
