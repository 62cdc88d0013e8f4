//! A body compressed as it is written, with an upper bound of its final size at any moment.

use std::io::Write;

use flate2::write::{GzEncoder, ZlibEncoder};
use serde::{Deserialize, Serialize};

/// How a request body is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    #[default]
    Zstd,
    /// A zlib stream (RFC 1950), which is what HTTP means by the word.
    Deflate,
    Gzip,
    None,
}

impl Compression {
    /// The `Content-Encoding`; `None` when there is none.
    pub const fn content_encoding(self) -> Option<&'static str> {
        match self {
            Compression::Zstd => Some("zstd"),
            Compression::Deflate => Some("deflate"),
            Compression::Gzip => Some("gzip"),
            Compression::None => None,
        }
    }
}

/// Speed matters more than the last percent: the fastest level halves the time of the default one.
const ZSTD_LEVEL: i32 = 1;
/// Bytes a stream may need beyond its blocks: headers, checksums, an empty last block.
const FRAMING: usize = 128;
/// Bytes of a flush that had nothing to write.
const EMPTY_BLOCK: usize = 8;

enum Stream {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
    Gzip(GzEncoder<Vec<u8>>),
    Plain(Vec<u8>),
}

/// A compressing writer into memory.
pub struct Compressor {
    stream: Stream,
    plain: usize,
    /// Bytes written since the last flush: the stream may still hold them.
    pending: usize,
}

#[allow(clippy::expect_used, reason = "a Vec takes every write; what is left is a lack of memory, which aborts everywhere")]
impl Compressor {
    pub fn new(compression: Compression) -> Compressor {
        let level = flate2::Compression::fast();
        let stream = match compression {
            Compression::Zstd => Stream::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL).expect("memory")),
            Compression::Deflate => Stream::Deflate(ZlibEncoder::new(Vec::new(), level)),
            Compression::Gzip => Stream::Gzip(GzEncoder::new(Vec::new(), level)),
            Compression::None => Stream::Plain(Vec::new()),
        };
        Compressor { stream, plain: 0, pending: 0 }
    }

    /// Bytes written so far, before compression.
    pub fn plain(&self) -> usize {
        self.plain
    }

    pub fn write(&mut self, bytes: &[u8]) {
        match &mut self.stream {
            Stream::Zstd(encoder) => encoder.write_all(bytes),
            Stream::Deflate(encoder) => encoder.write_all(bytes),
            Stream::Gzip(encoder) => encoder.write_all(bytes),
            Stream::Plain(body) => body.write_all(bytes),
        }
        .expect("a Vec takes every write");
        self.plain += bytes.len();
        self.pending += bytes.len();
    }

    /// Whether `more` bytes fit, whatever they are, so that the finished body has at most `limit` bytes.
    ///
    /// Flushes when the bound says no, since what is still buffered usually shrinks.
    pub fn has_room(&mut self, more: usize, limit: usize) -> bool {
        if self.ceiling(more) <= limit {
            return true;
        }
        if self.pending > 0 {
            self.flush();
        }
        self.ceiling(more) <= limit
    }

    /// The finished body.
    pub fn finish(self) -> Vec<u8> {
        match self.stream {
            Stream::Zstd(encoder) => encoder.finish(),
            Stream::Deflate(encoder) => encoder.finish(),
            Stream::Gzip(encoder) => encoder.finish(),
            Stream::Plain(body) => Ok(body),
        }
        .expect("a Vec takes every write")
    }

    fn flush(&mut self) {
        loop {
            let before = self.flushed();
            match &mut self.stream {
                Stream::Zstd(encoder) => encoder.flush(),
                Stream::Deflate(encoder) => encoder.flush(),
                Stream::Gzip(encoder) => encoder.flush(),
                Stream::Plain(_) => Ok(()),
            }
            .expect("a Vec takes every write");
            // One flush gives no more than what its buffer holds.
            if self.flushed() - before <= EMPTY_BLOCK {
                break;
            }
        }
        self.pending = 0;
    }

    /// Bytes of the body that are there.
    fn flushed(&self) -> usize {
        match &self.stream {
            Stream::Zstd(encoder) => encoder.get_ref().len(),
            Stream::Deflate(encoder) => encoder.get_ref().len(),
            Stream::Gzip(encoder) => encoder.get_ref().len(),
            Stream::Plain(body) => body.len(),
        }
    }

    /// Most bytes the finished body can have when `more` follow. Incompressible input grows by less than 1/256.
    fn ceiling(&self, more: usize) -> usize {
        if let Stream::Plain(_) = &self.stream {
            return self.plain + more;
        }
        let unknown = self.pending + more;
        self.flushed() + unknown + unknown / 256 + FRAMING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_never_outgrows_what_had_room() {
        let mut random = fastrand::Rng::with_seed(7);
        for compression in [Compression::Zstd, Compression::Deflate, Compression::Gzip, Compression::None] {
            for alphabet in [2, 256] {
                let mut body = Compressor::new(compression);
                loop {
                    let chunk: Vec<u8> = (0..random.usize(1..700)).map(|_| random.u32(0..alphabet) as u8).collect();
                    if !body.has_room(chunk.len(), 20_000) {
                        break;
                    }
                    body.write(&chunk);
                }
                let length = body.finish().len();
                assert!(length <= 20_000 && length > 18_000, "{compression:?} {alphabet}: {length}");
            }
        }
    }
}
