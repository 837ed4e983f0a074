//! Housekeeping, a few hundred rows at a time, so that nobody waits long for the write lock.

use super::entries;
use super::fault::Fault;
use super::session::Session;
use super::statements;
use crate::ledger::HISTORY;

/// Most rows of one table that one call changes.
const BATCH: u32 = 300;

/// Expires what is due and drops what is history; returns rows changed.
pub(super) async fn tidy(session: &mut Session) -> Result<u64, Fault> {
    let mut changed = entries::expire_due(session, BATCH).await?;
    let horizon = session.now - HISTORY.as_millis() as i64;
    for statement in [statements::DROP_JOBS, statements::DROP_RUNS, statements::DROP_REFUSALS] {
        let query = sqlx::query(statement).bind(horizon).bind(BATCH);
        changed += query.execute(session.connection()).await?.rows_affected();
    }
    Ok(changed)
}
