//! Tenants for people.

use std::fmt::Display;

use bytesize::ByteSize;
use chrono::DateTime;

use super::super::{Failure, show};
use crate::clock;
use crate::ledger::{TenantAuditRecord, TenantSummary};
use crate::tenants::{SomeLimits, Standing, Use};

/// A table of tenants.
pub(super) fn list(tenants: &[TenantSummary]) -> Result<(), Failure> {
    let columns = [
        "tenant",
        "sideline",
        "waiting",
        "running",
        "jobs/min",
        "cpu/min",
        "bytes/day",
        "convicted",
        "decided",
    ];
    let mut table = show::table(&columns);
    for tenant in tenants {
        table.add_row([
            show::harmless(&tenant.tenant, 40),
            tenant.sideline.map_or("–".to_owned(), |line| format!("{line:02}")),
            tenant.waiting.to_string(),
            tenant.running.to_string(),
            tenant.minute.jobs.to_string(),
            seconds(tenant.minute.cpu_ms),
            ByteSize(tenant.day.bytes).to_string(),
            tenant.convictions.to_string(),
            standing(&tenant.standing),
        ]);
    }
    show::print(&table)
}

/// All about one tenant.
pub(super) fn one(summary: &TenantSummary, audit: &[TenantAuditRecord]) {
    println!("{}", show::harmless(&summary.tenant, 200));
    println!("  decided   {}", standing(&summary.standing));
    println!("  waiting   {} in the ledger", summary.waiting);
    let sideline = summary.sideline.map(|line| line.to_string());
    println!("  sideline  {}", sideline.as_deref().unwrap_or("none"));
    println!("  running   {}", summary.running);
    println!("  minute    {}", used(&summary.minute));
    println!("  day       {}", used(&summary.day));
    println!("  convicted {} of its uploads within an hour", summary.convictions);
    println!("\nAudit");
    for record in audit {
        println!(
            "  {}  {} by {}: {} → {}  {}",
            show::moment(record.at),
            show::harmless(&record.action, 40),
            show::harmless(&record.who, 40),
            record.before.as_ref().map_or("–".to_owned(), standing),
            standing(&record.after),
            show::harmless(&record.why, 200)
        );
    }
}

/// What was decided about a tenant, in one cell.
pub(super) fn standing(standing: &Standing) -> String {
    let on_probation = standing.probation_until_ms.filter(|until| *until > clock::unix_ms());
    let said = [
        standing.block.map(|block| format!("blocked ({})", show::word(&block))),
        standing
            .purged_before_ms
            .map(|at| format!("purged before {}", moment(at))),
        on_probation.map(|until| format!("on probation until {}", moment(until))),
        limits(&standing.limits),
    ];
    match said.into_iter().flatten().collect::<Vec<_>>() {
        nothing if nothing.is_empty() => "–".to_owned(),
        said => said.join(", "),
    }
}

fn limits(limits: &SomeLimits) -> Option<String> {
    let said = [
        named("jobs/min", limits.jobs_per_minute),
        named("CPU s/min", limits.cpu_seconds_per_minute),
        named("bytes/day", limits.bytes_per_day),
        named("in flight", limits.in_flight),
        named("queued", limits.queued),
        named("over", limits.over.map(|over| show::word(&over))),
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn named(name: &str, limit: Option<impl Display>) -> Option<String> {
    limit.map(|limit| format!("{name} {limit}"))
}

fn used(used: &Use) -> String {
    let bytes = ByteSize(used.bytes);
    format!("{} jobs, {} of CPU, {bytes} fetched", used.jobs, seconds(used.cpu_ms))
}

fn seconds(ms: u64) -> String {
    format!("{}.{:01} s", ms / 1000, ms % 1000 / 100)
}

fn moment(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(DateTime::from_timestamp_millis);
    at.map_or("ever".to_owned(), show::moment)
}
