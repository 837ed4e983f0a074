//! Tenants over the API: list, one, decisions, what a purge would give up, and the purge.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::answer::{Problem, json};
use super::bearer::{Caller, NoQuery};
use super::body::{Body, Named};
use crate::desk::Desk;
use crate::desk::refusal::Refusal;
use crate::desk::tenancy::{LISTED, act, busiest, doomed, found, meant, some};
use crate::ledger::{TenantAction, TenantAuditRecord, TenantSummary};
use crate::tenants::{SomeLimits, Standing};

/// The busiest ones.
#[derive(Serialize)]
struct Page<'a> {
    tenants: &'a [TenantSummary],
    /// How many there are in all.
    count: usize,
}

/// A tenant with its audit trail.
#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    summary: TenantSummary,
    audit: Vec<TenantAuditRecord>,
}

/// What was decided about a tenant.
#[derive(Serialize)]
struct Decided {
    tenant: String,
    standing: Standing,
}

/// What may be decided.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    decision: String,
    limits: Option<SomeLimits>,
    #[serde(default)]
    why: String,
}

/// Why a purge is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    #[serde(default)]
    why: String,
}

pub(super) async fn list(State(desk): State<Arc<Desk>>, _: Caller, _: NoQuery) -> Result<Response, Problem> {
    let tenants = busiest(&desk).await?;
    Ok(json(&Page {
        tenants: tenants.get(..LISTED).unwrap_or(&tenants),
        count: tenants.len(),
    }))
}

pub(super) async fn show(
    State(desk): State<Arc<Desk>>,
    _: Caller,
    _: NoQuery,
    Named(tenant): Named,
) -> Result<Response, Problem> {
    let (summary, audit) = found(&desk, &tenant).await?;
    Ok(json(&Whole { summary, audit }))
}

/// Blocks, unblocks, limits; a purge has a route of its own, as it has a page.
pub(super) async fn decide(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    _: NoQuery,
    Named(tenant): Named,
    Body(wish): Body<Wish>,
) -> Result<Response, Problem> {
    let operator = caller.decides(&wish.why)?;
    let action = match (wish.decision.as_str(), wish.limits) {
        ("limit", Some(limits)) => TenantAction::Limit(some(limits).map_err(Refusal::bad)?),
        ("limit", None) => return Err(Refusal::bad("A limit needs `limits`.").into()),
        (_, Some(_)) => return Err(Refusal::bad("`limits` go with the decision `limit` alone.").into()),
        (word, None) => meant(word).ok_or_else(|| {
            Refusal::bad("`decision` is one of hold, refuse, drop, unblock, end-probation, limit, unlimit.")
        })?,
    };
    let standing = act(&desk, &tenant, &action, &operator).await?;
    Ok(json(&Decided { tenant, standing }))
}

pub(super) async fn preview(
    State(desk): State<Arc<Desk>>,
    _: Caller,
    _: NoQuery,
    Named(tenant): Named,
) -> Result<Response, Problem> {
    Ok(json(&doomed(&desk, &tenant).await?))
}

/// Gives up what was previewed, and what has come since.
pub(super) async fn purge(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    _: NoQuery,
    Named(tenant): Named,
    Body(reason): Body<Reason>,
) -> Result<Response, Problem> {
    let operator = caller.decides(&reason.why)?;
    let standing = act(&desk, &tenant, &TenantAction::Purge, &operator).await?;
    Ok(json(&Decided { tenant, standing }))
}
