//! Traces: what becomes of a job in this worker, as spans of the trace that whoever enqueued it began.
//!
//! In: jobs, attempts, reports. Out: a span for as long as this worker holds a job, `process lazaret.jobs`, and one for each step below it; and the
//! `traceparent` that goes on with the result. They hold words of closed vocabularies, numbers, ids and digests. Absent on purpose: names of files and
//! all details, which are tenants' text.
//!
//! Whether anybody listens is decided at the start: the build has the feature `otel`, and `[traces]` names a collector. Otherwise every span is off, which
//! costs a load each, and a `traceparent` goes on as it came.
#![forbid(unsafe_code)]

#[cfg(not(feature = "otel"))]
mod nowhere;
#[cfg(feature = "otel")]
mod otlp;

use std::borrow::Cow;

use tracing::field::Empty;
use tracing::{Span, info_span};

use crate::broker::{Envelope, topology};
use crate::digest::Digest;
use crate::event::Event;
use crate::ledger::WorkerId;
use crate::sandbox::Attempted;
use crate::verdict::{Report, Status};

#[cfg(not(feature = "otel"))]
use nowhere as listener;
#[cfg(feature = "otel")]
use otlp as listener;

pub use listener::Traces;

/// What spans are told apart from log lines by: they are in no log, and log lines are in no span.
pub(crate) const TARGET: &str = "traces";

/// Where a job goes on when this worker lets go of it before it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GoesOn {
    /// The ledger keeps it.
    Ledger,
    /// On a rung of the retry ladder.
    Ladder,
    /// In a sideline.
    Sideline,
    /// The broker delivers it again.
    Broker,
}

impl GoesOn {
    fn word(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Ladder => "ladder",
            Self::Sideline => "sideline",
            Self::Broker => "broker",
        }
    }
}

/// A job is in this worker, until the span is dropped. It lies below the publisher's; a job that came without a trace begins one, which goes with it
/// wherever it waits.
pub(crate) fn held(system: &str, worker: &WorkerId, job: &str, tenant: &str, envelope: &mut Envelope) -> Span {
    let span = info_span!(
        target: TARGET,
        parent: None,
        "process",
        otel.name = "process lazaret.jobs",
        otel.kind = "consumer",
        otel.status_code = Empty,
        messaging.system = system,
        messaging.operation.name = "process",
        "messaging.operation.type" = "process",
        messaging.destination.name = topology::JOBS,
        messaging.message.id = job,
        lazaret.worker = worker.0,
        lazaret.tenant = tenant,
        lazaret.lane = topology::lane_key(envelope.lane),
        lazaret.tries = i64::from(envelope.tries),
        lazaret.digest = Empty,
        lazaret.status = Empty,
        lazaret.reason = Empty,
        lazaret.known = Empty,
        lazaret.goes_on = Empty,
    );
    listener::adopt(&span, envelope);
    span
}

/// The upload of the job that is worked on now.
pub(crate) fn upload(digest: &Digest) {
    let span = Span::current();
    if !span.is_disabled() {
        span.record("lazaret.digest", digest.to_string());
    }
}

/// A job has ended with this report.
pub(crate) fn ended(report: &Report) {
    let span = Span::current();
    span.record("lazaret.status", report.status.word());
    span.record("lazaret.known", report.repeat);
    if let Some(reason) = report.reason {
        span.record("lazaret.reason", reason.word());
    }
    if report.status == Status::Failed {
        failed(&span);
    }
}

/// This worker lets go of a job that has not ended.
pub(crate) fn goes_on(to: GoesOn) {
    Span::current().record("lazaret.goes_on", to.word());
}

/// A step of the job that is worked on now.
pub(crate) fn step(name: &'static str) -> Span {
    info_span!(target: TARGET, "step", otel.name = name)
}

/// A child runs.
pub(crate) fn child() -> Span {
    info_span!(
        target: TARGET,
        "child",
        lazaret.outcome = Empty,
        lazaret.phase = Empty,
        lazaret.cpu_ms = Empty,
        lazaret.wall_ms = Empty,
        lazaret.peak_memory_bytes = Empty,
        otel.status_code = Empty,
    )
}

/// It has ended, and its span with it.
pub(crate) fn child_ended(span: Span, attempted: &Attempted) {
    let usage = attempted.facts.usage;
    span.record("lazaret.outcome", attempted.outcome.word());
    span.record("lazaret.phase", attempted.facts.phase.word());
    span.record("lazaret.cpu_ms", whole(usage.cpu_ms));
    span.record("lazaret.wall_ms", whole(usage.wall_ms));
    span.record("lazaret.peak_memory_bytes", whole(usage.peak_memory_bytes));
}

/// A result is published.
pub(crate) fn publish(system: &str, event: &Event) -> Span {
    info_span!(
        target: TARGET,
        "publish",
        otel.name = "publish lazaret.results",
        otel.kind = "producer",
        otel.status_code = Empty,
        messaging.system = system,
        messaging.operation.name = "publish",
        "messaging.operation.type" = "send",
        messaging.destination.name = topology::RESULTS,
        messaging.message.id = event.id,
    )
}

/// What a span is about did not succeed, for our own fault.
pub(crate) fn failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}

/// An envelope whose trace goes on below a span. Where nobody listens, as it came.
pub(crate) fn below<'e>(span: &Span, envelope: &'e Envelope) -> Cow<'e, Envelope> {
    match listener::traceparent(span) {
        None => Cow::Borrowed(envelope),
        traceparent => Cow::Owned(Envelope {
            traceparent,
            ..envelope.clone()
        }),
    }
}

/// As numbers are written in traces.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
