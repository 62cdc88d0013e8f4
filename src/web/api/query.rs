//! Queries: one time, a range, and the text alone.

use std::time::Duration;

use super::write::string;
use super::{Call, Data, result};
use crate::query::{self, Answer, ErrorKind, Expr, Options, QueryError};
use crate::web::reply::{ApiError, ErrorType};

/// Steps one range query may take.
const MAX_POINTS: i64 = 11_000;
/// What a cut answer says.
pub(super) const TRUNCATED: &str = "results truncated due to limit";

pub(super) fn instant(call: &Call<'_>) -> Result<Data, ApiError> {
    let at = call.params.time("time")?.unwrap_or_else(|| call.app.clock.now_ms());
    let limit = call.params.limit("limit")?;
    let options = options(call)?;
    let answer = query::instant(&expression(call)?, at, call.app.select.as_ref(), &options).map_err(failed)?;
    Ok(data(answer, at, limit))
}

pub(super) fn range(call: &Call<'_>) -> Result<Data, ApiError> {
    let (start, end) = (call.params.required_time("start")?, call.params.required_time("end")?);
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let step = call.params.duration("step")?.ok_or_else(|| ApiError::parameter("step", "cannot parse \"\" to a valid duration"))?;
    let step = step.as_millis() as i64;
    if step == 0 {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(ApiError::parameter("step", why));
    }
    if (end - start) / step > MAX_POINTS {
        let why = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
        return Err(ApiError::bad(why));
    }
    let limit = call.params.limit("limit")?;
    let options = options(call)?;
    let answer = query::range(&expression(call)?, start, end, step, call.app.select.as_ref(), &options).map_err(failed)?;
    Ok(data(answer, end, limit))
}

/// No exemplars are kept, so there are none to show for any expression.
pub(super) fn exemplars(call: &Call<'_>) -> Result<Data, ApiError> {
    expression(call)?;
    Ok(String::from("[]").into())
}

/// The expression as the printer writes it.
pub(super) fn format(call: &Call<'_>) -> Result<Data, ApiError> {
    let mut json = String::new();
    string(&mut json, &expression(call)?.to_string());
    Ok(json.into())
}

fn expression(call: &Call<'_>) -> Result<Expr, ApiError> {
    query::parse(call.params.get("query").unwrap_or("")).map_err(|error| ApiError::parameter("query", error))
}

fn options(call: &Call<'_>) -> Result<Options, ApiError> {
    let timeout = call.params.duration("timeout")?.unwrap_or(call.limit).min(call.limit);
    let mut options = Options { deadline: Some(call.began + timeout), ..Options::default() };
    if let Some(lookback) = call.params.duration("lookback_delta")?.filter(|lookback| *lookback > Duration::ZERO) {
        options.lookback = lookback;
    }
    Ok(options)
}

fn data(answer: Answer, at: i64, limit: usize) -> Data {
    let (json, cut) = result::json(&answer.value, at, limit);
    let mut warnings = answer.warnings;
    if cut {
        warnings.push(TRUNCATED.to_string());
    }
    Data { json, warnings, infos: answer.infos }
}

/// The API's error for one of the engine.
pub(super) fn failed(error: QueryError) -> ApiError {
    let kind = match error.kind {
        ErrorKind::BadData | ErrorKind::Unsupported => ErrorType::BadData,
        ErrorKind::Execution => ErrorType::Execution,
        ErrorKind::Timeout => ErrorType::Timeout,
    };
    ApiError::new(kind, error.message)
}
