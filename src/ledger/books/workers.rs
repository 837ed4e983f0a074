//! Workers and their leases; what becomes of the attempts and jobs of a worker that is gone.

use serde_json::json;

use super::charge::{self, Charge};
use super::rows::{self, Run};
use super::{entries, settle};
use crate::blame::{self, Judgement, Scope};
use crate::ledger::engine::{Fault, Session, query};
use crate::ledger::{LEASE, Lease, Looks, Lost, Renews, WorkerId};
use crate::quarantine::Gate;
use crate::sandbox::layers::LayerReport;
use crate::sandbox::outcome::Usage;
use crate::verdict::Reason;

const LEASE_MS: i64 = LEASE.as_millis() as i64;

pub(super) async fn sign_on(
    session: &mut Session,
    worker: &WorkerId,
    host: &str,
    build: &str,
    layers: &[LayerReport],
) -> Result<(), Fault> {
    let layers = (!layers.is_empty()).then(|| rows::json(&layers)).transpose()?;
    let query = query(session.sql.sign_on)
        .bind(worker.0.clone())
        .bind(host.to_owned())
        .bind(build.to_owned())
        .bind(layers)
        .bind(session.now)
        .bind(session.now + LEASE_MS);
    query.execute(session.connection()).await?;
    Ok(())
}

/// Renews a lease. A worker that was taken for lost learns it here, and must not go on under its name.
pub(super) async fn heartbeat(session: &mut Session, worker: &WorkerId) -> Result<Lease, Fault> {
    let until_ms = session.now + LEASE_MS;
    let before = lease(session, worker).await?;
    let query = query(session.sql.renew_lease).bind(worker.0.clone()).bind(until_ms);
    match (before, query.execute(session.connection()).await?) {
        (Some(before_ms), 1..) => Ok(Lease { before_ms, until_ms }),
        _ => Err(not_signed_on(worker)),
    }
}

/// Until when a worker is believed alive; none where it is not signed on.
async fn lease(session: &mut Session, worker: &WorkerId) -> Result<Option<i64>, Fault> {
    let query = query(session.sql.lease).bind(worker.0.clone());
    let row = query.fetch_optional(session.connection()).await?;
    Ok(row.map(|row| row.try_get("lease")).transpose()?)
}

/// A worker without a lease could never be found lost: it starts nothing.
pub(super) async fn must_be_signed_on(session: &mut Session, worker: &WorkerId) -> Result<(), Fault> {
    match is_signed_on(session, worker).await? {
        false => Err(not_signed_on(worker)),
        true => Ok(()),
    }
}

pub(super) async fn is_signed_on(session: &mut Session, worker: &WorkerId) -> Result<bool, Fault> {
    let query = query(session.sql.is_signed_on).bind(worker.0.clone());
    Ok(query.fetch_optional(session.connection()).await?.is_some())
}

fn not_signed_on(worker: &WorkerId) -> Fault {
    Fault::Request(format!(
        "worker {} is not signed on, or was taken for lost: start it again under a new name",
        worker.0
    ))
}

/// Ends a worker that says it runs nothing: attempts it forgot are released, its jobs are free.
pub(super) async fn sign_off(session: &mut Session, worker: &WorkerId) -> Result<(), Fault> {
    let _ = running(session, worker).await?;
    let query = query(session.sql.release_runs).bind(worker.0.clone()).bind(session.now);
    query.execute(session.connection()).await?;
    leave(session, worker).await
}

/// Ends a worker that is gone without a word: judges its attempts, frees its jobs.
pub(super) async fn bury(session: &mut Session, worker: &WorkerId) -> Result<Vec<Lost>, Fault> {
    let runs = running(session, worker).await?;
    let mut lost = Vec::with_capacity(runs.len());
    for run in &runs {
        let alone = run.gate == Gate::Solo && runs.len() == 1;
        let judgement = if is_renewed(session, run).await? {
            lose_renewal(session, run).await?
        } else if alone {
            lose_alone(session, run).await?
        } else {
            lose_in_company(session, run).await?
        };
        settle::end_run(session, run, "lost", judgement, &Usage::default()).await?;
        lost.push(Lost {
            digest: run.digest,
            attempt: run.id,
            judgement,
        });
    }
    leave(session, worker).await?;
    Ok(lost)
}

/// The attempts of a worker that records no more, by digest, and all that is known of these locked.
async fn running(session: &mut Session, worker: &WorkerId) -> Result<Vec<Run>, Fault> {
    let seen = runs_of(session, worker).await?;
    entries::lock(session, seen.iter().map(|run| &run.digest)).await?;
    // Some may have ended while the locks were waited for.
    let mut runs = runs_of(session, worker).await?;
    runs.sort_by_key(|run| run.digest);
    Ok(runs)
}

/// The attempts of a worker, oldest first.
pub(super) async fn runs_of(session: &mut Session, worker: &WorkerId) -> Result<Vec<Run>, Fault> {
    let query = query(session.sql.runs_of_worker).bind(worker.0.clone());
    let found = query.fetch_all(session.connection()).await?;
    found.iter().map(rows::run).collect()
}

/// Workers whose lease is over, but those that are known to live.
pub(super) async fn expired(session: &mut Session, living: &[WorkerId]) -> Result<Vec<WorkerId>, Fault> {
    let query = query(session.sql.leases_over).bind(session.now);
    let found = query.fetch_all(session.connection()).await?;
    let mut workers = Vec::with_capacity(found.len());
    for row in &found {
        workers.push(WorkerId(row.try_get("worker")?));
    }
    workers.retain(|worker| !living.contains(worker));
    Ok(workers)
}

/// Buries a worker; none where it has renewed its lease, where somebody else was faster, or where the lease of who buries does not hold either.
pub(super) async fn bury_expired(
    session: &mut Session,
    by: &WorkerId,
    worker: &WorkerId,
) -> Result<Option<Vec<Lost>>, Fault> {
    if lease(session, by).await?.is_none_or(|until| until <= session.now) {
        return Ok(None);
    }
    let query = query(session.sql.is_lease_over)
        .bind(worker.0.clone())
        .bind(session.now);
    match query.fetch_optional(session.connection()).await? {
        Some(_) => bury(session, worker).await.map(Some),
        None => Ok(None),
    }
}

async fn leave(session: &mut Session, worker: &WorkerId) -> Result<(), Fault> {
    let free = query(session.sql.free_jobs).bind(worker.0.clone()).bind(session.now);
    free.execute(session.connection()).await?;
    query(session.sql.sign_off)
        .bind(worker.0.clone())
        .execute(session.connection())
        .await?;
    Ok(())
}

/// Nothing ran beside it: the loss counts.
async fn lose_alone(session: &mut Session, run: &Run) -> Result<Judgement, Fault> {
    let earlier = settle::counted_strikes(session, run).await?;
    let judgement = blame::judge_solo_loss(&earlier);
    charge::press(session, run, judgement, &loss(run, "alone")).await?;
    Ok(judgement)
}

/// Whether the run tries a verdict again that still stands as it was.
async fn is_renewed(session: &mut Session, run: &Run) -> Result<bool, Fault> {
    if run.renews != Some(Renews::Entry) {
        return Ok(false);
    }
    let entry = entries::current(session, &run.digest).await?;
    Ok(entry.is_some_and(|entry| run.renews_as_it_is(&entry)))
}

/// It was in quarantine and stays there, whatever ran beside it: a strike, so that its epoch does not try it again.
async fn lose_renewal(session: &mut Session, run: &Run) -> Result<Judgement, Fault> {
    let judgement = Judgement::Strike(Reason::WorkerLoss);
    charge::press(session, run, judgement, &loss(run, "to renew its verdict")).await?;
    Ok(judgement)
}

/// Any of those that ran may have done it: all are suspected, none is struck.
async fn lose_in_company(session: &mut Session, run: &Run) -> Result<Judgement, Fault> {
    if run.gate != Gate::Vouched {
        charge::suspect(session, run, &loss(run, "with others")).await?;
    }
    Ok(Judgement::Retry)
}

fn loss(run: &Run, company: &str) -> Charge {
    let worker = &run.worker.0;
    Charge {
        reason: Reason::WorkerLoss,
        scope: Scope::Upload,
        detail: format!("worker {worker} was lost while it ran this {company}"),
        looks: Looks::default(),
        specimen: None,
        evidence: json!({ "lost_worker": worker, "ran": company, "started": run.started }),
    }
}
