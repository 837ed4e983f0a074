//! Reports: what is told of a job, put together from what is known at each way out of the flow.

use serde_json::Value;

use super::{Worker, evidence};
use crate::blame::Judgement;
use crate::digest::Digest;
use crate::fetch::Upload;
use crate::job::{InvalidJob, Job};
use crate::ledger::{Ending, Entry, Known, Looks};
use crate::sandbox::outcome::{Outcome, Usage};
use crate::verdict::{Notes, Reason, Refusal, Report, Status};

/// A report with nothing but the job in it.
fn blank(worker: &Worker, job: &Job, status: Status) -> Report {
    Report {
        metadata: job.metadata.clone(),
        ..bare(worker, &job.job, &job.tenant, status)
    }
}

fn bare(worker: &Worker, job: &str, tenant: &str, status: Status) -> Report {
    Report {
        job: job.to_owned(),
        tenant: tenant.to_owned(),
        status,
        reason: None,
        detail: None,
        repeat: false,
        sha256: None,
        bytes: None,
        format: None,
        width: None,
        height: None,
        frames: None,
        placeholder: None,
        info: None,
        renditions: Vec::new(),
        notes: Notes::NONE,
        cpu_ms: None,
        wall_ms: None,
        peak_memory_bytes: None,
        queued_ms: None,
        worker: worker.id.0.clone(),
        metadata: Value::Null,
    }
}

fn with_reason(report: Report, reason: Reason, detail: &str) -> Report {
    Report {
        status: reason.status(),
        reason: Some(reason),
        detail: Some(detail.to_owned()),
        ..report
    }
}

fn with_looks(report: Report, looks: &Looks) -> Report {
    Report {
        bytes: Some(looks.bytes),
        format: looks.format,
        width: looks.width,
        height: looks.height,
        frames: looks.frames,
        placeholder: looks.placeholder.clone(),
        info: looks.info,
        notes: looks.notes,
        ..report
    }
}

fn with_usage(report: Report, usage: &Usage) -> Report {
    Report {
        cpu_ms: Some(usage.cpu_ms),
        wall_ms: Some(usage.wall_ms),
        peak_memory_bytes: Some(usage.peak_memory_bytes),
        ..report
    }
}

/// Refused by its digest, without a child.
pub(super) fn listed(worker: &Worker, job: &Job, entry: &Entry) -> Report {
    let report = with_looks(blank(worker, job, Status::Quarantined), &entry.looks);
    let report = with_reason(report, entry.reason, &entry.detail);
    Report {
        repeat: true,
        sha256: Some(entry.digest),
        ..report
    }
}

/// Known from an earlier attempt, without a child.
pub(super) fn known(worker: &Worker, job: &Job, upload: &Upload, known: &Known) -> Report {
    let report = with_looks(blank(worker, job, known.status), &known.looks);
    Report {
        repeat: true,
        reason: known.reason,
        detail: known.detail.clone(),
        sha256: Some(upload.digest),
        renditions: known.renditions.clone(),
        ..report
    }
}

/// Refused before it was read to its end.
pub(super) fn unread(worker: &Worker, job: &Job, refusal: &Refusal) -> Report {
    with_reason(blank(worker, job, Status::Rejected), refusal.reason, &refusal.detail)
}

/// Refused by what the supervisor sees of an upload: its length, its digest, its magic bytes.
pub(super) fn refused(worker: &Worker, job: &Job, upload: &Upload, refusal: &Refusal) -> Report {
    let report = unread(worker, job, refusal);
    Report {
        sha256: Some(upload.digest),
        bytes: Some(upload.bytes),
        format: upload.format,
        ..report
    }
}

/// Converted just now.
pub(super) fn converted(worker: &Worker, job: &Job, ending: &Ending, digest: &Digest) -> Report {
    let report = with_looks(blank(worker, job, Status::Converted), &ending.looks);
    let report = with_usage(report, &ending.usage);
    Report {
        sha256: Some(*digest),
        renditions: ending.renditions.clone(),
        ..report
    }
}

/// Refused by the child, or convicted, just now.
pub(super) fn of_outcome(worker: &Worker, job: &Job, ending: &Ending, digest: &Digest, judgement: Judgement) -> Report {
    let reason = match (&ending.outcome, judgement) {
        (Outcome::Refused(refusal), _) => refusal.reason,
        (Outcome::Declined(_), _) => Reason::TenantOverLimit,
        (_, Judgement::Convict(reason)) => reason,
        _ => Reason::Unavailable,
    };
    let report = with_looks(blank(worker, job, reason.status()), &ending.looks);
    let report = with_usage(report, &ending.usage);
    let report = with_reason(report, reason, &evidence::sentence(&ending.outcome));
    Report {
        sha256: Some(*digest),
        ..report
    }
}

impl Worker {
    /// The report of a job that came back for our own fault until its tries were used up.
    pub fn give_up(&self, job: &Job, reason: Reason, why: &str) -> Report {
        with_reason(blank(self, job, Status::Failed), reason, why)
    }

    /// The report of a job whose upload is refused by its digest.
    pub fn listed(&self, job: &Job, entry: &Entry) -> Report {
        listed(self, job, entry)
    }

    /// The report of a job whose tenant may not have it converted now.
    pub fn turned_away(&self, job: &Job, reason: Reason, why: &str) -> Report {
        with_reason(blank(self, job, Status::Refused), reason, why)
    }

    /// The report of a message that breaks the contract, for a sender who can be told.
    pub fn invalid(&self, job: &str, tenant: &str, invalid: &InvalidJob) -> Report {
        let report = with_reason(
            bare(self, job, tenant, Status::Rejected),
            Reason::InvalidJob,
            &invalid.problem,
        );
        Report {
            metadata: invalid.metadata.clone(),
            ..report
        }
    }

    /// The report of a job whose kept message cannot be read any more.
    pub fn unreadable(&self, job: &str, tenant: &str, why: &str) -> Report {
        with_reason(bare(self, job, tenant, Status::Failed), Reason::Unavailable, why)
    }
}
