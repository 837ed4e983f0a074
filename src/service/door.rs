//! The door: what is looked at before a job takes its turn.
//!
//! In: messages. Out: jobs in the window; or an answer at once, where none needs to be run.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};
use tracing::{Instrument, Span};

use super::{AtWork, Holder, Interrupted, Item, NOT_READY, Present, Service};
use crate::broker::{Delivery, Moved};
use crate::clock;
use crate::job::{InvalidJob, Job};
use crate::ledger::{ByClaim, Entry};
use crate::pipeline::Terms;
use crate::tenants::gate::{Gate, enqueued_ms};
use crate::traces::{self, GoesOn};
use crate::verdict::Report;

/// How long a copy of a job that is at work waits at the door.
const COPY_PATIENCE: Duration = Duration::from_secs(1);

/// What became of a message at the door.
enum Seen {
    /// It is let in.
    Job(Box<Job>, Span, AtWork, Present),
    /// It is answered, set aside or waits elsewhere.
    Done,
}

impl Service {
    /// Takes messages from the broker.
    pub(super) async fn consume(self: Arc<Self>) {
        loop {
            if self.worker.vitals.readiness.why_not().is_some() {
                // Others may be well: they shall have what nobody has begun here.
                self.broker.rest().await;
                self.return_waiting().await;
            }
            if self.ready().await.is_none() {
                return;
            }
            let Ok(place) = Arc::clone(&self.held).acquire_owned().await else {
                return;
            };
            let stopping = self.stopping.notified();
            if self.is_draining() {
                return;
            }
            tokio::select! {
                biased;
                () = stopping => {}
                () = sleep(NOT_READY) => {}
                delivery = self.broker.next() => match delivery {
                    Ok(delivery) => drop(tokio::spawn(Arc::clone(&self).arrive(delivery, place))),
                    Err(error) => {
                        tracing::error!(%error, "no messages");
                        sleep(NOT_READY).await;
                    }
                },
            }
        }
    }

    async fn arrive(self: Arc<Self>, mut delivery: Delivery, place: OwnedSemaphorePermit) {
        match self.look(&mut delivery).await {
            Ok(Seen::Done) => {}
            // It would only wait: others may be well.
            Ok(Seen::Job(_, span, ..)) if self.is_draining() || self.worker.vitals.readiness.why_not().is_some() => {
                span.in_scope(|| traces::goes_on(GoesOn::Broker));
                self.return_to_broker(&delivery).await;
            }
            Ok(Seen::Job(job, span, at_work, present)) => self.let_in(Item {
                job: *job,
                digest: None,
                envelope: delivery.envelope.clone(),
                tries: delivery.envelope.tries,
                holder: Holder::Broker(Box::new(delivery)),
                span,
                _at_work: at_work,
                _present: present,
                _place: place,
            }),
            Err(interrupted) => {
                self.interrupted(&interrupted);
                // Not at once: what failed now would fail at once again.
                sleep(NOT_READY).await;
                self.return_to_broker(&delivery).await;
            }
        }
    }

    async fn look(self: &Arc<Self>, delivery: &mut Delivery) -> Result<Seen, Interrupted> {
        let stores: Vec<&str> = self.stores.iter().map(String::as_str).collect();
        let parsed = Job::parse(&delivery.body, &self.presets, &stores);
        let (id, tenant) = match &parsed {
            Ok(job) => (job.job.clone(), job.tenant.clone()),
            Err(invalid) => match &invalid.sender {
                Some(sender) => sender.clone(),
                None => return self.set_aside(delivery, &invalid.problem).await,
            },
        };
        let present = self.came(&tenant);
        delivery.envelope.enqueued_ms = believed(&id, delivery.envelope.enqueued_ms);
        // A flood moves on before anything is asked about it.
        if self.is_excess(&tenant, delivery) && self.to_sideline(delivery, &tenant).await? == Moved::There {
            return Ok(Seen::Done);
        }
        let (system, worker) = (self.broker.system(), &self.worker.id);
        let span = traces::held(system, worker, &id, &tenant, &mut delivery.envelope);
        self.admit(parsed, &id, &tenant, present, delivery)
            .instrument(span)
            .await
    }

    /// Answers what can be answered now, and admits the rest.
    async fn admit(
        self: &Arc<Self>,
        parsed: Result<Job, InvalidJob>,
        id: &str,
        tenant: &str,
        present: Present,
        delivery: &Delivery,
    ) -> Result<Seen, Interrupted> {
        let Some(at_work) = self.begin_or_put_off(id, delivery).await else {
            traces::goes_on(GoesOn::Ladder);
            return Ok(Seen::Done);
        };
        let known = match &parsed {
            Ok(job) => self.ask(job, delivery).await?,
            Err(_) => self.worker.ledger.arrival(id).await?.into(),
        };
        match known {
            // Whoever uses somebody else's id is not answered with somebody else's result, and changes nothing about it.
            ByClaim::Ended(report) if report.tenant != tenant => self.id_is_taken(delivery).await,
            ByClaim::Waiting(owner) if owner != tenant => self.id_is_taken(delivery).await,
            ByClaim::Ended(report) => {
                self.publish_patiently(*report, &delivery.envelope, Some(delivery))
                    .await?;
                self.broker.acknowledge(delivery).await?;
                Ok(Seen::Done)
            }
            ByClaim::Refused(report) => {
                self.worker.vitals.tally.job_ended(&report);
                self.publish_patiently(*report, &delivery.envelope, Some(delivery))
                    .await?;
                self.broker.acknowledge(delivery).await?;
                Ok(Seen::Done)
            }
            ByClaim::Waiting(_) => {
                traces::goes_on(GoesOn::Ledger);
                self.broker.acknowledge(delivery).await?;
                Ok(Seen::Done)
            }
            ByClaim::New => match parsed {
                Ok(job) => Ok(Seen::Job(Box::new(job), Span::current(), at_work, present)),
                Err(invalid) => self.refuse_invalid(delivery, id, tenant, &invalid).await,
            },
        }
    }

    /// What is known of a job. One whose claimed digest is known to be bad has ended with that, if its tenant may come in at all.
    async fn ask(&self, job: &Job, delivery: &Delivery) -> Result<ByClaim, Interrupted> {
        let enqueued_ms = delivery.envelope.enqueued_ms;
        let ledger = &self.worker.ledger;
        let Some(claimed) = job.source.sha256.filter(|_| self.is_open(&job.tenant, delivery)) else {
            return Ok(ledger.arrival(&job.job).await?.into());
        };
        let (worker, refused) = (Arc::clone(&self.worker), job.clone());
        let refusal = move |entry: &Entry| Report {
            queued_ms: enqueued_ms.map(|since| clock::unix_ms().saturating_sub(since)),
            ..worker.listed(&refused, entry)
        };
        let claim = self.worker.claim_of(job, &claimed, Terms::default());
        let answer = ledger.answer_by_claim(&claim, Box::new(refusal));
        Ok(answer.await?)
    }

    fn is_open(&self, tenant: &str, delivery: &Delivery) -> bool {
        self.gate_of(tenant, delivery) == Gate::Open
    }

    fn gate_of(&self, tenant: &str, delivery: &Delivery) -> Gate {
        let comes = delivery.envelope.comes();
        self.tenancy().gate(tenant, delivery.envelope.enqueued_ms, comes)
    }

    /// Begins a job. A copy of one that is at work comes back later, where its broker can keep it meanwhile: copies of one job must not
    /// fill this worker's hands.
    async fn begin_or_put_off(self: &Arc<Self>, id: &str, delivery: &Delivery) -> Option<AtWork> {
        if let Ok(at_work) = timeout(COPY_PATIENCE, self.begin(id)).await {
            return Some(at_work);
        }
        match self.broker.put_off(delivery, 0, delivery.envelope.tries).await {
            Ok(Moved::There) => None,
            Ok(Moved::NoSuchPlace) => Some(self.begin(id).await),
            Err(error) => {
                tracing::debug!(job = id, %error, "a copy waits here");
                Some(self.begin(id).await)
            }
        }
    }

    /// Whether a message is one too many of a noisy tenant, and not to be refused.
    fn is_excess(&self, tenant: &str, delivery: &Delivery) -> bool {
        if delivery.envelope.sideline.is_some() || self.broker.sidelines() == 0 {
            return false;
        }
        if matches!(self.gate_of(tenant, delivery), Gate::Refused(..) | Gate::Dropped) {
            return false;
        }
        let waiting = self.turns().waiting_of(tenant) + 1;
        self.tenancy().noisy(tenant, waiting).is_some_and(|keep| waiting > keep)
    }

    async fn refuse_invalid(
        &self,
        delivery: &Delivery,
        id: &str,
        tenant: &str,
        invalid: &InvalidJob,
    ) -> Result<Seen, Interrupted> {
        tracing::warn!(job = id, tenant, problem = invalid.problem, "invalid job");
        let report = self.worker.invalid(id, tenant, invalid);
        let report = self.worker.ledger.end(&report).await?;
        self.worker.vitals.tally.job_ended(&report);
        self.publish_patiently(report, &delivery.envelope, Some(delivery))
            .await?;
        self.broker.acknowledge(delivery).await?;
        Ok(Seen::Done)
    }

    async fn id_is_taken(&self, delivery: &Delivery) -> Result<Seen, Interrupted> {
        self.set_aside(delivery, "job: this id belongs to a job of another tenant")
            .await
    }

    async fn set_aside(&self, delivery: &Delivery, why: &str) -> Result<Seen, Interrupted> {
        tracing::warn!(why, "a message is set aside");
        self.broker.set_aside(delivery, why).await?;
        Ok(Seen::Done)
    }
}

/// When a job was enqueued: its id tells, or else the envelope; a time in the future is not believed.
fn believed(job: &str, envelope: Option<u64>) -> Option<u64> {
    let now = clock::unix_ms();
    enqueued_ms(job, None, now).or(envelope.filter(|since| *since < now + 1000))
}
