//! What tenants used: added by worker after worker, read as the fleet's total.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::rows::{self, json};
use super::tenants;
use crate::ledger::engine::{Fault, Session, query};
use crate::tenants::Use;

/// Most that one charge adds: sums of such numbers fit a column, whatever a caller says.
const MOST: u64 = 1 << 50;

/// The fleet's totals of this minute and this day.
pub(super) async fn totals(session: &mut Session, used: &[(String, Use)]) -> Result<Vec<(String, Use, Use)>, Fault> {
    let names: Vec<&str> = used.iter().map(|(tenant, _)| tenant.as_str()).collect();
    let names = json(&names)?;
    let (minute, day) = (tenants::minute(session.now), tenants::day(session.now));
    let minutes = total(session, session.sql.use_of_minute, &names, minute).await?;
    let days = total(session, session.sql.use_of_day, &names, day).await?;
    let of = |totals: &HashMap<String, Use>, tenant| totals.get(tenant).copied().unwrap_or_default();
    let totals = used
        .iter()
        .map(|(tenant, _)| (tenant.clone(), of(&minutes, tenant), of(&days, tenant)));
    Ok(totals.collect())
}

/// Adds what was used; returns the totals after it.
pub(super) async fn charge(session: &mut Session, used: &[(String, Use)]) -> Result<Vec<(String, Use, Use)>, Fault> {
    let charges = json(&charges(used))?;
    let (minute, day) = (tenants::minute(session.now), tenants::day(session.now));
    for (statement, time) in [(session.sql.charge_minutes, minute), (session.sql.charge_days, day)] {
        let query = query(statement).bind(charges.clone()).bind(time);
        query.execute(session.connection()).await?;
    }
    totals(session, used).await
}

#[derive(Serialize)]
struct Charge<'u> {
    tenant: &'u str,
    jobs: u64,
    cpu_ms: u64,
    bytes: u64,
}

/// One charge for each tenant that used anything, by name.
fn charges(used: &[(String, Use)]) -> Vec<Charge<'_>> {
    let mut sums: BTreeMap<&str, Use> = BTreeMap::new();
    for (tenant, more) in used.iter().filter(|(_, of_tenant)| *of_tenant != Use::default()) {
        let sum = sums.entry(tenant).or_default();
        sum.jobs = sum.jobs.saturating_add(more.jobs);
        sum.cpu_ms = sum.cpu_ms.saturating_add(more.cpu_ms);
        sum.bytes = sum.bytes.saturating_add(more.bytes);
    }
    let charge = |(tenant, sum): (_, Use)| Charge {
        tenant,
        jobs: sum.jobs.min(MOST),
        cpu_ms: sum.cpu_ms.min(MOST),
        bytes: sum.bytes.min(MOST),
    };
    sums.into_iter().map(charge).collect()
}

async fn total(
    session: &mut Session,
    statement: &'static str,
    names: &str,
    time: i64,
) -> Result<HashMap<String, Use>, Fault> {
    let query = query(statement).bind(names.to_owned()).bind(time);
    let found = query.fetch_all(session.connection()).await?;
    let read = |row| Ok((rows::tenant(row)?, rows::used(row)?));
    found.iter().map(read).collect()
}
