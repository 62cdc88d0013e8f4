//! A payload of repeated protobuf messages, filled until the next one would not fit.

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::encode::compress::Compressor;
use crate::encode::{Budget, Compression, Payload, Unfit};

/// Whether a point found its place.
#[derive(PartialEq)]
pub(super) enum Filled {
    Taken,
    /// The payload is full: the point begins the next one.
    Full,
}

/// The payload being written. Both payload messages hold their items in field 1.
pub(super) struct Filling<'a> {
    body: Compressor,
    compression: Compression,
    budget: Budget,
    item: Vec<u8>,
    out: &'a mut Payload,
}

impl<'a> Filling<'a> {
    pub(super) fn new(compression: Compression, budget: Budget, out: &'a mut Payload) -> Filling<'a> {
        Filling { body: Compressor::new(compression), compression, budget, item: Vec::new(), out }
    }

    /// Adds one item, which is one point.
    pub(super) fn push(&mut self, message: &impl Message) -> Filled {
        if self.out.points >= self.budget.points {
            return Filled::Full;
        }
        let length = message.encoded_len();
        let bytes = key_len(1) + encoded_len_varint(length as u64) + length;
        let fits = self.body.plain() + bytes <= self.budget.plain && self.body.has_room(bytes, self.budget.compressed);
        if !fits && self.out.points > 0 {
            return Filled::Full;
        }
        if !fits {
            self.pass_over(Unfit::Size);
            return Filled::Taken;
        }
        self.item.clear();
        encode_key(1, WireType::LengthDelimited, &mut self.item);
        encode_varint(length as u64, &mut self.item);
        message.encode_raw(&mut self.item);
        self.body.write(&self.item);
        self.out.points += 1;
        Filled::Taken
    }

    pub(super) fn pass_over(&mut self, reason: Unfit) {
        self.out.pass_over(reason);
    }

    pub(super) fn finish(self) {
        self.out.content_type = "application/x-protobuf";
        self.out.encoding = self.compression.content_encoding();
        self.out.body = self.body.finish().into();
    }
}
