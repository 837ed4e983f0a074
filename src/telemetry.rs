//! Logs: one line per event, on standard error, so that standard output stays for results.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;

use crate::config::{Level, LogConfig, LogFormat};

/// Starts logging for this process. A second call changes nothing.
pub fn start(config: LogConfig) {
    let level = match config.level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    let lines = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal());
    let started = match config.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    // Only tests start it twice.
    drop(started);
}
