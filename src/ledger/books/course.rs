//! What went on over time: jobs begun, from what tenants used; jobs ended, as workers told; uploads convicted, from the audit trail.

#![forbid(unsafe_code)]

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::entries::time;
use super::rows::{Cells, json};
use crate::ledger::engine::{Fault, Query, Row, Session, query};
use crate::ledger::{Course, RECORDS_COUNTED, Span, Steps, USES_COUNTED};
use crate::verdict::{Reason, Status};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Most that is counted at once: sums of such numbers fit a column, whatever a caller says.
const MOST: u64 = 1 << 50;

/// The time of a step, in milliseconds, and how often something was in it.
type Count = (i64, u64);
/// Since when something is counted, where there is more than is counted.
type Since = Option<DateTime<Utc>>;

/// What went on until now.
pub(super) async fn course(session: &mut Session, span: Span) -> Result<Course, Fault> {
    let steps = Steps::until(span, session.now);
    let (jobs, jobs_since) = jobs(session, steps).await?;
    let verdicts = verdicts(session, steps).await?;
    let convictions = convictions(session, steps).await?;
    let convictions_since = trail_since(session, steps).await?;
    Ok(Course {
        steps,
        jobs,
        jobs_since,
        verdicts,
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

/// Counts jobs that ended, for the hour it is now.
pub(super) async fn count(session: &mut Session, ended: &[(Status, u64)]) -> Result<(), Fault> {
    #[derive(Serialize)]
    struct Ended {
        status: Status,
        times: u64,
    }
    let ended = ended.iter().filter(|(_, times)| *times > 0);
    let ended: Vec<Ended> = ended
        .map(|(status, times)| Ended {
            status: *status,
            times: (*times).min(MOST),
        })
        .collect();
    let query = query(session.sql.count_verdicts)
        .bind(json(&ended)?)
        .bind(hour(session.now));
    query.execute(session.connection()).await?;
    Ok(())
}

async fn verdicts(session: &mut Session, steps: Steps) -> Result<Vec<(Status, Vec<u64>)>, Fault> {
    let query = query(session.sql.verdicts_by_step)
        .bind(hour(steps.since_ms()))
        .bind(steps.span().step_ms() / HOUR_MS);
    let rows = query.fetch_all(session.connection()).await?;
    let counted = counted(&rows, "verdicts", "status", steps)?;
    Ok(of_each(&Status::ALL, &counted, steps))
}

async fn convictions(session: &mut Session, steps: Steps) -> Result<Vec<(Reason, Vec<u64>)>, Fault> {
    let query = past(session.sql.convictions_by_step, steps).bind(steps.span().step_ms());
    let rows = query.fetch_all(session.connection()).await?;
    let counted = counted(&rows, "strikes or entries", "reason", steps)?;
    Ok(of_each(&Reason::ALL, &counted, steps))
}

/// Rows of a step, a word and how often it was counted.
fn counted<W: DeserializeOwned>(
    rows: &[Row],
    table: &'static str,
    word: &'static str,
    steps: Steps,
) -> Result<Vec<(W, Count)>, Fault> {
    let read = |row: &Row| {
        let cells = Cells::of(row, table, "step");
        let (step, times): (i64, i64) = (cells.get("step")?, cells.get("times")?);
        Ok((cells.word(word)?, step_of(steps, step, times)))
    };
    rows.iter().map(read).collect()
}

/// Those words that there were, each with its counts step by step.
fn of_each<W: Copy + PartialEq>(words: &[W], counted: &[(W, Count)], steps: Steps) -> Vec<(W, Vec<u64>)> {
    let there_were = |word: &&W| counted.iter().any(|(other, _)| other == *word);
    let of = |word: &W| {
        let counted = counted.iter().filter(|(other, _)| other == word);
        (*word, steps.spread(counted.map(|(_, count)| *count)))
    };
    words.iter().filter(there_were).map(of).collect()
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

fn step_of(steps: Steps, step: i64, times: i64) -> Count {
    (step.saturating_mul(steps.span().step_ms()), times.max(0).unsigned_abs())
}

/// The hour of a time, since 1970.
pub(super) fn hour(now: i64) -> i64 {
    now.div_euclid(HOUR_MS)
}
