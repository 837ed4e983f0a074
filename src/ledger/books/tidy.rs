//! Housekeeping, a few hundred rows at a time, so that nobody waits long for the write lock.

use super::{course, entries, tenants};
use crate::ledger::engine::{Fault, Session, query};
use crate::ledger::{DAYS_KEPT, HISTORY, MINUTES_KEPT, VERDICTS_KEPT};

/// Most rows of one table that one call changes.
const BATCH: u32 = 300;

/// Expires what is due and drops what is history; returns rows changed.
pub(super) async fn tidy(session: &mut Session) -> Result<u64, Fault> {
    let mut changed = entries::expire_due(session, BATCH).await?;
    let history = session.now - HISTORY.as_millis() as i64;
    let minutes = tenants::minute(session.now - MINUTES_KEPT.as_millis() as i64);
    let days = tenants::day(session.now - DAYS_KEPT.as_millis() as i64);
    let hours = course::hour(session.now - VERDICTS_KEPT.as_millis() as i64);
    for (statement, before) in [
        (session.sql.drop_jobs, history),
        (session.sql.drop_runs, history),
        (session.sql.drop_refusals, history),
        (session.sql.drop_minutes, minutes),
        (session.sql.drop_days, days),
        (session.sql.drop_refused, session.now),
        (session.sql.drop_verdicts, hours),
    ] {
        let query = query(statement).bind(before).bind(BATCH);
        changed += query.execute(session.connection()).await?;
    }
    Ok(changed)
}
