//! Whether a digest may run: entry first, then what is remembered, then what is running, then the rule for running alone. What was decided under
//! another epoch is the answer, too, but for the few that may be renewed at a time.

use std::time::Duration;

use super::refusals::{self, Tally};
use super::rows::{self, Memory, gate_word};
use super::{entries, settle, workers};
use crate::digest::Digest;
use crate::ledger::engine::{Fault, Lock, Session, Statements, Wire, query};
use crate::ledger::renewal::{self, Room, Worth};
use crate::ledger::{Attempt, AttemptId, Claim, Claimed, Entry, Known, Renews, WorkerId};
use crate::quarantine::Gate;
use crate::recipe::RecipeKey;

/// Longest name that is kept, in characters.
const NAME: usize = 512;

/// The answer that needs no attempt, where there is one. A refusal is not counted here.
pub(super) async fn look(session: &mut Session, claim: &Claim) -> Result<Option<Claimed>, Fault> {
    let entry = entries::find(session, &claim.digest).await?;
    Ok(match decide(session, claim, entry.as_ref()).await? {
        Decision::Known(known) => Some(Claimed::Known(known)),
        Decision::Busy => Some(Claimed::Busy),
        Decision::Full => Some(Claimed::TenantFull),
        Decision::Alone => Some(Claimed::MustBeAlone),
        Decision::Closed => entry.map(|entry| Claimed::Listed(Box::new(entry))),
        Decision::Free(..) => None,
    })
}

/// What nobody else may decide about while a claim is decided.
pub(super) fn locks(claim: &Claim) -> Vec<Lock> {
    let mut locks = vec![Lock::works(&claim.worker), Lock::digest(&claim.digest)];
    locks.extend(claim.most_in_flight.map(|_| Lock::tenant(&claim.tenant)));
    locks
}

/// Decides again, where nobody else can come between, and records the repeat or the attempt.
pub(super) async fn claim(session: &mut Session, claim: &Claim) -> Result<Claimed, Fault> {
    let stored = entries::stored(session, &claim.digest).await?;
    let entry = stored.clone().map(|entry| entries::as_of(entry, session.now));
    if gate(entry.as_ref(), &claim.recipe) == Gate::Solo {
        session.lock(&[Lock::Solo]).await?;
    }
    let mut decision = decide(session, claim, entry.as_ref()).await?;
    if let Decision::Free(_, Some(_)) = decision {
        // Whoever begins one is waited for: its own counts.
        session.lock(&[Lock::Renewals]).await?;
        decision = decide(session, claim, entry.as_ref()).await?;
    }
    // Rows come after all locks.
    let entry = match stored {
        Some(entry) => Some(entries::brought_up(session, entry).await?),
        None => None,
    };
    match (decision, entry) {
        (Decision::Closed, Some(entry)) => {
            let entry = count_repeat(session, entry, &claim.tenant).await?;
            Ok(Claimed::Listed(Box::new(entry)))
        }
        (Decision::Known(known), _) => Ok(Claimed::Known(known)),
        (Decision::Full, _) => Ok(Claimed::TenantFull),
        (Decision::Alone, _) => Ok(Claimed::MustBeAlone),
        (Decision::Free(gate, renews), entry) => {
            let raised = entry.and_then(|entry| entry.raised);
            let id = start(session, claim, gate, renews).await?;
            Ok(Claimed::Run(Attempt {
                id,
                digest: claim.digest,
                started_ms: session.now,
                gate,
                raised,
                renews,
            }))
        }
        (Decision::Busy | Decision::Closed, _) => Ok(Claimed::Busy),
    }
}

/// The entry that refuses a claim, where there is one.
pub(super) async fn refused(session: &mut Session, claim: &Claim) -> Result<Option<Entry>, Fault> {
    let entry = entries::find(session, &claim.digest).await?;
    match refuses(session, claim, entry.as_ref()).await? {
        true => Ok(entry),
        false => Ok(None),
    }
}

/// Whether an entry refuses a claim. One that may be renewed now does not.
pub(super) async fn refuses(session: &mut Session, claim: &Claim, entry: Option<&Entry>) -> Result<bool, Fault> {
    let closed = gate(entry, &claim.recipe) == Gate::Closed;
    Ok(closed && matches!(decide(session, claim, entry).await?, Decision::Closed))
}

/// What a look tells of a job with a claimed digest.
#[must_use]
pub(super) enum Look {
    Nothing,
    /// The job is known.
    Job,
    /// Its digest is listed, at least for some recipe.
    Listed,
}

/// A look outside of any transaction.
pub(super) async fn by_claim(on: &mut dyn Wire, sql: &Statements, job: &str, claimed: &Digest) -> Result<Look, Fault> {
    let query = query(sql.by_claim).bind(job.to_owned()).bind(claimed.to_string());
    let row = query.fetch_one(on).await?;
    Ok(match (row.try_get("known")?, row.try_get("listed")?) {
        (true, _) => Look::Job,
        (false, true) => Look::Listed,
        (false, false) => Look::Nothing,
    })
}

enum Decision {
    Closed,
    Known(Box<Known>),
    Busy,
    Full,
    Alone,
    Free(Gate, Option<Renews>),
}

/// What was decided before, as an answer.
enum Before {
    Nothing,
    /// It holds, or nobody may try it again now.
    Holds(Decision),
    /// It may be tried again.
    Old(Renews, Decision),
}

async fn decide(session: &mut Session, claim: &Claim, entry: Option<&Entry>) -> Result<Decision, Fault> {
    let gate = gate(entry, &claim.recipe);
    let before = match (gate, entry) {
        (Gate::Closed, Some(entry)) => listed(session, claim, entry).await?,
        _ => remembered(session, claim).await?,
    };
    match before {
        Before::Holds(answer) => Ok(answer),
        Before::Nothing => may_run(session, claim, gate, None).await,
        Before::Old(renews, answer) => {
            // What is closed runs as a newcomer does. Nobody waits for a renewal but the job that begins it.
            let gate = if gate == Gate::Closed { Gate::Open } else { gate };
            match may_run(session, claim, gate, Some(renews)).await? {
                Decision::Busy | Decision::Full => Ok(answer),
                decision => Ok(decision),
            }
        }
    }
}

/// What may be done about a digest of which nothing is known that holds.
async fn may_run(session: &mut Session, claim: &Claim, gate: Gate, renews: Option<Renews>) -> Result<Decision, Fault> {
    let running = query(session.sql.is_running).bind(claim.digest.to_string());
    if running.fetch_optional(session.connection()).await?.is_some() {
        return Ok(Decision::Busy);
    }
    let solo = query(session.sql.is_solo_running);
    if gate == Gate::Solo && solo.fetch_optional(session.connection()).await?.is_some() {
        return Ok(Decision::Busy);
    }
    // Before the worker clears its room for a suspect in vain.
    if tenant_is_full(session, claim).await? {
        return Ok(Decision::Full);
    }
    if gate == Gate::Solo && !claim.alone {
        return Ok(Decision::Alone);
    }
    Ok(Decision::Free(gate, renews))
}

async fn tenant_is_full(session: &mut Session, claim: &Claim) -> Result<bool, Fault> {
    let Some(most) = claim.most_in_flight else {
        return Ok(false);
    };
    let query = query(session.sql.runs_of_tenant).bind(claim.tenant.clone());
    let running: i64 = query.fetch_one(session.connection()).await?.try_get("running")?;
    Ok(running >= i64::from(most))
}

/// Whether an upload with this entry may run with the recipe that is asked for.
fn gate(entry: Option<&Entry>, asked: &RecipeKey) -> Gate {
    entry.map_or(Gate::Open, |entry| {
        entry.state.gate(entry.scope, entry.recipe.as_ref(), asked)
    })
}

/// What an entry that closes its digest is worth.
async fn listed(session: &mut Session, claim: &Claim, entry: &Entry) -> Result<Before, Fault> {
    // What costs nothing first: a flood of repeats comes by here.
    let may_be_old = renewal::of_entry(entry, &claim.epoch, 0) == Worth::Old;
    if !may_be_old || room(session, claim).await? == Room::Full {
        return Ok(Before::Holds(Decision::Closed));
    }
    let strikes = settle::strikes_under(session, &claim.digest, &claim.epoch).await?;
    Ok(match renewal::of_entry(entry, &claim.epoch, strikes.len()) {
        Worth::Old => Before::Old(Renews::Entry, Decision::Closed),
        Worth::Holds | Worth::Nothing => Before::Holds(Decision::Closed),
    })
}

/// What is remembered of a digest and a recipe, and what that is worth.
async fn remembered(session: &mut Session, claim: &Claim) -> Result<Before, Fault> {
    let query = query(session.sql.result)
        .bind(claim.digest.to_string())
        .bind(claim.recipe.0.clone());
    let row = query.fetch_optional(session.connection()).await?;
    let Some(Memory { known, epoch, at }) = row.map(|row| rows::memory(&row)).transpose()? else {
        return Ok(Before::Nothing);
    };
    let age = Duration::from_millis(session.now.saturating_sub(at).max(0).unsigned_abs());
    let worth = renewal::of_result(known.status, &epoch, &claim.epoch, age);
    let known = Decision::Known(Box::new(known));
    Ok(match worth {
        Worth::Nothing => Before::Nothing,
        Worth::Holds => Before::Holds(known),
        Worth::Old => match room(session, claim).await? {
            Room::Free => Before::Old(Renews::Result, known),
            Room::Full => Before::Holds(known),
        },
    })
}

/// Whether one more renewal may run in the fleet. It is only sure under [`Lock::Renewals`].
async fn room(session: &mut Session, claim: &Claim) -> Result<Room, Fault> {
    if claim.renewals == 0 {
        return Ok(Room::Full);
    }
    // More than that need not be counted.
    let query = query(session.sql.renewals_running).bind(i64::from(claim.renewals));
    let row = query.fetch_one(session.connection()).await?;
    let running: i64 = row.try_get("running")?;
    Ok(renewal::room(claim.renewals, running.max(0).unsigned_abs()))
}

/// Releases what is recorded as running on a digest for a worker that does not run it.
pub(super) async fn disown(
    session: &mut Session,
    worker: &WorkerId,
    digest: &Digest,
) -> Result<Option<AttemptId>, Fault> {
    let query = query(session.sql.disown)
        .bind(digest.to_string())
        .bind(worker.0.clone())
        .bind(session.now);
    let row = query.fetch_optional(session.connection()).await?;
    row.map(|row| Ok(AttemptId(row.try_get("id")?))).transpose()
}

/// Drops what is remembered of a digest and a recipe.
pub(super) async fn forget(session: &mut Session, digest: &Digest, recipe: &RecipeKey) -> Result<(), Fault> {
    let query = query(session.sql.forget)
        .bind(digest.to_string())
        .bind(recipe.0.clone());
    query.execute(session.connection()).await?;
    Ok(())
}

/// Counts one more refusal by digest.
async fn count_repeat(session: &mut Session, mut entry: Entry, tenant: &str) -> Result<Entry, Fault> {
    let mut tally = Tally::default();
    tally.add(&entry.digest, tenant);
    refusals::count(session, &tally).await?;
    entry.repeats += 1;
    Ok(entry)
}

async fn start(session: &mut Session, claim: &Claim, gate: Gate, renews: Option<Renews>) -> Result<AttemptId, Fault> {
    workers::must_be_signed_on(session, &claim.worker).await?;
    let query = query(session.sql.start_run)
        .bind(claim.digest.to_string())
        .bind(claim.recipe.0.clone())
        .bind(claim.epoch.build.clone())
        .bind(claim.epoch.limits.clone())
        .bind(claim.worker.0.clone())
        .bind(claim.tenant.clone())
        .bind(claim.name.chars().take(NAME).collect::<String>())
        .bind(claim.job.clone())
        .bind(gate_word(gate))
        .bind(session.now)
        .bind(renews.map(Renews::word));
    let row = query.fetch_one(session.connection()).await?;
    Ok(AttemptId(row.try_get("id")?))
}
