//! Stream sockets of both families behind one face.

use std::io::{self, Read as _};
use std::net::IpAddr;

use socket2::{SockRef, Socket};
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// A socket that accepts connections.
#[derive(Debug)]
pub(super) enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection. Unix peers have no address.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Acceptor {
    /// Waits for the next connection, and says from where it is.
    pub(super) async fn accept(&self) -> io::Result<(Stream, Option<IpAddr>)> {
        match self {
            Acceptor::Tcp(listener) => listener.accept().await.map(|(stream, from)| (Stream::Tcp(stream), Some(from.ip()))),
            Acceptor::Unix(listener) => listener.accept().await.map(|(stream, _)| (Stream::Unix(stream), None)),
        }
    }

    /// A connection that is there already; else the error is `WouldBlock`.
    pub(super) fn accept_waiting(&self) -> io::Result<(Stream, Option<IpAddr>)> {
        let listener = match self {
            Acceptor::Tcp(listener) => SockRef::from(listener),
            Acceptor::Unix(listener) => SockRef::from(listener),
        };
        let (socket, from): (Socket, _) = listener.accept()?;
        socket.set_nonblocking(true)?;
        let stream = match self {
            Acceptor::Tcp(_) => Stream::Tcp(TcpStream::from_std(socket.into())?),
            Acceptor::Unix(_) => Stream::Unix(UnixStream::from_std(socket.into())?),
        };
        Ok((stream, from.as_socket().map(|from| from.ip())))
    }
}

impl Stream {
    /// Waits until there may be something to read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.readable().await,
            Stream::Unix(stream) => stream.readable().await,
        }
    }

    /// Reads after [`Stream::readable`].
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.try_io(Interest::READABLE, || self.read_now(buffer)),
            Stream::Unix(stream) => stream.try_io(Interest::READABLE, || self.read_now(buffer)),
        }
    }

    /// Reads what the kernel has at this moment, whether or not the runtime knows of it yet.
    pub(super) fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let socket = match self {
            Stream::Tcp(stream) => SockRef::from(stream),
            Stream::Unix(stream) => SockRef::from(stream),
        };
        (&*socket).read(buffer)
    }
}
