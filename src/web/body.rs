//! A response body: shared pieces in order, some of them kept compressed and unpacked as the reader takes them.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, Decompress, FlushCompress, FlushDecompress};
use hyper::body::{Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use super::tap::Stream;

/// Most bytes unpacked at once, and so per slow reader.
const PIECE: usize = 64 * 1024;
/// What compression may write beyond as many bytes as it reads.
const ROOM: usize = 16 * 1024;

/// Text kept as raw deflate blocks that end on a byte and are not the last: such pieces may be joined.
#[derive(Debug, Default)]
pub(super) struct Packed {
    deflated: Bytes,
    crc: Crc,
    len: u64,
}

/// Text on its way to [`Packed`].
pub(super) struct Packing {
    compress: Compress,
    deflated: Vec<u8>,
    crc: Crc,
    len: u64,
}

impl Packing {
    /// Compresses quickly rather than tightly.
    pub(super) fn new() -> Packing {
        Packing { compress: Compress::new(Compression::fast(), false), deflated: Vec::new(), crc: Crc::new(), len: 0 }
    }

    /// Adds a text, in blocks that end on a byte. A flush is whole only when it leaves room in the output.
    pub(super) fn push(&mut self, text: &[u8]) {
        self.crc.update(text);
        self.len += text.len() as u64;
        let end = self.compress.total_in() + text.len() as u64;
        loop {
            let left = (end - self.compress.total_in()) as usize;
            self.deflated.reserve(left + ROOM);
            // Fails only for lack of room.
            let _ = self.compress.compress_vec(&text[text.len() - left..], &mut self.deflated, FlushCompress::Sync);
            if self.compress.total_in() == end && self.deflated.len() < self.deflated.capacity() {
                return;
            }
        }
    }

    pub(super) fn finish(mut self) -> Packed {
        self.deflated.shrink_to_fit();
        Packed { deflated: self.deflated.into(), crc: self.crc, len: self.len }
    }
}

impl Packed {
    pub(super) fn new(text: &[u8]) -> Packed {
        let mut packing = Packing::new();
        packing.push(text);
        packing.finish()
    }
}

/// What is sent. Cheap to make: the pieces are shared.
#[derive(Default)]
pub struct Body {
    pieces: VecDeque<Piece>,
    left: u64,
    /// Given back when the body was sent or given up.
    permit: Option<OwnedSemaphorePermit>,
    /// Behind the pieces, what comes later.
    stream: Option<Stream>,
}

#[derive(Debug)]
enum Piece {
    Plain(Bytes),
    Deflated { bytes: Bytes, left: u64, state: Box<Decompress> },
}

impl Body {
    /// What is not there yet, and comes for as long as it is read.
    pub(super) fn stream(stream: Stream) -> Body {
        Body { stream: Some(stream), ..Body::default() }
    }

    /// Whether it has no end of its own.
    pub(super) fn is_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// One piece.
    pub fn new(bytes: impl Into<Bytes>) -> Body {
        let mut body = Body::default();
        body.push(bytes.into());
        body
    }

    /// The texts one after the other as one gzip stream.
    pub(super) fn gzip(parts: &[&Packed]) -> Body {
        const HEAD: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
        const LAST_BLOCK: &[u8] = &[3, 0];
        let mut body = Body::new(HEAD);
        let mut crc = Crc::new();
        for part in parts {
            body.push(part.deflated.clone());
            crc.combine(&part.crc);
        }
        body.push(Bytes::from_static(LAST_BLOCK));
        let size: u64 = parts.iter().map(|part| part.len).sum();
        body.push(Bytes::from([crc.sum().to_le_bytes(), (size as u32).to_le_bytes()].concat()));
        body
    }

    /// The texts one after the other, unpacked while they are read.
    pub(super) fn unpacked(parts: &[&Packed]) -> Body {
        let mut body = Body::default();
        for part in parts.iter().filter(|part| part.len > 0) {
            let state = Box::new(Decompress::new(false));
            body.pieces.push_back(Piece::Deflated { bytes: part.deflated.clone(), left: part.len, state });
            body.left += part.len;
        }
        body
    }

    /// Keeps a permit for as long as the body is there.
    pub(super) fn holding(mut self, permit: OwnedSemaphorePermit) -> Body {
        self.permit = Some(permit);
        self
    }

    /// Bytes still to be sent.
    pub fn len(&self) -> u64 {
        self.left
    }

    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    fn push(&mut self, bytes: Bytes) {
        self.left += bytes.len() as u64;
        if !bytes.is_empty() {
            self.pieces.push_back(Piece::Plain(bytes));
        }
    }

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        let (bytes, done) = match self.pieces.front_mut()? {
            Piece::Plain(bytes) => (std::mem::take(bytes), true),
            Piece::Deflated { bytes, left, state } => match inflate(bytes, state, *left) {
                Ok(piece) => {
                    *left -= piece.len() as u64;
                    (piece, *left == 0)
                }
                Err(error) => return Some(Err(error)),
            },
        };
        if done {
            self.pieces.pop_front();
        }
        self.left -= bytes.len() as u64;
        Some(Ok(bytes))
    }
}

/// Unpacks the next piece, at most `left` bytes.
fn inflate(bytes: &mut Bytes, state: &mut Decompress, left: u64) -> io::Result<Bytes> {
    let mut out = Vec::with_capacity(PIECE.min(usize::try_from(left).unwrap_or(PIECE)));
    while out.len() < out.capacity() && (out.len() as u64) < left {
        let (before, had) = (state.total_in(), out.len());
        state.decompress_vec(bytes, &mut out, FlushDecompress::None).map_err(io::Error::other)?;
        let used = (state.total_in() - before) as usize;
        *bytes = bytes.slice(used..);
        if used == 0 && out.len() == had {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(out.into())
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match (self.next(), &mut self.stream) {
            (None, Some(stream)) => stream.poll_next(cx).map(|text| text.map(|text| Ok(Frame::data(text)))),
            (piece, _) => Poll::Ready(piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.stream.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_stream() { SizeHint::default() } else { SizeHint::with_exact(self.left) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn all(mut body: Body) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(piece) = body.next() {
            let piece = piece.unwrap();
            assert!(piece.len() <= PIECE);
            out.extend_from_slice(&piece);
        }
        assert!(body.is_empty());
        out
    }

    #[test]
    fn joined_parts_read_as_one_gzip_stream_and_as_plain_text() {
        let long: Vec<u8> = (0..300_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for parts in [[b"one\n".as_slice(), b"", &long], [b"", b"", b""], [&long, b"x", b"two\n"]] {
            let expected = parts.concat();
            let packed: Vec<Packed> = parts.iter().map(|part| Packed::new(part)).collect();
            let packed: Vec<&Packed> = packed.iter().collect();
            let mut unzipped = Vec::new();
            // Not the multi-member reader: some clients stop after the first member.
            flate2::read::GzDecoder::new(all(Body::gzip(&packed)).as_slice()).read_to_end(&mut unzipped).unwrap();
            assert!(unzipped == expected);
            let plain = Body::unpacked(&packed);
            assert_eq!(plain.len(), expected.len() as u64);
            assert!(all(plain) == expected);
        }
    }

    #[test]
    fn no_byte_stays_in_the_compressor_whatever_its_buffers_hold_at_the_end() {
        let mut random = fastrand::Rng::with_seed(11);
        for round in 0..400 {
            let alphabet = [2, 16, 64, 256][round % 4];
            let text: Vec<u8> = (0..random.usize(20_000..90_000)).map(|_| random.u32(0..alphabet) as u8).collect();
            let packed = Packed::new(&text);
            assert!(all(Body::unpacked(&[&packed])) == text, "round {round}");
        }
    }
}
