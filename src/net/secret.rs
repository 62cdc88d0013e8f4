//! A value that is never shown: an API key, a token, a URL with a token in it.

use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is read of a secret file; none is longer.
const MAX_BYTES: u64 = 64 << 10;

/// Where a secret comes from. Debug and Serialize show `<secret>` for a literal.
#[derive(Clone, PartialEq)]
pub enum Secret {
    File(PathBuf),
    Env(String),
    /// A file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    Literal(String),
}

impl Secret {
    /// Reads the secret, trimmed. The error names the source, never the value.
    pub fn read(&self) -> Result<String, String> {
        let file = |path: PathBuf| {
            let mut text = String::new();
            std::fs::File::open(&path)
                .and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text))
                .map_err(|error| format!("cannot read the secret file {}: {error}", path.display()))?;
            Ok::<_, String>(text)
        };
        let value = match self {
            Secret::File(path) => file(path.clone())?,
            Secret::Env(name) => std::env::var(name).map_err(|_| format!("the environment variable {name} is not set"))?,
            Secret::Credential(name) => {
                let directory = std::env::var("CREDENTIALS_DIRECTORY").map_err(|_| {
                    format!(
                        "credential {name}: $CREDENTIALS_DIRECTORY is not set; it is when systemd starts the relay with LoadCredential="
                    )
                })?;
                file(PathBuf::from(directory).join(name))?
            }
            Secret::Literal(value) => value.clone(),
        };
        let value = value.trim();
        if value.is_empty() { Err(format!("the secret {self:?} is empty")) } else { Ok(value.to_string()) }
    }

    /// Whether the value stands in the configuration itself.
    pub fn is_literal(&self) -> bool {
        matches!(self, Secret::Literal(_))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::File(path) => write!(f, "file {}", path.display()),
            Secret::Env(name) => write!(f, "env {name}"),
            Secret::Credential(name) => write!(f, "credential {name}"),
            Secret::Literal(_) => f.write_str("<secret>"),
        }
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry = |key: &str, value: String| [(key.to_string(), value)].into_iter().collect::<std::collections::BTreeMap<_, _>>();
        match self {
            Secret::File(path) => entry("file", path.display().to_string()).serialize(serializer),
            Secret::Env(name) => entry("env", name.clone()).serialize(serializer),
            Secret::Credential(name) => entry("credential", name.clone()).serialize(serializer),
            Secret::Literal(_) => serializer.serialize_str("<secret>"),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SecretVisitor;
        impl<'de> Visitor<'de> for SecretVisitor {
            type Value = Secret;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret: {file: PATH}, {env: NAME}, {credential: NAME} or a string")
            }
            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Secret, E> {
                Ok(Secret::Literal(value.to_string()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
                let (key, value): (String, String) =
                    map.next_entry()?.ok_or_else(|| A::Error::custom("an empty secret: expected file, env or credential"))?;
                if map.next_key::<String>()?.is_some() {
                    return Err(A::Error::custom("a secret has exactly one of file, env, credential"));
                }
                match key.as_str() {
                    "file" => Ok(Secret::File(PathBuf::from(value))),
                    "env" => Ok(Secret::Env(value)),
                    "credential" => Ok(Secret::Credential(value)),
                    _ => Err(A::Error::unknown_field(&key, &["file", "env", "credential"])),
                }
            }
        }
        deserializer.deserialize_any(SecretVisitor)
    }
}
