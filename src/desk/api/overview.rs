//! The overview over the API: what waits for an operator and what went on, from the ledger; how this worker is, from its memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::answer::{Problem, json};
use super::bearer::Caller;
use crate::admin::Readyz;
use crate::desk::refusal::Refusal;
use crate::desk::{Desk, course, overview};
use crate::ledger::{Course, Unreviewed, WorkerId};
use crate::pipeline::Worker;
use crate::sandbox::layers::LayerReport;

#[derive(Serialize)]
struct Overview<'a> {
    unreviewed: Unreviewed,
    course: CourseAnswer,
    worker: ThisWorker<'a>,
}

/// What went on over time.
#[derive(Serialize)]
struct CourseAnswer {
    /// The oldest first; the last one is not over.
    steps: Vec<Step>,
    jobs_since: Option<DateTime<Utc>>,
    convictions_since: Option<DateTime<Utc>>,
}

/// What went on in one step; what did not happen is left out.
#[derive(Serialize)]
struct Step {
    from: DateTime<Utc>,
    jobs: u64,
    verdicts: BTreeMap<&'static str, u64>,
    convictions: BTreeMap<&'static str, u64>,
}

/// The worker that answers.
#[derive(Serialize)]
struct ThisWorker<'a> {
    worker: &'a WorkerId,
    health: Readyz,
    layers: &'a [LayerReport],
    running: u64,
    slots: u64,
    in_hand: u64,
    waiting: u64,
    kept_by_ledger: u64,
    unsettled: u64,
    memory_budget_bytes: u64,
    memory_free_bytes: u64,
    queues: BTreeMap<&'static str, u64>,
    tenants: Vec<Busy>,
    ended: BTreeMap<&'static str, Ended>,
}

/// A tenant with jobs in hand.
#[derive(Serialize)]
struct Busy {
    tenant: String,
    in_hand: u64,
}

/// How often jobs ended with one status since the process began.
#[derive(Serialize)]
struct Ended {
    run: u64,
    known_before: u64,
}

pub(super) async fn show(
    State(desk): State<Arc<Desk>>,
    _: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let span = course::span(&query.unwrap_or_default()).map_err(Refusal::bad)?;
    let work = desk.work()?;
    let (unreviewed, course) = tokio::try_join!(work.ledger.unreviewed(), work.ledger.course(span))?;
    Ok(json(&Overview {
        unreviewed,
        course: course_answer(&course),
        worker: this_worker(&work.worker),
    }))
}

fn course_answer(course: &Course) -> CourseAnswer {
    let steps = course.steps.begins().enumerate().map(|(place, from_ms)| Step {
        from: DateTime::from_timestamp_millis(from_ms).unwrap_or_default(),
        jobs: at(&course.jobs, place),
        verdicts: happened(
            course
                .verdicts
                .iter()
                .map(|(status, counts)| (status.word(), at(counts, place))),
        ),
        convictions: happened(
            course
                .convictions
                .iter()
                .map(|(reason, counts)| (reason.word(), at(counts, place))),
        ),
    });
    CourseAnswer {
        steps: steps.collect(),
        jobs_since: course.jobs_since,
        convictions_since: course.convictions_since,
    }
}

fn at(counts: &[u64], place: usize) -> u64 {
    counts.get(place).copied().unwrap_or_default()
}

fn happened(counts: impl Iterator<Item = (&'static str, u64)>) -> BTreeMap<&'static str, u64> {
    counts.filter(|(_, count)| *count > 0).collect()
}

fn this_worker(worker: &Worker) -> ThisWorker<'_> {
    let vitals = &worker.vitals;
    let (copied, queues) = (vitals.gauges.copied(), vitals.gauges.queues());
    let busy = copied.tenants.iter().map(|(tenant, in_hand)| Busy {
        tenant: tenant.clone(),
        in_hand: *in_hand,
    });
    let ended =
        overview::ended(vitals).map(|(status, [run, known_before])| (status.word(), Ended { run, known_before }));
    ThisWorker {
        worker: &worker.id,
        health: Readyz::of(vitals),
        layers: &worker.layers,
        running: vitals.gauges.in_flight(),
        slots: copied.slots,
        in_hand: copied.in_hand,
        waiting: copied.waiting,
        kept_by_ledger: vitals.gauges.kept_by_ledger(),
        unsettled: copied.unsettled,
        memory_budget_bytes: copied.budget_bytes,
        memory_free_bytes: copied.budget_bytes - copied.budget_used(),
        queues: queues.into_iter().collect(),
        tenants: busy.collect(),
        ended: BTreeMap::from(ended),
    }
}
