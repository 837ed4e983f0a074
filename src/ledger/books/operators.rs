//! What operators do to the quarantine: act on an entry, add a digest by hand, take over a list.

use super::entries::{self, Cause};
use super::rows::{json, word};
use crate::blame::Scope;
use crate::digest::Digest;
use crate::ledger::engine::{Fault, Session, query};
use crate::ledger::{Acted, Entry, LedgerError, Operator, Seen, StrikeRecord};
use crate::quarantine::{Action, RAISED, State};
use crate::verdict::Reason;

/// An operator's action on an entry.
pub(super) async fn act(
    session: &mut Session,
    digest: &Digest,
    action: Action,
    operator: &Operator,
) -> Result<Entry, Fault> {
    let entry = present(session, digest).await?;
    apply(session, entry, action, operator).await
}

/// The same, where the entry still is as the operator saw it.
pub(super) async fn act_on(
    session: &mut Session,
    seen: &Seen,
    action: Action,
    operator: &Operator,
) -> Result<Acted, Fault> {
    let entry = present(session, &seen.digest).await?;
    if action != Action::Note && Seen::of(&entry) != *seen {
        return Ok(Acted::TooLate(Box::new(entry)));
    }
    let after = apply(session, entry, action, operator).await?;
    Ok(Acted::Done(Box::new(after)))
}

async fn present(session: &mut Session, digest: &Digest) -> Result<Entry, Fault> {
    let found = entries::current(session, digest).await?;
    Ok(found.ok_or_else(|| LedgerError::NoEntry(digest.to_string()))?)
}

async fn apply(session: &mut Session, mut entry: Entry, action: Action, operator: &Operator) -> Result<Entry, Fault> {
    let before = entry.state;
    let after = before.after(action).ok_or_else(|| wrong_state(&entry, action))?;
    if action == Action::Add {
        entry = listed_by_hand(entry);
    }
    match action {
        // Neither must make an entry last longer.
        Action::Note => {}
        Action::Erase => entry.specimen = None,
        _ => entries::enter(&mut entry, after, session.now),
    }
    if action == Action::Raise {
        entry.raised = Some(RAISED);
    }
    entries::save(session, &entry, Some(before), cause(action, operator)).await?;
    Ok(entry)
}

/// Adds or takes over entries, all or none; returns how many changed.
pub(super) async fn import(
    session: &mut Session,
    list: &[(Entry, Vec<StrikeRecord>)],
    action: Action,
    operator: &Operator,
) -> Result<u64, Fault> {
    if !matches!(action, Action::Add | Action::Import) {
        let problem = format!(
            "a list cannot be taken over with `{}`, only with `add` or `import`",
            action.word()
        );
        return Err(Fault::Request(problem));
    }
    let mut list: Vec<&(Entry, Vec<StrikeRecord>)> = list.iter().collect();
    list.sort_by_key(|(entry, _)| entry.digest);
    entries::lock(session, list.iter().map(|(entry, _)| &entry.digest)).await?;
    let mut changed = 0;
    for (entry, strikes) in list {
        let present = entries::current(session, &entry.digest).await?;
        let Some((after, before)) = merge(entry, present, action, session.now)? else {
            continue;
        };
        // Strikes first: what comes in as let go comes with its strikes forgiven.
        for strike in strikes {
            import_strike(session, &entry.digest, strike).await?;
        }
        entries::save(session, &after, before, cause(action, operator)).await?;
        changed += 1;
    }
    Ok(changed)
}

/// What becomes of an entry that comes in, given the one that is present; `None`: the present one is as strict already.
fn merge(
    incoming: &Entry,
    present: Option<Entry>,
    action: Action,
    now: i64,
) -> Result<Option<(Entry, Option<State>)>, Fault> {
    let before = present.as_ref().map(|entry| entry.state);
    let next = before.map_or(Some(State::Quarantined), |state| state.after(action));
    match (action, present, next) {
        (Action::Add, Some(present), None) => Err(wrong_state(&present, action).into()),
        (Action::Add, present, _) => {
            let mut entry = present.unwrap_or_else(|| Entry {
                since: entries::time(now),
                repeats: 0,
                ..incoming.clone()
            });
            entry.detail.clone_from(&incoming.detail);
            entry = listed_by_hand(entry);
            entries::enter(&mut entry, State::Quarantined, now);
            Ok(Some((entry, before)))
        }
        (_, None, _) => Ok(Some((
            Entry {
                changed: entries::time(now),
                ..incoming.clone()
            },
            None,
        ))),
        (_, Some(_), None) => Ok(None),
        (_, Some(_), Some(_)) if !matches!(incoming.state, State::Quarantined | State::Confirmed) => Ok(None),
        (_, Some(present), Some(state)) => {
            let Entry {
                tenant,
                name,
                since,
                repeats,
                ..
            } = present;
            let mut entry = Entry {
                tenant,
                name,
                since,
                repeats,
                ..incoming.clone()
            };
            entries::enter(&mut entry, state, now);
            Ok(Some((entry, before)))
        }
    }
}

/// A person's word covers every recipe.
fn listed_by_hand(entry: Entry) -> Entry {
    Entry {
        reason: Reason::Listed,
        scope: Scope::Upload,
        recipe: None,
        ..entry
    }
}

async fn import_strike(session: &mut Session, digest: &Digest, strike: &StrikeRecord) -> Result<(), Fault> {
    let query = query(session.sql.import_strike)
        .bind(digest.to_string())
        .bind(strike.at.timestamp_millis())
        .bind(word(&strike.reason)?)
        .bind(strike.epoch.build.clone())
        .bind(strike.epoch.limits.clone())
        .bind(json(&strike.evidence)?);
    query.execute(session.connection()).await?;
    Ok(())
}

fn cause(action: Action, operator: &Operator) -> Cause<'_> {
    Cause {
        who: &operator.who,
        action: action.word(),
        why: &operator.why,
    }
}

fn wrong_state(entry: &Entry, action: Action) -> LedgerError {
    LedgerError::WrongState {
        digest: entry.digest.to_string(),
        state: entry.state,
        action: action.word(),
    }
}
