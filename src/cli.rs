//! The command line. One file per command; each returns how the process ends.
//!
//! Exit codes: 0 all well; 1 some input was not converted, or a check failed; 2 usage; 78 bad configuration.

mod broker;
mod check;
mod convert;
mod dead;
mod desk;
mod doctor;
mod health;
mod ledger;
mod notices;
mod office;
mod place;
mod quarantine;
mod recipe;
mod serve;
mod show;
mod submit;
mod tenant;
mod topology;
mod why;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use futures_util::future::select_all;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{self, ConfigError, Level, LogConfig, LogFormat};
use crate::sandbox::sys;
use crate::telemetry;

/// What a command logs: what goes wrong.
const QUIET: LogConfig = LogConfig {
    level: Level::Error,
    format: LogFormat::Text,
};

/// Bad configuration, as in sysexits.h.
const EX_CONFIG: u8 = 78;

/// Converts images in a sandbox, and quarantines what trips a limit.
///
/// Every upload is converted once, in a child process under strict limits of memory, CPU time, wall time and output. What trips a limit
/// is quarantined: the same bytes are refused at once, without being read again.
///
/// Exit codes: 0 all well; 1 some input was not converted, or a check failed; 2 usage; 78 bad configuration.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110, subcommand_required = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Convert(convert::Convert),
    Serve(serve::Serve),
    Submit(submit::Submit),
    Dead(dead::Dead),
    Quarantine(quarantine::Quarantine),
    Tenant(tenant::Tenant),
    Ledger(ledger::LedgerCommand),
    Topology(topology::TopologyCommand),
    Check(check::Check),
    Doctor(doctor::Doctor),
    Health(health::Health),
    Desk(desk::Desk),
    Notices(notices::NoticesCommand),
    /// Print configuration.
    Config {
        #[command(subcommand)]
        what: ConfigCommand,
    },
    /// Print a completion script for a shell.
    ///
    /// For bash: lazaret completions bash > /etc/bash_completion.d/lazaret
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print every key with its default and a line on it.
    Example,
}

/// How a command ends.
#[derive(Debug)]
enum Ending {
    /// 0.
    Well,
    /// 1; what is wrong has been printed.
    NotAll,
}

/// What keeps a command from doing its work.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// 78.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// 2.
    #[error("{0}")]
    Usage(String),
    /// 1.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// Any error that ends a command with 1.
    fn other(error: impl std::fmt::Display) -> Self {
        Self::Other(error.to_string())
    }

    fn code(&self) -> u8 {
        match self {
            Self::Config(_) => EX_CONFIG,
            Self::Usage(_) => 2,
            Self::Other(_) => 1,
        }
    }
}

/// Runs the command line.
pub fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(Ending::Well) => ExitCode::SUCCESS,
        Ok(Ending::NotAll) => ExitCode::from(1),
        Err(failure) => {
            eprintln!("lazaret: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn run(command: Command) -> Result<Ending, Failure> {
    match command {
        Command::Config {
            what: ConfigCommand::Example,
        } => {
            print!("{}", config::EXAMPLE);
            return Ok(Ending::Well);
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "lazaret", &mut io::stdout());
            return Ok(Ending::Well);
        }
        // A service says what it does; a command only what goes wrong.
        Command::Serve(_) => {}
        // Children run: a reader that is gone must not end this process in the middle.
        Command::Convert(_) | Command::Doctor(_) => telemetry::start(QUIET, None),
        _ => {
            sys::end_on_closed_pipe();
            telemetry::start(QUIET, None);
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::other)?;
    runtime.block_on(async {
        match command {
            Command::Convert(command) => command.run().await,
            Command::Serve(command) => Box::pin(command.run()).await,
            Command::Submit(command) => command.run().await,
            Command::Dead(command) => command.run().await,
            Command::Quarantine(command) => command.run().await,
            Command::Tenant(command) => command.run().await,
            Command::Ledger(command) => command.run().await,
            Command::Topology(command) => command.run().await,
            Command::Check(command) => command.run().await,
            Command::Doctor(command) => command.run().await,
            Command::Health(command) => command.run().await,
            Command::Desk(command) => command.run().await,
            Command::Notices(command) => command.run().await,
            Command::Config { .. } | Command::Completions { .. } => Ok(Ending::Well),
        }
    })
}

/// Waits for one of these signals. Where they cannot be had, waits for ever.
async fn signalled(kinds: &[SignalKind]) {
    let signals: Vec<_> = kinds.iter().filter_map(|kind| signal(*kind).ok()).collect();
    let waits = signals
        .into_iter()
        .map(|mut signal| Box::pin(async move { signal.recv().await }));
    match waits.collect::<Vec<_>>() {
        none if none.is_empty() => std::future::pending().await,
        waits => drop(select_all(waits).await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
