//! The worker as a service: takes messages, keeps house, and stops in order.
//!
//! A message goes through the door ([`door`]) into the window, is picked when its tenant's turn has come ([`turns`]), is worked on and
//! answered ([`work`]). What must wait moves aside ([`aside`]). Beside that, jobs that wait in the ledger are adopted ([`adopt`]), the house
//! is kept ([`house`]), and the parts that it depends on are watched ([`watch`]).
//!
//! Who waits for whom: `run` returns when every job in hand has ended or was given back. The first TERM stops taking and gives back
//! what has not begun; the second, or the drain deadline, releases the attempts that still run, without a strike; what was not finished is
//! delivered again.

mod adopt;
mod aside;
mod door;
mod expiry;
mod house;
mod tenancy;
mod turns;
mod watch;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tracing::Span;

use crate::broker::{Broker, BrokerError, Delivery, Envelope};
use crate::config::FairnessConfig;
use crate::digest::Digest;
use crate::expiry::Retention;
use crate::health::{Cause, Stage};
use crate::job::Job;
use crate::ledger::LedgerError;
use crate::pipeline::Worker;
use crate::recipe::Recipe;
use crate::traces::{self, GoesOn};

pub use tenancy::LimitsOf;

use tenancy::Tenancy;
use turns::Turns;

/// How long a job waits after each failure that was our own; after the last one it ends `failed`.
pub const LADDER: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
    Duration::from_secs(3600),
];
/// How long a worker that is not ready waits before it looks again.
const NOT_READY: Duration = Duration::from_secs(1);
/// How long released attempts may take to be reaped.
const RELEASE_TIME: Duration = Duration::from_secs(5);
/// How long the window stays empty before it is looked at again for what came late.
const STRAGGLERS: Duration = Duration::from_millis(200);
/// Most jobs of the ledger in hand at once.
const ADOPTED_MOST: u32 = 64;

/// A worker, a broker, and what jobs may name.
pub struct Service {
    worker: Arc<Worker>,
    broker: Arc<dyn Broker>,
    presets: BTreeMap<String, Recipe>,
    stores: Vec<String>,
    retention: Retention,
    /// Jobs that have been let in and not begun, and who is next.
    turns: Mutex<Turns>,
    /// Who they are of. Locked before `turns`, where both are.
    tenancy: Mutex<Tenancy>,
    /// Rings when there is somebody to pick, or a hand to work.
    next: Notify,
    /// Bounds the jobs that are worked on: few more than attempts, so that the order of picking is the order of running.
    hands: Arc<Semaphore>,
    hands_most: u32,
    /// Bounds the messages in hand.
    held: Arc<Semaphore>,
    held_most: u32,
    /// A sideline is asked for by one at a time.
    leasing: tokio::sync::Mutex<()>,
    /// Bounds the jobs adopted from the ledger.
    adopted: Arc<Semaphore>,
    draining: AtomicBool,
    /// Rings when draining begins.
    stopping: Notify,
    /// Ids of the jobs in hand: the same message may arrive again meanwhile.
    at_work: Mutex<BTreeSet<String>>,
    /// Those of them that the ledger keeps: they stay this worker's for as long.
    kept: Mutex<BTreeSet<String>>,
    /// Rings when a job is not at work any more.
    ended: Notify,
    /// Rings when an attempt has come to a verdict: copies of it may go on.
    settled: Notify,
}

/// What a service is made of.
pub struct Parts {
    /// Who settles jobs.
    pub worker: Arc<Worker>,
    /// Who brings them.
    pub broker: Arc<dyn Broker>,
    /// Recipes by name.
    pub presets: BTreeMap<String, Recipe>,
    /// Stores that jobs may name.
    pub stores: Vec<String>,
    /// Most attempts at once.
    pub slots: usize,
    /// Most messages of a lane in hand.
    pub window: usize,
    /// How long renditions are kept.
    pub retention: Retention,
    /// What tenants may use, by the configuration.
    pub limits: LimitsOf,
    /// Who goes first.
    pub fairness: FairnessConfig,
}

/// A job that was let in.
struct Item {
    job: Job,
    /// What an earlier pass found its upload to be.
    digest: Option<Digest>,
    envelope: Envelope,
    /// How often it came back for our own fault.
    tries: u32,
    holder: Holder,
    /// This worker has it.
    span: Span,
    _at_work: AtWork,
    _present: Present,
    _place: OwnedSemaphorePermit,
}

/// A job that the ledger keeps, as it is written there.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    job: Job,
    digest: Option<Digest>,
    #[serde(default)]
    envelope: Envelope,
}

/// Who shall be told that a job was taken care of.
enum Holder {
    /// The broker: the message is in hand.
    Broker(Box<Delivery>),
    /// The ledger: its message is acknowledged.
    Ledger,
}

/// A job's id is at work in this process, until this is dropped.
struct AtWork {
    service: Arc<Service>,
    id: String,
}

/// A message of a tenant is in this worker, until this is dropped.
struct Present {
    service: Arc<Service>,
    tenant: String,
}

/// What stops handling a job in the middle; it comes again.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl Service {
    /// A service on these parts.
    pub fn new(parts: Parts) -> Arc<Self> {
        let hands_most = u32::try_from(parts.slots.max(1) * 2 + 2).unwrap_or(1024);
        let held_most = parts.broker.most_held();
        Arc::new(Self {
            worker: parts.worker,
            broker: parts.broker,
            presets: parts.presets,
            stores: parts.stores,
            retention: parts.retention,
            turns: Mutex::default(),
            tenancy: Mutex::new(Tenancy::new(parts.limits, parts.fairness, parts.window, parts.slots)),
            next: Notify::new(),
            hands: Arc::new(Semaphore::new(hands_most as usize)),
            hands_most,
            held: Arc::new(Semaphore::new(held_most as usize)),
            held_most,
            leasing: tokio::sync::Mutex::default(),
            adopted: Arc::new(Semaphore::new(ADOPTED_MOST as usize)),
            draining: AtomicBool::new(false),
            stopping: Notify::new(),
            at_work: Mutex::default(),
            kept: Mutex::default(),
            ended: Notify::new(),
            settled: Notify::new(),
        })
    }

    /// Runs until `stop` resolves, then drains; `stop_now` resolving, or `deadline` passing, cuts the drain short.
    pub async fn run(
        self: &Arc<Self>,
        stop: impl Future<Output = ()>,
        stop_now: impl Future<Output = ()>,
        deadline: Duration,
    ) {
        self.worker.vitals.is(Stage::Working);
        let takers = [
            tokio::spawn(Arc::clone(self).consume()),
            tokio::spawn(Arc::clone(self).adopt()),
            tokio::spawn(Arc::clone(self).take_turns()),
        ];
        let keepers = [
            tokio::spawn(Arc::clone(self).keep_lease()),
            tokio::spawn(Arc::clone(self).keep_house()),
            tokio::spawn(Arc::clone(self).keep_tenants()),
            tokio::spawn(Arc::clone(self).keep_sidelines()),
            tokio::spawn(Arc::clone(self).keep_watch()),
            tokio::spawn(Arc::clone(self).keep_renditions()),
        ];
        let up = async {
            self.broker.up().await;
            tracing::info!("ready");
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = stop => {}
            () = up => {}
        }
        tracing::info!(
            running = self.worker.running(),
            deadline_s = deadline.as_secs(),
            "draining"
        );
        self.worker.vitals.is(Stage::Draining);
        self.draining.store(true, Ordering::SeqCst);
        self.stopping.notify_waiters();
        let drained = async {
            self.broker.rest().await;
            // What is at the door now comes through it yet.
            loop {
                self.return_waiting().await;
                if timeout(STRAGGLERS, self.empty_handed()).await.is_ok() {
                    return;
                }
            }
        };
        tokio::select! {
            () = drained => {}
            () = stop_now => tracing::warn!("stopped during the drain"),
            () = sleep(deadline) => tracing::warn!("the drain deadline has passed"),
        }
        self.worker.release_all();
        if timeout(RELEASE_TIME, self.empty_handed()).await.is_err() {
            tracing::error!("jobs are still in hand; they will be delivered again");
        }
        for task in takers.iter().chain(&keepers) {
            task.abort();
        }
        self.broker.close().await;
        if let Err(error) = self.worker.sign_off().await {
            tracing::warn!(%error, "not signed off; the lease will run out");
        }
    }

    /// Gives everything back that was let in and has not begun. What the ledger keeps is anybody's when its lease is over.
    async fn return_waiting(&self) {
        let items = self.turns().take_all();
        for item in items {
            if let Holder::Broker(delivery) = &item.holder {
                item.span.in_scope(|| traces::goes_on(GoesOn::Broker));
                self.return_to_broker(delivery).await;
            }
        }
    }

    async fn empty_handed(&self) {
        // The semaphores are never closed.
        let _ = self.held.acquire_many(self.held_most).await;
        let _ = self.adopted.acquire_many(ADOPTED_MOST).await;
        let _ = self.hands.acquire_many(self.hands_most).await;
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Waits until work may be taken; `None` when draining.
    async fn ready(&self) -> Option<()> {
        loop {
            if self.is_draining() {
                return None;
            }
            if self.worker.vitals.readiness.why_not().is_none() {
                return Some(());
            }
            let _ = timeout(NOT_READY, self.stopping.notified()).await;
        }
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        // A panic while the lock was held leaves messages that are still true.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tenancy(&self) -> MutexGuard<'_, Tenancy> {
        self.tenancy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job comes again; a ledger that fails takes this worker out until it answers.
    fn interrupted(&self, interrupted: &Interrupted) {
        match interrupted {
            Interrupted::Ledger(error) => {
                let readiness = &self.worker.vitals.readiness;
                readiness.not_ready(Cause::Ledger, &error.to_string());
            }
            Interrupted::Broker(error) => tracing::error!(%error, "a job is interrupted and comes again"),
        }
    }

    async fn return_to_broker(&self, delivery: &Delivery) {
        if let Err(error) = self.broker.give_back(delivery).await {
            tracing::error!(%error, "a message stays in hand until this worker is gone");
        }
    }

    /// Counts a message as its tenant's.
    fn came(self: &Arc<Self>, tenant: &str) -> Present {
        self.tenancy().came(tenant);
        Present {
            service: Arc::clone(self),
            tenant: tenant.to_owned(),
        }
    }

    /// Waits until nobody else in this process works on the job.
    async fn begin(self: &Arc<Self>, id: &str) -> AtWork {
        loop {
            let ended = self.ended.notified();
            let mine = self
                .at_work
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(id.to_owned());
            if mine {
                return AtWork {
                    service: Arc::clone(self),
                    id: id.to_owned(),
                };
            }
            let _ = timeout(NOT_READY, ended).await;
        }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let service = &self.service;
        service
            .at_work
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
        service.kept().remove(&self.id);
        service.ended.notify_waiters();
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.service.tenancy().went(&self.tenant);
    }
}
