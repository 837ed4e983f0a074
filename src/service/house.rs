//! What a worker does beside its jobs: its lease, burials, telling how jobs ended, tidying, and the way back to being ready.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Service;
use crate::blame::Control;
use crate::ledger::{HEARTBEAT, LedgerError};

/// How often the ledger is told how jobs ended.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// How often old rows and messages are dropped.
const TIDY_EVERY: Duration = Duration::from_secs(60);

impl Service {
    /// The heartbeat, and nothing that could delay it: a worker that is late is taken for lost.
    pub(super) async fn keep_lease(self: Arc<Self>) {
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            if let Err(error) = self.worker.vitals.ledger.of(self.beat()).await {
                self.interrupted(&error.into());
            }
        }
    }

    async fn beat(&self) -> Result<(), LedgerError> {
        self.worker.beat().await?;
        let jobs: Vec<String> = self.kept().iter().cloned().collect();
        self.worker.ledger.hold(&self.worker.id, &jobs).await
    }

    /// Burials, tidying, and the way back to being ready.
    pub(super) async fn keep_house(self: Arc<Self>) {
        // What it costs now, while nothing is in doubt.
        self.worker.control_set().await;
        let mut look = interval(HEARTBEAT);
        let mut tell = interval(TELL_EVERY);
        let mut tidy = interval(TIDY_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = look.tick() => self.look_around().await,
                _ = tell.tick() => self.tell().await,
                _ = tidy.tick() => self.tidy().await,
            }
        }
    }

    pub(super) async fn look_around(&self) {
        if let Err(error) = self.worker.bury_the_dead().await {
            tracing::error!(%error, "lost workers could not be buried");
        }
        if let Err(error) = self.worker.look_for_forgotten().await {
            tracing::debug!(%error, "what this worker runs was not held against the ledger");
        }
        // Ready again where ledger and buckets answer and what is known to be good converts as usual.
        let sick = self.worker.vitals.readiness.why_not().is_some();
        let answers = sick && self.worker.beat().await.is_ok() && self.worker.stores.look().await.is_ok();
        if answers && self.worker.control_set().await == Control::Converted {
            tracing::info!("ready again");
            self.worker.take_work_again();
        }
    }

    async fn tell(&self) {
        if let Err(error) = self.worker.tell_verdicts().await {
            self.interrupted(&error.into());
        }
    }

    async fn tidy(&self) {
        match self.worker.ledger.tidy().await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "ledger tidied"),
            Err(error) => self.interrupted(&error.into()),
        }
        if let Err(error) = self.broker.tidy().await {
            tracing::error!(%error, "broker");
        }
    }
}
