//! What one client, and all of them together, may take.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::telemetry::{HTTP_CONNECTIONS, HTTP_CONNECTIONS_REFUSED};

/// Bounds of the server.
#[derive(Clone, Debug)]
pub struct Limits {
    pub connections: usize,
    pub connections_per_address: usize,
    /// From the first byte of a request (of a connection: from its begin) to the end of its head.
    pub head: Duration,
    /// Between requests.
    pub idle: Duration,
    /// From the end of the head to the answer, and again for sending it.
    pub request: Duration,
    /// Without any progress in sending.
    pub write_stall: Duration,
    pub head_bytes: usize,
    pub url_bytes: usize,
    pub body_bytes: usize,
    /// Queries that run at once.
    pub queries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 512,
            connections_per_address: 64,
            head: Duration::from_secs(5),
            idle: Duration::from_secs(60),
            request: Duration::from_secs(30),
            write_stall: Duration::from_secs(10),
            head_bytes: 16 << 10,
            url_bytes: 8 << 10,
            body_bytes: 1 << 20,
            queries: 8,
        }
    }
}

/// Open connections by address.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<HashMap<IpAddr, usize>>);

/// A place among the open connections; given back when dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    connections: Arc<Connections>,
    from: IpAddr,
}

impl Connections {
    /// A place for a connection from this address, or `None`, counted.
    pub(super) fn admit(self: &Arc<Self>, from: IpAddr, limits: &Limits) -> Option<Admitted> {
        let from = from.to_canonical();
        let mut open = self.0.lock();
        let all: usize = open.values().sum();
        let refused = if all >= limits.connections {
            Some("total")
        } else if open.get(&from).copied().unwrap_or(0) >= limits.connections_per_address {
            Some("address")
        } else {
            None
        };
        if let Some(reason) = refused {
            HTTP_CONNECTIONS_REFUSED.counter(&[("reason", reason)]).increment(1);
            return None;
        }
        *open.entry(from).or_default() += 1;
        HTTP_CONNECTIONS.gauge(&[]).set((all + 1) as f64);
        Some(Admitted { connections: self.clone(), from })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.connections.0.lock();
        if let Some(count) = open.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.from);
            }
        }
        HTTP_CONNECTIONS.gauge(&[]).set(open.values().sum::<usize>() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_total_and_by_address_and_given_back() {
        let limits = Limits { connections: 3, connections_per_address: 2, ..Limits::default() };
        let connections = Arc::new(Connections::default());
        let admit = |address: &str| connections.admit(address.parse().unwrap(), &limits);
        let (first, second) = (admit("10.0.0.1"), admit("::ffff:10.0.0.1"));
        assert!(first.is_some() && second.is_some());
        assert!(admit("10.0.0.1").is_none(), "a mapped address is the same address");
        let third = admit("10.0.0.2");
        assert!(third.is_some() && admit("10.0.0.3").is_none());
        drop(first);
        assert!(admit("10.0.0.1").is_some());
    }
}
