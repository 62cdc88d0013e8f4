//! Name resolution that never leads to a link-local address: there live the metadata services of clouds.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

/// Whether connections to the address are refused.
pub(super) fn is_refused(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.is_link_local(),
            // fd00:ec2::254 is a metadata service outside the link-local range.
            None => v6.is_unicast_link_local() || v6.segments() == [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254],
        },
    }
}

/// The system's resolver without the addresses that are refused.
#[derive(Clone)]
pub(super) struct Resolver(GaiResolver);

impl Resolver {
    pub(super) fn new() -> Resolver {
        Resolver(GaiResolver::new())
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let refused = format!("{name} is a link-local or metadata address, which is refused");
        let found = self.0.call(name);
        Box::pin(async move {
            let allowed: Vec<SocketAddr> = found.await?.filter(|address| !is_refused(address.ip())).collect();
            if allowed.is_empty() { Err(io::Error::new(io::ErrorKind::PermissionDenied, refused)) } else { Ok(allowed.into_iter()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_and_metadata_addresses_are_refused() {
        let refused = ["169.254.169.254", "fe80::1", "::ffff:169.254.0.1", "fd00:ec2::254"];
        let allowed = ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "fd00::1", "8.8.8.8"];
        for address in refused {
            assert!(is_refused(address.parse().unwrap()), "{address}");
        }
        for address in allowed {
            assert!(!is_refused(address.parse().unwrap()), "{address}");
        }
    }
}
