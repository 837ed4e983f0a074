//! What is known of tenants, and what operators decide about them: listed, found, blocked, limited, purged. Pages and API both come here.

use serde::Serialize;

use super::Desk;
use super::refusal::{Code, Refusal};
use crate::job::check_name;
use crate::ledger::{Operator, TenantAction, TenantAuditRecord, TenantSummary};
use crate::tenants::{Block, SomeLimits, Standing};

/// Most tenants that are listed.
pub(super) const LISTED: usize = 200;

/// What is done with one press, with the word of its button and what comes of it. A purge has a page of its own.
pub(super) const ACTIONS: [(TenantAction, &str, &str, &str); 5] = [
    (
        TenantAction::Block(Block::Hold),
        "hold",
        "Block: hold",
        "Its jobs wait until it is unblocked.",
    ),
    (
        TenantAction::Block(Block::Refuse),
        "refuse",
        "Block: refuse",
        "Its jobs end refused: tenant-blocked.",
    ),
    (
        TenantAction::Block(Block::Drop),
        "drop",
        "Block: drop",
        "Its messages are taken away without a word.",
    ),
    (
        TenantAction::Unblock,
        "unblock",
        "Unblock",
        "Its jobs that wait are tried at once.",
    ),
    (
        TenantAction::EndProbation,
        "end-probation",
        "End probation",
        "The next upload of it that is convicted may begin another.",
    ),
];

/// Does what an operator decides about a tenant.
pub(super) async fn act(
    desk: &Desk,
    tenant: &str,
    action: &TenantAction,
    operator: &Operator,
) -> Result<Standing, Refusal> {
    named(tenant)?;
    let standing = desk.work()?.ledger.tenant_act(tenant, action, operator).await?;
    tracing::info!(
        who = operator.who,
        action = action.word(),
        tenant,
        "decided at the desk"
    );
    Ok(standing)
}

/// The decision of a word that says it all.
pub(super) fn meant(word: &str) -> Option<TenantAction> {
    let known = ACTIONS.iter().find(|(_, path, ..)| *path == word);
    known
        .map(|(action, ..)| *action)
        .or((word == "unlimit").then_some(TenantAction::Unlimit))
}

/// Limits of which one at least says something.
pub(super) fn some(limits: SomeLimits) -> Result<SomeLimits, String> {
    match limits == SomeLimits::default() {
        true => Err("No field of the limits says anything.".to_owned()),
        false => Ok(limits),
    }
}

fn named(tenant: &str) -> Result<(), Refusal> {
    check_name("tenant", tenant).map_err(|_| Refusal::new(Code::NotFound, "No tenant can have that name."))
}

/// Tenants of whom there is anything to say; the busiest first.
pub(super) async fn busiest(desk: &Desk) -> Result<Vec<TenantSummary>, Refusal> {
    let mut tenants = desk.work()?.ledger.tenant_list().await?;
    tenants.sort_by_key(|tenant| std::cmp::Reverse((tenant.minute.cpu_ms, tenant.waiting, tenant.minute.jobs)));
    Ok(tenants)
}

/// A tenant at a glance, also where there is nothing to see, and its audit trail.
pub(super) async fn found(desk: &Desk, tenant: &str) -> Result<(TenantSummary, Vec<TenantAuditRecord>), Refusal> {
    named(tenant)?;
    let ledger = desk.work()?.ledger;
    let list = ledger.tenant_list().await?;
    let audit = ledger.tenant_audit(tenant).await?;
    let known = list.into_iter().find(|summary| summary.tenant == tenant);
    Ok((known.unwrap_or_else(|| TenantSummary::quiet(tenant)), audit))
}

/// What a purge would give up, as far as it is counted.
#[derive(Serialize)]
pub(super) struct Doomed {
    pub(super) tenant: String,
    /// Jobs in the ledger.
    pub(super) waiting: u64,
    /// Attempts, which end as they will.
    pub(super) running: u64,
    /// Its sideline.
    pub(super) sideline: Option<u8>,
    /// Messages in all sidelines together.
    pub(super) sidelined: u64,
}

/// What a purge would give up now.
pub(super) async fn doomed(desk: &Desk, tenant: &str) -> Result<Doomed, Refusal> {
    let (summary, _) = found(desk, tenant).await?;
    Ok(Doomed {
        tenant: summary.tenant,
        waiting: summary.waiting,
        running: summary.running,
        sideline: summary.sideline,
        sidelined: desk.shown.vitals().gauges.copied().sidelined,
    })
}
