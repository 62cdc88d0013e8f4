//! The secrets and the paths of a configuration, each with the key it stands under.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::Config;
use super::validate::{host_of, is_loopback, url};
use crate::net::Secret;

type Said = Vec<(String, String)>;

/// Every secret. The flag says that it is a URL.
fn secrets(config: &mut Config) -> Vec<(String, &mut Secret, bool)> {
    let mut all = Vec::new();
    all.extend(config.http.admin.as_mut().map(|secret| ("http.admin".to_string(), secret, false)));
    for (i, sink) in config.sinks.iter_mut().enumerate() {
        all.extend(sink.api_key.as_mut().map(|secret| (format!("sinks[{i}].api_key"), secret, false)));
        all.extend(sink.bearer.as_mut().map(|secret| (format!("sinks[{i}].bearer"), secret, false)));
        all.extend(sink.basic_auth.as_mut().map(|auth| (format!("sinks[{i}].basic_auth.password"), &mut auth.password, false)));
        all.extend(sink.headers.iter_mut().map(|(name, secret)| (format!("sinks[{i}].headers.{name}"), secret, false)));
        let more = sink.additional_endpoints.iter_mut().enumerate();
        all.extend(more.map(|(j, endpoint)| (format!("sinks[{i}].additional_endpoints[{j}].api_key"), &mut endpoint.api_key, false)));
    }
    for (i, receiver) in config.notify.receivers.iter_mut().enumerate() {
        let webhooks = receiver.webhook.iter_mut().enumerate();
        all.extend(webhooks.map(|(j, webhook)| (format!("notify.receivers[{i}].webhook[{j}].url"), &mut webhook.url, true)));
    }
    all.extend(config.notify.heartbeat.as_mut().map(|heartbeat| ("notify.heartbeat.url".to_string(), &mut heartbeat.url, true)));
    all
}

/// Every path that may be relative.
pub(super) fn paths(config: &mut Config) -> Vec<(String, &mut PathBuf)> {
    let Config { data_dir, shape, http, .. } = config;
    let keys = [("data_dir", data_dir), ("shape.mapping", &mut shape.mapping), ("http.web_config", &mut http.web_config)];
    keys.into_iter().filter_map(|(key, path)| Some((key.to_string(), path.as_mut()?))).collect()
}

/// Every secret that is a file.
pub(super) fn files(config: &mut Config) -> Vec<(String, &mut PathBuf)> {
    let mut files = Vec::new();
    for (path, secret, _) in secrets(config) {
        if let Secret::File(file) = secret {
            files.push((path, file));
        }
    }
    files
}

/// Reads every secret once: one that cannot be read is an error, one that others can read a warning.
pub(super) fn read_all(config: &mut Config, errors: &mut Said, warnings: &mut Said) {
    for (path, secret, is_url) in secrets(config) {
        match secret.read() {
            Err(message) => errors.push((path.clone(), message)),
            Ok(value) if is_url => {
                if let Err(message) = url(&value) {
                    errors.push((path.clone(), message));
                } else if secret.is_literal() && !host_of(&value).is_some_and(is_loopback) {
                    warnings.push((
                        path.clone(),
                        "a URL with a token in it is a secret: better {file: PATH}, {env: NAME} or {credential: NAME}".to_string(),
                    ));
                }
            }
            Ok(_) if secret.is_literal() => {
                warnings
                    .push((path.clone(), "a secret in plain sight: better {file: PATH}, {env: NAME} or {credential: NAME}".to_string()));
            }
            Ok(_) => {}
        }
        if let Secret::File(file) = secret
            && std::fs::metadata(&*file).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
        {
            warnings.push((path, format!("everyone on this host can read {}: chmod o-r it", file.display())));
        }
    }
}
