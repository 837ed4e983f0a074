//! Housekeeping, a few hundred rows at a time, so that nobody waits long for the write lock.

use super::entries;
use super::fault::Fault;
use super::session::Session;
use super::{statements, tenants};
use crate::ledger::{HISTORY, MINUTES_KEPT};

/// Most rows of one table that one call changes.
const BATCH: u32 = 300;

/// Expires what is due and drops what is history; returns rows changed.
pub(super) async fn tidy(session: &mut Session) -> Result<u64, Fault> {
    let mut changed = entries::expire_due(session, BATCH).await?;
    let history = session.now - HISTORY.as_millis() as i64;
    let minutes = tenants::minute(session.now - MINUTES_KEPT.as_millis() as i64);
    for (statement, before) in [
        (statements::DROP_JOBS, history),
        (statements::DROP_RUNS, history),
        (statements::DROP_REFUSALS, history),
        (statements::DROP_MINUTES, minutes),
        (statements::DROP_DAYS, tenants::day(history)),
    ] {
        let query = sqlx::query(statement).bind(before).bind(BATCH);
        changed += query.execute(session.connection()).await?.rows_affected();
    }
    Ok(changed)
}
