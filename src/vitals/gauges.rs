//! What is there now: copied by the worker every second, so that whoever asks needs none of its locks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Figures that rise and fall.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Attempts that run.
    in_flight: AtomicU64,
    copied: Mutex<Arc<Copied>>,
    waiting: AtomicU64,
    staging_free_bytes: AtomicU64,
    queues: Mutex<Vec<(&'static str, u64)>>,
}

/// What is copied at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// Most attempts at once.
    pub slots: u64,
    /// Messages and jobs of the ledger in hand.
    pub in_hand: u64,
    /// Of those, let in and not begun.
    pub waiting: u64,
    /// Memory that children may use together, in bytes.
    pub budget_bytes: u64,
    /// What of it is free, in bytes.
    pub budget_free_bytes: u64,
    /// Ended attempts that the ledger could not take yet.
    pub unsettled: u64,
    /// Messages in sidelines that are leased.
    pub sidelined: u64,
    /// The tenants with most in hand, the first one first.
    pub tenants: Vec<(String, u64)>,
}

impl Copied {
    /// Memory that children may use now, of their budget, in bytes.
    pub fn budget_used(&self) -> u64 {
        self.budget_bytes.saturating_sub(self.budget_free_bytes)
    }
}

/// An attempt that runs, until this is dropped.
#[derive(Debug)]
pub struct InFlight<'a>(&'a AtomicU64);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gauges {
    /// An attempt begins.
    pub fn begin_attempt(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(&self.in_flight)
    }

    /// Attempts that run.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// What the worker has found of itself.
    pub fn copy(&self, copied: Copied) {
        *lock(&self.copied) = Arc::new(copied);
    }

    /// What it found last.
    pub fn copied(&self) -> Arc<Copied> {
        Arc::clone(&lock(&self.copied))
    }

    /// How many jobs wait in the ledger.
    pub fn ledger_keeps(&self, jobs: u64) {
        self.waiting.store(jobs, Ordering::Relaxed);
    }

    /// How many did when it was asked last.
    pub fn kept_by_ledger(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How much may still be written to the staging folder.
    pub fn staging_has_free(&self, bytes: u64) {
        self.staging_free_bytes.store(bytes, Ordering::Relaxed);
    }

    /// How much that was when it was looked at last.
    pub fn staging_free_bytes(&self) -> u64 {
        self.staging_free_bytes.load(Ordering::Relaxed)
    }

    /// How many messages wait in each queue.
    pub fn queues_have(&self, depths: Vec<(&'static str, u64)>) {
        *lock(&self.queues) = depths;
    }

    /// How many did when the broker answered last; then, as `sidelines`, how many wait in those that are leased.
    pub fn queues(&self) -> Vec<(&'static str, u64)> {
        let mut queues = lock(&self.queues).to_vec();
        queues.push(("sidelines", self.copied().sidelined));
        queues
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
