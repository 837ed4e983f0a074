//! Which tenant waits in which sideline.

use super::rows;
use crate::ledger::SIDELINE_LEASE;
use crate::ledger::engine::{Fault, Session, query};

const LEASE_MS: i64 = SIDELINE_LEASE.as_millis() as i64;

/// The tenant's own line, renewed; or the free one that was anybody's longest ago.
pub(super) async fn lease(session: &mut Session, tenant: &str, lines: u8) -> Result<Option<u8>, Fault> {
    let Some(line) = choose(session, tenant, lines).await? else {
        return Ok(None);
    };
    // A line beyond those that there are now is given up.
    let leave = query(session.sql.leave_sideline).bind(tenant.to_owned()).bind(line);
    leave.execute(session.connection()).await?;
    let take = query(session.sql.take_sideline)
        .bind(line)
        .bind(tenant.to_owned())
        .bind(session.now + LEASE_MS);
    take.execute(session.connection()).await?;
    Ok(Some(line))
}

async fn choose(session: &mut Session, tenant: &str, lines: u8) -> Result<Option<u8>, Fault> {
    let query = query(session.sql.sidelines).bind(lines);
    let found = query.fetch_all(session.connection()).await?;
    let mut leases: Vec<Option<i64>> = vec![None; usize::from(lines)];
    for row in &found {
        let (line, owner) = rows::sideline(row)?;
        if owner == tenant {
            return Ok(Some(line));
        }
        if let Some(lease) = leases.get_mut(usize::from(line)) {
            *lease = Some(row.try_get("until")?);
        }
    }
    let free = (0..lines).zip(leases);
    let free = free.filter(|(_, until)| until.is_none_or(|until| until <= session.now));
    Ok(free.min_by_key(|(line, until)| (*until, *line)).map(|(line, _)| line))
}

/// Renews leases of lines that are not empty.
pub(super) async fn keep(session: &mut Session, lines: &[u8]) -> Result<(), Fault> {
    for line in lines {
        let query = query(session.sql.keep_sideline)
            .bind(*line)
            .bind(session.now + LEASE_MS);
        query.execute(session.connection()).await?;
    }
    Ok(())
}

/// Lines that are leased now.
pub(super) async fn leased(session: &mut Session) -> Result<Vec<(u8, String)>, Fault> {
    let query = query(session.sql.sidelines_leased).bind(session.now);
    let found = query.fetch_all(session.connection()).await?;
    found.iter().map(rows::sideline).collect()
}
