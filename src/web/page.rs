//! The scrape page: client series as of the last cut, the relay's own as of now, in one sorted list.

use std::sync::Arc;

use parking_lot::Mutex;

use super::body::{Body, Packed, Packing};
use super::recents::Recents;
use crate::encode::prom_text::{self, ClientText};
use crate::model::{Kind, Recent, Series, Window};
use crate::telemetry::{Metric, OwnFamily, SCRAPE_SERIES_MERGED, SCRAPE_SERIES_OMITTED, SERVICE_CHECK_STATUS, Telemetry};

/// Bytes of text that are compressed at once.
const PIECE: usize = 256 << 10;

/// Renders windows on demand, each at most once; of the text only the compressed form is kept.
pub struct Page {
    percentiles: Vec<f64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    window: Option<Arc<Window>>,
    recents: Recents,
    /// Of this window, once someone asked.
    client: Option<Arc<Client>>,
}

/// The client families around the place of the relay's own.
struct Client {
    before: Packed,
    after: Packed,
}

/// A page at one moment.
pub struct Rendered {
    client: Arc<Client>,
    own: Packed,
}

impl Rendered {
    /// The page as plain text.
    pub fn plain(&self) -> Body {
        Body::unpacked(&self.parts())
    }

    /// The page as one gzip stream.
    pub fn gzip(&self) -> Body {
        Body::gzip(&self.parts())
    }

    fn parts(&self) -> [&Packed; 3] {
        [&self.client.before, &self.own, &self.client.after]
    }
}

impl Page {
    /// A page that shows these quantiles of timers, histograms and distributions.
    pub fn new(percentiles: Vec<f64>) -> Page {
        Page { percentiles, state: Mutex::new(State::default()) }
    }

    /// Seeds what a series received of late, before the first window after a restart. `tags` are canonical.
    pub fn warm<'a>(&self, kind: Kind, name: &str, tags: impl Iterator<Item = &'a str>, recent: Recent) {
        self.state.lock().recents.park(kind, name, tags, recent);
    }

    /// Shows this window from now on. Every window is shown once, in order.
    pub fn show(&self, window: Arc<Window>) {
        let mut state = self.state.lock();
        state.recents.add(&window);
        state.client = None;
        state.window = Some(window);
    }

    /// The window on show.
    pub fn window(&self) -> Option<Arc<Window>> {
        self.state.lock().window.clone()
    }

    /// The page now; `None` before the first window. Takes up to some 100 ms of CPU once a window.
    pub fn render(&self, telemetry: &Telemetry) -> Option<Rendered> {
        let client = self.client()?;
        let checks = self.window().and_then(|window| service_checks(&window));
        let own = Packed::new(own_text(telemetry, checks).as_bytes());
        Some(Rendered { client, own })
    }

    fn client(&self) -> Option<Arc<Client>> {
        let mut state = self.state.lock();
        if let Some(client) = &state.client {
            return Some(client.clone());
        }
        let (mut before, mut after) = (Packing::new(), Packing::new());
        let mut take = |text: &mut ClientText, least: usize| {
            for (text, packing) in [(&mut text.before, &mut before), (&mut text.after, &mut after)] {
                if text.len() >= least {
                    packing.push(text.as_bytes());
                    text.clear();
                }
            }
        };
        let recent = |series: &Series| state.recents.find(series);
        let mut text = prom_text::render_in_parts(state.window.as_deref()?, &self.percentiles, &recent, &mut |text| take(text, PIECE));
        take(&mut text, 0);
        SCRAPE_SERIES_MERGED.gauge(&[]).set(text.merged as f64);
        SCRAPE_SERIES_OMITTED.gauge(&[]).set(text.omitted as f64);
        let client = Arc::new(Client { before: before.finish(), after: after.finish() });
        state.client = Some(client.clone());
        Some(client)
    }
}

/// The last statuses of service checks, which come and go with windows.
fn service_checks(window: &Window) -> Option<OwnFamily> {
    let Metric { name, help, .. } = &SERVICE_CHECK_STATUS;
    let mut family = OwnFamily { name: (*name).into(), kind: "gauge".into(), help: (*help).into(), lines: Vec::new() };
    for (labels, value) in window.own.iter().filter_map(|own| Some((&own.labels, own.value?))) {
        if labels.name() == *name {
            family.lines.push(prom_text::sample_line(labels, value));
        }
    }
    family.lines.sort_unstable();
    (!family.lines.is_empty()).then_some(family)
}

fn own_text(telemetry: &Telemetry, checks: Option<OwnFamily>) -> String {
    let mut out = String::new();
    let mut families = telemetry.families();
    if let Some(checks) = checks {
        let place = families.partition_point(|family| family.name < checks.name);
        families.insert(place, checks);
    }
    for family in families {
        out.push_str(&format!("# HELP {} {}\n# TYPE {} {}\n", family.name, family.help, family.name, family.kind));
        for line in &family.lines {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}
