//! What becomes of a line, step by step, without sending it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::out_of_reach;
use crate::aggregate::{Aggregator, Limit, LimitsConfig, OnLimit, Prospect, page_name, unlabelled};
use crate::encode::datadog;
use crate::model::{Form, Kind, labels};
use crate::parse::{self, Metric, Options, Parsed, Record, ToleratedSet, json};
use crate::shape::{self, Presentation, Shaping};

/// Bytes of a line that are shown.
const SHOWN_MAX: usize = 4_096;

/// The configuration a line is explained under.
pub struct Explainer {
    /// The ways in which lines are read; at least one.
    pub readings: Vec<Reading>,
    pub shaping: Arc<Shaping>,
    pub limits: LimitsConfig,
    /// How old a sample with a time of its own may be.
    pub back: Duration,
    /// `_total` is appended to counters that lack it.
    pub counter_suffix: bool,
    /// How timers, histograms and distributions are shown where the mapping file does not say.
    pub presentation: Presentation,
    /// There is a file, which keeps samples with a time of their own.
    pub store: bool,
    /// By the names of their sinks.
    pub datadog: Vec<(String, datadog::Options)>,
    /// The relay at work, if it is to be asked what it has.
    pub live: Option<Arc<Aggregator>>,
}

/// A way in which lines are read, and the listeners that read so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub listeners: Vec<String>,
    pub options: Options,
}

impl Reading {
    /// Every way of some listeners, each once; without a listener that of `default`.
    pub fn all(listeners: impl IntoIterator<Item = (String, Options)>, default: Options) -> Vec<Reading> {
        let mut readings: Vec<Reading> = Vec::new();
        for (listener, options) in listeners {
            match readings.iter_mut().find(|reading| reading.options == options) {
                Some(reading) => reading.listeners.push(listener),
                None => readings.push(Reading { listeners: vec![listener], options }),
            }
        }
        if readings.is_empty() {
            readings.push(Reading { listeners: Vec::new(), options: default });
        }
        readings
    }
}

/// One sample, event, check or refusal of a line.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Control characters are escaped.
    pub line: String,
    /// Those that read it so.
    pub listeners: Vec<String>,
    pub dialect: &'static str,
    pub strict: bool,
    /// What the line says, or why it is refused, as `parse` prints it.
    pub record: Value,
    /// Where a refused line goes wrong, in bytes.
    pub offset: Option<usize>,
    pub tolerated: Vec<&'static str>,
    pub metric: Option<Fate>,
}

/// What becomes of a metric that was read.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fate {
    /// How many samples each value counts for: 1 / sample rate.
    pub weight: f64,
    /// Every step of shaping that had an effect.
    pub shaping: Vec<Step>,
    /// What values are multiplied by.
    pub scale: f64,
    /// Why shaping drops it.
    pub dropped: Option<&'static str>,
    pub becomes: Becomes,
    /// What it is added to in the end.
    pub series: Identity,
    pub limits: Vec<Bound>,
    /// The limit that keeps it from a series of its own: whatever else is live, or with what is live now.
    pub limited: Option<&'static str>,
    /// Another type has its name on the page, so that its own is another. Told by a relay at work.
    pub clashes: bool,
    /// The unix second it stands at, apart from the window.
    pub stamped: Option<u64>,
    pub outputs: Vec<Output>,
}

/// Where a metric's samples go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Becomes {
    /// A series of its own, as far as can be told without a relay at work.
    Series,
    /// A series that is there.
    Known,
    /// A series that is not there yet.
    New,
    /// The overflow series of its name.
    Overflow,
    /// The overflow series of its name if that name has a series, else nothing.
    OverflowOrShed,
    /// Nothing: a limit sheds it.
    Shed,
    /// Nothing: shaping drops it.
    Dropped,
}

/// A step of shaping, and the identity after it.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Where it is written.
    pub place: String,
    /// First the whole match, then `$1` and on.
    pub captures: Vec<String>,
    pub name: String,
    pub tags: Vec<String>,
    pub scale: f64,
    pub dropped: bool,
}

impl From<shape::Step> for Step {
    fn from(step: shape::Step) -> Step {
        let shape::Step { place, captures, name, tags, scale, dropped, .. } = step;
        Step { place, captures, name, tags, scale, dropped }
    }
}

/// The identity of a series.
#[derive(Clone, Debug, Serialize)]
pub struct Identity {
    pub name: String,
    pub r#type: Kind,
    pub tags: Vec<String>,
}

/// A limit and what the line takes of it.
#[derive(Clone, Debug, Serialize)]
pub struct Bound {
    pub limit: &'static str,
    pub has: usize,
    pub most: usize,
}

/// What a series is called elsewhere.
#[derive(Clone, Debug, Serialize)]
pub struct Output {
    pub output: String,
    pub names: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub tags: Vec<String>,
    pub host: Option<String>,
    /// Why it would not take it.
    pub unfit: Option<&'static str>,
}

impl Explainer {
    /// Explains every sample of a line, as each kind of listener reads it, at `now` (unix milliseconds). An empty line is nothing.
    pub fn explain(&self, line: &[u8], now: i64) -> Vec<Explanation> {
        let mut all = Vec::new();
        for reading in &self.readings {
            parse::each(line, &reading.options, &mut |parsed| all.push(self.one(&parsed, reading, now)));
        }
        all
    }

    fn one(&self, parsed: &Parsed<'_>, reading: &Reading, now: i64) -> Explanation {
        let (tolerated, metric) = match &parsed.record {
            Ok(Record::Metric(metric)) => {
                let fate = self.fate(metric, now);
                let mut tolerated = names(metric.tolerated);
                tolerated.extend(names(unlabelled(parse::identity(metric.spelling).tolerated, &fate.series.tags)));
                (tolerated, Some(fate))
            }
            Ok(Record::Event(_, _, tolerated)) => (names(*tolerated), None),
            Ok(Record::Check(check, _, tolerated)) => (names(unlabelled(*tolerated, &check.tags)), None),
            Err(_) => (Vec::new(), None),
        };
        Explanation {
            line: parse::escaped(parsed.line, SHOWN_MAX),
            listeners: reading.listeners.clone(),
            dialect: reading.options.dialect.as_str(),
            strict: reading.options.strict,
            record: serde_json::to_value(json::object(&parsed.record)).unwrap_or_default(),
            offset: parsed.record.as_ref().err().and_then(|reason| parse::place(parsed.line, *reason)),
            tolerated,
            metric,
        }
    }

    fn fate(&self, metric: &Metric<'_>, now: i64) -> Fate {
        let kind = metric.spelling.kind;
        let shaped = self.shaping.explain(parse::identity(metric.spelling), kind);
        let dropped = shaped.dropped_by.map(|hit| hit.drop_reason().as_str());
        let steps = shaped.steps.into_iter().map(Step::from).collect();
        let mut series = Identity { name: shaped.name, r#type: kind, tags: shaped.tags };
        let tags: Vec<&str> = series.tags.iter().map(String::as_str).collect();
        let (has_tags, has_bytes) = (tags.len(), LimitsConfig::key_bytes_of(&series.name, &tags));
        let stamped = metric.stands_apart();
        let (becomes, limited) = match stamped.and_then(|at| out_of_reach(at, now, self.back)) {
            _ if dropped.is_some() => (Becomes::Dropped, None),
            Some(limit) => (Becomes::Shed, Some(limit)),
            None => self.prospect(&series, &tags, stamped.is_some()),
        };
        if becomes == Becomes::Overflow {
            series.tags = vec!["overflow:true".into()];
        }
        let plain = page_name(&series.name, kind, self.counter_suffix);
        let named = self.live.as_ref().map(|live| live.registry.page_name(&series.name, kind, self.counter_suffix));
        let (page_name, clashes) = named.unwrap_or((plain, false));
        let mut outputs = Vec::new();
        if !matches!(becomes, Becomes::Dropped | Becomes::Shed) {
            let said = shaped.options.as_ref().map(|options| options.presentation.clone()).unwrap_or_default();
            match stamped {
                None => outputs.push(prometheus(page_name, &series, &said.or(&self.presentation).form())),
                // The page shows what is so now.
                Some(_) => outputs.extend(self.store.then(|| store(page_name, &series))),
            }
            outputs.extend(self.datadog.iter().map(|(sink, options)| datadog(sink, &series, options)));
        }
        let bound = |limit: Limit, has, most| Bound { limit: limit.as_str(), has, most };
        Fate {
            // The rate of gauges and sets means nothing, nor that of a sample with a time of its own.
            weight: if stamped.is_some() || matches!(metric.spelling.kind, Kind::Gauge | Kind::Set) { 1.0 } else { 1.0 / metric.rate },
            limits: vec![
                bound(Limit::TagsPerSeries, has_tags, self.limits.tags_per_series),
                bound(Limit::KeyBytes, has_bytes, self.limits.key_bytes),
            ],
            shaping: steps,
            scale: shaped.scale,
            dropped,
            becomes,
            series,
            limited: limited.map(Limit::as_str),
            clashes,
            stamped,
            outputs,
        }
    }

    /// Where an identity's samples go, and the limit that has a say in it.
    fn prospect(&self, series: &Identity, tags: &[&str], apart: bool) -> (Becomes, Option<Limit>) {
        if let Some(live) = &self.live {
            return match live.registry.foresee(series.r#type, &series.name, tags, apart) {
                Prospect::Known => (Becomes::Known, None),
                Prospect::New => (Becomes::New, None),
                Prospect::Overflow(limit) => (Becomes::Overflow, Some(limit)),
                Prospect::Shed(limit) => (Becomes::Shed, Some(limit)),
            };
        }
        match self.limits.met_by(&series.name, tags) {
            None => (Becomes::Series, None),
            Some(limit) if apart || self.limits.on_limit == OnLimit::Drop => (Becomes::Shed, Some(limit)),
            Some(limit) => (Becomes::OverflowOrShed, Some(limit)),
        }
    }
}

/// What queries call a series on the page.
fn query_labels(name: &str, series: &Identity) -> BTreeMap<String, String> {
    let derived = labels::derive(name, series.tags.iter().map(String::as_str));
    derived.iter().filter(|(key, _)| *key != labels::NAME).map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// Where queries find a sample with a time of its own.
fn store(name: String, series: &Identity) -> Output {
    let mut labels = query_labels(&name, series);
    if series.r#type == Kind::Counter {
        labels.insert("stamped".into(), "true".into());
    }
    Output { output: "store".into(), names: vec![name], labels, tags: Vec::new(), host: None, unfit: None }
}

fn prometheus(name: String, series: &Identity, form: &Form) -> Output {
    let labels = query_labels(&name, series);
    let names = match series.r#type {
        kind if kind.is_sketch() => {
            let parts = if matches!(form, Form::Histogram(_)) { format!("{name}_bucket") } else { name.clone() };
            vec![parts, format!("{name}_sum"), format!("{name}_count")]
        }
        _ => vec![name],
    };
    Output { output: "prometheus".into(), names, labels, tags: Vec::new(), host: None, unfit: None }
}

fn datadog(sink: &str, series: &Identity, options: &datadog::Options) -> Output {
    let named = datadog::named(&series.name, series.r#type, series.tags.iter().map(String::as_str), options);
    Output {
        output: sink.to_string(),
        names: named.metrics,
        labels: BTreeMap::new(),
        tags: named.tags,
        host: Some(named.host),
        unfit: named.unfit.map(|unfit| unfit.as_str()),
    }
}

fn names(tolerated: ToleratedSet) -> Vec<&'static str> {
    tolerated.iter().map(|kind| kind.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explainer() -> Explainer {
        let options = datadog::Options {
            hostname: "own".into(),
            counters: datadog::CounterForm::Rate,
            aggregates: vec![datadog::HistogramAggregate::Max],
            percentiles: vec![95],
            compression: crate::encode::Compression::None,
        };
        Explainer {
            readings: Reading::all([], Options::default()),
            shaping: Arc::default(),
            limits: LimitsConfig { tags_per_series: 2, ..LimitsConfig::default() },
            back: Duration::from_secs(3_600),
            counter_suffix: true,
            presentation: Presentation::default(),
            store: true,
            datadog: vec![("dd".into(), options)],
            live: None,
        }
    }

    fn explained(line: &str) -> Explanation {
        explainer().explain(line.as_bytes(), 1_700_000_000_000).remove(0)
    }

    #[test]
    fn a_metric_is_followed_to_its_outputs() {
        let one = explained("web.hits:1|c|@0.1|#host:a,env:x|c:ci-abc|card:low");
        assert_eq!((&one.record["container_id"], &one.record["cardinality"]), (&"abc".into(), &"low".into()));
        let fate = one.metric.unwrap();
        assert_eq!((fate.weight, fate.limited), (10.0, None));
        assert_eq!((fate.series.name.as_str(), &fate.series.tags[..]), ("web.hits", &["env:x".to_string(), "host:a".to_string()][..]));
        let [page, datadog] = &fate.outputs[..] else { panic!() };
        assert_eq!((&page.names[..], page.labels["env"].as_str()), (&["web_hits_total".to_string()][..], "x"));
        assert_eq!(
            (&datadog.names[..], datadog.host.as_deref(), &datadog.tags[..]),
            (&["web.hits".to_string()][..], Some("a"), &["env:x".to_string()][..])
        );
        let timer = explained("t:1|ms").metric.unwrap();
        assert_eq!(timer.outputs[0].names, ["t", "t_sum", "t_count"]);
        assert_eq!(timer.outputs[1].names, ["t.max", "t.95percentile"]);
        let histograms = Explainer { presentation: Presentation { histogram: Some(true), ..Presentation::default() }, ..explainer() };
        let timer = histograms.explain(b"t:1|ms", 0).remove(0).metric.unwrap();
        assert_eq!(timer.outputs[0].names, ["t_bucket", "t_sum", "t_count"]);
    }

    #[test]
    fn a_sample_with_a_time_of_its_own_goes_to_the_store_and_not_to_the_page() {
        let outputs = |store: bool, line: &str| {
            let fate = Explainer { store, ..explainer() }.explain(line.as_bytes(), 1_700_000_000_000).remove(0).metric.unwrap();
            let shown = |output: Output| (output.output, output.names.join(" "), output.labels.into_iter().collect::<Vec<_>>());
            fate.outputs.into_iter().map(shown).collect::<Vec<_>>()
        };
        let (env, stamped) = (("env".to_string(), "x".to_string()), ("stamped".to_string(), "true".to_string()));
        let datadog = |name: &str| ("dd".to_string(), name.to_string(), Vec::new());
        assert_eq!(
            outputs(true, "hits:1|c|#env:x|T1700000000"),
            [("store".to_string(), "hits_total".to_string(), vec![env.clone(), stamped]), datadog("hits")]
        );
        assert_eq!(outputs(true, "heat:1|g|#env:x|T1700000000"), [("store".to_string(), "heat".to_string(), vec![env]), datadog("heat")]);
        assert_eq!(outputs(false, "heat:1|g|T1700000000"), [datadog("heat")]);
        assert_eq!(outputs(true, "took:1|ms|T1700000000")[0].0, "prometheus", "it joins the window");
    }

    #[test]
    fn what_stands_in_the_way_is_named() {
        assert_eq!(explained("a:1|c|#a,b,c").metric.unwrap().limited, Some("tags_per_series"));
        assert_eq!(explained("a:1|c|T1").metric.unwrap().limited, Some("stamped_too_old"));
        let stamped = explained("a:1|c|@0.5|T1700000000").metric.unwrap();
        assert_eq!((stamped.stamped, stamped.weight, stamped.limited), (Some(1_700_000_000), 1.0, None));
        let refused = explained("a:x|c");
        assert_eq!((&refused.record["reason"], refused.offset), (&"bad_value".into(), Some(2)));
        assert_eq!(explained("a:1|c|zz").tolerated, ["field_unknown"]);
        let reserved = explained("a:1|c|#__name__:b");
        assert_eq!((&reserved.tolerated[..], reserved.metric.unwrap().outputs[0].labels.len()), (&["tag_dropped"][..], 0));
    }
}
