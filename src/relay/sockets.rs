//! The sockets: inherited from a supervisor, or bound as configured.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use listenfd::ListenFd;

use super::StartError;
use crate::listen::{ListenConfig, UdpListener};
use crate::parse::Options;

/// Everything that is read, before anything reads it.
pub(super) struct Sockets {
    pub(super) udp: Vec<(UdpListener, Options)>,
    pub(super) http: Vec<TcpListener>,
    /// Why a listener is missing while the relay runs all the same.
    pub(super) missing: Vec<String>,
}

/// Takes what the supervisor passed in; binds what it did not. Inherited sockets replace the listeners of
/// their kind.
pub(super) fn open(listen: &ListenConfig, http: &[String]) -> Result<Sockets, StartError> {
    let mut inherited = inherit()?;
    let mut sockets = Sockets { udp: Vec::new(), http: std::mem::take(&mut inherited.tcp), missing: Vec::new() };
    let buffer = listen.receive_buffer.bytes();
    let options = Options { dialect: listen.dialect, strict: listen.strict, eol_required: false };
    for socket in inherited.udp {
        let listener = UdpListener::inherit(socket, buffer)
            .map_err(|error| StartError::failed(format!("an inherited UDP socket cannot be used: {error}")))?;
        sockets.udp.push((listener, options));
    }
    if sockets.udp.is_empty() {
        bind_udp(listen, buffer, options, &mut sockets)?;
    }
    if sockets.http.is_empty() {
        for address in http {
            let listener = TcpListener::bind(address).map_err(|error| {
                StartError::failed(format!("http.listen: cannot bind {address}: {error}. Free the port, or choose another with --http or http.listen"))
            })?;
            sockets.http.push(listener);
        }
    }
    Ok(sockets)
}

fn bind_udp(listen: &ListenConfig, buffer: usize, options: Options, sockets: &mut Sockets) -> Result<(), StartError> {
    // Of the two default addresses one may be missing: a machine without IPv6 is no reason not to start.
    let tolerant = listen.udp == ListenConfig::default().udp;
    for endpoint in &listen.udp {
        let options = Options {
            dialect: endpoint.dialect.unwrap_or(options.dialect),
            strict: endpoint.strict.unwrap_or(options.strict),
            ..options
        };
        let bound = endpoint.address.parse::<SocketAddr>().map_err(|error| error.to_string()).and_then(|address| {
            UdpListener::bind(address, buffer).map_err(|error| error.to_string())
        });
        match bound {
            Ok(listener) => sockets.udp.push((listener, options)),
            Err(error) => sockets.missing.push(format!("listen.udp: cannot bind {}: {error}", endpoint.address)),
        }
    }
    if !sockets.missing.is_empty() && (!tolerant || sockets.udp.is_empty()) {
        let reasons = sockets.missing.join("; ");
        return Err(StartError::failed(format!("{reasons}. Free the port, or choose another with --udp or listen.udp")));
    }
    Ok(())
}

#[derive(Default)]
struct Inherited {
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
}

fn inherit() -> Result<Inherited, StartError> {
    let mut passed = ListenFd::from_env();
    let mut inherited = Inherited::default();
    for at in 0..passed.len() {
        if let Ok(Some(socket)) = passed.take_udp_socket(at) {
            inherited.udp.push(socket);
        } else if let Ok(Some(listener)) = passed.take_tcp_listener(at) {
            inherited.tcp.push(listener);
        } else {
            return Err(StartError::failed(format!(
                "the inherited socket number {at} (file descriptor {}) is neither UDP nor a TCP listener; take it out of the socket unit",
                at + 3
            )));
        }
    }
    Ok(inherited)
}
