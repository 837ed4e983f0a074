//! A world for the promises: a ledger, seen by several workers at several times, and the uploads and endings they speak of.

use std::time::Duration;

use async_trait::async_trait;
use lazaret::blame::{Control, Judgement};
use lazaret::digest::Digest;
use lazaret::ledger::{Attempt, Claim, Claimed, Ending, Entry, Epoch, Ledger, Looks, Operator, Settled, WorkerId};
use lazaret::recipe::RecipeKey;
use lazaret::sandbox::outcome::{Outcome, Trip, Usage};
use lazaret::sandbox::protocol::Phase;
use lazaret::verdict::{Exceeded, Notes, Reason, Refusal, Report, Status};
use serde_json::json;

pub const HOUR: Duration = Duration::from_secs(3600);
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// A fresh ledger of some store, with the workers `w1`, `w2` and `w3` signed on.
#[async_trait]
pub trait World: Send + Sync {
    fn ledger(&self) -> &dyn Ledger;
    /// The same ledger over connections of its own, as another process has them.
    async fn another(&self) -> Box<dyn Ledger>;
    /// The same ledger by a clock that is ahead.
    fn later(&self, by: Duration) -> Box<dyn Ledger>;
}

pub fn digest(upload: &str) -> Digest {
    Digest::of(upload.as_bytes())
}

pub fn recipe(name: &str) -> RecipeKey {
    RecipeKey(name.to_owned())
}

pub fn worker(name: &str) -> WorkerId {
    WorkerId(name.to_owned())
}

pub fn epoch() -> Epoch {
    Epoch {
        build: "build-1".to_owned(),
        limits: "00112233aabbccdd".to_owned(),
    }
}

pub fn operator() -> Operator {
    Operator {
        who: "ann".to_owned(),
        why: "looked at it".to_owned(),
    }
}

/// A claim of `w1` for the recipe `thumb`.
pub fn claim(upload: &str) -> Claim {
    Claim {
        digest: digest(upload),
        recipe: recipe("thumb"),
        epoch: epoch(),
        worker: worker("w1"),
        tenant: "acme".to_owned(),
        name: format!("{upload}.jpg"),
        job: format!("job-{upload}"),
        alone: true,
        most_in_flight: None,
        renewals: 2,
    }
}

/// The same for a job of this name.
pub fn claim_for(job: &str, upload: &str) -> Claim {
    Claim {
        job: job.to_owned(),
        ..claim(upload)
    }
}

pub async fn start(ledger: &dyn Ledger, claim: &Claim) -> Attempt {
    match ledger.claim(claim).await.unwrap() {
        Claimed::Run(attempt) => attempt,
        other => panic!("not to be run: {other:?}"),
    }
}

pub fn ending(attempt: Attempt, outcome: Outcome) -> Ending {
    Ending {
        attempt,
        outcome,
        phase: Phase::Decode,
        usage: Usage {
            cpu_ms: 5,
            wall_ms: 9,
            waited_ms: 1,
            peak_memory_bytes: 1 << 20,
        },
        control: Control::Converted,
        looks: Looks {
            bytes: 1000,
            width: Some(640),
            height: Some(480),
            ..Looks::default()
        },
        renditions: Vec::new(),
        specimen: None,
        evidence: json!({ "kernel": "6.1" }),
    }
}

pub async fn settle(ledger: &dyn Ledger, ending: &Ending) -> Judgement {
    match ledger.settle(ending).await.unwrap() {
        Settled::Judged(judgement) => judgement,
        Settled::Fenced => panic!("fenced"),
    }
}

/// Claims, runs and settles in one go.
pub async fn run(ledger: &dyn Ledger, claim: &Claim, outcome: Outcome) -> Judgement {
    let attempt = start(ledger, claim).await;
    settle(ledger, &ending(attempt, outcome)).await
}

pub fn tripped(reason: Reason) -> Outcome {
    let exceeded = Exceeded {
        limit: "test".to_owned(),
        seen: 9,
        allowed: 8,
    };
    Outcome::Tripped(Trip { reason, exceeded })
}

pub fn crashed() -> Outcome {
    Outcome::Crashed("ended by SIGSEGV".to_owned())
}

pub fn refused() -> Outcome {
    Outcome::Refused(Refusal::new(Reason::Corrupt, "no end of image"))
}

pub async fn entry(ledger: &dyn Ledger, upload: &str) -> Option<Entry> {
    ledger
        .dossier(&digest(upload))
        .await
        .unwrap()
        .map(|dossier| dossier.entry)
}

pub async fn convict(ledger: &dyn Ledger, upload: &str) -> Entry {
    assert_eq!(
        run(ledger, &claim(upload), tripped(Reason::Memory)).await,
        Judgement::Convict(Reason::Memory)
    );
    entry(ledger, upload).await.unwrap()
}

/// The digest runs in `lost`, beside another upload, when that worker is lost.
pub async fn lose_in_company(ledger: &dyn Ledger, upload: &str, lost: &str) {
    let company = format!("company of {upload}");
    start(
        ledger,
        &Claim {
            worker: worker(lost),
            ..claim(upload)
        },
    )
    .await;
    start(
        ledger,
        &Claim {
            worker: worker(lost),
            ..claim(&company)
        },
    )
    .await;
    assert_eq!(ledger.bury(&worker(lost)).await.unwrap().len(), 2);
}

pub fn report(job: &str) -> Report {
    Report {
        job: job.to_owned(),
        tenant: "acme".to_owned(),
        status: Status::Rejected,
        reason: Some(Reason::Corrupt),
        detail: Some("no end of image".to_owned()),
        repeat: false,
        sha256: Some(digest(job)),
        bytes: Some(1000),
        format: None,
        width: None,
        height: None,
        frames: None,
        placeholder: None,
        info: None,
        renditions: Vec::new(),
        notes: Notes::NONE,
        cpu_ms: Some(5),
        wall_ms: Some(9),
        peak_memory_bytes: None,
        queued_ms: Some(3),
        worker: "w1".to_owned(),
        metadata: json!({ "row": 7 }),
    }
}
