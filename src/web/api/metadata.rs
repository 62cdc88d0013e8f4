//! Type, help and unit of every name on the page.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Call, Data};
use crate::encode::prom_text::OWN_PREFIX;
use crate::model::{Family, Kind};
use crate::web::reply::ApiError;
use crate::web::{ScrapeConfig, TimerUnit};

pub(super) fn metadata(call: &Call<'_>) -> Result<Data, ApiError> {
    let (limit, per_metric) = (call.params.limit("limit")?, call.params.limit("limit_per_metric")?);
    let wanted = call.params.get("metric");
    let mut names: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut add = |name: &str, entry: Value| {
        let entries = if wanted.is_none_or(|wanted| wanted == name) { names.entry(name.to_string()).or_default() } else { return };
        if !entries.contains(&entry) && (per_metric == 0 || entries.len() < per_metric) {
            entries.push(entry);
        }
    };
    if let Some(window) = call.app.page.window() {
        for family in window.roster.iter().filter(|family| !family.prom_name.starts_with(OWN_PREFIX)) {
            add(&family.prom_name, of_family(family, &call.app.scrape));
        }
    }
    for family in call.app.telemetry.families() {
        add(&family.name, json!({"type": family.kind, "help": family.help, "unit": ""}));
    }
    let most = if limit == 0 { usize::MAX } else { limit };
    Ok(json!(names.into_iter().take(most).collect::<BTreeMap<_, _>>()).into())
}

fn of_family(family: &Family, scrape: &ScrapeConfig) -> Value {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge | Kind::Set => "gauge",
        Kind::Timer | Kind::Histogram | Kind::Distribution => family.form.as_str(),
    };
    let seconds = family.kind == Kind::Timer && scrape.timers_in == TimerUnit::Seconds;
    let help = family.help.as_ref().map_or_else(|| format!("StatsD {} {}", family.kind.as_str(), family.name), ToString::to_string);
    json!({"type": kind, "help": help, "unit": if seconds { "seconds" } else { "" }})
}
