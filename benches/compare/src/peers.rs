//! The servers: how each is started, what it reads, and where it shows what it has counted.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;

use anyhow::{Result, ensure};

use crate::collect::{Graphite, Upstream, get, value};
use crate::load::Profile;
use crate::settings::Settings;

/// A server of the comparison.
pub struct Peer {
    pub name: &'static str,
    /// Its folder under `.peers` or, in words, where it is from.
    pub obtained: &'static str,
    pub profiles: &'static [Profile],
    /// The load under which its memory by series and its stalls are measured; None where it keeps no series between flushes.
    pub keeps: &'static [Profile],
    /// Lines a second it is offered at most: it drops more than that unseen.
    pub most: Option<f64>,
    pub start: fn(&Place) -> Result<Started>,
}

pub struct Started {
    pub command: Command,
    pub count: Count,
}

pub type Count = Box<dyn FnMut() -> Result<Counted>>;

/// What a server says it has had since its start, as far as it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub lines: Option<u64>,
    /// The sum of all counters.
    pub counters: Option<u64>,
    /// Datagrams received and datagrams known to have been dropped by the kernel.
    pub datagrams: Option<u64>,
}

/// What a server is given of its own.
pub struct Place {
    pub dir: PathBuf,
    pub port: u16,
    /// A TCP port, for its pages.
    aside: u16,
    settings: Settings,
}

impl Place {
    pub fn new(dir: &Path, settings: &Settings) -> Result<Place> {
        let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        let aside = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Ok(Place { dir: dir.to_path_buf(), port, aside, settings: settings.clone() })
    }

    /// Writes a configuration with its @placeholders@ filled in.
    fn write(&self, name: &str, template: &str, more: &[(&str, &str)]) -> Result<PathBuf> {
        let values = [
            ("dir", self.dir.display().to_string()),
            ("port", self.port.to_string()),
            ("aside", self.aside.to_string()),
            ("interval", self.settings.interval.as_secs().to_string()),
            ("peers", self.settings.peers.display().to_string()),
        ];
        let values = values.iter().map(|(key, value)| (*key, value.as_str()));
        let fill = |text: String, (key, value): (&str, &str)| text.replace(&format!("@{key}@"), value);
        let text = values.chain(more.iter().copied()).fold(template.to_string(), fill);
        let path = self.dir.join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    fn installed(&self, path: &str) -> Result<Command> {
        let program = self.settings.peers.join(path);
        ensure!(program.exists(), "not installed");
        Ok(Command::new(program))
    }
}

pub const CEILING: Peer = Peer { name: "ceiling: recv and memchr", obtained: "-", profiles: &[], keeps: &[], most: None, start: ceiling };

pub const PEERS: [Peer; 8] = [
    Peer {
        name: "**statsd-relay**",
        obtained: "this repository",
        profiles: &[Profile::DogStatsd, Profile::Plain],
        keeps: &[Profile::DogStatsd, Profile::Plain],
        most: None,
        start: |place| relay(place, true),
    },
    Peer {
        name: "**statsd-relay**, nothing on disk",
        obtained: "this repository",
        profiles: &[Profile::DogStatsd, Profile::Plain],
        keeps: &[Profile::DogStatsd, Profile::Plain],
        most: None,
        start: |place| relay(place, false),
    },
    Peer {
        name: "netdata 1.37 (tags make no series)",
        obtained: "Debian netdata-core",
        profiles: &[Profile::DogStatsd, Profile::Plain],
        keeps: &[Profile::Plain],
        most: None,
        start: netdata,
    },
    Peer {
        name: "statsdproxy 0.4.1, aggregating",
        obtained: "crates.io",
        profiles: &[Profile::DogStatsd],
        keeps: &[],
        most: None,
        start: |place| statsdproxy(place, true),
    },
    Peer {
        name: "statsdproxy 0.4.1, passing on",
        obtained: "crates.io",
        profiles: &[Profile::DogStatsd],
        keeps: &[],
        most: None,
        start: |place| statsdproxy(place, false),
    },
    Peer {
        name: "Datadog serverless-compat 0.19",
        obtained: "PyPI",
        profiles: &[Profile::DogStatsdCgd],
        keeps: &[],
        most: Some(300_000.0),
        start: serverless,
    },
    Peer {
        name: "collectd 5.12",
        obtained: "Debian collectd-core",
        profiles: &[Profile::Plain],
        keeps: &[Profile::Plain],
        most: None,
        start: collectd,
    },
    Peer { name: "statsd 0.9 (Node)", obtained: "npm", profiles: &[Profile::Plain], keeps: &[Profile::Plain], most: None, start: statsd },
];

fn ceiling(place: &Place) -> Result<Started> {
    let (mut command, told) = (Command::new(std::env::current_exe()?), place.dir.join("lines"));
    command.arg("ceiling").arg(format!("127.0.0.1:{}", place.port)).arg(&told);
    let count = move || Ok(Counted { lines: Some(std::fs::read_to_string(&told)?.parse()?), ..Counted::default() });
    Ok(Started { command, count: Box::new(count) })
}

fn relay(place: &Place, store: bool) -> Result<Started> {
    let store = if store { "true" } else { "false" };
    let config = place.write("relay.yaml", include_str!("../peers/relay.yaml"), &[("store", store)])?;
    let (mut command, port) = (Command::new(&place.settings.relay), place.aside);
    command.arg("--config").arg(config);
    Ok(Started { command, count: Box::new(move || relay_page(&get(port, "/metrics")?)) })
}

/// Adds up the counters of the page, and checks what the relay says about its own losses.
fn relay_page(page: &str) -> Result<Counted> {
    let (mut counters, mut is_counter) = (0.0, false);
    let own = |name: &str| {
        let named = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        page.lines().filter(named).map(value).sum::<f64>() as u64
    };
    for line in page.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            is_counter = declared.ends_with(" counter") && !declared.starts_with("statsd_relay_");
        } else if is_counter && !line.starts_with('#') {
            counters += value(line);
        }
    }
    let seen = own("statsd_relay_lines_seen_total");
    let accepted = own("statsd_relay_lines_accepted_total");
    let lost = own("statsd_relay_lines_rejected_total") + own("statsd_relay_lines_shed_total");
    ensure!(seen == accepted + lost, "its ledger is off: {seen} lines seen, {accepted} accepted, {lost} rejected or shed");
    let datagrams = own("statsd_relay_datagrams_received_total") + own("statsd_relay_datagrams_kernel_dropped_total");
    Ok(Counted { lines: Some(accepted), counters: Some(counters as u64), datagrams: Some(datagrams) })
}

fn netdata(place: &Place) -> Result<Started> {
    let user = String::from_utf8(Command::new("id").arg("-un").output()?.stdout)?;
    let config = place.write("netdata.conf", include_str!("../peers/netdata.conf"), &[("user", user.trim())])?;
    let (mut command, port) = (place.installed("netdata/usr/sbin/netdata")?, place.aside);
    command.arg("-D").arg("-c").arg(config).env("LD_LIBRARY_PATH", place.settings.peers.join("netdata/usr/lib/x86_64-linux-gnu"));
    let count = move || {
        let page = get(port, "/api/v1/allmetrics?format=prometheus&source=as-collected")?;
        let events = page.lines().filter(|line| line.starts_with("netdata_netdata_statsd_events_total{"));
        let good = events.filter(|line| !line.contains("unknown") && !line.contains("errors"));
        Ok(Counted { lines: Some(good.map(value).sum::<f64>() as u64), ..Counted::default() })
    };
    Ok(Started { command, count: Box::new(count) })
}

fn statsdproxy(place: &Place, aggregate: bool) -> Result<Started> {
    let upstream = Upstream::start(place.settings.buffer_bytes)?;
    let mut command = place.installed("statsdproxy/bin/statsdproxy")?;
    command.args(["--listen", &format!("127.0.0.1:{}", place.port), "--upstream", &format!("127.0.0.1:{}", upstream.port)]);
    if aggregate {
        command.arg("--config-path").arg(place.write("config.yaml", include_str!("../peers/statsdproxy.yaml"), &[])?);
    }
    let count = move || {
        let lines = (!aggregate).then(|| upstream.lines.load(Ordering::Relaxed));
        Ok(Counted { lines, counters: Some(upstream.counters.load(Ordering::Relaxed)), ..Counted::default() })
    };
    Ok(Started { command, count: Box::new(count) })
}

/// It sends to Datadog by TLS only, with roots of its own, and shows its totals nowhere else.
fn serverless(place: &Place) -> Result<Started> {
    let mut command = place.installed("serverless/datadog_serverless_compat/bin/linux-amd64/datadog-serverless-compat")?;
    command
        .env("ASCSVCRT_SPRING__APPLICATION__NAME", "compare")
        .env("DD_DOGSTATSD_PORT", place.port.to_string())
        .env("DD_APM_RECEIVER_PORT", place.aside.to_string())
        .env("DD_API_KEY", "none")
        .env("DD_SITE", "localhost:9");
    Ok(Started { command, count: Box::new(|| Ok(Counted::default())) })
}

fn collectd(place: &Place) -> Result<Started> {
    let graphite = Graphite::start(|name| name.contains(".derive-"))?;
    let upstream = graphite.port.to_string();
    let config = place.write("collectd.conf", include_str!("../peers/collectd.conf"), &[("upstream", &upstream)])?;
    let mut command = place.installed("collectd/usr/sbin/collectd")?;
    command.arg("-f").arg("-C").arg(config);
    let count = move || Ok(Counted { counters: Some(graphite.last_values() as u64), ..Counted::default() });
    Ok(Started { command, count: Box::new(count) })
}

fn statsd(place: &Place) -> Result<Started> {
    let wanted =
        |name: &str| name.starts_with("stats.counters.") && name.ends_with(".count") && !name.starts_with("stats.counters.statsd.");
    let graphite = Graphite::start(wanted)?;
    let upstream = graphite.port.to_string();
    let config = place.write("statsd.js", include_str!("../peers/statsd.js"), &[("upstream", &upstream)])?;
    let script = place.settings.peers.join("statsd/node_modules/statsd/stats.js");
    ensure!(script.exists(), "not installed");
    let mut command = Command::new("node");
    command.arg(script).arg(config);
    let count = move || Ok(Counted { counters: Some(graphite.all_values() as u64), ..Counted::default() });
    Ok(Started { command, count: Box::new(count) })
}
