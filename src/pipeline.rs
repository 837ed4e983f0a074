//! THE FLOW: one job, from its upload to its verdict. Read [`Worker::settle`] aloud.
//!
//! In: a checked [`Job`]. Out: a [`Step`]: a report, or why there is none yet. Who brought the job (a broker, the command line) and who
//! is told is not known here. Order of writes: attempt row → flight record, synced → child → renditions or specimen → outcome row;
//! the caller then publishes, and acknowledges last. A crash between any two loses nothing.

mod claims;
mod doubt;
mod evidence;
mod report;
mod retest;
mod seats;
mod tell;
mod worker;

use std::borrow::Cow;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use tracing::Instrument;

use crate::blame::{self, Control, Judgement};
use crate::config::Dedupe;
use crate::digest::Digest;
use crate::fetch::{FetchError, Upload, fetch};
use crate::job::Job;
use crate::ledger::{Attempt, Claim, Claimed, Ending, LedgerError, Looks, Settled};
use crate::recipe::RecipeKey;
use crate::sandbox::limits::Ceiling;
use crate::sandbox::outcome::Outcome;
use crate::sandbox::protocol::{Found, Task};
use crate::sandbox::{Attempted, Watch};
use crate::store::Access;
use crate::traces;
use crate::verdict::{Notes, Reason, Report, Stored};

pub use retest::{Retested, retest};
pub use worker::{BUILD, Setup, SetupError, Sources, Stores, Worker, any_epoch};

use seats::Seat;
use tell::Subject;

/// Renditions of one attempt that are written at once.
const WRITES: usize = 4;

/// Where a job stands after one pass.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// It has ended.
    Ended(Box<Report>),
    /// An attempt on the same upload is running, here or elsewhere: ask again when it has ended.
    Wait(Digest),
    /// Its tenant has as many attempts running as it may: ask again later.
    Crowded(Digest),
    /// Our own fault, or a first strike: try again later.
    Retry(Retry),
}

/// What a job's tenant may have now, beside the limits that hold for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// What an attempt may declare; more ends `refused: tenant-over-limit`, with nothing against the upload.
    pub ceiling: Option<Ceiling>,
    /// Attempts of the tenant at once, in the whole fleet.
    pub most_in_flight: Option<u32>,
}

/// Why a job must be tried again. None of these is held against the upload.
#[derive(Debug, thiserror::Error)]
pub enum Retry {
    /// The upload has a first strike that is not exact; its next attempt runs alone.
    #[error("a first strike for {0:?}; it runs alone next")]
    Strike(Reason),
    /// The attempt did not come to an end of its own.
    #[error("{0}")]
    Attempt(String),
    /// The upload or the renditions' store failed.
    #[error("store: {0}")]
    Store(String),
    /// The ledger failed: take no more work until it answers.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Worker {
    /// One job, from its upload to its verdict. `digest` is what an earlier pass found its upload to be.
    pub async fn settle(self: &Arc<Self>, job: &Job, digest: Option<&Digest>) -> Step {
        self.settle_within(Terms::default(), job, digest).await
    }

    /// As [`settle`](Self::settle), within what the job's tenant may have now.
    pub async fn settle_within(self: &Arc<Self>, terms: Terms, job: &Job, digest: Option<&Digest>) -> Step {
        match self.pass(terms, job, digest).await {
            Ok(step) => step,
            Err(retry) => Step::Retry(retry),
        }
    }

    async fn pass(self: &Arc<Self>, terms: Terms, job: &Job, digest: Option<&Digest>) -> Result<Step, Retry> {
        // Known bad by the digest that the sender claims: refused before a byte is fetched. A claim opens no other door.
        if let Some(digest) = digest.or(job.source.sha256.as_ref())
            && let Some(entry) = self.ledger.refused(&self.claim_of(job, digest, terms)).await?
        {
            return Ok(self.ended(report::listed(self, job, &entry)));
        }

        // What an earlier pass fetched is not fetched again only to wait again.
        if let Some(digest) = digest
            && let Some(step) = self.still_waits(job, digest, terms).await?
        {
            return Ok(step);
        }

        // Fetched, bounded, hashed while it streamed.
        let upload = match self.fetch(job).instrument(traces::step("fetch")).await {
            Ok(upload) => upload,
            Err(FetchError::Refused(refusal)) => return Ok(self.ended(report::unread(self, job, &refusal))),
            Err(error) => {
                self.suspect_this_host("uploads cannot be fetched").await;
                return Err(Retry::Store(error.to_string()));
            }
        };
        traces::upload(&upload.digest);
        let formats = &self.sandbox.limits.formats;
        if let Some(refusal) = upload.contradicts(&job.source).or_else(|| upload.refusal(formats)) {
            return Ok(self.ended(report::refused(self, job, &upload, &refusal)));
        }

        // Quarantined? Already made? In flight? Then there is nothing to wait for a slot for.
        let mut claim = self.claim_of(job, &upload.digest, terms);
        let asked = self.ledger.ask(&claim).instrument(traces::step("ledger ask"));
        if let Some(answer) = asked.await?
            && let Some(step) = self.answered(job, &upload, answer).await?
        {
            return Ok(step);
        }

        // Otherwise the attempt is recorded, and this worker runs it.
        let mut seat = self
            .seats
            .beside_others()
            .instrument(traces::step("wait for a slot"))
            .await;
        loop {
            match self.claim(&claim).instrument(traces::step("ledger claim")).await? {
                Claimed::Run(attempt) => {
                    let step = self.attempt(job, &upload, attempt, terms.ceiling, seat).await;
                    return match (attempt.renews, step) {
                        (Some(_), Err(retry)) => self.as_before(job, &upload, claim, retry).await,
                        (_, step) => step,
                    };
                }
                // A suspect: claimed once more when nothing else runs in this worker.
                Claimed::MustBeAlone if !claim.alone => {
                    drop(seat);
                    seat = self.seats.alone().instrument(traces::step("wait to be alone")).await;
                    // What ended here and is not written yet, or never began, would look like company, if this worker were lost.
                    self.write_unsettled().await?;
                    self.release_unheard().await?;
                    claim.alone = true;
                }
                answer => {
                    if let Some(step) = self.answered(job, &upload, answer).await? {
                        return Ok(step);
                    }
                }
            }
        }
    }

    /// The step of a job whose renewal came to nothing that holds: what was decided before is its answer, where that is still there.
    async fn as_before(&self, job: &Job, upload: &Upload, claim: Claim, retry: Retry) -> Result<Step, Retry> {
        if let Retry::Ledger(_) = retry {
            return Err(retry);
        }
        let claim = Claim { renewals: 0, ..claim };
        let step = match self.ledger.ask(&claim).await? {
            Some(answer @ (Claimed::Listed(_) | Claimed::Known(_))) => self.answered(job, upload, answer).await?,
            _ => None,
        };
        step.ok_or(retry)
    }

    /// The step of a job whose digest is known and that cannot run now.
    async fn still_waits(&self, job: &Job, digest: &Digest, terms: Terms) -> Result<Option<Step>, Retry> {
        let claim = self.claim_of(job, digest, terms);
        Ok(match self.ledger.ask(&claim).await? {
            Some(Claimed::Listed(entry)) => Some(self.ended(report::listed(self, job, &entry))),
            Some(Claimed::Busy) => Some(Step::Wait(*digest)),
            Some(Claimed::TenantFull) => Some(Step::Crowded(*digest)),
            _ => None,
        })
    }

    /// The step that an answer leads to; `None` where the upload is to be claimed.
    async fn answered(&self, job: &Job, upload: &Upload, answer: Claimed) -> Result<Option<Step>, Retry> {
        match answer {
            Claimed::Listed(entry) => Ok(Some(self.ended(report::listed(self, job, &entry)))),
            Claimed::Known(known) if self.still_stored(&known.renditions).await? => {
                let report = self.with_urls(report::known(self, job, upload, &known)).await?;
                Ok(Some(self.ended(report)))
            }
            // What was made is gone from its store: it is made again.
            Claimed::Known(_) => {
                self.ledger.forget(&upload.digest, &self.key_of(job)).await?;
                Ok(None)
            }
            Claimed::Busy => Ok(Some(Step::Wait(upload.digest))),
            Claimed::TenantFull => Ok(Some(Step::Crowded(upload.digest))),
            Claimed::MustBeAlone | Claimed::Run(_) => Ok(None),
        }
    }

    async fn fetch(&self, job: &Job) -> Result<Upload, FetchError> {
        let source = self.stores.open_source(&job.source).await?;
        let most = self.sandbox.limits.input.as_u64();
        fetch(source, &job.source.key, most, &self.sandbox.staging).await
    }

    /// What the ledger knows a job's recipe by: for its tenant alone, where tenants share nothing.
    fn key_of(&self, job: &Job) -> RecipeKey {
        match self.dedupe {
            Dedupe::Fleet => job.recipe.key(),
            Dedupe::Tenant => job.recipe.key().of_tenant(&job.tenant),
        }
    }

    /// What a job asks of the ledger for an upload.
    pub(crate) fn claim_of(&self, job: &Job, digest: &Digest, terms: Terms) -> Claim {
        Claim {
            digest: *digest,
            recipe: self.key_of(job),
            epoch: self.epoch.clone(),
            worker: self.id.clone(),
            tenant: job.tenant.clone(),
            name: job.source.key.chars().take(512).collect(),
            job: job.job.clone(),
            alone: false,
            most_in_flight: terms.most_in_flight,
            renewals: self.renewals,
        }
    }

    /// One attempt that the ledger has recorded: run, judged, stored, settled.
    async fn attempt(
        self: &Arc<Self>,
        job: &Job,
        upload: &Upload,
        attempt: Attempt,
        ceiling: Option<Ceiling>,
        mut seat: Seat,
    ) -> Result<Step, Retry> {
        let running = self.vitals.gauges.begin_attempt();
        let child = traces::child();
        let recorded = tokio::task::block_in_place(|| self.flights.begin(attempt.id, &upload.digest));
        let run = async {
            recorded?;
            let task = Task::Convert(job.recipe.clone());
            let sandbox = match attempt.raised {
                Some(times) => Cow::Owned(self.sandbox.raised(times)),
                None => Cow::Borrowed(&self.sandbox),
            };
            sandbox
                .attempt_within(ceiling, &upload.file, task, Watch::Both, self.release())
                .await
        };
        let attempted = match run.instrument(child.clone()).await {
            Ok(attempted) => attempted,
            Err(error) => {
                traces::failed(&child);
                drop(child);
                return self
                    .call_off(job, attempt, upload, format!("the attempt could not be made: {error}"))
                    .await;
            }
        };

        traces::child_ended(child, &attempted);
        let control = self.control_of(job, upload, &attempted, attempt.renews).await;
        let evidence = evidence::of(self, &attempted, control, attempt.renews);
        // No child runs here any more.
        drop(running);
        seat.make_way().await;
        let renditions = match self.store_renditions(job, upload, &attempted).await {
            Ok(renditions) => renditions,
            Err(error) => {
                return self
                    .call_off(job, attempt, upload, format!("renditions: {error}"))
                    .await;
            }
        };
        let specimen = self.keep_specimen(upload, &attempted).await;

        let looks = looks(upload, &attempted);
        let ending = Ending {
            attempt,
            outcome: attempted.outcome.clone(),
            phase: attempted.facts.phase,
            usage: attempted.facts.usage,
            control,
            looks,
            renditions: renditions.clone(),
            specimen,
            evidence,
        };
        let subject = Subject::of(job, upload, attempt);
        let settled = self.settle_attempt(subject, ending.clone()).await?;
        evidence::log(job, upload, attempt.renews, &ending, &settled);
        self.vitals.tally.attempt_ended(&ending, &settled, attempt.renews);

        match settled {
            Settled::Judged(Judgement::Clear) => {
                let report = report::converted(self, job, &ending, &upload.digest);
                Ok(self.ended(self.with_urls(report).await?))
            }
            Settled::Judged(judgement @ (Judgement::Remember | Judgement::Convict(_))) => {
                Ok(self.ended(report::of_outcome(self, job, &ending, &upload.digest, judgement)))
            }
            Settled::Judged(Judgement::Strike(reason)) => Err(Retry::Strike(reason)),
            Settled::Judged(Judgement::SickHost) => {
                self.open_the_breaker("the control image does not convert on this host");
                Err(Retry::Attempt("this host is sick".to_owned()))
            }
            // Policy: the job has ended, and whoever has the same upload may still have it converted.
            Settled::Judged(judgement @ Judgement::Retry)
                if matches!(ending.outcome, Outcome::Declined(_)) && attempt.renews.is_none() =>
            {
                Ok(self.ended(report::of_outcome(self, job, &ending, &upload.digest, judgement)))
            }
            Settled::Judged(Judgement::Retry) if matches!(ending.outcome, Outcome::Unavailable(_)) => {
                let why = evidence::sentence(&ending.outcome);
                self.suspect_this_host(&why).await;
                Err(Retry::Attempt(why))
            }
            Settled::Judged(Judgement::Retry) => Err(Retry::Attempt(evidence::sentence(&ending.outcome))),
            Settled::Fenced => Err(Retry::Attempt("this worker was taken for lost meanwhile".to_owned())),
        }
    }

    /// Ends an attempt that failed for a reason of our own: nothing is held against the upload.
    async fn call_off(&self, job: &Job, attempt: Attempt, upload: &Upload, why: String) -> Result<Step, Retry> {
        let ending = Ending {
            attempt,
            outcome: Outcome::Released,
            phase: crate::sandbox::protocol::Phase::Preflight,
            usage: crate::sandbox::outcome::Usage::default(),
            control: Control::NotRun,
            looks: Looks {
                bytes: upload.bytes,
                format: upload.format,
                ..Looks::default()
            },
            renditions: Vec::new(),
            specimen: None,
            evidence: serde_json::json!({ "why": why }),
        };
        let _ = self.settle_attempt(Subject::of(job, upload, attempt), ending).await?;
        self.suspect_this_host(&why).await;
        Err(Retry::Store(why))
    }

    /// Stores what was made, whole or not at all.
    async fn store_renditions(
        &self,
        job: &Job,
        upload: &Upload,
        attempted: &Attempted,
    ) -> std::io::Result<Vec<Stored>> {
        let Outcome::Converted(made) = &attempted.outcome else {
            return Ok(Vec::new());
        };
        let (store, output) = (&self.stores.renditions, &attempted.output);
        let folder = format!(
            "{}/{}/{}",
            &upload.digest.to_string()[..2],
            upload.digest,
            self.key_of(job)
        );
        let mut start = 0;
        let mut writes = Vec::with_capacity(made.len());
        for (made, rendition) in made.iter().zip(job.recipe.renditions()) {
            let key = format!("{folder}/{}.{}", rendition.name, made.format.extension());
            let from = start;
            start += made.bytes;
            writes.push(async move {
                let sha256 = store.write(&key, output, from, made.bytes, Access::Shared).await?;
                Ok(Stored {
                    name: rendition.name.clone(),
                    store: store.name().to_owned(),
                    key,
                    format: made.format,
                    width: made.width,
                    height: made.height,
                    bytes: made.bytes,
                    sha256,
                    quality: made.quality,
                    frames: made.frames,
                    url: None,
                })
            });
        }
        let stored = stream::iter(writes).buffered(WRITES).try_collect();
        stored.instrument(traces::step("store")).await
    }

    /// Keeps the bytes of what may be convicted, for its owner's eyes alone. Losing them loses evidence, not the verdict.
    async fn keep_specimen(&self, upload: &Upload, attempted: &Attempted) -> Option<String> {
        if !blame::counts_against(&attempted.outcome) {
            return None;
        }
        let key = format!("{}/{}", &upload.digest.to_string()[..2], upload.digest);
        let kept = self.stores.keep_specimen(&key, &upload.file, upload.bytes);
        match kept.instrument(traces::step("keep specimen")).await {
            Ok(()) => Some(key),
            Err(error) => {
                tracing::warn!(digest = %upload.digest, %error, "the bytes of a suspicious upload could not be kept");
                None
            }
        }
    }

    /// Whether all of them are where they were put. A bucket that does not say is no reason to make them again.
    async fn still_stored(&self, renditions: &[Stored]) -> Result<bool, Retry> {
        for stored in renditions {
            let there = self.stores.renditions.has(&stored.key, stored.bytes).await;
            if !there.map_err(|error| Retry::Store(error.to_string()))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The report with addresses of its renditions, where the configuration asks for them. They are made for each telling: they run out.
    async fn with_urls(&self, mut report: Report) -> Result<Report, Retry> {
        for stored in &mut report.renditions {
            let url = self.stores.renditions.url(&stored.key).await;
            stored.url = url.map_err(|error| Retry::Store(error.to_string()))?;
        }
        Ok(report)
    }

    fn ended(&self, report: Report) -> Step {
        Step::Ended(Box::new(report))
    }
}

fn looks(upload: &Upload, attempted: &Attempted) -> Looks {
    let declared = attempted.facts.declared.as_ref();
    // What was found is told where all of the attempt checks, and not otherwise.
    let (found, notes) = match &attempted.outcome {
        Outcome::Converted(made) => {
            let found = attempted.facts.found.clone();
            let notes = made.iter().fold(found.notes, |notes, made| notes.and(made.notes));
            (found, notes)
        }
        _ => (Found::default(), Notes::NONE),
    };
    Looks {
        notes,
        bytes: upload.bytes,
        format: declared.map(|declared| declared.format).or(upload.format),
        width: declared.map(|declared| declared.width),
        height: declared.map(|declared| declared.height),
        frames: declared.map(|declared| declared.frames),
        placeholder: found.placeholder,
        info: found.info,
    }
}
