//! `listen:` in relay.yaml.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::ByteSize;
use crate::model::units::duration;
use crate::parse::Dialect;

/// Where lines come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct ListenConfig {
    pub udp: Vec<Endpoint>,
    pub unix_datagram: Vec<UnixEndpoint>,
    pub unix_stream: Vec<UnixEndpoint>,
    pub tcp: Vec<Endpoint>,
    /// For every listener that names none of its own.
    pub dialect: Dialect,
    pub strict: bool,
    /// Asked of the kernel for each datagram socket; the grant is a self-metric.
    pub receive_buffer: ByteSize,
    pub threads: Threads,
    /// Address prefixes such as `10.0.0.0/8`; empty admits everyone.
    pub allow_from: Vec<String>,
    pub max_connections: usize,
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
}

impl Default for ListenConfig {
    fn default() -> Self {
        ListenConfig {
            udp: ["127.0.0.1:8125", "[::1]:8125"].map(Endpoint::at).to_vec(),
            unix_datagram: Vec::new(),
            unix_stream: Vec::new(),
            tcp: Vec::new(),
            dialect: Dialect::DogStatsd,
            strict: false,
            receive_buffer: ByteSize(4 << 20),
            threads: Threads::Auto,
            allow_from: Vec::new(),
            max_connections: 1_024,
            idle_timeout: Duration::from_secs(600),
        }
    }
}

/// A UDP or TCP address: a string, or a mapping with its own dialect and strictness.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Endpoint {
    pub address: String,
    pub dialect: Option<Dialect>,
    pub strict: Option<bool>,
}

impl Endpoint {
    /// An endpoint with the defaults of the listener section.
    pub fn at(address: &str) -> Endpoint {
        Endpoint { address: address.to_string(), dialect: None, strict: None }
    }
}

/// A unix socket's path and mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct UnixEndpoint {
    pub path: String,
    /// Octal, as a string: `"0722"`.
    #[serde(default = "UnixEndpoint::default_mode")]
    pub mode: String,
    #[serde(default)]
    pub dialect: Option<Dialect>,
    #[serde(default)]
    pub strict: Option<bool>,
}

impl UnixEndpoint {
    fn default_mode() -> String {
        "0722".to_string()
    }
}

/// Receive threads per UDP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    Auto,
    Fixed(usize),
}

impl Serialize for Threads {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Threads::Auto => serializer.serialize_str("auto"),
            Threads::Fixed(count) => serializer.serialize_u64(*count as u64),
        }
    }
}

impl<'de> Deserialize<'de> for Threads {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Threads;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("auto or a number from 1 to 64")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Threads, E> {
                if text == "auto" { Ok(Threads::Auto) } else { Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)) }
            }
            fn visit_u64<E: serde::de::Error>(self, count: u64) -> Result<Threads, E> {
                if (1..=64).contains(&count) {
                    Ok(Threads::Fixed(count as usize))
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Unsigned(count), &self))
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Full {
            address: String,
            #[serde(default)]
            dialect: Option<Dialect>,
            #[serde(default)]
            strict: Option<bool>,
        }
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Endpoint;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an address such as \"127.0.0.1:8125\", or { address, dialect, strict }")
            }
            fn visit_str<E: serde::de::Error>(self, address: &str) -> Result<Endpoint, E> {
                Ok(Endpoint::at(address))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Endpoint, A::Error> {
                let full = Full::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Endpoint { address: full.address, dialect: full.dialect, strict: full.strict })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
