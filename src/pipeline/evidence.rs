//! Evidence: what an operator needs to see to agree with a strike, and the sentence that people are told.

use serde_json::{Value, json};

use super::Worker;
use crate::blame::{Control, Judgement};
use crate::fetch::Upload;
use crate::job::Job;
use crate::ledger::{Ending, Renews, Settled};
use crate::sandbox::Attempted;
use crate::sandbox::outcome::{End, Outcome, signal_name};

/// What is written with a strike.
pub(super) fn of(worker: &Worker, attempted: &Attempted, control: Control, renews: Option<Renews>) -> Value {
    let facts = &attempted.facts;
    let (exit, signal) = match facts.end {
        End::Exited(code) => (Some(code), None),
        End::Signalled(signal) => (None, Some(signal_name(signal))),
    };
    json!({
        "outcome": attempted.outcome.word(),
        "sentence": sentence(&attempted.outcome),
        "phase": facts.phase,
        "declared": facts.declared,
        "grant": facts.grant,
        "usage": facts.usage,
        "memory_record": facts.memory_record,
        "exit": exit,
        "signal": signal,
        "co_running": worker.running().saturating_sub(1),
        "control": control,
        "renews": renews,
        "host": facts.host,
        "load": attempted.load,
        "layers": attempted.layers.iter().filter(|report| report.held.is_up()).map(|report| report.layer).collect::<Vec<_>>(),
        "build": worker.epoch.build,
        "limits": worker.epoch.limits,
        "worker": worker.id,
        "kernel": kernel(),
    })
}

/// The outcome in one sentence: the limit, the value seen, the value allowed.
pub(super) fn sentence(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Converted(_) => "converted".to_owned(),
        Outcome::Refused(refusal) => refusal.detail.clone(),
        Outcome::Declined(exceeded) => format!(
            "the tenant is on probation, where only small attempts run; {exceeded}; send it again when the probation has ended"
        ),
        Outcome::Tripped(trip) => trip.exceeded.to_string(),
        Outcome::Violation => "a system call that is not allowed".to_owned(),
        Outcome::Crashed(why) => format!("the child crashed: {why}"),
        Outcome::Killed => "the child was killed by the host, most likely for memory".to_owned(),
        Outcome::Starved => "out of wall time on a busy host".to_owned(),
        Outcome::Unavailable(why) => format!("no sandbox: {why}"),
        Outcome::Released => "released before it ended".to_owned(),
    }
}

/// One line per attempt.
pub(super) fn log(job: &Job, upload: &Upload, renews: Option<Renews>, ending: &Ending, settled: &Settled) {
    let renews = renews.map(Renews::word);
    let usage = ending.usage;
    let (job, tenant, digest) = (&job.job, &job.tenant, upload.digest.short());
    let (outcome, why) = (ending.outcome.word(), sentence(&ending.outcome));
    let (cpu_ms, wall_ms, peak_bytes) = (usage.cpu_ms, usage.wall_ms, usage.peak_memory_bytes);
    match settled {
        Settled::Judged(Judgement::Retry) if matches!(ending.outcome, Outcome::Declined(_)) => {
            tracing::info!(job, tenant, digest, renews, outcome, why, cpu_ms, "attempt ended");
        }
        Settled::Judged(Judgement::Clear | Judgement::Remember) => {
            tracing::info!(
                job,
                tenant,
                digest,
                renews,
                outcome,
                cpu_ms,
                wall_ms,
                peak_bytes,
                "attempt ended"
            );
        }
        settled if ending.outcome == Outcome::Violation => {
            tracing::error!(
                job,
                tenant,
                digest,
                renews,
                outcome,
                why,
                ?settled,
                "a child tried what it must not: an attack, or a bug"
            );
        }
        settled => {
            tracing::warn!(
                job,
                tenant,
                digest,
                renews,
                outcome,
                why,
                ?settled,
                cpu_ms,
                wall_ms,
                peak_bytes,
                "attempt ended"
            );
        }
    }
}

fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .unwrap_or_default()
        .trim()
        .to_owned()
}
