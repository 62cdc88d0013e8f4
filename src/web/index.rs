//! The page at `/`: where everything is.

use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use hyper::{Response, StatusCode};

use super::body::Body;
use super::reply;

/// No script, no frame, nothing from elsewhere.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");

/// Links to what can be read.
pub(super) fn page(scrape_path: &str) -> Response<Body> {
    let links = [
        (scrape_path, "the scrape page"),
        ("/health", "how the relay and its parts are"),
        ("/api/v1/alerts", "alerts that are pending or firing"),
        ("/api/v1/rules", "rules and their state"),
        ("/api/v1/label/__name__/values", "the names of all series"),
        ("/api/v1/metadata", "types and units"),
        ("/api/v1/relay/top", "metrics with the most series, tags with the most values"),
        ("/api/v1/relay/rejected", "examples of refused lines"),
        ("/api/v1/relay/events", "events and service checks"),
        ("/api/v1/relay/sinks", "how the sinks do"),
        ("/-/ready", "whether it is ready"),
    ];
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>statsd-relay</title></head><body>\n<h1>statsd-relay {}</h1>\n<ul>\n",
        escape(env!("CARGO_PKG_VERSION"))
    );
    for (path, what) in links {
        html.push_str(&format!("<li><a href=\"{0}\">{0}</a> {1}</li>\n", escape(path), escape(what)));
    }
    html.push_str("</ul>\n<p>PromQL is answered at <code>/api/v1/query</code> and <code>/api/v1/query_range</code>, what \
         becomes of a line at <code>/api/v1/relay/explain?line=</code>; <code>/api/v1/relay/tap</code> streams lines as they come.</p>\n</body></html>\n");
    let mut response = reply::of_type(StatusCode::OK, "text/html; charset=utf-8", html);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
    response
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_the_configuration_is_escaped() {
        assert_eq!(escape("<a href='\"&'>"), "&lt;a href=&#39;&quot;&amp;&#39;&gt;");
    }
}
