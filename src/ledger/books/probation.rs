//! A tenant whose uploads are convicted one after another is put on probation, in the transaction that convicts.

use super::entries::Cause;
use super::tenants;
use crate::digest::Digest;
use crate::ledger::engine::{Fault, Lock, Session, query};
use crate::tenants::{PROBATION, PROBATION_CONVICTIONS};

const PROBATION_MS: i64 = PROBATION.as_millis() as i64;

/// Notes that an upload was convicted, which `tenant` was first to send, and what follows for that tenant.
pub(super) async fn convicted(session: &mut Session, digest: &Digest, tenant: &str) -> Result<(), Fault> {
    session.lock(&[Lock::Standings]).await?;
    let now = session.now;
    let mark = query(session.sql.mark_convicted).bind(digest.to_string()).bind(now);
    mark.execute(session.connection()).await?;

    let before = tenants::find(session, tenant).await?;
    let mut after = before.clone().unwrap_or_default();
    let on_probation = after.probation_until_ms.is_some_and(|until| until > now.unsigned_abs());
    after.probation_until_ms = Some((now + PROBATION_MS).unsigned_abs());
    if on_probation {
        return tenants::save(session, tenant, &after).await;
    }
    let convictions = count(session, tenant).await?;
    if convictions <= PROBATION_CONVICTIONS {
        return Ok(());
    }
    let why = format!("{convictions} of its uploads were convicted within an hour");
    tenants::save(session, tenant, &after).await?;
    tenants::add_audit(session, tenant, before.as_ref(), &after, Cause::rule("probation", &why)).await
}

async fn count(session: &mut Session, tenant: &str) -> Result<u64, Fault> {
    let query = query(session.sql.convictions_of)
        .bind(tenant.to_owned())
        .bind(session.now - PROBATION_MS);
    let convictions: i64 = query.fetch_one(session.connection()).await?.try_get("convictions")?;
    Ok(convictions.unsigned_abs())
}
