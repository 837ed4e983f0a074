//! The audit trails, their export, and the workers over the API.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Serialize;

use super::answer::{Problem, json};
use super::bearer::{Caller, NoQuery};
use crate::desk::Desk;
use crate::desk::audit::{behind, exported, listing};
use crate::desk::refusal::Refusal;
use crate::ledger::{TrailRecord, WorkerRecord};

/// A page of a trail.
#[derive(Serialize)]
struct Page {
    records: Vec<TrailRecord>,
    /// For `behind`; nothing where there is nothing more.
    next: Option<String>,
}

/// Workers of the fleet.
#[derive(Serialize)]
struct Fleet {
    workers: Vec<WorkerRecord>,
}

pub(super) async fn list(
    State(desk): State<Arc<Desk>>,
    _: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let listing = listing(&query.unwrap_or_default()).map_err(Refusal::bad)?;
    let page = desk.work()?.ledger.trail(&listing).await?;
    Ok(json(&Page {
        records: page.records,
        next: page.next.map(behind),
    }))
}

/// The same records and those behind them, one JSON object to a line.
pub(super) async fn export(
    State(desk): State<Arc<Desk>>,
    _: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let listing = listing(&query.unwrap_or_default()).map_err(Refusal::bad)?;
    Ok(exported(&desk, listing, "/api/v1/audit/export").await?)
}

pub(super) async fn workers(State(desk): State<Arc<Desk>>, _: Caller, _: NoQuery) -> Result<Response, Problem> {
    let workers = desk.work()?.ledger.workers().await?;
    Ok(json(&Fleet { workers }))
}
