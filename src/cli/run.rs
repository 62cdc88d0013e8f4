//! `statsd-relay run`: starts a relay and stops it on a signal.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::clock::Clock;
use crate::config::Loaded;
use crate::{relay, telemetry};

/// Runs until TERM or INT. A second signal ends the process at once.
pub(super) fn run(loaded: Loaded) -> anyhow::Result<ExitCode> {
    telemetry::log_to_stderr(&loaded.config.log);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("the runtime did not start")?;
    let ended = runtime.block_on(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut hangup = signal(SignalKind::hangup())?;
        let relay = tokio::select! {
            started = relay::start(loaded, Clock::system()) => started?,
            _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
            _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
        };
        // A closed stdout is no reason not to run.
        let _ = std::io::stdout().write_all(relay.banner().as_bytes()).and_then(|()| std::io::stdout().flush());
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => tracing::warn!("a hang-up signal changes nothing: to apply another configuration, restart the relay"),
            }
        }
        tracing::info!("stopping: draining sockets, cutting the last window");
        tokio::select! {
            () = relay.stop() => Ok(ExitCode::SUCCESS),
            _ = terminate.recv() => Ok(ExitCode::FAILURE),
            _ = interrupt.recv() => Ok(ExitCode::FAILURE),
        }
    });
    // A disk or an upstream that hangs does not keep the process.
    runtime.shutdown_background();
    ended
}
