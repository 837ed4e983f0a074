//! Entries of the quarantine: found, saved with their audit trail, listed.

use chrono::{DateTime, Utc};

use super::refusals;
use super::rows::{self, Cells, json, word};
use crate::digest::Digest;
use crate::ledger::engine::{Fault, Lock, Row, Session, query};
use crate::ledger::{Dossier, Entry, Filter};
use crate::quarantine::{Action, State, lifetime};

/// Why an entry changes, for its audit trail.
pub(super) struct Cause<'a> {
    pub(super) who: &'a str,
    pub(super) action: &'a str,
    pub(super) why: &'a str,
}

impl<'a> Cause<'a> {
    /// A rule did it, not a person.
    pub(super) fn rule(action: &'a str, why: &'a str) -> Self {
        Self {
            who: "lazaret",
            action,
            why,
        }
    }
}

/// The entry of a digest, as of now: one whose time is over counts as expired.
pub(super) async fn find(session: &mut Session, digest: &Digest) -> Result<Option<Entry>, Fault> {
    let now = session.now;
    Ok(stored(session, digest).await?.map(|entry| as_of(entry, now)))
}

/// The entry of a digest as it is written, its time over or not.
pub(super) async fn stored(session: &mut Session, digest: &Digest) -> Result<Option<Entry>, Fault> {
    let query = query(session.sql.entry).bind(digest.to_string());
    let row = query.fetch_optional(session.connection()).await?;
    row.map(|row| rows::entry(&row)).transpose()
}

/// The same in a transaction that writes: an entry whose time is over is moved to expired.
pub(super) async fn current(session: &mut Session, digest: &Digest) -> Result<Option<Entry>, Fault> {
    match stored(session, digest).await? {
        Some(entry) => brought_up(session, entry).await.map(Some),
        None => Ok(None),
    }
}

/// Moves an entry to expired, if its time is over.
pub(super) async fn brought_up(session: &mut Session, entry: Entry) -> Result<Entry, Fault> {
    match is_due(&entry, session.now) {
        true => expire(session, entry).await,
        false => Ok(entry),
    }
}

/// Moves an entry to expired.
pub(super) async fn expire(session: &mut Session, mut entry: Entry) -> Result<Entry, Fault> {
    let before = entry.state;
    enter(&mut entry, State::Expired, session.now);
    save(
        session,
        &entry,
        Some(before),
        Cause::rule(Action::Expire.word(), "its time was over"),
    )
    .await?;
    Ok(entry)
}

/// Puts an entry into a state from now on, with that state's lifetime and the usual limits.
pub(super) fn enter(entry: &mut Entry, state: State, now: i64) {
    entry.state = state;
    entry.raised = None;
    entry.changed = time(now);
    let life = lifetime(state, entry.reason, &entry.digest);
    entry.expires = life.map(|life| time(now.saturating_add(i64::try_from(life.as_millis()).unwrap_or(i64::MAX))));
}

/// Milliseconds of the database's clock as a time; the clock of a database is within the calendar.
pub(super) fn time(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Writes an entry and the audit row of its change. Letting it go forgives the strikes it has.
pub(super) async fn save(
    session: &mut Session,
    entry: &Entry,
    before: Option<State>,
    cause: Cause<'_>,
) -> Result<(), Fault> {
    let forgive =
        matches!(entry.state, State::Released | State::Expired | State::Allowed) && before != Some(entry.state);
    let saved = query(session.sql.save_entry)
        .bind(entry.digest.to_string())
        .bind(entry.state.word())
        .bind(word(&entry.reason)?)
        .bind(word(&entry.scope)?)
        .bind(entry.recipe.as_ref().map(|recipe| recipe.0.clone()))
        .bind(entry.epoch.build.clone())
        .bind(entry.epoch.limits.clone())
        .bind(entry.tenant.clone())
        .bind(entry.name.clone())
        .bind(json(&entry.looks)?)
        .bind(entry.detail.clone())
        .bind(entry.specimen.clone())
        .bind(entry.since.timestamp_millis())
        .bind(entry.changed.timestamp_millis())
        .bind(entry.expires.map(|expires| expires.timestamp_millis()))
        .bind(i64::try_from(entry.repeats).unwrap_or(i64::MAX))
        .bind(forgive)
        .bind(entry.raised.map(i64::from));
    saved.execute(session.connection()).await?;
    let audited = query(session.sql.add_audit)
        .bind(entry.digest.to_string())
        .bind(session.now)
        .bind(cause.who.to_owned())
        .bind(cause.action.to_owned())
        .bind(cause.why.to_owned())
        .bind(before.map(State::word))
        .bind(entry.state.word());
    audited.execute(session.connection()).await?;
    Ok(())
}

/// Entries that a filter lets through, newest change first.
pub(super) async fn list(session: &mut Session, filter: &Filter) -> Result<Vec<Entry>, Fault> {
    let now = session.now;
    let ago = |age: std::time::Duration| now.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let states: Vec<&str> = filter.states.iter().map(|state| state.word()).collect();
    let query = query(session.sql.entries)
        .bind(if states.is_empty() { None } else { Some(json(&states)?) })
        .bind(filter.reason.map(|reason| word(&reason)).transpose()?)
        .bind(filter.tenant.clone())
        .bind(filter.newer_than.map_or(i64::MIN, ago))
        .bind(filter.older_than.map_or(i64::MAX, ago))
        .bind(now)
        .bind(if filter.limit == 0 { -1 } else { i64::from(filter.limit) });
    let found = query.fetch_all(session.connection()).await?;
    found
        .iter()
        .map(|row| rows::entry(row).map(|entry| as_of(entry, now)))
        .collect()
}

/// Digests of entries that start with `prefix`, at most 2.
pub(super) async fn resolve(session: &mut Session, prefix: &str) -> Result<Vec<Digest>, Fault> {
    if !prefix.chars().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(Vec::new());
    }
    let query = query(session.sql.digests_from).bind(prefix.to_ascii_lowercase());
    let found = query.fetch_all(session.connection()).await?;
    found.iter().map(digest_of).collect()
}

fn digest_of(row: &Row) -> Result<Digest, Fault> {
    Cells::of(row, "entries", "digest").word("digest")
}

/// Locks several digests. Whoever writes entries of several does so in the order of their digests.
pub(super) async fn lock(session: &mut Session, digests: impl Iterator<Item = &Digest>) -> Result<(), Fault> {
    let locks: Vec<Lock> = digests.map(Lock::digest).collect();
    session.lock(&locks).await
}

/// An entry with its history.
pub(super) async fn dossier(session: &mut Session, digest: &Digest) -> Result<Option<Dossier>, Fault> {
    let Some(entry) = find(session, digest).await? else {
        return Ok(None);
    };
    let strikes = history(session, session.sql.strikes, digest).await?;
    let attempts = history(session, session.sql.attempts, digest).await?;
    let audit = history(session, session.sql.audit, digest).await?;
    let senders = history(session, session.sql.senders, digest).await?;
    Ok(Some(Dossier {
        entry,
        strikes: strikes.iter().map(rows::strike_record).collect::<Result<_, _>>()?,
        attempts: attempts.iter().map(rows::attempt_record).collect::<Result<_, _>>()?,
        audit: audit.iter().map(rows::audit_record).collect::<Result<_, _>>()?,
        senders: senders.iter().map(rows::sender).collect::<Result<_, _>>()?,
        refusals: refusals::find(session, digest).await?,
    }))
}

async fn history(session: &mut Session, statement: &'static str, digest: &Digest) -> Result<Vec<Row>, Fault> {
    query(statement)
        .bind(digest.to_string())
        .fetch_all(session.connection())
        .await
}

/// Moves at most `most` entries whose time is over to expired; returns how many.
pub(super) async fn expire_due(session: &mut Session, most: u32) -> Result<u64, Fault> {
    let query = query(session.sql.due_entries).bind(session.now).bind(most);
    let found = query.fetch_all(session.connection()).await?;
    let mut due: Vec<Digest> = found.iter().map(digest_of).collect::<Result<_, _>>()?;
    due.sort_unstable();
    lock(session, due.iter()).await?;
    for digest in &due {
        let _ = current(session, digest).await?;
    }
    Ok(due.len() as u64)
}

fn is_due(entry: &Entry, now: i64) -> bool {
    let over = entry.expires.is_some_and(|expires| expires.timestamp_millis() <= now);
    over && entry.state.after(Action::Expire).is_some()
}

/// An entry as it is now: one whose time is over counts as expired.
pub(super) fn as_of(mut entry: Entry, now: i64) -> Entry {
    if is_due(&entry, now) {
        entry.state = State::Expired;
        entry.changed = entry.expires.take().unwrap_or(entry.changed);
    }
    entry
}
