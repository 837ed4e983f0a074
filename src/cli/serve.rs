//! `lazaret serve`: the worker.

mod generation;
mod signals;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};

use super::{Ending, Failure, check};
use crate::config::Config;
use crate::notify::Supervisor;
use crate::telemetry;
use crate::traces::Traces;
use crate::vitals::Vitals;

use generation::Generation;
use signals::{Signals, Told};

/// How long the broker of a new configuration may take to answer, before the old one stays.
const BROKER_ANSWERS: Duration = Duration::from_secs(20);

/// How often the runtime notes that it turns.
const TURN: Duration = Duration::from_millis(500);

/// Run the worker: take jobs, convert, answer.
///
/// Proves its sandbox first, and takes nothing where a required guard does not hold. TERM or INT drains: running attempts may
/// end within worker.drain; a second signal ends at once. What was not finished is delivered again.
///
/// HUP reads the configuration again. It is checked as `lazaret check` does, the sandbox is proven under it, its stores, ledger and broker are
/// opened; only then the worker drains and goes on under it. Where anything of that fails, the old configuration stays, and the log says why.
#[derive(Debug, Args)]
pub struct Serve {
    /// The configuration; `lazaret config example` prints one.
    #[arg(long, value_name = "FILE", env = "LAZARET_CONFIG")]
    config: PathBuf,
}

impl Serve {
    pub(super) async fn run(self) -> Result<Ending, Failure> {
        let config = Config::load(&self.config)?;
        let vitals = Vitals::new();
        let traces = Traces::start(&config.traces, &vitals)?;
        telemetry::start(config.log, traces.as_ref());
        if let Some(collector) = &config.traces.endpoint {
            tracing::info!(%collector, "traces are sent");
        }
        let mut signals = Signals::listen();
        let supervisor = Arc::new(Supervisor::of_environment());
        tokio::spawn(turn(Arc::clone(&vitals)));
        let mut generation = Generation::first(config, &supervisor, vitals).await?;
        // Started, even where the broker is not there yet: to be started again would not bring it.
        supervisor.say("READY=1");
        while let Some(next) = self.until_replaced(&generation, &mut signals, &supervisor).await {
            generation.retire();
            generation = next;
            tracing::info!("goes on under the new configuration");
        }
        tokio::select! {
            () = generation.farewell() => {}
            () = signals.stop_now() => {}
        }
        if let Some(traces) = &traces {
            block_in_place(|| traces.finish());
        }
        tracing::info!("stopped");
        Ok(Ending::Well)
    }

    /// Runs a generation until it has drained; returns its successor, or none where the process is to end.
    async fn until_replaced(
        &self,
        generation: &Generation,
        signals: &mut Signals,
        supervisor: &Arc<Supervisor>,
    ) -> Option<Generation> {
        let (mut successor, stop_now) = (None, signals.stop_now());
        let stop = async {
            while let Told::Reload = signals.next().await {
                let found = tokio::select! {
                    found = Box::pin(self.successor(generation, supervisor)) => found,
                    () = signals.stop() => break,
                };
                match found {
                    Ok(next) => {
                        successor = Some(next);
                        return;
                    }
                    Err(failure) => {
                        tracing::error!(%failure, "HUP: the new configuration is refused; the old one stays");
                    }
                }
            }
            supervisor.say("STOPPING=1");
        };
        generation.run(stop, stop_now).await;
        match successor {
            Some(next) if signals.is_stopping() => {
                next.give_up().await;
                None
            }
            successor => successor,
        }
    }

    /// Everything of the new configuration, ready to take over.
    async fn successor(&self, generation: &Generation, supervisor: &Arc<Supervisor>) -> Result<Generation, Failure> {
        tracing::info!(file = %self.config.display(), "HUP: reading the configuration again");
        let config = check::examine(&self.config, Some(generation.budget())).await?.config;
        if config.log != generation.config.log {
            tracing::warn!("[log] takes effect at the next start");
        }
        if config.traces != generation.config.traces {
            tracing::warn!("[traces] takes effect at the next start");
        }
        if config.desk != generation.config.desk && config.admin == generation.config.admin {
            tracing::warn!("[desk] takes effect at the next start, or with another admin");
        }
        let next = generation.successor(config, supervisor).await?;
        match timeout(BROKER_ANSWERS, next.broker.reached()).await {
            Ok(()) => Ok(next),
            Err(_) => {
                next.give_up().await;
                Err(Failure::Other(format!(
                    "{} does not answer, or is not as it should be",
                    next.config.broker
                )))
            }
        }
    }
}

/// Notes that this process's runtime turns, for as long as it does.
async fn turn(vitals: Arc<Vitals>) {
    loop {
        vitals.tally.turns();
        sleep(TURN).await;
    }
}
