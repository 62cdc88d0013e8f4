//! Cuts a stream into units for [`super::each`]: whole frames, or whole lines. Buffers never grow past the limit.

use std::ops::ControlFlow;

use memchr::{memchr, memrchr};

use super::ParseError;

/// Longest frame, and longest line of a stream, in bytes without their length or newline.
pub const LIMIT: usize = 65_536;

/// Bytes of a frame's length.
const LENGTH: usize = 4;

/// What a decoder hands over: bytes for [`super::each`], or why bytes were given up.
pub type Unit<'a> = Result<&'a [u8], ParseError>;

/// Decodes frames: a little-endian u32 length, then that many bytes. Length 0 means nothing.
#[derive(Debug)]
pub struct Frames {
    limit: usize,
    /// The beginning of a frame, its length included.
    begun: Vec<u8>,
    broken: bool,
}

impl Frames {
    /// A decoder of frames of at most `limit` bytes.
    pub fn new(limit: usize) -> Frames {
        Frames { limit, begun: Vec::new(), broken: false }
    }

    /// Takes received bytes. After `Break` the stream is out of step and must be closed.
    pub fn push(&mut self, bytes: &[u8], sink: &mut impl FnMut(Unit<'_>)) -> ControlFlow<()> {
        if !self.broken
            && let Err(reason) = self.read(bytes, sink)
        {
            self.broken = true;
            self.begun = Vec::new();
            sink(Err(reason));
        }
        if self.broken { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn read(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Unit<'_>)) -> Result<(), ParseError> {
        while !bytes.is_empty() {
            if self.begun.is_empty()
                && let Some(end) = self.frame_end(bytes)?
            {
                deliver(&bytes[..end], sink);
                bytes = &bytes[end..];
                continue;
            }
            // One step completes the length, the next the frame.
            let wanted = LENGTH + self.length(&self.begun)?.unwrap_or(0);
            let (taken, rest) = bytes.split_at(bytes.len().min(wanted - self.begun.len()));
            self.begun.extend_from_slice(taken);
            bytes = rest;
            if self.frame_end(&self.begun)?.is_some() {
                deliver(&self.begun, sink);
                self.begun.clear();
            }
        }
        Ok(())
    }

    /// Says that the peer has closed.
    pub fn finish(self, sink: &mut impl FnMut(Unit<'_>)) {
        if !self.broken && !self.begun.is_empty() {
            sink(Err(ParseError::FrameTruncated));
        }
    }

    /// The length at the beginning of `bytes`, when it is there.
    fn length(&self, bytes: &[u8]) -> Result<Option<usize>, ParseError> {
        let Some(length) = bytes.first_chunk::<LENGTH>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > self.limit { Err(ParseError::FrameTooLarge) } else { Ok(Some(length)) }
    }

    /// Where the frame at the beginning of `bytes` ends, when all of it is there.
    fn frame_end(&self, bytes: &[u8]) -> Result<Option<usize>, ParseError> {
        Ok(self.length(bytes)?.map(|length| LENGTH + length).filter(|&end| end <= bytes.len()))
    }
}

fn deliver(frame: &[u8], sink: &mut impl FnMut(Unit<'_>)) {
    let payload = &frame[LENGTH..];
    if !payload.is_empty() {
        sink(Ok(payload));
    }
}

/// Decodes lines that end in LF. Units are one or more whole lines with their newlines; only the one that
/// [`Lines::finish`] hands over has none.
#[derive(Debug)]
pub struct Lines {
    limit: usize,
    /// The beginning of a line.
    begun: Vec<u8>,
    /// A line was too long: everything up to the next LF is skipped.
    skipping: bool,
}

impl Lines {
    /// A decoder of lines of at most `limit` bytes.
    pub fn new(limit: usize) -> Lines {
        Lines { limit, begun: Vec::new(), skipping: false }
    }

    /// Takes received bytes.
    pub fn push(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Unit<'_>)) {
        while !bytes.is_empty() {
            bytes = if self.skipping {
                self.skip(bytes)
            } else if self.begun.is_empty() {
                self.whole_lines(bytes, sink)
            } else {
                self.go_on(bytes, sink)
            };
        }
    }

    /// Says that the peer has closed: an unterminated last line counts.
    pub fn finish(self, sink: &mut impl FnMut(Unit<'_>)) {
        if !self.begun.is_empty() {
            sink(Ok(&self.begun));
        }
    }

    /// Says that the stream broke off: what has begun may be half a line, and is refused.
    pub fn abandon(self, sink: &mut impl FnMut(Unit<'_>)) {
        if !self.begun.is_empty() {
            sink(Err(ParseError::UnterminatedLine));
        }
    }

    fn skip<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        match memchr(b'\n', bytes) {
            Some(end) => {
                self.skipping = false;
                &bytes[end + 1..]
            }
            None => &[],
        }
    }

    /// Hands over the whole lines at the beginning of at most `limit` bytes without a copy.
    fn whole_lines<'b>(&mut self, bytes: &'b [u8], sink: &mut impl FnMut(Unit<'_>)) -> &'b [u8] {
        let near = &bytes[..bytes.len().min(self.limit + 1)];
        match memrchr(b'\n', near) {
            Some(end) => {
                sink(Ok(&bytes[..=end]));
                &bytes[end + 1..]
            }
            None => self.go_on(bytes, sink),
        }
    }

    /// Goes on with the line that has begun.
    fn go_on<'b>(&mut self, bytes: &'b [u8], sink: &mut impl FnMut(Unit<'_>)) -> &'b [u8] {
        let room = self.limit - self.begun.len();
        let near = &bytes[..bytes.len().min(room + 1)];
        match memchr(b'\n', near) {
            Some(end) => {
                self.begun.extend_from_slice(&bytes[..=end]);
                sink(Ok(&self.begun));
                self.begun.clear();
                &bytes[end + 1..]
            }
            None if bytes.len() > room => {
                sink(Err(ParseError::LineTooLong));
                self.begun = Vec::new();
                self.skipping = true;
                bytes
            }
            None => {
                self.begun.extend_from_slice(bytes);
                &[]
            }
        }
    }
}
