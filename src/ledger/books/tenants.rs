//! What operators decided about tenants, with its audit trail, and tenants at a glance.

use super::entries::Cause;
use super::rows::{self, json, word};
use crate::ledger::engine::{Fault, Session, query};
use crate::ledger::tenancy::Rouse;
use crate::ledger::{Operator, Revision, TenantAction, TenantAuditRecord, TenantSummary};
use crate::tenants::{PROBATION, Standing};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// Standings that changed after a revision, oldest change first.
pub(super) async fn changed(
    session: &mut Session,
    after: Revision,
) -> Result<Vec<(String, Standing, Revision)>, Fault> {
    let query = query(session.sql.standings_after).bind(after.0);
    let found = query.fetch_all(session.connection()).await?;
    let read = |row| {
        Ok((
            rows::tenant(row)?,
            rows::standing(row)?,
            Revision(row.try_get("revision")?),
        ))
    };
    found.iter().map(read).collect()
}

/// A tenant's standing, where anything was ever decided about it.
pub(super) async fn find(session: &mut Session, tenant: &str) -> Result<Option<Standing>, Fault> {
    let query = query(session.sql.standing).bind(tenant.to_owned());
    let row = query.fetch_optional(session.connection()).await?;
    row.map(|row| rows::standing(&row)).transpose()
}

/// An operator's action.
pub(super) async fn act(
    session: &mut Session,
    tenant: &str,
    action: &TenantAction,
    operator: &Operator,
) -> Result<Standing, Fault> {
    let before = find(session, tenant).await?;
    let after = action.applied_to(before.clone().unwrap_or_default(), session.now.unsigned_abs());
    save(session, tenant, &after).await?;
    let cause = Cause {
        who: &operator.who,
        action: action.word(),
        why: &operator.why,
    };
    add_audit(session, tenant, before.as_ref(), &after, cause).await?;
    if action.rouses() == Rouse::AtOnce {
        let query = query(session.sql.rouse_jobs).bind(tenant.to_owned()).bind(session.now);
        query.execute(session.connection()).await?;
    }
    Ok(after)
}

/// Writes a standing under a new revision.
pub(super) async fn save(session: &mut Session, tenant: &str, standing: &Standing) -> Result<(), Fault> {
    let millis = |time: Option<u64>| time.map(|time| i64::try_from(time).unwrap_or(i64::MAX));
    let query = query(session.sql.save_standing)
        .bind(tenant.to_owned())
        .bind(standing.block.map(|block| word(&block)).transpose()?)
        .bind(json(&standing.limits)?)
        .bind(millis(standing.purged_before_ms))
        .bind(millis(standing.probation_until_ms));
    query.execute(session.connection()).await?;
    Ok(())
}

/// Writes the audit row of a change.
pub(super) async fn add_audit(
    session: &mut Session,
    tenant: &str,
    before: Option<&Standing>,
    after: &Standing,
    cause: Cause<'_>,
) -> Result<(), Fault> {
    let query = query(session.sql.add_tenant_audit)
        .bind(tenant.to_owned())
        .bind(session.now)
        .bind(cause.who.to_owned())
        .bind(cause.action.to_owned())
        .bind(cause.why.to_owned())
        .bind(before.map(json).transpose()?)
        .bind(json(after)?);
    query.execute(session.connection()).await?;
    Ok(())
}

/// A tenant's audit trail, oldest first.
pub(super) async fn audit(session: &mut Session, tenant: &str) -> Result<Vec<TenantAuditRecord>, Fault> {
    let query = query(session.sql.tenant_audit).bind(tenant.to_owned());
    let found = query.fetch_all(session.connection()).await?;
    found.iter().map(rows::tenant_audit_record).collect()
}

/// Tenants of whom there is anything to say, by name.
pub(super) async fn list(session: &mut Session) -> Result<Vec<TenantSummary>, Fault> {
    let now = session.now;
    let query = query(session.sql.tenants)
        .bind(now)
        .bind(minute(now))
        .bind(day(now))
        .bind(now - PROBATION.as_millis() as i64);
    let found = query.fetch_all(session.connection()).await?;
    found.iter().map(rows::tenant_summary).collect()
}

/// The minute of a time, since 1970.
pub(super) fn minute(now: i64) -> i64 {
    now.div_euclid(MINUTE_MS)
}

/// The day of a time (UTC), since 1970.
pub(super) fn day(now: i64) -> i64 {
    now.div_euclid(DAY_MS)
}
