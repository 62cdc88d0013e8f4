//! What one call reads from a datagram socket, and the datagrams in it.

use std::io::IoSliceMut;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrLike, SockaddrStorage, recvmmsg};

use crate::ingest::{Datagram, State};

/// Messages read in one call.
const BATCH: usize = 32;
/// The largest datagram UDP can carry fits, and what the kernel joins is no larger. A unix datagram may be, and is cut.
const BUFFER: usize = 65_536;
/// From one buffer to the next. Were it a power of two, the first bytes of all, which every datagram fills, would
/// contend for the same few lines of the cache.
const STRIDE: usize = BUFFER + 1_472;
/// Fewer messages than this are few, and less than so many bytes is little.
const FEW: usize = 16;
const LITTLE: usize = 4 << 10;
/// For the segment size, and for whatever else a supervisor may have asked for: times, packet information, labels.
const CONTROL: usize = 512;

/// An address as the kernel tells it.
pub(super) trait Sender: SockaddrLike + Copy {
    /// Whether the kernel joins datagrams of such senders.
    const JOINED: bool;
    fn ip(self) -> Option<IpAddr>;
}

/// A unix socket tells none.
impl Sender for () {
    const JOINED: bool = false;
    fn ip(self) -> Option<IpAddr> {
        None
    }
}

impl Sender for SockaddrStorage {
    const JOINED: bool = true;
    fn ip(self) -> Option<IpAddr> {
        let v4 = self.as_sockaddr_in().map(|sender| IpAddr::V4(sender.ip()));
        v4.or_else(|| self.as_sockaddr_in6().map(|sender| IpAddr::V6(sender.ip())))
    }
}

/// The memory that one thread reads into.
pub(super) struct Batch {
    buffers: Vec<u8>,
    messages: Vec<Message>,
}

/// What a read says of one message: a datagram, or several of one sender that the kernel has joined.
struct Message {
    length: usize,
    /// Bytes of each datagram but the last. `None`: it was not told.
    segment: Option<usize>,
    /// The end did not fit.
    cut: bool,
    sender: Option<IpAddr>,
}

impl Batch {
    pub(super) fn new() -> Batch {
        Batch { buffers: vec![0; BATCH * STRIDE], messages: Vec::with_capacity(BATCH) }
    }

    /// Reads what waits in the socket.
    pub(super) fn receive<S: Sender>(&mut self, socket: &impl AsRawFd, flags: MsgFlags) -> Result<(), Errno> {
        self.messages.clear();
        // New for each call: the kernel leaves in them the room that the last control messages took, and this would
        // be all there is for the next.
        let mut headers = MultiHeaders::<S>::preallocate(BATCH, S::JOINED.then(|| Vec::with_capacity(CONTROL)));
        let mut buffers = self.buffers.chunks_mut(STRIDE);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSliceMut::new(buffers.next().and_then(|buffer| buffer.get_mut(..BUFFER)).unwrap_or_default())]);
        self.messages.extend(recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None)?.map(Message::of));
        Ok(())
    }

    /// Whether the last read brought few bytes in few messages: a wake-up for next to nothing.
    pub(super) fn is_sparse(&self) -> bool {
        self.messages.len() < FEW && self.messages.iter().map(|message| message.length).sum::<usize>() < LITTLE
    }

    /// The datagrams of the last read, in the order they came.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.buffers.chunks(STRIDE).zip(&self.messages).flat_map(|(buffer, message)| message.datagrams(buffer))
    }
}

impl Message {
    fn of<S: Sender>(message: RecvMsg<'_, '_, S>) -> Message {
        let whole = Some(BUFFER);
        let segment =
            if S::JOINED { message.cmsgs().ok().and_then(|controls| controls.filter_map(segment_of).next().or(whole)) } else { whole };
        Message {
            length: message.bytes.min(BUFFER),
            segment,
            cut: message.flags.contains(MsgFlags::MSG_TRUNC),
            sender: message.address.and_then(S::ip),
        }
    }

    fn datagrams<'a>(&self, buffer: &'a [u8]) -> impl Iterator<Item = Datagram<'a>> {
        // Where one datagram ends and the next begins is not known: lines at those places would be made of two.
        let (length, segment) = self.segment.map_or((0, BUFFER), |segment| (self.length, segment));
        let (sender, cut) = (self.sender, self.cut || self.segment.is_none());
        (0..length.max(1)).step_by(segment).map(move |start| {
            let end = length.min(start + segment);
            let state = if cut && end == length { State::Truncated } else { State::Whole };
            Datagram { bytes: &buffer[start..end], sender, state }
        })
    }
}

fn segment_of(control: ControlMessageOwned) -> Option<usize> {
    match control {
        ControlMessageOwned::UdpGroSegments(size) => usize::try_from(size).ok().filter(|&size| size > 0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::net::UdpSocket;
    use std::os::unix::net::UnixDatagram;

    use nix::sys::socket::{ControlMessage, sendmsg, setsockopt, sockopt};

    use super::*;

    fn pair() -> (UdpSocket, UdpSocket) {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        setsockopt(&receiver, sockopt::UdpGroSegment, &true).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        (receiver, sender)
    }

    fn send_joined(sender: &UdpSocket, bytes: &[u8], segment: u16) {
        let controls = [ControlMessage::UdpGsoSegments(&segment)];
        sendmsg::<()>(sender.as_raw_fd(), &[IoSlice::new(bytes)], &controls, MsgFlags::empty(), None).unwrap();
    }

    fn read<S: Sender>(batch: &mut Batch, socket: &impl AsRawFd) -> Vec<(String, bool)> {
        batch.receive::<S>(socket, MsgFlags::MSG_DONTWAIT).unwrap();
        batch
            .datagrams()
            .map(|datagram| (String::from_utf8_lossy(datagram.bytes).into_owned(), datagram.state == State::Truncated))
            .collect()
    }

    fn whole(texts: &[&str]) -> Vec<(String, bool)> {
        texts.iter().map(|text| (text.to_string(), false)).collect()
    }

    #[test]
    fn joined_datagrams_are_cut_apart_also_after_plain_ones() {
        let (receiver, sender) = pair();
        let mut batch = Batch::new();
        for _ in 0..3 {
            sender.send(b"plain").unwrap();
            sender.send(b"").unwrap();
            send_joined(&sender, b"a:1|cb:2|cc:3", 5);
            send_joined(&sender, b"d:1|ce:2|c", 5);
            sender.send(b"last").unwrap();
            let read = read::<SockaddrStorage>(&mut batch, &receiver);
            assert_eq!(read, whole(&["plain", "", "a:1|c", "b:2|c", "c:3", "d:1|c", "e:2|c", "last"]));
            assert!(batch.messages.len() == 5 && batch.datagrams().all(|datagram| datagram.sender == "127.0.0.1".parse().ok()));
        }
    }

    #[test]
    fn as_much_as_the_kernel_joins_is_read_whole() {
        let (receiver, sender) = pair();
        let bytes: Vec<u8> = (0..64_000_u32).map(|at| b'a' + (at / 1_000 % 26) as u8).collect();
        send_joined(&sender, &bytes, 1_000);
        let mut batch = Batch::new();
        batch.receive::<SockaddrStorage>(&receiver, MsgFlags::MSG_DONTWAIT).unwrap();
        assert_eq!(batch.messages.len(), 1);
        assert!(batch.datagrams().all(|datagram| datagram.bytes.len() == 1_000 && datagram.state == State::Whole));
        assert_eq!(batch.datagrams().flat_map(|datagram| datagram.bytes.to_vec()).collect::<Vec<_>>(), bytes);
    }

    #[test]
    fn what_a_supervisor_asked_for_leaves_room_for_the_segment_size() {
        let (receiver, sender) = pair();
        setsockopt(&receiver, sockopt::ReceiveTimestampns, &true).unwrap();
        setsockopt(&receiver, sockopt::Ipv4PacketInfo, &true).unwrap();
        send_joined(&sender, b"a:1|cb:2|c", 5);
        assert_eq!(read::<SockaddrStorage>(&mut Batch::new(), &receiver), whole(&["a:1|c", "b:2|c"]));
    }

    #[test]
    fn datagrams_that_cannot_be_told_apart_are_one_truncated_one_and_none_of_their_lines() {
        let message = |segment, cut| Message { length: 10, segment, cut, sender: None };
        let read = |message: Message| -> Vec<_> {
            message.datagrams(b"a:1\nb:2\nc:").map(|datagram| (datagram.bytes.to_vec(), datagram.state == State::Truncated)).collect()
        };
        assert_eq!(read(message(None, false)), [(b"".to_vec(), true)]);
        assert_eq!(read(message(Some(4), true)), [(b"a:1\n".to_vec(), false), (b"b:2\n".to_vec(), false), (b"c:".to_vec(), true)]);
    }

    #[test]
    fn few_small_messages_are_sparse() {
        let (receiver, sender) = pair();
        let mut batch = Batch::new();
        for (count, bytes, sparse) in [(1, 80, true), (FEW - 1, 80, true), (FEW, 80, false), (2, 2_047, true), (2, 2_048, false)] {
            (0..count).for_each(|_| assert_eq!(sender.send(&vec![b'x'; bytes]).unwrap(), bytes));
            batch.receive::<SockaddrStorage>(&receiver, MsgFlags::MSG_DONTWAIT).unwrap();
            assert_eq!((batch.messages.len(), batch.is_sparse()), (count, sparse), "{count} of {bytes}");
        }
    }

    #[test]
    fn a_unix_datagram_larger_than_the_buffer_is_cut() {
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        sender.send(&[b'x'; BUFFER + 1]).unwrap();
        sender.send(b"a:1|c").unwrap();
        let mut batch = Batch::new();
        batch.receive::<()>(&receiver, MsgFlags::MSG_DONTWAIT).unwrap();
        let read: Vec<_> = batch.datagrams().map(|datagram| (datagram.bytes.len(), datagram.state == State::Truncated)).collect();
        assert_eq!(read, [(BUFFER, true), (5, false)]);
    }
}
