//! What went on over time: jobs begun, from what tenants used; uploads convicted, from the audit trail.

#![forbid(unsafe_code)]

use chrono::{DateTime, Utc};

use super::entries::time;
use super::rows::Cells;
use crate::ledger::engine::{Fault, Query, Session, query};
use crate::ledger::{Course, RECORDS_COUNTED, Span, Steps, USES_COUNTED};
use crate::verdict::Reason;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// Since when something is counted, where there is more than is counted.
type Since = Option<DateTime<Utc>>;

/// What went on until now.
pub(super) async fn course(session: &mut Session, span: Span) -> Result<Course, Fault> {
    let steps = Steps::until(span, session.now);
    let (jobs, jobs_since) = jobs(session, steps).await?;
    let convictions = convictions(session, steps).await?;
    let convictions_since = trail_since(session, steps).await?;
    Ok(Course {
        steps,
        jobs,
        jobs_since,
        convictions,
        convictions_since,
    })
}

async fn jobs(session: &mut Session, steps: Steps) -> Result<(Vec<u64>, Since), Fault> {
    let (statement, unit_ms) = match steps.span() {
        Span::Day => (session.sql.jobs_by_hour, MINUTE_MS),
        Span::Month => (session.sql.jobs_by_day, DAY_MS),
    };
    let query = query(statement)
        .bind(steps.since_ms().div_euclid(unit_ms))
        .bind(USES_COUNTED);
    let rows = query.fetch_all(session.connection()).await?;
    let mut counted = Vec::new();
    let (mut looked_at, mut first) = (0_i64, i64::MAX);
    for row in &rows {
        let (step, times): (i64, i64) = (row.try_get("step")?, row.try_get("times")?);
        counted.push(step_of(steps, step, times));
        looked_at += row.try_get::<i64>("looked_at")?;
        first = first.min(row.try_get::<i64>("first")?);
    }
    // Some rows of the first minute, or day, may be among those that were not looked at.
    let whole = first.saturating_add(1).saturating_mul(unit_ms);
    let since = (looked_at >= i64::from(USES_COUNTED)).then(|| time(whole));
    Ok((steps.spread(counted), since))
}

async fn convictions(session: &mut Session, steps: Steps) -> Result<Vec<(Reason, Vec<u64>)>, Fault> {
    let query = past(session.sql.convictions_by_step, steps).bind(steps.span().step_ms());
    let rows = query.fetch_all(session.connection()).await?;
    let mut counted: Vec<(Reason, (i64, u64))> = Vec::new();
    for row in &rows {
        let cells = Cells::of(row, "strikes or entries", "step");
        let (step, times): (i64, i64) = (cells.get("step")?, cells.get("times")?);
        counted.push((cells.word("reason")?, step_of(steps, step, times)));
    }
    let of = |reason: Reason| {
        let counted = counted.iter().filter(|(other, _)| *other == reason);
        (reason, steps.spread(counted.map(|(_, count)| *count)))
    };
    let there_were = |reason: &Reason| counted.iter().any(|(other, _)| other == reason);
    Ok(Reason::ALL.into_iter().filter(there_were).map(of).collect())
}

/// Where the stretch of the audit trail ends that is looked at, if there is more.
async fn trail_since(session: &mut Session, steps: Steps) -> Result<Since, Fault> {
    let query = past(session.sql.end_of_uploads, steps);
    let row = query.fetch_optional(session.connection()).await?;
    let at = row.map(|row| row.try_get::<i64>("at")).transpose()?;
    Ok(at.map(time))
}

/// A statement about the newest records of the audit trail.
fn past(statement: &'static str, steps: Steps) -> Query {
    query(statement)
        .bind(steps.since_ms())
        .bind(i64::MAX)
        .bind(i64::MAX)
        .bind(RECORDS_COUNTED)
}

/// A count with the time of its step, in milliseconds.
fn step_of(steps: Steps, step: i64, times: i64) -> (i64, u64) {
    (step.saturating_mul(steps.span().step_ms()), times.max(0).unsigned_abs())
}
