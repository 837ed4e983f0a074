//! Whether a digest may run: entry first, then what is remembered, then what is running, then the rule for running alone.

use super::refusals::{self, Tally};
use super::rows::{self, Memory, gate_word};
use super::{entries, workers};
use crate::blame::REFUSAL_MEMORY;
use crate::digest::Digest;
use crate::ledger::engine::{Fault, Lock, Session, Statements, Wire, query};
use crate::ledger::{Attempt, AttemptId, Claim, Claimed, Entry, Epoch, Known, WorkerId};
use crate::quarantine::Gate;
use crate::recipe::RecipeKey;
use crate::verdict::Status;

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
        Decision::Free(_) => None,
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
    let entry = entries::current(session, &claim.digest).await?;
    if gate(entry.as_ref(), &claim.recipe) == Gate::Solo {
        session.lock(&[Lock::Solo]).await?;
    }
    let decision = decide(session, claim, entry.as_ref()).await?;
    match (decision, entry) {
        (Decision::Closed, Some(entry)) => {
            let entry = count_repeat(session, entry, &claim.tenant).await?;
            Ok(Claimed::Listed(Box::new(entry)))
        }
        (Decision::Known(known), _) => Ok(Claimed::Known(known)),
        (Decision::Full, _) => Ok(Claimed::TenantFull),
        (Decision::Alone, _) => Ok(Claimed::MustBeAlone),
        (Decision::Free(gate), entry) => {
            let raised = entry.and_then(|entry| entry.raised);
            Ok(Claimed::Run(start(session, claim, gate, raised).await?))
        }
        (Decision::Busy | Decision::Closed, _) => Ok(Claimed::Busy),
    }
}

/// The entry that refuses this recipe of the digest, where there is one.
pub(super) async fn refused(
    session: &mut Session,
    digest: &Digest,
    recipe: &RecipeKey,
) -> Result<Option<Entry>, Fault> {
    let entry = entries::find(session, digest).await?;
    Ok(entry.filter(|entry| gate(Some(entry), recipe) == Gate::Closed))
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
    Free(Gate),
}

async fn decide(session: &mut Session, claim: &Claim, entry: Option<&Entry>) -> Result<Decision, Fault> {
    let gate = gate(entry, &claim.recipe);
    if gate == Gate::Closed {
        return Ok(Decision::Closed);
    }
    if let Some(known) = remembered(session, claim).await? {
        return Ok(Decision::Known(Box::new(known)));
    }
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
    Ok(Decision::Free(gate))
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
pub(super) fn gate(entry: Option<&Entry>, asked: &RecipeKey) -> Gate {
    entry.map_or(Gate::Open, |entry| {
        entry.state.gate(entry.scope, entry.recipe.as_ref(), asked)
    })
}

async fn remembered(session: &mut Session, claim: &Claim) -> Result<Option<Known>, Fault> {
    let query = query(session.sql.result)
        .bind(claim.digest.to_string())
        .bind(claim.recipe.0.clone());
    let row = query.fetch_optional(session.connection()).await?;
    let memory = row.map(|row| rows::memory(&row)).transpose()?;
    Ok(memory
        .filter(|memory| holds(memory, &claim.epoch, session.now))
        .map(|memory| memory.known))
}

/// Renditions hold within a build; a refusal within build and limits, for a day.
fn holds(memory: &Memory, epoch: &Epoch, now: i64) -> bool {
    match memory.known.status {
        Status::Converted => memory.epoch.build == epoch.build,
        _ => memory.epoch == *epoch && i128::from(now) - i128::from(memory.at) < REFUSAL_MEMORY.as_millis() as i128,
    }
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

async fn start(session: &mut Session, claim: &Claim, gate: Gate, raised: Option<u32>) -> Result<Attempt, Fault> {
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
        .bind(session.now);
    let row = query.fetch_one(session.connection()).await?;
    Ok(Attempt {
        id: AttemptId(row.try_get("id")?),
        digest: claim.digest,
        started_ms: session.now,
        gate,
        raised,
    })
}
