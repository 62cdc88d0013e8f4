//! An http or https address that is shown without its path, since tokens hide there.

use std::fmt;

use hyper::Uri;

/// A validated http(s) URL.
#[derive(Clone, PartialEq)]
pub struct Url(Uri);

impl Url {
    /// Reads an absolute URL. The error says what is wrong and never repeats more than the scheme.
    pub fn parse(text: &str) -> Result<Url, String> {
        let uri: Uri = text.trim().parse().map_err(|error| format!("not a URL ({error}); expected http://host:port or https://host"))?;
        match (uri.scheme_str(), uri.authority()) {
            (Some("http" | "https"), Some(authority)) if authority.as_str().contains('@') => {
                Err("credentials do not belong into a URL; use the keys for them".to_string())
            }
            (Some("http" | "https"), Some(_)) => Ok(Url(uri)),
            (Some(scheme), _) => Err(format!("the scheme {scheme:?} is not supported; expected http or https")),
            (None, _) => Err("it has no scheme; expected http://host:port or https://host".to_string()),
        }
    }

    /// The URL with `path` behind its own path.
    pub fn join(&self, path: &str) -> Result<Url, String> {
        let mut parts = self.0.clone().into_parts();
        let joined = format!("{}{path}", self.0.path().trim_end_matches('/'));
        parts.path_and_query = Some(joined.parse().map_err(|error| format!("not a URL path ({error})"))?);
        Uri::from_parts(parts).map(Url).map_err(|error| format!("not a URL ({error})"))
    }

    pub fn is_https(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Display for Url {
    /// Scheme, host and port.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme_str().unwrap_or_default(), self.0.authority().map_or("", |authority| authority.as_str()))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_path() {
        let url = Url::parse("https://hooks.example:8443/services/T0KEN?also=this").unwrap();
        assert_eq!(format!("{url} {url:?}"), "https://hooks.example:8443 https://hooks.example:8443");
        assert!(url.is_https());
    }

    #[test]
    fn paths_are_joined_behind_a_prefix() {
        for (base, joined) in [("http://h:1", "http://h:1/api/x"), ("http://h/", "http://h/api/x"), ("http://h/dd/", "http://h/dd/api/x")] {
            assert_eq!(Url::parse(base).unwrap().join("/api/x").unwrap().uri().to_string(), joined);
        }
    }

    #[test]
    fn what_is_no_web_address_is_refused_with_what_was_expected() {
        for wrong in ["", "localhost:80/x", "ftp://h/", "/path", "http://user:pw@h/", "http://"] {
            let error = Url::parse(wrong).unwrap_err();
            assert!(!error.contains("pw"), "{error}");
        }
    }
}
