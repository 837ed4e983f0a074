//! `lazaret serve`: the worker.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::SignalKind;

use super::place::{open_sources, prove, sandbox, sign_on};
use super::{Ending, Failure, signalled};
use crate::broker::spool::Spool;
use crate::config::{Address, Config};
use crate::pipeline::Sources;
use crate::service::Service;
use crate::telemetry;

/// Run the worker: take jobs, convert, answer.
///
/// Proves its sandbox first, and takes nothing where a required guard does not hold. TERM or INT drains: running attempts may
/// end within worker.drain; a second signal ends at once. What was not finished is delivered again.
#[derive(Debug, Args)]
pub struct Serve {
    /// The configuration; `lazaret config example` prints one.
    #[arg(long, value_name = "FILE", env = "LAZARET_CONFIG")]
    config: PathBuf,
}

impl Serve {
    pub(super) async fn run(self) -> Result<Ending, Failure> {
        let config = Config::load(&self.config)?;
        telemetry::start(config.log);
        let sources = open_sources(&config)?;
        let stores = sources.keys().cloned().collect();
        prove(&sandbox(&config)?, "not consuming").await?;

        let worker = sign_on(&config, Sources::Stores(sources)).await?;
        let spool = Spool::open(config.broker.path()).map_err(Failure::other)?;
        let broker = Arc::new(spool.consume(&worker.id).map_err(Failure::other)?);
        let service = Service::new(Arc::clone(&worker), broker, config.recipes(), stores, config.slots());
        tracing::info!(
            worker = worker.id.0,
            broker = %config.broker,
            ledger = %config.ledger,
            slots = config.slots(),
            memory_budget_bytes = worker.sandbox.budget.total(),
            "ready"
        );
        let stop = [SignalKind::terminate(), SignalKind::interrupt()];
        let hang_up = tokio::spawn(ignore_hang_up());
        service
            .run(signalled(&stop), signalled(&stop), config.worker.drain)
            .await;
        hang_up.abort();
        tracing::info!("stopped");
        Ok(Ending::Well)
    }
}

/// A hang-up must not end a worker in the middle of its attempts.
async fn ignore_hang_up() {
    loop {
        signalled(&[SignalKind::hangup()]).await;
        tracing::warn!("HUP: the configuration is read at start only; restart to change it");
    }
}
