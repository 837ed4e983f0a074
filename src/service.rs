//! The worker as a service: takes messages, keeps house, and stops in order.
//!
//! Who waits for whom: `run` returns when every job in hand has ended or was given back. The first TERM stops taking; the second, or the
//! drain deadline, releases the attempts that still run, without a strike; what was not finished is delivered again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::blame::Control;
use crate::broker::{Broker, BrokerError, Delivery};
use crate::clock;
use crate::digest::Digest;
use crate::event::Event;
use crate::job::Job;
use crate::ledger::{Arrival, HEARTBEAT, KeptJob, LedgerError};
use crate::pipeline::{Retry, Step, Worker};
use crate::recipe::Recipe;
use crate::verdict::{Reason, Report};

/// How long a job waits after each failure that was our own; after the last one it ends `failed`.
pub const LADDER: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
    Duration::from_secs(3600),
];
/// How long a copy waits before it is looked at again; it is not looked at while the first one runs.
const COPY_WAIT: Duration = Duration::from_millis(100);
/// How often jobs that wait in the ledger are looked for.
const ADOPT_EVERY: Duration = Duration::from_millis(250);
/// Most jobs that are adopted at once.
const ADOPT_MOST: u32 = 64;
/// How often old rows and messages are dropped.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// How long a worker that is not ready waits before it looks again.
const NOT_READY: Duration = Duration::from_secs(1);
/// How long released attempts may take to be reaped.
const RELEASE_TIME: Duration = Duration::from_secs(5);

/// A worker, a broker, and what jobs may name.
pub struct Service {
    worker: Arc<Worker>,
    broker: Arc<dyn Broker>,
    presets: BTreeMap<String, Recipe>,
    stores: Vec<String>,
    /// Bounds the jobs in hand.
    hands: Arc<Semaphore>,
    in_hand_most: u32,
    draining: AtomicBool,
    /// Jobs of the ledger that are in hand: they stay this worker's for as long.
    adopted: Mutex<BTreeSet<String>>,
    /// Rings when a job ended: copies of it may go on.
    ended: Notify,
}

/// A job that the ledger keeps, as it is written there.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    job: Job,
    digest: Option<Digest>,
    enqueued_ms: Option<u64>,
}

/// Who shall be told that a job was taken care of.
enum Holder<'a> {
    /// The broker: the message is in hand.
    Broker(&'a Delivery),
    /// The ledger: its message is acknowledged.
    Ledger,
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
    /// A service that holds at most eight jobs per slot in hand.
    pub fn new(
        worker: Arc<Worker>,
        broker: Arc<dyn Broker>,
        presets: BTreeMap<String, Recipe>,
        stores: Vec<String>,
        slots: usize,
    ) -> Arc<Self> {
        let in_hand_most = u32::try_from(slots.max(1) * 8).unwrap_or(64);
        Arc::new(Self {
            worker,
            broker,
            presets,
            stores,
            hands: Arc::new(Semaphore::new(in_hand_most as usize)),
            in_hand_most,
            draining: AtomicBool::new(false),
            adopted: Mutex::default(),
            ended: Notify::new(),
        })
    }

    /// Runs until `stop` resolves, then drains; `stop_now` resolving, or `deadline` passing, cuts the drain short.
    pub async fn run(
        self: &Arc<Self>,
        stop: impl Future<Output = ()>,
        stop_now: impl Future<Output = ()>,
        deadline: Duration,
    ) {
        let tasks = [
            tokio::spawn(Arc::clone(self).consume()),
            tokio::spawn(Arc::clone(self).adopt()),
            tokio::spawn(Arc::clone(self).keep_lease()),
            tokio::spawn(Arc::clone(self).keep_house()),
        ];
        stop.await;
        tracing::info!(
            in_the_air = self.worker.in_the_air(),
            deadline_s = deadline.as_secs(),
            "draining"
        );
        self.draining.store(true, Ordering::SeqCst);
        tokio::select! {
            () = self.empty_handed() => {}
            () = stop_now => tracing::warn!("stopped during the drain"),
            () = sleep(deadline) => tracing::warn!("the drain deadline has passed"),
        }
        self.worker.release_all();
        if timeout(RELEASE_TIME, self.empty_handed()).await.is_err() {
            tracing::error!("jobs are still in hand; they will be delivered again");
        }
        for task in tasks {
            task.abort();
        }
        if let Err(error) = self.worker.sign_off().await {
            tracing::warn!(%error, "not signed off; the lease will run out");
        }
    }

    async fn empty_handed(&self) {
        // The semaphore is never closed.
        let _ = self.hands.acquire_many(self.in_hand_most).await;
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Waits for a free hand, and until work may be taken; `None` when draining.
    async fn free_hand(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            let hand = Arc::clone(&self.hands).acquire_owned().await.ok()?;
            if self.is_draining() {
                return None;
            }
            if self.worker.readiness.why_not().is_none() {
                return Some(hand);
            }
            drop(hand);
            sleep(NOT_READY).await;
        }
    }

    /// Takes messages from the broker.
    async fn consume(self: Arc<Self>) {
        while let Some(hand) = self.free_hand().await {
            // A message is taken only with a hand for it; while none comes, the hand is kept free for adopted jobs.
            drop(hand);
            let delivery = match self.broker.next().await {
                Ok(delivery) => delivery,
                Err(error) => {
                    tracing::error!(%error, "no messages");
                    sleep(NOT_READY).await;
                    continue;
                }
            };
            let Some(hand) = self.free_hand().await else {
                self.return_to_broker(&delivery).await;
                return;
            };
            let service = Arc::clone(&self);
            tokio::spawn(async move {
                if let Err(interrupted) = service.handle_delivery(&delivery).await {
                    service.interrupted(&interrupted);
                    // Not at once: what failed now would fail at once again.
                    sleep(NOT_READY).await;
                    service.return_to_broker(&delivery).await;
                }
                drop(hand);
            });
        }
    }

    /// Takes jobs that wait in the ledger.
    async fn adopt(self: Arc<Self>) {
        loop {
            let _ = timeout(ADOPT_EVERY, self.ended.notified()).await;
            let Some(hand) = self.free_hand().await else { return };
            drop(hand);
            // No more than can be taken in hand now: the others are anybody's.
            let most = u32::try_from(self.hands.available_permits())
                .unwrap_or(ADOPT_MOST)
                .clamp(1, ADOPT_MOST);
            let kept = match self.worker.ledger.adopt(&self.worker.id, most).await {
                Ok(kept) => kept,
                Err(error) => {
                    self.interrupted(&error.into());
                    continue;
                }
            };
            for job in kept {
                let Ok(hand) = Arc::clone(&self.hands).acquire_owned().await else {
                    return;
                };
                if self.is_draining() {
                    // Signing off frees what was adopted.
                    return;
                }
                let service = Arc::clone(&self);
                tokio::spawn(async move {
                    let id = job.job.clone();
                    service.adopted().insert(id.clone());
                    if let Err(interrupted) = service.handle_kept(job).await {
                        service.interrupted(&interrupted);
                    }
                    // One that was interrupted is anybody's again when its lease is over.
                    service.adopted().remove(&id);
                    drop(hand);
                });
            }
        }
    }

    /// The heartbeat, and nothing that could delay it: a worker that is late is taken for lost.
    async fn keep_lease(self: Arc<Self>) {
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            if let Err(error) = self.beat().await {
                self.interrupted(&error.into());
            }
        }
    }

    async fn beat(&self) -> Result<(), LedgerError> {
        self.worker.beat().await?;
        let jobs: Vec<String> = self.adopted().iter().cloned().collect();
        self.worker.ledger.hold(&self.worker.id, &jobs).await
    }

    fn adopted(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // A panic while the lock was held leaves a set of ids that is still true.
        self.adopted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Burials, tidying, and the way back to being ready.
    async fn keep_house(self: Arc<Self>) {
        let mut look = interval(HEARTBEAT);
        let mut tidy = interval(TIDY_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = look.tick() => self.look_around().await,
                _ = tidy.tick() => self.tidy().await,
            }
        }
    }

    async fn look_around(&self) {
        if let Err(error) = self.worker.bury_the_dead().await {
            tracing::error!(%error, "lost workers could not be buried");
        }
        // Ready again where the ledger answers and a known good image converts.
        let sick = self.worker.readiness.why_not().is_some();
        if sick && self.worker.beat().await.is_ok() && self.worker.control().await == Control::Converted {
            tracing::info!("ready again");
            self.worker.readiness.ready();
        }
    }

    async fn tidy(&self) {
        match self.worker.ledger.tidy().await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "ledger tidied"),
            Err(error) => self.interrupted(&error.into()),
        }
        if let Err(error) = self.broker.tidy().await {
            tracing::error!(%error, "spool");
        }
    }

    /// The job comes again; a ledger that fails takes this worker out until it answers.
    fn interrupted(&self, interrupted: &Interrupted) {
        match interrupted {
            Interrupted::Ledger(error) => self.worker.readiness.not_ready(&error.to_string()),
            Interrupted::Broker(error) => tracing::error!(%error, "a job is interrupted and comes again"),
        }
    }

    async fn return_to_broker(&self, delivery: &Delivery) {
        if let Err(error) = self.broker.give_back(delivery).await {
            tracing::error!(%error, "a message stays in hand until this worker is gone");
        }
    }

    async fn handle_delivery(&self, delivery: &Delivery) -> Result<(), Interrupted> {
        let stores: Vec<&str> = self.stores.iter().map(String::as_str).collect();
        let parsed = Job::parse(&delivery.body, &self.presets, &stores);
        let (id, tenant) = match &parsed {
            Ok(job) => (job.job.clone(), job.tenant.clone()),
            Err(invalid) => match &invalid.sender {
                Some(sender) => sender.clone(),
                None => return Ok(self.broker.set_aside(delivery, &invalid.problem).await?),
            },
        };
        match self.worker.ledger.arrival(&id).await? {
            // Whoever uses somebody else's id is not answered with somebody else's result, and changes nothing about it.
            Arrival::Ended(report) if report.tenant != tenant => self.id_is_taken(delivery).await,
            Arrival::Waiting(owner) if owner != tenant => self.id_is_taken(delivery).await,
            Arrival::Ended(report) => {
                self.publish(*report).await?;
                Ok(self.broker.acknowledge(delivery).await?)
            }
            Arrival::Waiting(_) => Ok(self.broker.acknowledge(delivery).await?),
            Arrival::New => match parsed {
                Ok(job) => {
                    let kept = Kept {
                        job,
                        digest: None,
                        enqueued_ms: delivery.enqueued_ms,
                    };
                    self.settle(kept, 0, Holder::Broker(delivery)).await
                }
                Err(invalid) => {
                    tracing::warn!(problem = invalid.problem, "invalid job");
                    self.conclude(self.worker.invalid(&id, &tenant, &invalid), &Holder::Broker(delivery))
                        .await
                }
            },
        }
    }

    async fn id_is_taken(&self, delivery: &Delivery) -> Result<(), Interrupted> {
        let why = "job: this id belongs to a job of another tenant";
        tracing::warn!(why, "a message is set aside");
        Ok(self.broker.set_aside(delivery, why).await?)
    }

    async fn handle_kept(&self, job: KeptJob) -> Result<(), Interrupted> {
        if !matches!(self.worker.ledger.arrival(&job.job).await?, Arrival::Waiting(_)) {
            return Ok(());
        }
        match serde_json::from_value(job.message) {
            Ok(kept) => self.settle(kept, job.tries, Holder::Ledger).await,
            Err(error) => {
                // Somebody edited the row: its sender is told all the same.
                let id = job.job;
                tracing::error!(job = id, %error, "a waiting job cannot be read from the ledger");
                let report =
                    self.worker
                        .unreadable(&id, &job.tenant, &format!("the ledger's row cannot be read: {error}"));
                self.conclude(report, &Holder::Ledger).await
            }
        }
    }

    async fn settle(&self, mut kept: Kept, tries: u32, holder: Holder<'_>) -> Result<(), Interrupted> {
        let queued_ms = kept.enqueued_ms.map(|since| clock::unix_ms().saturating_sub(since));
        let (delay, tries) = match self.worker.settle(&kept.job, kept.digest.as_ref()).await {
            Step::Ended(report) => return self.conclude(Report { queued_ms, ..*report }, &holder).await,
            Step::Wait(digest) => {
                kept.digest = Some(digest);
                (COPY_WAIT, tries)
            }
            Step::Retry(Retry::Ledger(error)) => return Err(error.into()),
            // Runs alone next, and at once.
            Step::Retry(Retry::Strike(_)) => (Duration::ZERO, tries),
            // Not the job's doing, and not worth a rung: it starts over, here or elsewhere.
            Step::Retry(Retry::Attempt(_)) if self.is_draining() => (Duration::ZERO, tries),
            Step::Retry(retry) => match LADDER.get(tries as usize) {
                Some(delay) => {
                    tracing::warn!(job = kept.job.job, %retry, tries, delay_s = delay.as_secs(), "tried again later");
                    (*delay, tries + 1)
                }
                None => {
                    let report = self.worker.give_up(&kept.job, reason_of(&retry), &retry.to_string());
                    return self.conclude(Report { queued_ms, ..report }, &holder).await;
                }
            },
        };
        self.keep(&kept, tries, delay).await?;
        match holder {
            Holder::Broker(delivery) => Ok(self.broker.acknowledge(delivery).await?),
            Holder::Ledger => Ok(()),
        }
    }

    async fn keep(&self, kept: &Kept, tries: u32, delay: Duration) -> Result<(), Interrupted> {
        let message = serde_json::to_value(kept).map_err(|error| BrokerError {
            place: "message".to_owned(),
            problem: error.to_string(),
        })?;
        let job = KeptJob {
            job: kept.job.job.clone(),
            tenant: kept.job.tenant.clone(),
            message,
            tries,
        };
        Ok(self.worker.ledger.park(&job, kept.digest.as_ref(), delay).await?)
    }

    /// Report written, result published, then the message acknowledged. What the ledger keeps is published first: it comes
    /// again until it is marked as ended.
    async fn conclude(&self, report: Report, holder: &Holder<'_>) -> Result<(), Interrupted> {
        match holder {
            Holder::Broker(delivery) => {
                let report = self.worker.ledger.end(&report).await?;
                self.publish(report).await?;
                self.broker.acknowledge(delivery).await?;
            }
            Holder::Ledger => {
                self.publish(report.clone()).await?;
                self.worker.ledger.end(&report).await?;
            }
        }
        self.ended.notify_one();
        Ok(())
    }

    async fn publish(&self, report: Report) -> Result<(), BrokerError> {
        self.broker.publish(&Event::of(report, clock::now())).await
    }
}

fn reason_of(retry: &Retry) -> Reason {
    match retry {
        Retry::Store(_) => Reason::Store,
        Retry::Strike(_) | Retry::Attempt(_) | Retry::Ledger(_) => Reason::Unavailable,
    }
}
