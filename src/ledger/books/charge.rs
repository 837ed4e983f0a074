//! What a strike or a conviction does to the entry of its digest.

use serde_json::Value;

use super::entries::{self, Cause};
use super::probation;
use super::rows::{Run, json, word};
use crate::blame::{Judgement, Scope};
use crate::ledger::engine::{Fault, Session, query};
use crate::ledger::{Entry, Epoch, Looks, Renews};
use crate::quarantine::{Gate, State};
use crate::verdict::Reason;

/// What the audit trail calls the end of a renewal: the entry is let go, or stays.
pub(super) const RENEW: &str = "renew";

/// What a run is held against its upload for.
pub(super) struct Charge {
    pub(super) reason: Reason,
    pub(super) scope: Scope,
    pub(super) detail: String,
    pub(super) looks: Looks,
    pub(super) specimen: Option<String>,
    pub(super) evidence: Value,
}

/// Writes a strike, and what `judgement` makes of the entry.
pub(super) async fn press(
    session: &mut Session,
    run: &Run,
    judgement: Judgement,
    charge: &Charge,
) -> Result<(), Fault> {
    let present = entries::current(session, &run.digest).await?;
    match change(present.as_ref(), run, judgement, charge) {
        Change::None => {}
        Change::Widen => widen(session, present, run, charge).await?,
        Change::Renew => renew(session, present, run, judgement, charge).await?,
        Change::To(state, action) => {
            let before = present.as_ref().map(|entry| entry.state);
            let mut entry = charged(present, run, charge, session.now);
            entries::enter(&mut entry, state, session.now);
            entries::save(session, &entry, before, Cause::rule(action, &charge.detail)).await?;
            if state == State::Quarantined {
                probation::convicted(session, &run.digest, &entry.tenant).await?;
            }
        }
    }
    add_strike(session, run, charge).await
}

/// Suspects a digest whose worker was lost while others ran beside it: no strike, and whoever is known better stays so.
pub(super) async fn suspect(session: &mut Session, run: &Run, charge: &Charge) -> Result<(), Fault> {
    let present = entries::current(session, &run.digest).await?;
    let before = present.as_ref().map(|entry| entry.state);
    if !matches!(before, None | Some(State::Released | State::Expired)) {
        return Ok(());
    }
    let mut entry = charged(present, run, charge, session.now);
    entries::enter(&mut entry, State::Suspected, session.now);
    entries::save(session, &entry, before, Cause::rule("suspect", &charge.detail)).await
}

/// What is to happen to an entry.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    None,
    To(State, &'static str),
    Widen,
    Renew,
}

fn change(present: Option<&Entry>, run: &Run, judgement: Judgement, charge: &Charge) -> Change {
    let convict = matches!(judgement, Judgement::Convict(_));
    match present {
        _ if run.gate == Gate::Vouched => Change::None,
        Some(entry) if entry.state == State::Allowed => Change::None,
        Some(entry) if run.renews_as_it_is(entry) => Change::Renew,
        // An operator who let it go while it was tried again knew what it was in for.
        Some(entry) if run.renews == Some(Renews::Entry) && entry.state == State::Released => Change::None,
        Some(entry) if matches!(entry.state, State::Quarantined | State::Confirmed) => {
            let other = entry.recipe.as_ref() != Some(&run.recipe) || charge.scope == Scope::Upload;
            if convict && entry.scope == Scope::Recipe && other {
                Change::Widen
            } else {
                Change::None
            }
        }
        _ if convict => Change::To(State::Quarantined, "convict"),
        _ => Change::To(State::Suspected, "suspect"),
    }
}

/// The second recipe that trips: the upload is to blame, not the recipe.
async fn widen(session: &mut Session, present: Option<Entry>, run: &Run, charge: &Charge) -> Result<(), Fault> {
    let Some(mut entry) = present else { return Ok(()) };
    let state = entry.state;
    entry.scope = Scope::Upload;
    entry.specimen = entry.specimen.or_else(|| charge.specimen.clone());
    entries::enter(&mut entry, state, session.now);
    let why = format!("recipe {} tripped as well: {}", run.recipe.0, charge.detail);
    entries::save(session, &entry, Some(state), Cause::rule("widen", &why)).await
}

/// The upload trips under another epoch, too: its entry stays, and is of that epoch now. A conviction is written into it as a first one is, but
/// covers no less than the entry did; what would convict no newcomer changes nothing else.
async fn renew(
    session: &mut Session,
    present: Option<Entry>,
    run: &Run,
    judgement: Judgement,
    charge: &Charge,
) -> Result<(), Fault> {
    let Some(mut entry) = present else { return Ok(()) };
    let (state, scope) = (entry.state, entry.scope);
    if let Judgement::Convict(_) = judgement {
        entry = charged(Some(entry), run, charge, session.now);
        if scope == Scope::Upload {
            entry.scope = scope;
        }
        entries::enter(&mut entry, state, session.now);
    }
    entry.epoch = run.epoch.clone();
    entry.specimen = charge.specimen.clone().or(entry.specimen);
    let Epoch { build, limits } = &run.epoch;
    let why = format!("it stays, under build {build}, limits {limits}: {}", charge.detail);
    entries::save(session, &entry, Some(state), Cause::rule(RENEW, &why)).await
}

/// The entry with the charge on it; who sent the upload first, and when it was first entered, stays.
fn charged(present: Option<Entry>, run: &Run, charge: &Charge, now: i64) -> Entry {
    let mut entry = present.unwrap_or_else(|| Entry {
        digest: run.digest,
        state: State::Suspected,
        reason: charge.reason,
        scope: charge.scope,
        recipe: None,
        epoch: run.epoch.clone(),
        tenant: run.tenant.clone(),
        name: run.name.clone(),
        looks: Looks::default(),
        detail: String::new(),
        specimen: None,
        since: entries::time(now),
        changed: entries::time(now),
        expires: None,
        strikes: 0,
        repeats: 0,
        raised: None,
    });
    entry.reason = charge.reason;
    entry.scope = charge.scope;
    entry.recipe = Some(run.recipe.clone());
    entry.epoch = run.epoch.clone();
    entry.detail.clone_from(&charge.detail);
    entry.specimen = charge.specimen.clone().or(entry.specimen);
    if charge.looks != Looks::default() {
        entry.looks = charge.looks.clone();
    }
    entry
}

async fn add_strike(session: &mut Session, run: &Run, charge: &Charge) -> Result<(), Fault> {
    let query = query(session.sql.add_strike)
        .bind(run.digest.to_string())
        .bind(run.id.0)
        .bind(session.now)
        .bind(word(&charge.reason)?)
        .bind(run.epoch.build.clone())
        .bind(run.epoch.limits.clone())
        .bind(json(&charge.evidence)?);
    query.execute(session.connection()).await?;
    Ok(())
}
