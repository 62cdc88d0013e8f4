//! The sockets: inherited from a supervisor, or bound as configured.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;

use super::StartError;
use crate::listen::{DatagramListener, Endpoint, ListenConfig, StreamListener, UnixEndpoint};
use crate::parse::{Dialect, Options};

/// What a supervisor calls the TCP socket that is not for lines.
const HTTP: &str = "http";

/// Everything that is read, before anything reads it.
#[derive(Default)]
pub(super) struct Sockets {
    pub(super) datagrams: Vec<(DatagramListener, Options)>,
    pub(super) streams: Vec<(StreamListener, Options)>,
    pub(super) http: Vec<TcpListener>,
    /// Why a listener is missing while the relay runs all the same.
    pub(super) missing: Vec<String>,
}

impl Sockets {
    /// Every listener by its label, and how its lines are read.
    pub(super) fn readings(&self) -> Vec<(String, Options)> {
        let datagrams = self.datagrams.iter().map(|(listener, options)| (listener.name.clone(), *options));
        datagrams.chain(self.streams.iter().map(|(listener, options)| (listener.name.clone(), *options))).collect()
    }
}

/// Takes what the supervisor passed in; binds what it did not. Inherited sockets replace the listeners of
/// their kind.
pub(super) fn open(listen: &ListenConfig, http: &[String]) -> Result<Sockets, StartError> {
    let mut sockets = Sockets::default();
    let inherited = inherit(listen, &mut sockets)?;
    if !inherited.udp {
        bind_udp(listen, &mut sockets)?;
    }
    if !inherited.unix_datagram {
        for endpoint in &listen.unix_datagram {
            let bound = unix("listen.unix_datagram", endpoint, DatagramListener::unix)?;
            sockets.datagrams.push((bound, options(listen, endpoint.dialect, endpoint.strict)));
        }
    }
    if !inherited.unix_stream {
        for endpoint in &listen.unix_stream {
            let bound = unix("listen.unix_stream", endpoint, StreamListener::unix)?;
            sockets.streams.push((bound, options(listen, endpoint.dialect, endpoint.strict)));
        }
    }
    if !inherited.tcp {
        for endpoint in &listen.tcp {
            let bound = at(endpoint, StreamListener::tcp).map_err(|error| {
                let unbound = unbound("listen.tcp", &endpoint.address, &error);
                StartError::failed(format!("{unbound}. {}", remedy(&error, "listen.tcp")))
            })?;
            sockets.streams.push((bound, options(listen, endpoint.dialect, endpoint.strict)));
        }
    }
    if sockets.http.is_empty() {
        for address in http {
            let listener = TcpListener::bind(address).map_err(|error| {
                let unbound = unbound("http.listen", address, &error);
                StartError::failed(format!("{unbound}. {}", remedy(&error, "--http or http.listen")))
            })?;
            sockets.http.push(listener);
        }
    }
    Ok(sockets)
}

/// Every listener that is configured, by its label, and how its lines are read.
pub(super) fn readings(listen: &ListenConfig) -> impl Iterator<Item = (String, Options)> {
    let endpoints = |kind: &'static str, endpoints: &[Endpoint]| -> Vec<(String, Options)> {
        endpoints.iter().map(|at| (format!("{kind}:{}", at.address), options(listen, at.dialect, at.strict))).collect()
    };
    let sockets = |kind: &'static str, sockets: &[UnixEndpoint]| -> Vec<(String, Options)> {
        sockets.iter().map(|at| (format!("{kind}:{}", at.path), options(listen, at.dialect, at.strict))).collect()
    };
    let datagrams = endpoints("udp", &listen.udp).into_iter().chain(sockets("unix_datagram", &listen.unix_datagram));
    datagrams.chain(sockets("unix_stream", &listen.unix_stream)).chain(endpoints("tcp", &listen.tcp))
}

/// How a listener's lines are read: as it says itself, else as all are.
fn options(listen: &ListenConfig, dialect: Option<Dialect>, strict: Option<bool>) -> Options {
    Options { dialect: dialect.unwrap_or(listen.dialect), strict: strict.unwrap_or(listen.strict), eol_required: false }
}

fn bind_udp(listen: &ListenConfig, sockets: &mut Sockets) -> Result<(), StartError> {
    // Of the two default addresses one may be missing: a machine without IPv6 is no reason not to start.
    let tolerant = listen.udp == ListenConfig::default().udp;
    let mut way_out = String::new();
    for endpoint in &listen.udp {
        match at(endpoint, |address| DatagramListener::udp(address, listen.receive_buffer.bytes())) {
            Ok(listener) => sockets.datagrams.push((listener, options(listen, endpoint.dialect, endpoint.strict))),
            Err(error) => {
                way_out = remedy(&error, "--udp or listen.udp");
                sockets.missing.push(unbound("listen.udp", &endpoint.address, &error));
            }
        }
    }
    if !sockets.missing.is_empty() && (!tolerant || sockets.datagrams.is_empty()) {
        let reasons = sockets.missing.join("; ");
        return Err(StartError::failed(format!("{reasons}. {way_out}")));
    }
    Ok(())
}

fn at<L>(endpoint: &Endpoint, bind: impl Fn(SocketAddr) -> io::Result<L>) -> io::Result<L> {
    bind(endpoint.address.parse().map_err(io::Error::other)?)
}

fn unbound(key: &str, address: &str, error: &io::Error) -> String {
    format!("{key}: cannot bind {address}: {error}")
}

/// What to do about an address that cannot be bound; `keys` set another.
fn remedy(error: &io::Error, keys: &str) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!("Free the port, or choose another with {keys}"),
        ErrorKind::AddrNotAvailable => format!("This host has no such address: choose another with {keys}"),
        ErrorKind::PermissionDenied => {
            format!("A port below 1024 needs the capability CAP_NET_BIND_SERVICE: grant it, or choose another with {keys}")
        }
        _ => format!("Choose another with {keys}"),
    }
}

fn unix<L>(key: &str, endpoint: &UnixEndpoint, bind: impl Fn(&str, u32) -> io::Result<L>) -> Result<L, StartError> {
    let path = &endpoint.path;
    let failed = |error: &dyn Display, way_out: &str| {
        StartError::failed(format!("{key}: cannot bind {path}: {error}. {way_out}, or choose another path"))
    };
    let mode = u32::from_str_radix(&endpoint.mode, 8).map_err(|error| failed(&error, "Write an octal mode"))?;
    bind(path, mode).map_err(|error| {
        let way_out = match error.kind() {
            ErrorKind::NotFound => "Make its directory",
            ErrorKind::PermissionDenied => "Give the relay's user write access to its directory",
            _ => "Make way",
        };
        failed(&error, way_out)
    })
}

/// The kinds of which the supervisor passed in at least one.
#[derive(Default)]
struct Inherited {
    udp: bool,
    unix_datagram: bool,
    unix_stream: bool,
    tcp: bool,
}

/// A TCP socket named `http` is for the page and the API; every other one, whatever its name, is for lines.
fn inherit(listen: &ListenConfig, sockets: &mut Sockets) -> Result<Inherited, StartError> {
    // The names of the sockets, which come with them, in their order.
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<&str> = names.split(':').collect();
    let options = options(listen, None, None);
    let mut passed = ListenFd::from_env();
    let mut inherited = Inherited::default();
    for at in 0..passed.len() {
        let failed = |error: &dyn Display| {
            StartError::failed(format!("the inherited socket number {at} (file descriptor {}) cannot be used: {error}", at + 3))
        };
        let unusable = |error: io::Error| failed(&error);
        if let Ok(Some(socket)) = passed.take_udp_socket(at) {
            let listener = DatagramListener::inherited_udp(socket, listen.receive_buffer.bytes()).map_err(unusable)?;
            sockets.datagrams.push((listener, options));
            inherited.udp = true;
        } else if let Ok(Some(socket)) = passed.take_unix_datagram(at) {
            sockets.datagrams.push((DatagramListener::inherited_unix(socket).map_err(unusable)?, options));
            inherited.unix_datagram = true;
        } else if let Ok(Some(socket)) = passed.take_unix_listener(at) {
            sockets.streams.push((StreamListener::inherited_unix(socket).map_err(unusable)?, options));
            inherited.unix_stream = true;
        } else if let Ok(Some(socket)) = passed.take_tcp_listener(at) {
            if names.get(at) == Some(&HTTP) {
                sockets.http.push(socket);
            } else {
                sockets.streams.push((StreamListener::inherited_tcp(socket).map_err(unusable)?, options));
                inherited.tcp = true;
            }
        } else {
            return Err(failed(&"it is neither UDP, nor TCP, nor a unix datagram or stream socket; take it out of the socket unit"));
        }
    }
    Ok(inherited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_bound_is_told_with_its_own_remedy() {
        let none = || ListenConfig { udp: Vec::new(), ..ListenConfig::default() };
        let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let holder = TcpListener::bind(&taken).unwrap();
        let endpoint = |address: &str| Endpoint { address: address.into(), dialect: None, strict: None };
        let socket = UnixEndpoint { path: "/no/such/directory/a.sock".into(), mode: "0722".into(), dialect: None, strict: None };
        for (listen, http, told) in [
            (ListenConfig { tcp: vec![endpoint(&taken)], ..none() }, None, "Free the port, or choose another with listen.tcp"),
            (none(), Some(taken.clone()), "Free the port, or choose another with --http or http.listen"),
            (none(), Some("192.0.2.1:1".into()), "This host has no such address: choose another with --http or http.listen"),
            (
                ListenConfig { udp: vec![endpoint("192.0.2.1:1")], ..none() },
                None,
                "This host has no such address: choose another with --udp or listen.udp",
            ),
            (ListenConfig { unix_stream: vec![socket], ..none() }, None, "Make its directory, or choose another path"),
        ] {
            let http: Vec<String> = http.into_iter().collect();
            let message = open(&listen, &http).err().unwrap().message;
            assert!(message.contains("cannot bind") && message.ends_with(told), "{message}");
        }
        drop(holder);
    }
}
