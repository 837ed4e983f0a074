//! Jobs that wait here with their messages acknowledged, and the reports of those that ended.

use serde_json::json;

use super::rows::{self, Cells};
use crate::ledger::engine::{Fault, Row, Session, Statements, Wire, query};
use crate::ledger::{Arrival, KeptJob, LEASE, Reopened, WorkerId};
use crate::verdict::Status;

const LEASE_MS: i64 = LEASE.as_millis() as i64;
/// How long a job is set back whose digest is running, or whose tenant is kept out: long enough that a flood of copies does not cost every look.
const SET_BACK_MS: i64 = 2_000;

/// In a transaction, or by itself: it is one statement.
pub(super) async fn arrival(on: &mut dyn Wire, sql: &Statements, job: &str) -> Result<Arrival, Fault> {
    let row = query(sql.job).bind(job.to_owned()).fetch_optional(on).await?;
    row.map_or(Ok(Arrival::New), |row| arrived(&row))
}

/// What a job's row says.
pub(super) fn arrived(row: &Row) -> Result<Arrival, Fault> {
    let cells = Cells::of(row, "jobs", "job");
    match cells.get::<Option<i64>>("ended")? {
        None => Ok(Arrival::Waiting(cells.get("tenant")?)),
        Some(_) => Ok(Arrival::Ended(Box::new(cells.json("report")?))),
    }
}

pub(super) async fn any_due(session: &mut Session) -> Result<bool, Fault> {
    let query = query(session.sql.any_due).bind(session.now);
    Ok(query.fetch_optional(session.connection()).await?.is_some())
}

/// Takes over jobs that are due, longest waiting first. Nobody else may for a lease: a worker that forgets one does not keep it.
pub(super) async fn adopt(
    session: &mut Session,
    worker: &WorkerId,
    most: u32,
    kept_out: &[String],
) -> Result<Vec<KeptJob>, Fault> {
    let now = session.now;
    let kept_out = json!(kept_out).to_string();
    let back = query(session.sql.set_back)
        .bind(now)
        .bind(now + SET_BACK_MS)
        .bind(kept_out.clone());
    back.execute(session.connection()).await?;
    let query = query(session.sql.adopt)
        .bind(now)
        .bind(worker.0.clone())
        .bind(now + LEASE_MS)
        .bind(most)
        .bind(kept_out);
    let found = query.fetch_all(session.connection()).await?;
    let mut jobs: Vec<(i64, KeptJob)> = found.iter().map(rows::kept_job).collect::<Result<_, _>>()?;
    jobs.sort_by_key(|(since, _)| *since);
    Ok(jobs.into_iter().map(|(_, job)| job).collect())
}

/// Renews the hold on jobs that a worker still works on.
pub(super) async fn hold(session: &mut Session, worker: &WorkerId, jobs: &[String]) -> Result<(), Fault> {
    let query = query(session.sql.hold_jobs)
        .bind(json!(jobs).to_string())
        .bind(worker.0.clone())
        .bind(session.now + LEASE_MS);
    query.execute(session.connection()).await?;
    Ok(())
}

/// A job that was to end: whoever edits the ledger beside its users can make one.
pub(super) fn neither(job: &str) -> Fault {
    Fault::Request(format!("job {job} neither ends nor has ended"))
}

pub(super) async fn waiting(session: &mut Session) -> Result<u64, Fault> {
    let row = query(session.sql.waiting).fetch_one(session.connection()).await?;
    let waiting: i64 = row.try_get("waiting")?;
    Ok(waiting.unsigned_abs())
}

/// Forgets a job that ended `failed`.
pub(super) async fn reopen(session: &mut Session, job: &str) -> Result<Reopened, Fault> {
    let sql = session.sql;
    match arrival(session.connection(), sql, job).await? {
        Arrival::New => Ok(Reopened::Unknown),
        Arrival::Waiting(_) => Ok(Reopened::NotEnded),
        Arrival::Ended(report) if report.status != Status::Failed => Ok(Reopened::EndedOtherwise(report.status)),
        Arrival::Ended(_) => {
            let query = query(session.sql.forget_job).bind(job.to_owned());
            query.execute(session.connection()).await?;
            Ok(Reopened::Reopened)
        }
    }
}
