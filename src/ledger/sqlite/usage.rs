//! What tenants used: added by worker after worker, read as the fleet's total.

use super::fault::Fault;
use super::rows;
use super::session::Session;
use super::{statements, tenants};
use crate::tenants::Use;

/// Most that one charge adds: sums of such numbers fit a column, whatever a caller says.
const MOST: u64 = 1 << 50;

/// The fleet's totals of this minute and this day.
pub(super) async fn totals(session: &mut Session, used: &[(String, Use)]) -> Result<Vec<(String, Use, Use)>, Fault> {
    let mut totals = Vec::with_capacity(used.len());
    for (tenant, _) in used {
        let minute = total(session, statements::USE_OF_MINUTE, tenant, tenants::minute(session.now)).await?;
        let day = total(session, statements::USE_OF_DAY, tenant, tenants::day(session.now)).await?;
        totals.push((tenant.clone(), minute, day));
    }
    Ok(totals)
}

/// Adds what was used; returns the totals after it.
pub(super) async fn charge(session: &mut Session, used: &[(String, Use)]) -> Result<Vec<(String, Use, Use)>, Fault> {
    for (tenant, of_tenant) in used.iter().filter(|(_, of_tenant)| *of_tenant != Use::default()) {
        let (minute, day) = (tenants::minute(session.now), tenants::day(session.now));
        add(session, statements::CHARGE_MINUTE, tenant, minute, of_tenant).await?;
        add(session, statements::CHARGE_DAY, tenant, day, of_tenant).await?;
    }
    totals(session, used).await
}

async fn total(session: &mut Session, statement: &'static str, tenant: &str, time: i64) -> Result<Use, Fault> {
    let query = sqlx::query(statement).bind(tenant.to_owned()).bind(time);
    let row = query.fetch_optional(session.connection()).await?;
    row.map_or(Ok(Use::default()), |row| rows::used(&row))
}

async fn add(session: &mut Session, statement: &'static str, tenant: &str, time: i64, used: &Use) -> Result<(), Fault> {
    let column = |amount: u64| amount.min(MOST) as i64;
    let query = sqlx::query(statement)
        .bind(tenant.to_owned())
        .bind(time)
        .bind(column(used.jobs))
        .bind(column(used.cpu_ms))
        .bind(column(used.bytes));
    query.execute(session.connection()).await?;
    Ok(())
}
