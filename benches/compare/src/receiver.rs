//! A server as a process of its own: pinned to its core, seen from outside through /proc.

use std::fs;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::net::sockopt;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open};
use tempfile::TempDir;

use crate::peers::{Count, Peer, Place, Started};
use crate::settings::Settings;

const READY: Duration = Duration::from_secs(15);
/// What servers get to finish their own start.
const SETTLE: Duration = Duration::from_millis(1_500);
/// A full buffer at the pace of the slowest server.
const DRAIN: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(10);

/// A running server; dropping it ends it.
pub struct Receiver {
    child: Child,
    inode: u64,
    pub count: Count,
    pub to: UdpSocket,
    /// As the kernel counts it: twice what was asked for.
    pub buffer_bytes: usize,
    _dir: TempDir,
}

impl Receiver {
    pub fn start(peer: &Peer, settings: &Settings) -> Result<Receiver> {
        let dir = tempfile::tempdir()?;
        let place = Place::new(dir.path(), settings)?;
        let Started { command, count } = (peer.start)(&place)?;
        let log = fs::File::create(dir.path().join("log"))?;
        let child = Command::new("taskset")
            .args(["-c", &settings.receiver_core.to_string()])
            .arg(command.get_program())
            .args(command.get_args())
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(dir.path())
            .stdout(log.try_clone()?)
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .context("cannot run taskset")?;
        let to = UdpSocket::bind("127.0.0.1:0")?;
        to.connect(("127.0.0.1", place.port))?;
        let mut receiver = Receiver { child, inode: 0, count, to, buffer_bytes: 0, _dir: dir };
        let ready = receiver.wait_for_socket(place.port).and_then(|()| receiver.enlarge_buffer(settings.buffer_bytes));
        ready.with_context(|| format!("{} did not start: {}", peer.name, last_line(&place.dir.join("log"))))?;
        std::thread::sleep(SETTLE);
        Ok(receiver)
    }

    fn wait_for_socket(&mut self, port: u16) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < READY {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            if let Some(row) = rows()?.into_iter().find(|row| row.port == port) {
                self.inode = row.inode;
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("it does not listen");
    }

    /// The same receive buffer for every server, whatever its configuration offers: set from outside, on a duplicate
    /// of its socket.
    fn enlarge_buffer(&mut self, bytes: usize) -> Result<()> {
        let socket = self.duplicate()?;
        if sockopt::set_socket_recv_buffer_size_force(&socket, bytes).is_err() {
            sockopt::set_socket_recv_buffer_size(&socket, bytes)?;
        }
        self.buffer_bytes = sockopt::socket_recv_buffer_size(&socket)?;
        Ok(())
    }

    fn duplicate(&self) -> Result<OwnedFd> {
        let link = format!("socket:[{}]", self.inode);
        for entry in fs::read_dir(self.proc("fd"))? {
            let path = entry?.path();
            if fs::read_link(&path).is_ok_and(|to| to.to_string_lossy() == link) {
                let number = path.file_name().and_then(|name| name.to_str()?.parse().ok()).context("a file without a number")?;
                let pidfd = pidfd_open(rustix::process::Pid::from_child(&self.child), PidfdFlags::empty())?;
                return pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty()).context("cannot duplicate its socket");
            }
        }
        bail!("its socket belongs to another process");
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }

    /// Seconds of processor time, user and system, of all its threads, ended ones among them.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(self.proc("stat"))?;
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.map(|field| field.parse::<u64>().unwrap_or(0)).sum();
        Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// Bytes of resident memory.
    pub fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(self.proc("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1_024)
    }

    /// Bytes waiting in its socket, and datagrams that the kernel has dropped there.
    pub fn queue(&self) -> Result<(u64, u64)> {
        let row = rows()?.into_iter().find(|row| row.inode == self.inode).context("its socket is gone")?;
        Ok((row.queued, row.drops))
    }

    /// Waits, for a bounded time, while a quarter of its buffer is full.
    pub fn keep_up(&self) {
        let began = Instant::now();
        while began.elapsed() < DRAIN && self.queue().is_ok_and(|(queued, _)| queued as usize > self.buffer_bytes / 4) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it has taken everything from its socket.
    pub fn drain(&self) -> Result<()> {
        let began = Instant::now();
        while self.queue()?.0 > 0 {
            ensure!(began.elapsed() < DRAIN, "it does not empty its socket");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = kill_process(rustix::process::Pid::from_child(&self.child), Signal::TERM);
        let began = Instant::now();
        while began.elapsed() < STOP && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of /proc/net/udp.
struct Row {
    port: u16,
    queued: u64,
    inode: u64,
    drops: u64,
}

fn rows() -> Result<Vec<Row>> {
    let text = fs::read_to_string("/proc/net/udp")?;
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let after_colon = |field: &str| u64::from_str_radix(field.split_once(':')?.1, 16).ok();
        Some(Row {
            port: after_colon(fields.get(1)?)? as u16,
            queued: after_colon(fields.get(4)?)?,
            inode: fields.get(9)?.parse().ok()?,
            drops: fields.last()?.parse().ok()?,
        })
    };
    Ok(text.lines().skip(1).filter_map(row).collect())
}

fn last_line(path: &std::path::Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().last().unwrap_or("it said nothing").to_string()
}
