//! Logs: one line per event, on standard error, so that standard output stays for results.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Layer, Registry, registry};

use crate::config::{Level, LogConfig, LogFormat};
use crate::traces::Traces;

/// Starts logging for this process, and listens to spans where they are to be sent. A second call changes nothing.
pub fn start(config: LogConfig, traces: Option<&Traces>) {
    let mut layers = vec![lines(config)];
    layers.extend(traces.map(Traces::layer));
    // Only tests start it twice.
    drop(registry().with(layers).try_init());
}

fn lines(config: LogConfig) -> Box<dyn Layer<Registry> + Send + Sync> {
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
    match config.format {
        LogFormat::Text => lines.with_filter(ours).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(ours).boxed(),
    }
}
