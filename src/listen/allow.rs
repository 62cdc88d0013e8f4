//! Who may send, by address.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

/// An address prefix such as `10.0.0.0/8`; an address alone is its own prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    bits: u32,
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Prefix, String> {
        let invalid = || format!("invalid address prefix {text:?}: expected one such as 10.0.0.0/8 or fd00::/8");
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| invalid()))?;
        match address.to_canonical() {
            // An IPv4 prefix in IPv6's clothes: senders are compared without them.
            IpAddr::V4(own) if address.is_ipv6() && (96..=128).contains(&bits) => Ok(Prefix { address: own.into(), bits: bits - 96 }),
            _ if bits <= most => Ok(Prefix { address, bits }),
            _ => Err(invalid()),
        }
    }
}

impl Prefix {
    /// Whether the address begins with these bits. An IPv6 prefix has no IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits() ^ other.to_bits()).checked_shr(32 - self.bits).unwrap_or(0) == 0,
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0,
            _ => false,
        }
    }
}

/// The prefixes that may send; none means everyone.
#[derive(Clone, Debug, Default)]
pub struct AllowFrom(Arc<[Prefix]>);

impl AllowFrom {
    pub fn new(prefixes: impl IntoIterator<Item = Prefix>) -> AllowFrom {
        AllowFrom(prefixes.into_iter().collect())
    }

    /// Whether no sender's address needs to be known.
    pub(super) fn everyone(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this sender may send. An IPv4 sender at an IPv6 socket is an IPv4 sender.
    pub(super) fn admits(&self, sender: IpAddr) -> bool {
        self.everyone() || self.0.iter().any(|prefix| prefix.contains(sender.to_canonical()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_has_the_addresses_that_begin_with_it() {
        let table = [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "11.1.2.3", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.2", false),
            ("0.0.0.0/0", "255.1.1.1", true),
            ("0.0.0.0/0", "::1", false),
            ("192.168.7.9/31", "192.168.7.8", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::1", "::1", true),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
        ];
        for (prefix, sender, admitted) in table {
            let allow = AllowFrom::new([prefix.parse().unwrap()]);
            assert_eq!(allow.admits(sender.parse().unwrap()), admitted, "{sender} in {prefix}");
        }
        assert!(AllowFrom::default().admits("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for text in ["10.0.0.0/33", "fd00::/129", "10.0.0/8", "10.0.0.0/", "localhost", "10.0.0.0/-1"] {
            assert!(text.parse::<Prefix>().unwrap_err().starts_with("invalid address prefix"), "{text}");
        }
    }
}
