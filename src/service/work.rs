//! Work on one job, and what is told and to whom in the end.
//!
//! What the broker holds: report written, result published, then the message acknowledged. What the ledger keeps is published first, so
//! that it comes again until it is marked as ended; so is what both hold, because a message was delivered twice.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::Instrument;

use super::aside::Why;
use super::{Holder, Interrupted, Item, Kept, LADDER, NOT_READY, Service};
use crate::broker::{BrokerError, Delivery, Envelope, Moved};
use crate::clock;
use crate::event::Event;
use crate::job::Body;
use crate::ledger::{Arrival, KeptJob};
use crate::pipeline::{Retry, Step};
use crate::tenants::gate::{Comes, Gate};
use crate::traces::{self, GoesOn};
use crate::verdict::{Reason, Report, Status};

/// How long a copy waits before it is looked at again; it is not looked at while the first one runs.
const COPY_WAIT: Duration = Duration::from_millis(100);
/// What came of working on a job.
enum Worked {
    /// It has ended, or waits elsewhere; so many milliseconds of CPU time went into its attempt.
    Done { cpu_ms: u64 },
    /// Its tenant has as many attempts running in the fleet as it may: it takes its turn again.
    Crowded,
}

impl Worked {
    const WITHOUT_AN_ATTEMPT: Self = Self::Done { cpu_ms: 0 };
}

impl Service {
    /// Works on a job whose turn it is; returns the CPU time of its attempt, in milliseconds.
    pub(super) async fn work_on(self: &Arc<Self>, item: Item) -> u64 {
        let span = item.span.clone();
        self.work_on_held(item).instrument(span).await
    }

    async fn work_on_held(self: &Arc<Self>, mut item: Item) -> u64 {
        if let Holder::Broker(delivery) = &item.holder
            && !self.broker.holds(delivery)
        {
            // Its connection was lost: it is delivered again, here or elsewhere.
            traces::goes_on(GoesOn::Broker);
            return 0;
        }
        match self.past_the_gate(&mut item).await {
            Ok(Worked::Done { cpu_ms }) => cpu_ms,
            Ok(Worked::Crowded) => {
                self.tenancy().is_crowded(&item.job.tenant);
                self.let_in(item);
                0
            }
            Err(interrupted) => {
                self.comes_again(&item, &interrupted).await;
                0
            }
        }
    }

    /// A job whose handling was interrupted comes again: from the broker, or from the ledger when its lease is over.
    pub(super) async fn comes_again(&self, item: &Item, interrupted: &Interrupted) {
        self.interrupted(interrupted);
        traces::goes_on(match item.holder {
            Holder::Broker(_) => GoesOn::Broker,
            Holder::Ledger => GoesOn::Ledger,
        });
        if let Holder::Broker(delivery) = &item.holder {
            // Not at once: what failed now would fail at once again.
            sleep(NOT_READY).await;
            self.return_to_broker(delivery).await;
        }
    }

    /// Lets a job on whose tenant may have it converted now; refuses it, or has it wait elsewhere.
    async fn past_the_gate(self: &Arc<Self>, item: &mut Item) -> Result<Worked, Interrupted> {
        let comes = match item.holder {
            Holder::Broker(_) => item.envelope.comes(),
            Holder::Ledger => Comes::Again,
        };
        let gate = self.tenancy().gate(&item.job.tenant, item.envelope.enqueued_ms, comes);
        match gate {
            Gate::Open => return self.settle(item).await,
            Gate::Held => drop(self.set_by(item, Why::Held).await?),
            Gate::Over { until_ms, .. } => drop(self.set_by(item, Why::Over(until_ms)).await?),
            Gate::Refused(reason, why) => {
                let report = self.worker.turned_away(&item.job, reason, &why);
                self.conclude(item, report).await?;
            }
            Gate::Dropped => self.drop_unanswered(item).await?,
        }
        Ok(Worked::WITHOUT_AN_ATTEMPT)
    }

    /// Ends a job without a word to anybody.
    async fn drop_unanswered(&self, item: &Item) -> Result<(), Interrupted> {
        tracing::info!(
            job = item.job.job,
            tenant = item.job.tenant,
            "dropped: its tenant is blocked"
        );
        match &item.holder {
            Holder::Broker(delivery) => self.broker.acknowledge(delivery).await?,
            Holder::Ledger => {
                let why = "the tenant is blocked, and its jobs are dropped";
                let report = self.worker.turned_away(&item.job, Reason::TenantBlocked, why);
                self.worker.ledger.end(&report).await?;
            }
        }
        Ok(())
    }

    async fn settle(self: &Arc<Self>, item: &mut Item) -> Result<Worked, Interrupted> {
        let queued_ms = item
            .envelope
            .enqueued_ms
            .map(|since| clock::unix_ms().saturating_sub(since));
        let terms = self.tenancy().terms(&item.job.tenant);
        let step = self.worker.settle_within(terms, &item.job, item.digest.as_ref()).await;
        if let Step::Retry(retry) = &step {
            self.worker.vitals.tally.retried(retry);
        }
        if !matches!(step, Step::Crowded(_) | Step::Wait(_)) {
            self.tenancy().begun(&item.job.tenant);
        }
        let (delay, tries) = match step {
            Step::Ended(report) => return self.conclude(item, Report { queued_ms, ..*report }).await,
            Step::Wait(digest) => {
                item.digest = Some(digest);
                (COPY_WAIT, item.tries)
            }
            Step::Crowded(digest) => {
                item.digest = Some(digest);
                return Ok(Worked::Crowded);
            }
            Step::Retry(Retry::Ledger(error)) => return Err(error.into()),
            // Runs alone next, and at once.
            Step::Retry(Retry::Strike(_)) => (Duration::ZERO, item.tries),
            // Not the job's doing, and not worth a rung: it starts over, here or elsewhere.
            Step::Retry(Retry::Attempt(_)) if self.is_draining() => (Duration::ZERO, item.tries),
            Step::Retry(retry) => match LADDER.get(item.tries as usize) {
                Some(delay) => {
                    let (job, tries, delay_s) = (&item.job.job, item.tries, delay.as_secs());
                    tracing::warn!(job, %retry, tries, delay_s, "tried again later");
                    if self.put_off(item).await? == Moved::There {
                        traces::goes_on(GoesOn::Ladder);
                        return Ok(Worked::WITHOUT_AN_ATTEMPT);
                    }
                    (*delay, item.tries + 1)
                }
                None => {
                    let report = self.worker.give_up(&item.job, reason_of(&retry), &retry.to_string());
                    return self.conclude(item, Report { queued_ms, ..report }).await;
                }
            },
        };
        self.keep(item, tries, delay).await?;
        if let Holder::Broker(delivery) = &item.holder {
            self.acknowledge_kept(item, delivery).await?;
        }
        Ok(Worked::WITHOUT_AN_ATTEMPT)
    }

    /// Acknowledges the message of a job that the ledger keeps. It does not keep one that has ended: whoever ended it may have lost this
    /// very message and be gone before it is told, so it is told here.
    pub(super) async fn acknowledge_kept(&self, item: &Item, delivery: &Delivery) -> Result<(), Interrupted> {
        if let Arrival::Ended(report) = self.worker.ledger.arrival(&item.job.job).await? {
            self.publish_patiently(*report, &item.envelope, Some(delivery)).await?;
        }
        Ok(self.broker.acknowledge(delivery).await?)
    }

    /// Moves a message to the retry ladder, where its broker has one.
    async fn put_off(&self, item: &Item) -> Result<Moved, BrokerError> {
        match &item.holder {
            Holder::Broker(delivery) => {
                let rung = item.tries as usize;
                self.broker.put_off(delivery, rung, item.tries + 1).await
            }
            Holder::Ledger => Ok(Moved::NoSuchPlace),
        }
    }

    /// Has the ledger keep a job.
    pub(super) async fn keep(&self, item: &Item, tries: u32, delay: Duration) -> Result<(), Interrupted> {
        let kept = Kept {
            job: item.job.clone(),
            digest: item.digest,
            envelope: item.envelope.clone(),
        };
        let message = serde_json::to_value(&kept).map_err(|error| BrokerError {
            place: "message".to_owned(),
            problem: error.to_string(),
        })?;
        let job = KeptJob {
            job: kept.job.job,
            tenant: kept.job.tenant,
            message,
            tries,
        };
        traces::goes_on(GoesOn::Ledger);
        let parked = self.worker.ledger.park(&job, kept.digest.as_ref(), delay);
        Ok(parked.instrument(traces::step("ledger keep")).await?)
    }

    /// A job has ended.
    async fn conclude(&self, item: &Item, report: Report) -> Result<Worked, Interrupted> {
        let cpu_ms = report.cpu_ms.filter(|_| !report.repeat);
        let bytes = report.bytes.filter(|_| !report.repeat).unwrap_or(0);
        self.tenancy().ended(&item.job.tenant, cpu_ms.unwrap_or(0), bytes);
        if report.status == Status::Failed {
            self.keep_failed(item, &report).await?;
        }
        let ended = match &item.holder {
            Holder::Broker(delivery) => {
                let end = self.worker.ledger.end_unless_kept(&report);
                let ended = match end.instrument(traces::step("ledger end")).await? {
                    Some(first) => {
                        self.publish_patiently(first.clone(), &item.envelope, Some(delivery))
                            .await?;
                        first
                    }
                    // The message came to another worker too, and its job waits in the ledger: it is told first, and ended then.
                    None => {
                        self.publish_patiently(report.clone(), &item.envelope, Some(delivery))
                            .await?;
                        self.worker.ledger.end(&report).await?
                    }
                };
                self.broker.acknowledge(delivery).await?;
                ended
            }
            Holder::Ledger => {
                // Somebody may have ended it meanwhile, who held it too: the first report counts.
                let first = match self.worker.ledger.arrival(&item.job.job).await? {
                    Arrival::Ended(first) => *first,
                    Arrival::New | Arrival::Waiting(_) => report,
                };
                self.publish_patiently(first.clone(), &item.envelope, None).await?;
                self.worker.ledger.end(&first).await?
            }
        };
        self.worker.vitals.tally.job_ended(&ended);
        if cpu_ms.is_some() {
            self.settled.notify_one();
        }
        Ok(Worked::Done {
            cpu_ms: cpu_ms.unwrap_or(0),
        })
    }

    /// A job that failed is shown to the operators too, who may have it run again.
    async fn keep_failed(&self, item: &Item, report: &Report) -> Result<(), Interrupted> {
        let job = &item.job;
        let body = Body {
            job: job.job.clone(),
            tenant: job.tenant.clone(),
            source: job.source.clone(),
            renditions: Some(job.recipe.renditions().to_vec()),
            preset: None,
            placeholder: job.recipe.placeholder(),
            info: job.recipe.info(),
            metadata: job.metadata.clone(),
        };
        let body = serde_json::to_vec(&body).map_err(|error| BrokerError {
            place: "message".to_owned(),
            problem: error.to_string(),
        })?;
        let why = report.detail.clone().unwrap_or_default();
        Ok(self.broker.keep_failed(&body, &item.envelope, &why).await?)
    }

    /// Publishes a result, and tries again for as long as the job is this worker's: the work is done, only telling it fails.
    /// `delivery` is its message, where it is not the ledger that keeps the job.
    pub(super) async fn publish_patiently(
        &self,
        report: Report,
        envelope: &Envelope,
        delivery: Option<&Delivery>,
    ) -> Result<(), BrokerError> {
        traces::ended(&report);
        loop {
            let error = match self.publish(report.clone(), envelope).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if delivery.is_some_and(|delivery| !self.broker.holds(delivery)) || self.worker.is_released() {
                return Err(error);
            }
            tracing::warn!(job = report.job, %error, "its result cannot be published yet");
            sleep(NOT_READY).await;
        }
    }

    pub(super) async fn publish(&self, report: Report, envelope: &Envelope) -> Result<(), BrokerError> {
        let mut event = Event::of(report, envelope, clock::now());
        let span = traces::publish(self.broker.system(), &event);
        let envelope = traces::below(&span, envelope);
        event.traceparent.clone_from(&envelope.traceparent);
        let published = self.broker.publish(&event, &envelope).instrument(span.clone()).await;
        if published.is_err() {
            traces::failed(&span);
        }
        published
    }
}

fn reason_of(retry: &Retry) -> Reason {
    match retry {
        Retry::Store(_) => Reason::Store,
        Retry::Strike(_) | Retry::Attempt(_) | Retry::Ledger(_) => Reason::Unavailable,
    }
}
