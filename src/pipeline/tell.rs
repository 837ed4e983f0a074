//! What is told to whoever wants notices: convictions, violations, the breaker, lost workers. Each is told where it is written down first.

use chrono::{DateTime, Utc};

use super::Worker;
use super::evidence::sentence;
use crate::blame::Judgement;
use crate::clock;
use crate::digest::Digest;
use crate::fetch::Upload as Fetched;
use crate::health::Cause;
use crate::job::Job;
use crate::ledger::{Attempt, Ending, Lost, Renews, Settled, WorkerId};
use crate::notices::{Kind, Turn, Upload, What};
use crate::quarantine::Gate;
use crate::sandbox::outcome::Outcome;
use crate::verdict::Reason;

/// Whose attempt it was.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    digest: Digest,
    tenant: String,
    name: String,
    job: String,
    gate: Gate,
    renews: Option<Renews>,
}

impl Subject {
    pub(super) fn of(job: &Job, upload: &Fetched, attempt: Attempt) -> Self {
        Self {
            digest: upload.digest,
            tenant: job.tenant.clone(),
            name: job.source.key.clone(),
            job: job.job.clone(),
            gate: attempt.gate,
            renews: attempt.renews,
        }
    }

    fn upload(&self, ending: &Ending, reason: Reason) -> Upload {
        Upload {
            sha256: self.digest,
            reason,
            tenant: Some(self.tenant.clone()),
            name: Some(self.name.clone()),
            job: Some(self.job.clone()),
            detail: sentence(&ending.outcome),
            attempt: ending.attempt.id.0,
        }
    }
}

impl Worker {
    /// An attempt is written down: a violation is told whatever came of it, a conviction where there is one.
    pub(super) fn tell_of_attempt(&self, subject: &Subject, ending: &Ending, settled: &Settled) {
        if ending.outcome == Outcome::Violation {
            let upload = subject.upload(ending, Reason::Violation);
            self.notices.tell(&self.id, What::Violation(upload));
        }
        // What an operator vouches for is never convicted; what was in quarantine and stays there is no news.
        if let Settled::Judged(Judgement::Convict(reason)) = settled
            && subject.gate != Gate::Vouched
            && subject.renews != Some(Renews::Entry)
        {
            let upload = subject.upload(ending, *reason);
            self.notices.tell(&self.id, What::Quarantined(upload));
        }
    }

    /// A worker is buried; what it ran is judged.
    pub(super) async fn tell_of_burial(&self, worker: &WorkerId, lost: &[Lost]) {
        let what = What::WorkerLost {
            lost: worker.0.clone(),
            attempts: lost.len(),
        };
        self.notices.tell(&self.id, what);
        for lost in lost {
            if let Judgement::Convict(reason) = lost.judgement
                && self.notices.wants(Kind::Quarantined)
            {
                let upload = self.convicted_by_loss(lost, reason).await;
                self.notices.tell(&self.id, What::Quarantined(upload));
            }
        }
    }

    /// What the ledger knows of an upload that took its workers with it.
    async fn convicted_by_loss(&self, lost: &Lost, reason: Reason) -> Upload {
        let entry = match self.ledger.dossier(&lost.digest).await {
            Ok(dossier) => dossier.map(|dossier| dossier.entry),
            Err(error) => {
                tracing::warn!(digest = %lost.digest, %error, "told without its name");
                None
            }
        };
        Upload {
            sha256: lost.digest,
            reason,
            tenant: entry.as_ref().map(|entry| entry.tenant.clone()),
            name: entry.as_ref().map(|entry| entry.name.clone()),
            job: None,
            detail: entry.map_or_else(
                || "its worker was lost while it ran this alone".to_owned(),
                |entry| entry.detail,
            ),
            attempt: lost.attempt.0,
        }
    }

    /// What is known to be good does not convert here: no more work is taken, and whoever wants to know is told, once.
    pub(super) fn open_the_breaker(&self, why: &str) {
        self.vitals.readiness.not_ready(Cause::Host, why);
        if let Some(since) = self.doubt.opened(clock::now()) {
            self.tell_of_breaker(Turn::Opened, since, why);
        }
    }

    /// What is known to be good converts as usual, and the ledger answers: work is taken again.
    pub fn take_work_again(&self) {
        self.vitals.readiness.ready();
        if let Some(since) = self.doubt.closed() {
            self.tell_of_breaker(Turn::Closed, since, "what is known to be good converts as usual again");
        }
    }

    fn tell_of_breaker(&self, state: Turn, since: DateTime<Utc>, why: &str) {
        let detail = why.to_owned();
        self.notices.tell(&self.id, What::Breaker { state, since, detail });
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::admission::Budget;
    use crate::blame::Control;
    use crate::config::Dedupe;
    use crate::ledger::sqlite::Sqlite;
    use crate::ledger::{AttemptId, Looks};
    use crate::notices::Notices;
    use crate::pipeline::{Setup, Sources, Stores};
    use crate::sandbox::Sandbox;
    use crate::sandbox::layers::Policy;
    use crate::sandbox::limits::Limits;
    use crate::sandbox::outcome::Usage;
    use crate::sandbox::protocol::Phase;
    use crate::specimens::{Keep, Specimens};
    use crate::store::{Access, Store};
    use crate::vitals::Vitals;

    async fn worker(folder: &Path) -> Arc<Worker> {
        let renditions = Store::open("renditions", &folder.join("renditions"), Access::Shared).unwrap();
        let setup = Setup {
            ledger: Arc::new(Sqlite::open(&folder.join("ledger.sqlite")).await.unwrap()),
            sandbox: Sandbox {
                program: PathBuf::from("/nonexistent"),
                policy: Policy::default(),
                limits: Limits::default(),
                staging: renditions.staging().unwrap(),
                budget: Budget::new(2 << 30, 0),
                times: 1,
            },
            layers: Vec::new(),
            stores: Stores {
                sources: Sources::Paths,
                renditions: Arc::new(renditions),
                specimens: Arc::new(Specimens::open(&folder.join("specimens"), Keep::default()).unwrap()),
            },
            flights: &folder.join("flights"),
            slots: 1,
            vitals: Vitals::new(),
            dedupe: Dedupe::default(),
            renewals: 0,
            notices: Notices::kept(&Kind::ALL),
        };
        Worker::sign_on(setup).await.unwrap()
    }

    fn subject(gate: Gate) -> Subject {
        Subject {
            digest: Digest::of(b"a bomb"),
            tenant: "acme".to_owned(),
            name: "a.webp".to_owned(),
            job: "job-1".to_owned(),
            gate,
            renews: None,
        }
    }

    fn ending(outcome: Outcome) -> Ending {
        Ending {
            attempt: Attempt {
                id: AttemptId(7),
                digest: Digest::of(b"a"),
                started_ms: 0,
                gate: Gate::Open,
                raised: None,
                renews: None,
            },
            outcome,
            phase: Phase::Decode,
            usage: Usage::default(),
            control: Control::NotRun,
            looks: Looks::default(),
            renditions: Vec::new(),
            specimen: None,
            evidence: Value::Null,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn violations_and_convictions_are_told_and_nothing_else_is() {
        let crash = || Outcome::Crashed("SIGSEGV".to_owned());
        let convicted = |reason| Settled::Judged(Judgement::Convict(reason));
        for (gate, outcome, settled, kinds) in [
            (
                Gate::Open,
                Outcome::Violation,
                convicted(Reason::Violation),
                &["violation", "quarantined"][..],
            ),
            // The host is sick, and still something tried what it must not.
            (
                Gate::Open,
                Outcome::Violation,
                Settled::Judged(Judgement::SickHost),
                &["violation"],
            ),
            (
                Gate::Vouched,
                Outcome::Violation,
                convicted(Reason::Violation),
                &["violation"],
            ),
            (Gate::Solo, crash(), convicted(Reason::Crash), &["quarantined"]),
            (Gate::Vouched, crash(), convicted(Reason::Crash), &[]),
            (
                Gate::Open,
                crash(),
                Settled::Judged(Judgement::Strike(Reason::Crash)),
                &[],
            ),
            (Gate::Open, Outcome::Released, Settled::Judged(Judgement::Retry), &[]),
            (Gate::Open, crash(), Settled::Fenced, &[]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let worker = worker(folder.path()).await;
            worker.tell_of_attempt(&subject(gate), &ending(outcome.clone()), &settled);
            let told = worker.notices.told();
            let told_kinds: Vec<_> = told.iter().map(|notice| notice["kind"].as_str().unwrap()).collect();
            assert_eq!(told_kinds, kinds, "{gate:?} {outcome:?} {settled:?}");
            for notice in told {
                let fields =
                    ["tenant", "name", "job", "sha256"].map(|field| notice[field].as_str().unwrap().to_owned());
                let sha256 = Digest::of(b"a bomb").to_string();
                assert_eq!(fields, ["acme", "a.webp", "job-1", &sha256]);
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_stays_in_quarantine_is_no_news() {
        for (renews, kinds) in [
            (Some(Renews::Entry), &["violation"][..]),
            (Some(Renews::Result), &["violation", "quarantined"]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let worker = worker(folder.path()).await;
            let subject = Subject {
                renews,
                ..subject(Gate::Open)
            };
            let convicted = Settled::Judged(Judgement::Convict(Reason::Violation));
            worker.tell_of_attempt(&subject, &ending(Outcome::Violation), &convicted);
            let told = worker.notices.told();
            let told: Vec<_> = told.iter().map(|notice| notice["kind"].as_str().unwrap()).collect();
            assert_eq!(told, kinds, "{renews:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_breaker_is_told_once_each_way() {
        let folder = tempfile::tempdir().unwrap();
        let worker = worker(folder.path()).await;
        worker.take_work_again();
        assert!(worker.notices.told().is_empty(), "it was not open");
        worker.open_the_breaker("no memory");
        worker.open_the_breaker("no memory, still");
        assert!(worker.vitals.readiness.why_not().is_some());
        worker.take_work_again();
        worker.take_work_again();
        assert_eq!(worker.vitals.readiness.why_not(), None);
        let told = worker.notices.told();
        let states: Vec<_> = told.iter().map(|notice| notice["state"].clone()).collect();
        assert_eq!(states, [json!("opened"), json!("closed")]);
        assert_eq!(told[0]["since"], told[1]["since"]);
        assert_eq!(told[0]["detail"], json!("no memory"));
        assert_ne!(told[0]["id"], told[1]["id"]);
    }
}
