//! Refusals by digest: counted for the entry, and told apart by time and tenant.
//!
//! Entries come first, in the order of their digests: whoever has an entry's row has those of its refusals, too. So no worker waits
//! for more than it did when one number was all that was counted.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use serde::Serialize;

use super::entries::time;
use super::rows::{Cells, json};
use crate::digest::Digest;
use crate::ledger::engine::{Fault, Row, Session, query};
use crate::ledger::{
    REFUSED_DAYS_KEPT, REFUSED_HOURS_KEPT, Refusals, Refused, SentBy, Span, TENANTS_LISTED, TENANTS_TOLD_APART,
};

/// Stands for the tenants that are not told apart; no tenant has this name.
const OTHERS: &str = "";

/// Refusals that are to be counted: by digest, and by tenant.
#[derive(Default)]
pub(super) struct Tally(BTreeMap<String, BTreeMap<String, i64>>);

impl Tally {
    /// One more.
    pub(super) fn add(&mut self, digest: &Digest, tenant: &str) {
        let tenants = self.0.entry(digest.to_string()).or_default();
        *tenants.entry(tenant.to_owned()).or_default() += 1;
    }

    /// What is added to the hours and days of `now`.
    fn steps(&self, now: i64) -> Vec<Step<'_>> {
        let mut steps = Vec::new();
        for (digest, tenants) in &self.0 {
            for (tenant, times) in tenants {
                steps.extend([Span::Day, Span::Month].map(|span| {
                    let step = now.div_euclid(span.step_ms());
                    Step {
                        digest,
                        span: word(span),
                        step,
                        tenant,
                        times: *times,
                        expires: (step + 1) * span.step_ms() + kept_ms(span),
                    }
                }));
            }
        }
        steps
    }
}

/// One row's part of a count.
#[derive(Serialize)]
struct Step<'t> {
    digest: &'t str,
    span: &'static str,
    step: i64,
    tenant: &'t str,
    times: i64,
    /// When its hour, or day, has been over for as long as it is kept.
    expires: i64,
}

/// Counts refusals: how many for the entries, when and whose beside them.
pub(super) async fn count(session: &mut Session, tally: &Tally) -> Result<(), Fault> {
    if tally.0.is_empty() {
        return Ok(());
    }
    for (digest, tenants) in &tally.0 {
        let times: i64 = tenants.values().sum();
        let query = query(session.sql.count_repeats).bind(digest.clone()).bind(times);
        query.execute(session.connection()).await?;
    }
    let query = query(session.sql.count_refusals)
        .bind(json(&tally.steps(session.now))?)
        .bind(session.now)
        .bind(TENANTS_TOLD_APART);
    query.execute(session.connection()).await?;
    Ok(())
}

/// When a digest was refused, and who sent it.
pub(super) async fn find(session: &mut Session, digest: &Digest) -> Result<Refusals, Fault> {
    Ok(Refusals {
        hours: steps(session, digest, Span::Day).await?,
        days: steps(session, digest, Span::Month).await?,
        tenants: tenants(session, digest).await?,
    })
}

async fn steps(session: &mut Session, digest: &Digest, span: Span) -> Result<Vec<Refused>, Fault> {
    let query = query(session.sql.refusals_by_step)
        .bind(digest.to_string())
        .bind(word(span).to_owned())
        .bind(oldest(span, session.now));
    let rows = query.fetch_all(session.connection()).await?;
    let read = |row: &Row| {
        let cells = Cells::of(row, "refusals", "step");
        let (step, times): (i64, i64) = (cells.get("step")?, cells.get("times")?);
        Ok(Refused {
            from: time(step.saturating_mul(span.step_ms())),
            times: times.max(0).unsigned_abs(),
        })
    };
    rows.iter().map(read).collect()
}

async fn tenants(session: &mut Session, digest: &Digest) -> Result<Vec<SentBy>, Fault> {
    let query = query(session.sql.sent_by)
        .bind(digest.to_string())
        .bind(TENANTS_LISTED + 1);
    let rows = query.fetch_all(session.connection()).await?;
    let read = |row: &Row| {
        let cells = Cells::of(row, "refusals", "tenant");
        let tenant: String = cells.get("tenant")?;
        let (attempts, refusals): (i64, i64) = (cells.get("attempts")?, cells.get("refusals")?);
        Ok(SentBy {
            tenant: Some(tenant).filter(|tenant| tenant != OTHERS),
            attempts: attempts.max(0).unsigned_abs(),
            refusals: refusals.max(0).unsigned_abs(),
            last: time(cells.get("last")?),
        })
    };
    let mut sent: Vec<SentBy> = rows.iter().map(read).collect::<Result<_, Fault>>()?;
    // Others come first, so that they are always there; they are told last.
    match sent.first() {
        Some(SentBy { tenant: None, .. }) => sent.rotate_left(1),
        _ => sent.truncate(TENANTS_LISTED as usize),
    }
    Ok(sent)
}

/// The first step that is kept.
fn oldest(span: Span, now: i64) -> i64 {
    (now - kept_ms(span)).div_euclid(span.step_ms())
}

/// How long a step is kept after its end.
fn kept_ms(span: Span) -> i64 {
    let kept = match span {
        Span::Day => REFUSED_HOURS_KEPT,
        Span::Month => REFUSED_DAYS_KEPT,
    };
    kept.as_millis() as i64
}

/// What a step is, as the table has it.
fn word(span: Span) -> &'static str {
    match span {
        Span::Day => "hour",
        Span::Month => "day",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_has_a_row_for_each_tenant_and_span() {
        let (cat, dog) = (Digest::of(b"cat"), Digest::of(b"dog"));
        let mut tally = Tally::default();
        for (digest, tenant) in [(&cat, "acme"), (&cat, "globex"), (&cat, "acme"), (&dog, "acme")] {
            tally.add(digest, tenant);
        }
        let hour = Span::Day.step_ms();
        let steps = tally.steps(49 * hour + 1);
        let of_cat: Vec<_> = steps.iter().filter(|step| step.digest == cat.to_string()).collect();
        let told: Vec<_> = of_cat
            .iter()
            .map(|step| (step.span, step.step, step.tenant, step.times))
            .collect();
        assert_eq!(
            told,
            [
                ("hour", 49, "acme", 2),
                ("day", 2, "acme", 2),
                ("hour", 49, "globex", 1),
                ("day", 2, "globex", 1),
            ]
        );
        // Hour 49 is over with hour 50; day 2 with day 3.
        let expire: Vec<i64> = of_cat.iter().take(2).map(|step| step.expires).collect();
        assert_eq!(expire, [(50 + 48) * hour, (3 + 31) * 24 * hour]);
        assert_eq!(steps.len(), 6);
    }
}
