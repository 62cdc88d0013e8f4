//! What the core is to do, the slow and obvious way: one map, one lane, no cache.

use std::collections::{BTreeMap, BTreeSet};

use statsd_relay::aggregate::{Base, Limit, LimitsConfig, OnLimit};
use statsd_relay::model::Kind;

/// Type, name and sorted tags.
pub type Identity = (Kind, String, Vec<String>);

/// The tag fields lines carry: several spellings of one series, a series that overflow may take, and some beyond limits.
const TAGS: [&str; 16] = [
    "",
    "x,y",
    "y,x",
    " x , y,x",
    "x",
    "y",
    "k:1",
    "k:2",
    "k:3",
    "k:4",
    "overflow:true",
    "x,,#y",
    "a,b,c,d",
    "long:0123456789012345678901234567890123456789",
    "z,y,x",
    "\t",
];

/// A well-formed line.
pub struct Line {
    identity: Identity,
    tags: &'static str,
    sign: &'static str,
    /// Without their sign.
    magnitudes: Vec<u32>,
    rate: &'static str,
    weight: f64,
}

impl Line {
    pub fn new(series: u8, value: u8, form: u8) -> Line {
        let kind = Kind::ALL[usize::from(series & 7) % Kind::ALL.len()];
        let name = if series & 8 == 0 { "a" } else { "b" };
        let tags = TAGS[usize::from(series >> 4)];
        let trimmed = tags.split(',').map(|tag| tag.trim().trim_start_matches('#')).filter(|tag| !tag.is_empty());
        let distinct: BTreeSet<String> = trimmed.map(String::from).collect();
        let (rate, weight) = [("", 1.0), ("|@0.5", 2.0), ("|@0.25", 4.0), ("|@1", 1.0)][usize::from(form & 3)];
        let members = if kind == Kind::Set { 1 } else { 1 + u32::from(form >> 6) };
        Line {
            identity: (kind, name.to_string(), distinct.into_iter().collect()),
            tags,
            sign: ["", "+", "-", ""][usize::from(form >> 2 & 3)],
            magnitudes: (0..members).map(|more| u32::from(value) + more).collect(),
            rate,
            weight,
        }
    }

    pub fn text(&self) -> String {
        let (kind, name, _) = &self.identity;
        let values: Vec<String> = self.magnitudes.iter().map(|magnitude| format!("{}{magnitude}", self.sign)).collect();
        let token = ["c", "g", "ms", "h", "d", "s"][*kind as usize];
        format!("{name}:{}|{token}{}|#{}", values.join(":"), self.rate, self.tags)
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        let sign = if self.sign == "-" { -1.0 } else { 1.0 };
        self.magnitudes.iter().map(move |&magnitude| sign * f64::from(magnitude))
    }
}

/// What a window shows of a series.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    Counter { gain: f64, total: f64 },
    Gauge(f64),
    Set(f64),
    Timer { count: f64, sum: f64, window: Option<[f64; 4]> },
}

/// A live series.
#[derive(Default)]
pub struct Standing {
    age: u16,
    touched: bool,
    base: Base,
    gain: f64,
    members: BTreeSet<String>,
    /// Values with their weights.
    samples: Vec<(f64, f64)>,
}

/// What a cut gives.
#[derive(Default)]
pub struct Cut {
    pub rows: BTreeMap<Identity, (u16, Row)>,
    pub births: Vec<Identity>,
    pub gone: Vec<Identity>,
    pub stamped: Vec<(Identity, f64)>,
    pub went_back: u64,
    pub events: u64,
}

pub struct Model {
    limits: LimitsConfig,
    expire: u32,
    pub out_of_memory: bool,
    pub live: BTreeMap<Identity, Standing>,
    /// Where series stood when they left last.
    pub left: BTreeMap<Identity, Base>,
    /// By lane: spellings that overflow until the next window, also if there is room by then.
    overflowing: BTreeMap<(usize, Kind, String, &'static str), Limit>,
    next: Cut,
    pub accepted: u64,
    pub rejected: u64,
    pub shed: [u64; Limit::ALL.len()],
    pub limited: [u64; Limit::ALL.len()],
    pub samples: [u64; Kind::ALL.len()],
    pub stamped: u64,
    pub events: u64,
}

impl Model {
    pub fn new(limits: LimitsConfig, expire: u32) -> Model {
        Model {
            limits,
            expire,
            out_of_memory: false,
            live: BTreeMap::new(),
            left: BTreeMap::new(),
            overflowing: BTreeMap::new(),
            next: Cut::default(),
            accepted: 0,
            rejected: 0,
            shed: Default::default(),
            limited: Default::default(),
            samples: Default::default(),
            stamped: 0,
            events: 0,
        }
    }

    /// Takes a line as the listener of a lane does. On that of the last one signs on gauges are changes.
    pub fn take(&mut self, line: &Line, lane: usize, stamped: bool) {
        let classic = lane == 2;
        let members = line.magnitudes.len() as u64;
        if stamped && matches!(line.identity.0, Kind::Counter | Kind::Gauge) {
            return self.take_stamped(line, members);
        }
        let spelling = (lane, line.identity.0, line.identity.1.clone(), line.tags);
        let known = self.overflowing.get(&spelling).copied();
        let identity = match known.or_else(|| self.refusal(&line.identity)) {
            None => line.identity.clone(),
            Some(limit) => {
                self.limited[limit as usize] += members;
                let (kind, name, _) = &line.identity;
                if known.is_none() && (self.limits.on_limit == OnLimit::Drop || self.of_name(&line.identity) == 0) {
                    self.shed[limit as usize] += 1;
                    return;
                }
                self.overflowing.insert(spelling, limit);
                (*kind, name.clone(), vec!["overflow:true".to_string()])
            }
        };
        self.accepted += 1;
        self.samples[identity.0 as usize] += members;
        let standing = self.live.entry(identity.clone()).or_insert_with(|| {
            self.next.births.push(identity.clone());
            // A gauge that left begins anew.
            let left = self.left.get(&identity).cloned().unwrap_or_default();
            Standing { base: Base { gauge: 0.0, ..left }, ..Standing::default() }
        });
        standing.touched = true;
        match identity.0 {
            Kind::Counter => standing.gain += line.values().map(|value| value * line.weight).sum::<f64>(),
            Kind::Gauge if classic && !line.sign.is_empty() => standing.base.gauge += line.values().sum::<f64>(),
            Kind::Gauge => standing.base.gauge = line.values().last().unwrap_or_default(),
            Kind::Set => {
                standing.members.insert(format!("{}{}", line.sign, line.magnitudes[0]));
            }
            Kind::Timer | Kind::Histogram | Kind::Distribution => {
                standing.samples.extend(line.values().map(|value| (value, line.weight)));
            }
        }
    }

    fn take_stamped(&mut self, line: &Line, members: u64) {
        if let Some(limit) = self.too_large(&line.identity) {
            self.shed[limit as usize] += 1;
            self.limited[limit as usize] += members;
            return;
        }
        (self.accepted, self.stamped) = (self.accepted + 1, self.stamped + members);
        let value = if line.identity.0 == Kind::Counter { line.values().sum() } else { line.values().last().unwrap_or_default() };
        self.next.stamped.push((line.identity.clone(), value));
    }

    /// The limit that a series meets which is not live.
    fn refusal(&self, identity: &Identity) -> Option<Limit> {
        if self.live.contains_key(identity) {
            return None;
        }
        let too_large = self.too_large(identity);
        if too_large.is_some() {
            too_large
        } else if self.live.len() >= self.limits.series {
            Some(Limit::Series)
        } else if self.of_name(identity) >= self.limits.series_per_metric {
            Some(Limit::SeriesPerMetric)
        } else {
            self.out_of_memory.then_some(Limit::Memory)
        }
    }

    fn too_large(&self, (_, name, tags): &Identity) -> Option<Limit> {
        if tags.len() > self.limits.tags_per_series {
            return Some(Limit::TagsPerSeries);
        }
        let bytes = name.len() + tags.iter().map(|tag| tag.len() + 1).sum::<usize>();
        (bytes > self.limits.key_bytes).then_some(Limit::KeyBytes)
    }

    fn of_name(&self, (kind, name, _): &Identity) -> usize {
        self.live.keys().filter(|(other, named, _)| (other, named) == (kind, name)).count()
    }

    pub fn cut(&mut self) -> Cut {
        let mut cut = std::mem::take(&mut self.next);
        self.overflowing.clear();
        cut.births.sort();
        cut.events = std::mem::take(&mut self.events);
        for (identity, standing) in &mut self.live {
            standing.age = if std::mem::take(&mut standing.touched) { 0 } else { standing.age + 1 };
            if self.expire > 0 && u32::from(standing.age) >= self.expire {
                cut.gone.push(identity.clone());
                continue;
            }
            let row = standing.close(identity.0);
            cut.went_back += u64::from(matches!(row, Row::Counter { gain, .. } if gain < 0.0));
            cut.rows.insert(identity.clone(), (standing.age, row));
        }
        for identity in &cut.gone {
            if let Some(standing) = self.live.remove(identity) {
                self.left.insert(identity.clone(), standing.base);
            }
        }
        cut
    }
}

impl Standing {
    fn close(&mut self, kind: Kind) -> Row {
        match kind {
            Kind::Counter => {
                let gain = std::mem::take(&mut self.gain);
                self.base.total += gain.max(0.0);
                Row::Counter { gain, total: self.base.total }
            }
            Kind::Gauge => Row::Gauge(self.base.gauge),
            Kind::Set => Row::Set(std::mem::take(&mut self.members).len() as f64),
            Kind::Timer | Kind::Histogram | Kind::Distribution => {
                let samples = std::mem::take(&mut self.samples);
                let count: f64 = samples.iter().map(|(_, weight)| weight).sum();
                let sum: f64 = samples.iter().map(|(value, weight)| value * weight).sum();
                let min = samples.iter().map(|(value, _)| *value).fold(f64::INFINITY, f64::min);
                let max = samples.iter().map(|(value, _)| *value).fold(f64::NEG_INFINITY, f64::max);
                (self.base.count, self.base.sum) = (self.base.count + count, self.base.sum + sum);
                let window = (!samples.is_empty()).then_some([count, sum, min, max]);
                Row::Timer { count: self.base.count, sum: self.base.sum, window }
            }
        }
    }
}
