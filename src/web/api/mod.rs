//! The Prometheus HTTP API: each endpoint gives the `data` of its answer.

mod inside;
mod metadata;
mod query;
mod result;
mod rules;
mod series;
mod top;
mod write;

use std::time::{Duration, Instant};

use serde_json::json;

use super::App;
use super::params::Params;
use super::reply::{ApiError, ErrorType};
use write::string;

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Query,
    QueryRange,
    Exemplars,
    Format,
    Series,
    Labels,
    LabelValues(String),
    Metadata,
    Rules,
    Alerts,
    BuildInfo,
    Config,
    Events,
    Rejected,
    Top,
    Sinks,
    Checks,
    Explain,
    /// Answered as a stream.
    Tap,
}

/// The `data` of an answer as JSON, and what to say beside it.
#[derive(Debug, Default)]
struct Data {
    json: String,
    warnings: Vec<String>,
    infos: Vec<String>,
}

impl From<String> for Data {
    fn from(json: String) -> Data {
        Data { json, ..Data::default() }
    }
}

impl From<serde_json::Value> for Data {
    fn from(value: serde_json::Value) -> Data {
        value.to_string().into()
    }
}

/// What the answer to one request may use.
struct Call<'a> {
    app: &'a App,
    params: &'a Params,
    began: Instant,
    limit: Duration,
}

impl Endpoint {
    /// The endpoint under `/api/v1/`.
    pub(super) fn find(path: &str) -> Option<Endpoint> {
        Some(match path {
            "query" => Endpoint::Query,
            "query_range" => Endpoint::QueryRange,
            "query_exemplars" => Endpoint::Exemplars,
            "format_query" => Endpoint::Format,
            "series" => Endpoint::Series,
            "labels" => Endpoint::Labels,
            "metadata" => Endpoint::Metadata,
            "rules" => Endpoint::Rules,
            "alerts" => Endpoint::Alerts,
            "status/buildinfo" => Endpoint::BuildInfo,
            "status/config" => Endpoint::Config,
            "relay/events" => Endpoint::Events,
            "relay/rejected" => Endpoint::Rejected,
            "relay/top" => Endpoint::Top,
            "relay/sinks" => Endpoint::Sinks,
            "relay/checks" => Endpoint::Checks,
            "relay/explain" => Endpoint::Explain,
            "relay/tap" => Endpoint::Tap,
            _ => {
                let name = path.strip_prefix("label/")?.strip_suffix("/values")?;
                Endpoint::LabelValues(series::label_of(name)?)
            }
        })
    }

    /// Whether it reads much, and so needs a permit.
    pub(super) fn selects(&self) -> bool {
        use Endpoint::*;
        matches!(self, Query | QueryRange | Series | Labels | LabelValues(_) | Events | Top)
    }

    /// Whether parameters may come in a POST body.
    pub(super) fn takes_post(&self) -> bool {
        use Endpoint::*;
        matches!(self, Query | QueryRange | Exemplars | Format | Series | Labels | Explain)
    }
}

/// The body of a successful answer, on a thread that may compute. `began` is when the request came, `limit` the
/// longest a query may take.
pub(super) fn answer(app: &App, endpoint: &Endpoint, params: &Params, began: Instant, limit: Duration) -> Result<String, ApiError> {
    let call = Call { app, params, began, limit };
    let data = match endpoint {
        Endpoint::Query => query::instant(&call)?,
        Endpoint::QueryRange => query::range(&call)?,
        Endpoint::Exemplars => query::exemplars(&call)?,
        Endpoint::Format => query::format(&call)?,
        Endpoint::Series => series::series(&call)?,
        Endpoint::Labels => series::labels(&call)?,
        Endpoint::LabelValues(name) => series::values(&call, name)?,
        Endpoint::Metadata => metadata::metadata(&call)?,
        Endpoint::Rules => rules::rules(&call)?,
        Endpoint::Alerts => rules::alerts(&call),
        Endpoint::BuildInfo => build_info(),
        Endpoint::Config => json!({"yaml": app.config_yaml}).into(),
        Endpoint::Events => inside::events(&call)?,
        Endpoint::Rejected => inside::rejected(&call),
        Endpoint::Top => top::top(&call)?,
        Endpoint::Sinks => inside::sinks(&call),
        Endpoint::Checks => inside::checks(),
        Endpoint::Explain => inside::explain(&call)?,
        Endpoint::Tap => return Err(ApiError::bad("a tap is a stream; use GET")),
    };
    if data.json.len() > write::MAX_BYTES {
        let why = format!("the answer has more than {} bytes; narrow the query, or lengthen its step", write::MAX_BYTES);
        return Err(ApiError::new(ErrorType::Execution, why));
    }
    let mut body = String::with_capacity(data.json.len() + 64);
    body.push_str("{\"status\":\"success\",\"data\":");
    body.push_str(&data.json);
    for (name, notes) in [("warnings", &data.warnings), ("infos", &data.infos)] {
        if !notes.is_empty() {
            body.push_str(&format!(",\"{name}\":"));
            write::list(&mut body, notes, |out, note| string(out, note));
        }
    }
    body.push('}');
    Ok(body)
}

/// Clients choose their features by the version of a Prometheus; this is one whose answers we give.
fn build_info() -> Data {
    json!({
        "version": "2.55.0", "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": "",
        "application": "statsd-relay", "applicationVersion": env!("CARGO_PKG_VERSION"),
    })
    .into()
}
