//! The command line: arguments in, one command, one exit code out.

mod check;
mod config;
mod explain;
mod look;
pub mod parse;
pub mod query;
mod run;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand, error::ErrorKind};

use crate::config::{self as configuration, ConfigError, Sources};
use crate::relay::StartError;

/// Exit codes besides 0, as `sysexits.h` numbers them from 64 on.
pub mod exit {
    /// Failed, unhealthy, a busy port.
    pub const FAILED: u8 = 1;
    pub const USAGE: u8 = 2;
    /// The server does not answer.
    pub const UNAVAILABLE: u8 = 69;
    /// The data directory is in use by another relay.
    pub const IN_USE: u8 = 75;
    pub const BAD_CONFIG: u8 = 78;
}

/// A StatsD and DogStatsD relay.
///
/// Without a command it runs: UDP on 127.0.0.1:8125 and [::1]:8125, HTTP on 127.0.0.1:9102.
#[derive(Parser)]
#[command(name = "statsd-relay", version)]
struct Cli {
    #[command(flatten)]
    overrides: Overrides,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the relay (the default)
    Run(Overrides),
    /// Validate the configuration and its rule files; one line a finding
    Check(check::CheckArgs),
    /// Show how lines on standard input are read, as JSON
    Parse(parse::ParseArgs),
    /// Show every step a line takes under this configuration, or why it is refused
    Explain(explain::ExplainArgs),
    /// Show lines as the relay receives them
    Tap(look::TapArgs),
    /// Show the metrics with the most series and the tags with the most values
    Top(look::TopArgs),
    /// Evaluate a PromQL expression
    Query(query::QueryArgs),
    /// List series
    Series(query::SeriesArgs),
    /// List pending and firing alerts
    Alerts(query::AlertsArgs),
    /// Say how the relay is; exit 1 when it is not well
    Health(query::HealthArgs),
    /// Print the reference file, or the configuration in effect
    Config(config::ConfigArgs),
}

/// Which file is read, and what is laid over it and the environment.
#[derive(Args, Clone, Debug, Default, PartialEq)]
struct Overrides {
    /// The configuration file [default: /etc/statsd-relay/relay.yaml if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the store
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// UDP address to listen on instead of the configured ones; may be repeated
    #[arg(long, value_name = "ADDR")]
    udp: Vec<String>,
    /// HTTP address to listen on instead of the configured ones
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// Set any key of the configuration; the value is YAML; may be repeated
    #[arg(long, value_name = "PATH.TO.KEY=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
}

/// Reads `path.to.key=value`.
fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((path, value)) if !path.is_empty() => Ok((path.to_string(), value.to_string())),
        _ => Err("expected PATH.TO.KEY=VALUE, such as aggregate.interval=5s".to_string()),
    }
}

impl Overrides {
    /// The file and the environment under these. The flags for one key win over `--set`.
    fn sources(&self) -> Sources {
        let mut sources = Sources::new(self.config.clone(), std::env::vars_os());
        // JSON is YAML, and quotes what must be quoted.
        let quoted = |value: serde_json::Value| value.to_string();
        for (path, value) in &self.set {
            sources.flag("--set", path, value.clone());
        }
        if let Some(directory) = &self.data_dir {
            sources.flag("--data-dir", "data_dir", quoted(directory.clone().into()));
        }
        if !self.udp.is_empty() {
            sources.flag("--udp", "listen.udp", quoted(self.udp.clone().into()));
        }
        if let Some(address) = &self.http {
            sources.flag("--http", "http.listen", quoted(vec![address.clone()].into()));
        }
        sources
    }

    /// For commands that read no configuration: a flag that would be ignored is a usage error.
    fn refuse(&self) -> Result<(), clap::Error> {
        if *self == Overrides::default() {
            Ok(())
        } else {
            Err(usage("this command reads no configuration: --config, --data-dir, --udp, --http and --set have no effect on it"))
        }
    }

    /// Flags before the command's name, then those after it.
    fn and(mut self, after: Overrides) -> Overrides {
        self.config = after.config.or(self.config);
        self.data_dir = after.data_dir.or(self.data_dir);
        self.http = after.http.or(self.http);
        self.udp = if after.udp.is_empty() { self.udp } else { after.udp };
        self.set.extend(after.set);
        self
    }
}

/// Runs the command the arguments name.
pub fn main() -> ExitCode {
    finish(dispatch(std::env::args_os()))
}

fn dispatch(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<ExitCode> {
    let Cli { overrides, command } = Cli::try_parse_from(arguments)?;
    if !matches!(command, None | Some(Command::Run(_) | Command::Check(_) | Command::Config(_) | Command::Explain(_))) {
        overrides.refuse()?;
    }
    match command {
        None => run::run(configuration::load(&overrides.sources())?),
        Some(Command::Run(after)) => run::run(configuration::load(&overrides.and(after).sources())?),
        Some(Command::Check(args)) => args.run(overrides),
        Some(Command::Parse(args)) => {
            args.run(&mut std::io::stdin().lock(), &mut std::io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Explain(args)) => args.run(overrides),
        Some(Command::Tap(args)) => args.run(),
        Some(Command::Top(args)) => args.run(),
        Some(Command::Query(args)) => args.run(),
        Some(Command::Series(args)) => args.run(),
        Some(Command::Alerts(args)) => args.run(),
        Some(Command::Health(args)) => args.run(),
        Some(Command::Config(args)) => args.run(overrides),
    }
}

/// A usage error found after the arguments were read.
fn usage(message: &str) -> clap::Error {
    Cli::command().error(ErrorKind::ArgumentConflict, message)
}

/// The one place that prints an error and picks the exit code.
fn finish(result: anyhow::Result<ExitCode>) -> ExitCode {
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    if let Some(usage) = error.downcast_ref::<clap::Error>() {
        // Help and version are such "errors" too, with code 0 and on stdout.
        return match usage.print() {
            Ok(()) if !usage.use_stderr() => ExitCode::SUCCESS,
            _ => ExitCode::from(exit::USAGE),
        };
    }
    if error.chain().any(is_broken_pipe) {
        // Whoever read our output has seen enough.
        return ExitCode::SUCCESS;
    }
    let mut stderr = std::io::stderr().lock();
    for line in format!("{error:#}").lines() {
        // Nobody is left to tell when stderr is gone.
        let _ = writeln!(stderr, "statsd-relay: {line}");
    }
    ExitCode::from(code(&error))
}

/// The exit code an error stands for.
fn code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<StartError>() {
        Some(error) => error.status as u8,
        None if error.is::<ConfigError>() => exit::BAD_CONFIG,
        None => exit::FAILED,
    }
}

fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
