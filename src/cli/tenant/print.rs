//! Tenants for people.

use bytesize::ByteSize;

use super::super::{Failure, show};
use crate::clock;
use crate::ledger::{TenantAuditRecord, TenantSummary};
use crate::tenants::{Standing, Use};

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
    match standing.told(clock::unix_ms()) {
        nothing if nothing.is_empty() => "–".to_owned(),
        told => told,
    }
}

fn used(used: &Use) -> String {
    let bytes = ByteSize(used.bytes);
    format!("{} jobs, {} of CPU, {bytes} fetched", used.jobs, seconds(used.cpu_ms))
}

fn seconds(ms: u64) -> String {
    format!("{}.{:01} s", ms / 1000, ms % 1000 / 100)
}
