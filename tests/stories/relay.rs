//! The relay as a child process, and the commands that ask it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::http;
use crate::page::{Page, Sample, vector};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_statsd-relay");

/// Whatever a story waits for has this long before it fails: what comes, comes much sooner, and a machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// A stop ends what hangs, and itself, within five seconds; a busy machine takes some more to get there.
pub(crate) const STOP: Duration = Duration::from_secs(10);

/// Polls until `found` says something.
pub(crate) fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(it) = found() {
            return it;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// A folder that outlives one relay: its configuration, its data, its log.
pub(crate) struct Home(TempDir);

impl Home {
    /// Windows of one second, every port chosen by the kernel, and `more` keys of relay.yaml at the top level.
    pub(crate) fn new(more: &str) -> Home {
        let home = Home(tempfile::tempdir().unwrap());
        home.configure(more);
        home
    }

    pub(crate) fn configure(&self, more: &str) {
        let base = "listen: { udp: [\"127.0.0.1:0\"] }\nhttp: { listen: [\"127.0.0.1:0\"] }\naggregate: { interval: 1s }\n";
        self.write("relay.yaml", &format!("data_dir: {}\n{base}{more}\n", self.data().display()));
    }

    /// The same with series that leave after `expire` without a sample.
    pub(crate) fn configure_expiring(&self, expire: &str) {
        let base = format!(
            "aggregate: {{ interval: 1s, expire: {expire} }}\nlisten: {{ udp: [\"127.0.0.1:0\"] }}\nhttp: {{ listen: [\"127.0.0.1:0\"] }}\n"
        );
        self.write("relay.yaml", &format!("data_dir: {}\n{base}", self.data().display()));
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// The relay's command line under this home's configuration.
    pub(crate) fn command(&self) -> Command {
        let mut command = relay();
        command.arg("run").arg("--config").arg(self.path("relay.yaml"));
        command
    }

    pub(crate) fn start(&self) -> Relay {
        Relay::start(self.command(), &self.path("log"))
    }

    /// Starts with keys of `listen` set, each as `key=VALUE`.
    pub(crate) fn start_listening(&self, listen: &[String]) -> Relay {
        Relay::start(self.command_listening(listen), &self.path("log"))
    }

    pub(crate) fn command_listening(&self, listen: &[String]) -> Command {
        let mut command = self.command();
        for key in listen {
            command.arg("--set").arg(format!("listen.{key}"));
        }
        command
    }
}

/// The binary with an environment that a supervisor or a shell cannot leak into.
pub(crate) fn relay() -> Command {
    let mut command = Command::new(BINARY);
    command.stdin(Stdio::null());
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "STATE_DIRECTORY", "STATSD_RELAY_URL"] {
        command.env_remove(name);
    }
    command
}

/// What a command that ends said.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end; kills it and fails the story when it does not end.
pub(crate) fn outcome(mut command: Command) -> Outcome {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (stdout, stderr) = (collect(child.stdout.take().unwrap()), collect(child.stderr.take().unwrap()));
    let status = exit_of(&mut child, PATIENCE);
    if status.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let text = |from: Receiver<String>| from.recv_timeout(PATIENCE).unwrap_or_default();
    let (stdout, stderr) = (text(stdout), text(stderr));
    let status = status.unwrap_or_else(|| panic!("{command:?} did not end within {PATIENCE:?}\n{stdout}\n{stderr}"));
    Outcome { code: status.code(), stdout, stderr }
}

fn collect(mut from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read until an error is still worth showing.
        let _ = from.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

fn exit_of(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

/// A running relay. Dropped, it is killed, by the id of the process that this story started.
pub(crate) struct Relay {
    child: Child,
    pub(crate) banner: Vec<String>,
    pub(crate) udp: SocketAddr,
    pub(crate) http: SocketAddr,
    log: PathBuf,
}

impl Relay {
    /// Starts `command` and waits until its banner names where it listens. Its log is appended to `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> Relay {
        let stderr = File::options().create(true).append(true).open(log).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let mut banner = Vec::new();
        // Its last line is the command to try; one that names no such command is not whole.
        while !banner.last().is_some_and(|line: &String| line.starts_with("  try")) {
            let Ok(line) = lines.recv_timeout(PATIENCE) else { break };
            banner.push(line);
        }
        let (Some(udp), Some(http)) = (address(&banner, "udp "), address(&banner, "http://")) else {
            let _ = child.kill();
            let status = child.wait();
            panic!("no banner from {command:?} ({status:?}): {banner:?}\n{}", tail(log));
        };
        // What follows, though nothing should.
        while let Ok(line) = lines.recv_timeout(Duration::from_millis(200)) {
            banner.push(line);
        }
        Relay { child, banner, udp, http, log: log.to_path_buf() }
    }

    pub(crate) fn send(&self, datagram: impl AsRef<[u8]>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(datagram.as_ref(), self.udp).unwrap();
    }

    /// The first TCP address for lines.
    pub(crate) fn tcp(&self) -> SocketAddr {
        address(&self.banner, "tcp ").unwrap_or_else(|| panic!("no TCP listener in {:?}", self.banner))
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The most memory the process ever took, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Bytes of memory the process has now.
    pub(crate) fn resident_memory(&self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, which: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let found = status.lines().find_map(|line| line.strip_prefix(which)?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        found.unwrap_or_else(|| panic!("{status}")) << 10
    }

    /// The page, when there is one: before the first window the relay says 503.
    pub(crate) fn try_page(&self) -> Option<Page> {
        http::get(self.http, "/metrics").ok().filter(|reply| reply.status == 200).map(|reply| Page::parse(reply.body))
    }

    pub(crate) fn page(&self) -> Page {
        wait_for("a page", || match http::get(self.http, "/metrics") {
            Ok(reply) if reply.status == 200 => Some(Page::parse(reply.body)),
            Ok(reply) if reply.status == 503 => None,
            Ok(reply) => panic!("the page is answered with {}: {}", reply.status, reply.body),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => panic!("the page is cut off\n{}", tail(&self.log)),
            Err(_) => None,
        })
    }

    /// Waits until `amiss` finds nothing wrong with the page; fails with what it found last.
    pub(crate) fn wait_for_page(&self, amiss: impl Fn(&Page) -> Vec<String>) -> Page {
        let start = Instant::now();
        loop {
            let page = self.page();
            let found = amiss(&page);
            if found.is_empty() {
                return page;
            }
            assert!(start.elapsed() < PATIENCE, "after {PATIENCE:?}: {found:#?}\n{}", tail(&self.log));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the sum of a series over its label sets is `value`.
    pub(crate) fn wait_for_sum(&self, name: &str, labels: &[(&str, &str)], value: f64) -> Page {
        self.wait_for_page(|page| {
            let shown = page.value(name, labels);
            (shown != Some(value)).then(|| format!("{name}{labels:?} is {shown:?}, not {value}")).into_iter().collect()
        })
    }

    /// The answer of `/api/v1/query`.
    pub(crate) fn query(&self, expression: &str) -> Vec<Sample> {
        let reply = http::get(self.http, &format!("/api/v1/query?query={}", http::encoded(expression))).unwrap();
        assert_eq!(reply.status, 200, "{expression}: {}", reply.body);
        vector(&reply.body)
    }

    /// A command of the same binary that asks this relay.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Outcome {
        let mut command = relay();
        command.args(arguments).env("STATSD_RELAY_URL", format!("http://{}", self.http));
        outcome(command)
    }

    /// Holds the ledgers against what the story sent: datagrams, lines, windows, and points of each sink. To the last one.
    pub(crate) fn assert_balanced(&self, datagrams_sent: u64) {
        self.wait_for_page(|page| imbalance(page, datagrams_sent as f64));
    }

    /// Keeps every thread where it is until the relay is told to go on, which a stop does.
    pub(crate) fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// SIGTERM, and how the process ended.
    pub(crate) fn terminate(mut self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        self.signal(Signal::SIGTERM);
        self.signal(Signal::SIGCONT);
        let status = exit_of(&mut self.child, PATIENCE);
        (status.unwrap_or_else(|| panic!("still running after SIGTERM\n{}", tail(&self.log))), start.elapsed())
    }

    /// SIGTERM, and an exit code of 0 in time, before which nothing was given up. How long it took.
    pub(crate) fn stop_in_time(self) -> Duration {
        let log = self.log.clone();
        let (status, took) = self.terminate();
        assert_eq!(status.code(), Some(0), "{status:?}\n{}", tail(&log));
        let text = std::fs::read_to_string(&log).unwrap();
        assert!(took < STOP && !text.contains(" in time"), "{took:?}\n{}", tail(&log));
        took
    }

    /// SIGTERM, and an exit code of 0.
    pub(crate) fn stop(self) {
        let log = self.log.clone();
        let (status, _) = self.terminate();
        assert_eq!(status.code(), Some(0), "{status:?}\n{}", tail(&log));
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32), "it was gone before: {status:?}\n{}", tail(&self.log));
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }
}

/// The equations between self-metrics that do not hold.
fn imbalance(page: &Page, datagrams_sent: f64) -> Vec<String> {
    let sum = |name: &str| page.sum(&format!("statsd_relay_{name}"), &[]);
    let mut ledgers = vec![
        (
            "datagrams: sent = received + kernel_dropped".to_string(),
            datagrams_sent,
            sum("datagrams_received_total") + sum("datagrams_kernel_dropped_total"),
        ),
        (
            "lines: seen = accepted + rejected + shed".to_string(),
            sum("lines_seen_total"),
            sum("lines_accepted_total") + sum("lines_rejected_total") + sum("lines_shed_total"),
        ),
        (
            "windows: cut = committed + failed".to_string(),
            sum("windows_total"),
            sum("windows_committed_total") + sum("windows_store_failed_total"),
        ),
    ];
    for offered in page.select("statsd_relay_sink_points_offered_total", &[]) {
        let sink = offered.labels["sink"].as_str();
        let done = page.sum("statsd_relay_sink_points_total", &[("sink", sink)]);
        let queued = page.sum("statsd_relay_sink_queue_points", &[("sink", sink)]);
        ledgers.push((format!("points of {sink}: offered = done + queued"), offered.value, done + queued));
    }
    ledgers.into_iter().filter(|(_, left, right)| left != right).map(|(name, left, right)| format!("{name}: {left} != {right}")).collect()
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- log of the relay\n{}", tail(&self.log));
        }
    }
}

fn lines_of(stdout: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = sync_channel(64);
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // After the start nobody reads on; the pipe is emptied all the same.
            let _ = sender.try_send(line);
        }
    });
    receiver
}

/// The first socket address that follows `marker`.
fn address(banner: &[String], marker: &str) -> Option<SocketAddr> {
    banner.iter().find_map(|line| {
        line.match_indices(marker).find_map(|(at, _)| {
            let rest = &line[at + marker.len()..];
            rest[..rest.find([' ', ',', '/']).unwrap_or(rest.len())].parse().ok()
        })
    })
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

#[test]
fn addresses_are_found_in_a_banner() {
    let banner =
        ["statsd-relay 0.1.0 ready", "  statsd  udp 127.0.0.1:8125, udp [::1]:8125", "  http    http://127.0.0.1:9102/"].map(String::from);
    assert_eq!(address(&banner, "udp "), Some("127.0.0.1:8125".parse().unwrap()));
    assert_eq!(address(&banner, "http://"), Some("127.0.0.1:9102".parse().unwrap()));
    assert_eq!(address(&banner, "tcp "), None);
}
