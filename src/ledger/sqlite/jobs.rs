//! Jobs that wait here with their messages acknowledged, and the reports of those that ended.

use std::time::Duration;

use sqlx::Row;

use super::fault::Fault;
use super::rows::{self, Cells, json};
use super::session::Session;
use super::statements;
use crate::digest::Digest;
use crate::ledger::{Arrival, KeptJob, LEASE, WorkerId};
use crate::verdict::Report;

const LEASE_MS: i64 = LEASE.as_millis() as i64;
/// How long a job is set back whose digest is running: long enough that a flood of copies does not cost every look.
const SET_BACK_MS: i64 = 2_000;

pub(super) async fn arrival(session: &mut Session, job: &str) -> Result<Arrival, Fault> {
    let row = sqlx::query(statements::JOB)
        .bind(job.to_owned())
        .fetch_optional(session.connection())
        .await?;
    let Some(row) = row else { return Ok(Arrival::New) };
    let cells = Cells::of(&row, "jobs", "job");
    match cells.get::<Option<i64>>("ended")? {
        None => Ok(Arrival::Waiting(cells.get("tenant")?)),
        Some(_) => Ok(Arrival::Ended(Box::new(cells.json("report")?))),
    }
}

pub(super) async fn park(
    session: &mut Session,
    job: &KeptJob,
    digest: Option<&Digest>,
    delay: Duration,
) -> Result<(), Fault> {
    let delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
    let query = sqlx::query(statements::PARK)
        .bind(job.job.clone())
        .bind(job.tenant.clone())
        .bind(digest.map(Digest::to_string))
        .bind(json(&job.message)?)
        .bind(job.tries)
        .bind(session.now)
        .bind(session.now.saturating_add(delay));
    query.execute(session.connection()).await?;
    Ok(())
}

pub(super) async fn any_due(session: &mut Session) -> Result<bool, Fault> {
    let query = sqlx::query(statements::ANY_DUE).bind(session.now);
    Ok(query.fetch_optional(session.connection()).await?.is_some())
}

/// Takes over jobs that are due, longest waiting first. Nobody else may for a lease: a worker that forgets one does not keep it.
pub(super) async fn adopt(session: &mut Session, worker: &WorkerId, most: u32) -> Result<Vec<KeptJob>, Fault> {
    let now = session.now;
    let back = sqlx::query(statements::SET_BACK).bind(now).bind(now + SET_BACK_MS);
    back.execute(session.connection()).await?;
    let query = sqlx::query(statements::ADOPT)
        .bind(now)
        .bind(worker.0.clone())
        .bind(now + LEASE_MS)
        .bind(most);
    let found = query.fetch_all(session.connection()).await?;
    let mut jobs: Vec<(i64, KeptJob)> = found.iter().map(rows::kept_job).collect::<Result<_, _>>()?;
    jobs.sort_by_key(|(since, _)| *since);
    Ok(jobs.into_iter().map(|(_, job)| job).collect())
}

/// Renews the hold on jobs that a worker still works on.
pub(super) async fn hold(session: &mut Session, worker: &WorkerId, jobs: &[String]) -> Result<(), Fault> {
    for job in jobs {
        let query = sqlx::query(statements::HOLD_JOB)
            .bind(job.clone())
            .bind(worker.0.clone())
            .bind(session.now + LEASE_MS);
        query.execute(session.connection()).await?;
    }
    Ok(())
}

/// Ends a job; returns the report that counts.
pub(super) async fn end(session: &mut Session, report: &Report) -> Result<Report, Fault> {
    let query = sqlx::query(statements::END_JOB)
        .bind(report.job.clone())
        .bind(report.tenant.clone())
        .bind(session.now)
        .bind(json(report)?);
    if query.execute(session.connection()).await?.rows_affected() > 0 {
        return Ok(report.clone());
    }
    match arrival(session, &report.job).await? {
        Arrival::Ended(first) => Ok(*first),
        Arrival::New | Arrival::Waiting(_) => {
            Err(Fault::Request(format!("job {} neither ends nor has ended", report.job)))
        }
    }
}

pub(super) async fn waiting(session: &mut Session) -> Result<u64, Fault> {
    let row = sqlx::query(statements::WAITING).fetch_one(session.connection()).await?;
    let waiting: i64 = row.try_get("waiting")?;
    Ok(waiting.unsigned_abs())
}
