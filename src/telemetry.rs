//! Logs: one line per event, on standard error, so that standard output stays for results.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;

use crate::config::{Level, LogConfig, LogFormat};

/// Starts logging for this process. A second call changes nothing.
pub fn start(config: LogConfig) {
    let level = match config.level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    // Libraries log what they please, whole messages among it; what matters of it is logged here, once, where it is handled.
    let ours = Targets::new().with_target("lazaret", level);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal());
    let started = match config.format {
        LogFormat::Text => registry().with(lines.with_filter(ours)).try_init(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true);
            registry().with(lines.with_filter(ours)).try_init()
        }
    };
    // Only tests start it twice.
    drop(started);
}
