//! The watch over what a worker depends on, and over itself: everything that health and metrics tell is noted here or where it happens.
//!
//! The ledger is asked by the heartbeat ([`super::house`]); the broker, the disk and the stores are asked here. Each has a question of its own at a time: a
//! part that hangs keeps nobody else from being asked.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Service;
use crate::health::Cause;
use crate::sandbox::sys;
use crate::vitals::Copied;

/// How often broker, disk and stores are asked.
const ASK: Duration = Duration::from_secs(5);
/// How often the ledger is asked how much waits in it.
const COUNT: Duration = Duration::from_secs(10);
/// How often what is here is copied.
const COPY: Duration = Duration::from_secs(1);
/// Tenants that are told by name.
const TENANTS: usize = 5;

impl Service {
    /// Watches.
    pub(super) async fn keep_watch(self: Arc<Self>) {
        tokio::join!(
            self.watch_broker(),
            self.watch_disk(),
            self.watch_stores(),
            self.watch_ledger(),
            self.watch_itself()
        );
    }

    async fn watch_broker(&self) {
        let (mut ask, vitals) = (every(ASK), &self.worker.vitals);
        loop {
            ask.tick().await;
            if let Ok(depths) = vitals.broker.of(self.broker.look()).await {
                vitals.gauges.queues_have(depths);
            }
        }
    }

    async fn watch_disk(&self) {
        let (mut ask, vitals) = (every(ASK), &self.worker.vitals);
        loop {
            ask.tick().await;
            let staging = self.worker.sandbox.staging.clone();
            let look = async {
                let looked = tokio::task::spawn_blocking(move || try_to_write(&staging)).await;
                looked.map_err(io::Error::other)?
            };
            if let Ok(free) = vitals.disk.of(look).await {
                vitals.gauges.staging_has_free(free);
            }
        }
    }

    /// Folders answer at once: reading them tells how they are. Where a bucket has failed twice, nothing is taken: what is converted could not be
    /// put anywhere. [`Self::look_around`] takes up work again.
    async fn watch_stores(&self) {
        let (mut ask, vitals) = (every(ASK), &self.worker.vitals);
        let mut failures = 0;
        loop {
            ask.tick().await;
            match vitals.store.of(self.worker.stores.look()).await {
                Ok(()) => failures = 0,
                Err(_) if failures == 0 => failures = 1,
                Err(error) if vitals.readiness.why_not().is_none() => {
                    vitals.readiness.not_ready(Cause::Store, &error.to_string());
                }
                Err(_) => {}
            }
        }
    }

    /// Whether it answers is told by the heartbeat.
    async fn watch_ledger(&self) {
        let mut ask = every(COUNT);
        loop {
            ask.tick().await;
            if let Ok(jobs) = self.worker.ledger.waiting().await {
                self.worker.vitals.gauges.ledger_keeps(jobs);
            }
        }
    }

    async fn watch_itself(&self) {
        let mut copy = every(COPY);
        loop {
            copy.tick().await;
            self.worker.vitals.gauges.copy(self.found());
        }
    }

    /// What is here now.
    fn found(&self) -> Copied {
        let waiting = self.turns().waiting() as u64;
        let budget = &self.worker.sandbox.budget;
        let tenancy = self.tenancy();
        Copied {
            slots: self.worker.slots_most() as u64,
            in_hand: tenancy.held_in_all() as u64,
            waiting,
            budget_bytes: budget.total(),
            budget_free_bytes: budget.free(),
            unsettled: self.worker.unsettled_count() as u64,
            sidelined: tenancy.sidelined(),
            tenants: tenancy.held_most(TENANTS),
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Writes a byte where attempts write, down to the disk; returns how many more could follow. Blocks.
fn try_to_write(staging: &Path) -> io::Result<u64> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", staging.display()));
    let mut file = tempfile::tempfile_in(staging).map_err(named)?;
    file.write_all(b"?").and_then(|()| file.sync_data()).map_err(named)?;
    sys::free_space(&file).map_err(named)
}
