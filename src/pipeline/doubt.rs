//! Doubt about ourselves: the control image after an outcome that is not exact, the control set where trips rise.
//!
//! The set: the built-in images, one of each format, and a few small uploads that converted well before. Whether to look is the
//! [`breaker`](crate::breaker)'s rule; what follows from it is [`blame`](crate::blame)'s.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Worker;
use crate::blame::{self, Control};
use crate::breaker::{self, Look, Seen};
use crate::clock::{self, Stopwatch};
use crate::digest::Digest;
use crate::fetch::Upload;
use crate::job::Job;
use crate::ledger::{Operator, Renews};
use crate::quarantine::{Action, State};
use crate::recipe::Recipe;
use crate::sandbox::control::{self, IMAGES, staged};
use crate::sandbox::outcome::Outcome;
use crate::sandbox::protocol::Task;
use crate::sandbox::{Attempted, Sandbox, Watch};

/// Largest upload that is kept for the set.
const KEPT_BYTES: u64 = 256 << 10;
/// Most uploads that are kept.
const KEPT: usize = 4;
/// How long the newest of them stays before another one takes the place of the oldest.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// What a worker remembers for the case that it must doubt itself.
pub(super) struct Doubt {
    clock: Stopwatch,
    watch: Mutex<breaker::Watch>,
    set: Mutex<Set>,
    /// Since when what is known to be good does not convert, where it does not.
    open: Mutex<Option<DateTime<Utc>>>,
    /// One looks at a time; whoever waits meanwhile asks again whether to.
    looking: tokio::sync::Mutex<()>,
}

/// What is known to be good, and what it usually costs.
#[derive(Default)]
struct Set {
    /// CPU time of each built-in image, in milliseconds; nothing before they were converted once.
    usual_ms: Vec<u64>,
    uploads: VecDeque<Good>,
    kept: Option<Duration>,
}

/// A small upload that converted well.
#[derive(Clone)]
struct Good {
    bytes: Vec<u8>,
    recipe: Recipe,
    cpu_ms: u64,
}

impl Default for Doubt {
    fn default() -> Self {
        Self {
            clock: Stopwatch::start(),
            watch: Mutex::default(),
            set: Mutex::default(),
            open: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
        }
    }
}

impl Doubt {
    fn note(&self, digest: Digest, tenant: &str, seen: Seen) -> Look {
        locked(&self.watch).note(digest, tenant, seen, self.clock.elapsed())
    }

    /// The breaker is open. Since when, where it was not open before.
    pub(super) fn opened(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut open = locked(&self.open);
        if open.is_some() {
            return None;
        }
        *open = Some(now);
        *open
    }

    /// The breaker is closed. Since when it was open, where it was.
    pub(super) fn closed(&self) -> Option<DateTime<Utc>> {
        locked(&self.open).take()
    }

    /// Keeps a copy of a small upload that converted, now and then.
    fn keep(&self, upload: &Upload, recipe: &Recipe, cpu_ms: u64) -> io::Result<()> {
        let now = self.clock.elapsed();
        let mut set = locked(&self.set);
        let fresh = set.kept.is_some_and(|kept| now < kept + KEPT_FOR);
        if upload.bytes > KEPT_BYTES || (fresh && set.uploads.len() >= KEPT) {
            return Ok(());
        }
        let mut bytes = vec![0; upload.bytes as usize];
        upload.file.read_exact_at(&mut bytes, 0)?;
        set.uploads.truncate(KEPT - 1);
        set.uploads.push_front(Good {
            bytes,
            recipe: recipe.clone(),
            cpu_ms,
        });
        set.kept = Some(now);
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Worker {
    /// What is to be said about this host beside an outcome. One that is not exact counts only where a known good image still converts here,
    /// right now; any one, where trips have risen, only where the control set does at its usual cost.
    pub(super) async fn control_of(
        &self,
        job: &Job,
        upload: &Upload,
        attempted: &Attempted,
        renews: Option<Renews>,
    ) -> Control {
        let outcome = &attempted.outcome;
        let control = match blame::needs_control(outcome) {
            true => self.control().await,
            false => Control::NotRun,
        };
        let seen = match outcome {
            Outcome::Converted(_) | Outcome::Refused(_) => Seen::Well,
            // What tripped elsewhere before says nothing about this host.
            _ if renews == Some(Renews::Entry) => return control,
            outcome if blame::counts_against(outcome) => Seen::Tripped,
            _ => return control,
        };
        if let Outcome::Converted(_) = outcome
            && let Err(error) = self.doubt.keep(upload, &job.recipe, attempted.facts.usage.cpu_ms)
        {
            tracing::warn!(%error, "an upload could not be kept for the control set");
        }
        match self.doubt.note(upload.digest, &job.tenant, seen) {
            Look::Calm => control,
            Look::Again => self.look_again(control).await,
        }
    }

    /// Trips have risen: ours, or theirs?
    async fn look_again(&self, control: Control) -> Control {
        let _looking = self.doubt.looking.lock().await;
        tracing::warn!("trips rise; the control set is converted again");
        match self.control_set().await {
            Control::Failed => {
                self.let_go_of_those_convicted().await;
                Control::Failed
            }
            Control::Converted => {
                tracing::info!("the control set converts as usual: the uploads are to blame");
                locked(&self.doubt.watch).passed(self.doubt.clock.elapsed());
                control
            }
            Control::NotRun | Control::Unclear => control,
        }
    }

    /// Whether everything that is known to be good still converts here, at its usual cost.
    pub async fn control_set(&self) -> Control {
        let control = self.convert_control_set().await;
        self.note_control(control);
        control
    }

    async fn convert_control_set(&self) -> Control {
        let (usual, uploads) = {
            let set = locked(&self.doubt.set);
            (set.usual_ms.clone(), set.uploads.clone())
        };
        let sandbox = self.sandbox.aside();
        let mut costs = Vec::with_capacity(IMAGES.len());
        for (index, (name, image)) in IMAGES.into_iter().enumerate() {
            let attempted = sandbox.attempt_control(image, self.release()).await;
            match passed(name, attempted, usual.get(index).copied()) {
                Ok(cpu_ms) => costs.push(cpu_ms),
                Err(control) => return control,
            }
        }
        for good in uploads {
            let attempted = converted_again(&sandbox, self, &good).await;
            if let Err(control) = passed("an upload", attempted, Some(good.cpu_ms)) {
                return control;
            }
        }
        let mut set = locked(&self.doubt.set);
        if set.usual_ms.is_empty() {
            set.usual_ms = costs;
        }
        Control::Converted
    }

    /// What this worker convicted while its control set may have failed already. What an operator has decided stays.
    async fn let_go_of_those_convicted(&self) {
        let tripped = locked(&self.doubt.watch).failed();
        let operator = Operator {
            who: "lazaret".to_owned(),
            why: format!("the control set failed on {}: its trips say nothing", self.id.0),
        };
        for digest in tripped {
            let entry = match self.ledger.dossier(&digest).await {
                Ok(Some(dossier)) => dossier.entry,
                Ok(None) => continue,
                Err(error) => {
                    tracing::error!(%digest, %error, "could not be let go; release it by hand");
                    continue;
                }
            };
            let since = clock::now().signed_duration_since(entry.changed).to_std();
            let ours = since.is_ok_and(|since| since <= breaker::WINDOW * 2);
            if entry.state == State::Quarantined
                && ours
                && let Err(error) = self.ledger.act(&digest, Action::Release, &operator).await
            {
                tracing::error!(%digest, %error, "could not be let go; release it by hand");
            }
        }
    }
}

async fn converted_again(sandbox: &Sandbox, worker: &Worker, good: &Good) -> io::Result<Attempted> {
    let upload = staged(&sandbox.staging, good.bytes.clone()).await?;
    let task = Task::Convert(good.recipe.clone());
    sandbox.attempt(&upload, task, Watch::Both, worker.release()).await
}

/// The CPU time of a known good image that converted at its usual cost; otherwise what that says of this host.
fn passed(name: &str, attempted: io::Result<Attempted>, usual_ms: Option<u64>) -> Result<u64, Control> {
    let control = control::says(&attempted);
    let cpu_ms = attempted.map_or(0, |attempted| attempted.facts.usage.cpu_ms);
    match (control, usual_ms) {
        (Control::Converted, Some(usual_ms)) if !breaker::is_usual(cpu_ms, usual_ms) => {
            tracing::error!(
                name,
                cpu_ms,
                usual_ms,
                "known to be good, and costs more than usual: this host is sick"
            );
            Err(Control::Failed)
        }
        (Control::Converted, _) => Ok(cpu_ms),
        (control, _) => Err(control),
    }
}
