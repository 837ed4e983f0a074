//! Vitals: what a worker knows about itself, in memory. Noted where it happens, read by whoever asks how the worker is.
//!
//! In: every part of the worker notes what it did. Out: facts for [`crate::health`], figures for [`crate::metrics`]. Nothing here waits:
//! figures are atomics, and the few locks are held for an assignment and never across I/O, so that there is an answer while the ledger, the
//! broker and the disk hang.

mod figures;
mod gauges;
mod hours;
mod pulse;
mod readiness;
mod tally;
mod untold;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

pub use figures::{Counter, Family, Histogram, Scale};
pub use gauges::{Copied, Gauges};
pub use hours::Hours;
pub use pulse::Pulse;
pub use readiness::Readiness;
pub use tally::{PATHS, Path, Ran, Tally};
pub use untold::Untold;

use crate::health::{Cause, Facts, Stage};

/// What one worker knows about itself. Those of its successors in the same process share its [`Tally`].
#[derive(Debug)]
pub struct Vitals {
    /// What was counted since the process began.
    pub tally: Arc<Tally>,
    /// Whether the worker takes work, by its own judgement.
    pub readiness: Readiness,
    /// The ledger, asked by the heartbeat.
    pub ledger: Pulse,
    /// The broker.
    pub broker: Pulse,
    /// The folder that attempts write to.
    pub disk: Pulse,
    /// The buckets that uploads are in and renditions go to.
    pub store: Pulse,
    /// What is there now.
    pub gauges: Gauges,
    stage: AtomicU8,
}

impl Vitals {
    /// Of a process that begins now.
    pub fn new() -> Arc<Self> {
        Self::with(Arc::new(Tally::new()))
    }

    /// Of the next worker in this process.
    pub fn successor(&self) -> Arc<Self> {
        Self::with(Arc::clone(&self.tally))
    }

    fn with(tally: Arc<Tally>) -> Arc<Self> {
        let clock = tally.clock;
        Arc::new(Self {
            tally,
            readiness: Readiness::new(clock),
            ledger: Pulse::new(clock),
            broker: Pulse::new(clock),
            disk: Pulse::new(clock),
            store: Pulse::new(clock),
            gauges: Gauges::default(),
            stage: AtomicU8::new(Stage::Starting as u8),
        })
    }

    /// The worker has come so far.
    pub fn is(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    /// The parts that a worker asks, each with what its silence would be the cause of.
    pub fn pulses(&self) -> [(Cause, &Pulse); 4] {
        [
            (Cause::Ledger, &self.ledger),
            (Cause::Broker, &self.broker),
            (Cause::Disk, &self.disk),
            (Cause::Store, &self.store),
        ]
    }

    /// What is known now.
    pub fn facts(&self) -> Facts {
        Facts {
            stage: self.stage(),
            turned_ago: self.tally.turned_ago(),
            obstacle: self.readiness.obstacle(),
            signs: self.pulses().map(|(cause, pulse)| (cause, pulse.sign())),
        }
    }

    fn stage(&self) -> Stage {
        let stages = [Stage::Starting, Stage::Working, Stage::Draining];
        let stage = self.stage.load(Ordering::Relaxed);
        stages
            .into_iter()
            .find(|known| *known as u8 == stage)
            .unwrap_or(Stage::Starting)
    }
}
