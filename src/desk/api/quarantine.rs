//! The quarantine over the API: list, one entry, decisions, notes, its bytes and their retest, digests from their first digits.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::answer::{Problem, json, later};
use super::bearer::{Caller, NoQuery};
use super::body::{Body, Named};
use crate::desk::Desk;
use crate::desk::held::{Decided, act, dossier, known, mark, seen};
use crate::desk::quarantine::{behind, listing};
use crate::desk::refusal::{Code, Refusal};
use crate::desk::retest::begin;
use crate::desk::specimen::{copy, erased};
use crate::digest::Digest;
use crate::ledger::{Dossier, Entry, Seen};
use crate::quarantine::Action;

/// An entry of the list.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    /// What a decision about it is made on.
    seen: String,
}

/// A page of the list.
#[derive(Serialize)]
struct Page<'a> {
    entries: Vec<Listed<'a>>,
    /// For `behind`; nothing where there is nothing more.
    next: Option<String>,
}

/// An entry with its history.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    dossier: &'a Dossier,
    seen: String,
}

/// Digests of entries that begin alike.
#[derive(Serialize)]
struct Alike {
    /// Two at most: more would say no more.
    digests: Vec<Digest>,
}

/// What may be decided.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    decision: Decision,
    seen: String,
    #[serde(default)]
    why: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Release,
    Raise,
    Confirm,
    Allow,
}

/// Why something is done.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    #[serde(default)]
    why: String,
}

/// What is said about an entry.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Remark {
    why: String,
}

pub(super) async fn list(
    State(desk): State<Arc<Desk>>,
    _: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let listing = listing(&query.unwrap_or_default()).map_err(Refusal::bad)?;
    let page = desk.work()?.ledger.page(&listing).await?;
    Ok(json(&Page {
        entries: page.entries.iter().map(Listed::of).collect(),
        next: page.next.map(behind),
    }))
}

pub(super) async fn show(
    State(desk): State<Arc<Desk>>,
    _: Caller,
    _: NoQuery,
    Named(digest): Named,
) -> Result<Response, Problem> {
    let dossier = dossier(&desk, &known(&digest)?).await?;
    Ok(json(&Whole::of(&dossier)))
}

/// Which entries have a digest that begins so, as people name them.
pub(super) async fn alike(
    State(desk): State<Arc<Desk>>,
    _: Caller,
    _: NoQuery,
    Named(digits): Named,
) -> Result<Response, Problem> {
    if !(4..=64).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Refusal::bad("The beginning of a digest has 4 to 64 hexadecimal digits.").into());
    }
    let digests = desk.work()?.ledger.resolve(&digits.to_lowercase()).await?;
    Ok(json(&Alike { digests }))
}

/// Decides. Whoever comes second is told what the first one did.
pub(super) async fn decide(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    _: NoQuery,
    Named(digest): Named,
    Body(wish): Body<Wish>,
) -> Result<Response, Problem> {
    let operator = caller.decides(&wish.why)?;
    let seen = seen(known(&digest)?, &wish.seen)
        .ok_or_else(|| Refusal::bad("`seen` is none. Get the entry, and send what it has as `seen`."))?;
    match act(&desk, &seen, wish.decision.action(), &operator).await? {
        Decided::Done(entry) => Ok(json(&Listed::of(&entry))),
        Decided::TooLate(refusal, now) => Ok(Problem::with_now(&refusal, Whole::of(&now))),
    }
}

/// Says something about an entry, as it may be by now.
pub(super) async fn note(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    _: NoQuery,
    Named(digest): Named,
    Body(remark): Body<Remark>,
) -> Result<Response, Problem> {
    let operator = caller.decides(&remark.why)?;
    let entry = dossier(&desk, &known(&digest)?).await?.entry;
    match act(&desk, &Seen::of(&entry), Action::Note, &operator).await? {
        Decided::Done(entry) => Ok(json(&Listed::of(&entry))),
        // A note can always be made.
        Decided::TooLate(..) => Err(Refusal::new(Code::Failed, "The note was not made. Send it again.").into()),
    }
}

/// Tries the bytes of an entry again, in this worker. It takes as long as it takes: where to look for what came of it is the answer.
pub(super) async fn retest(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    _: NoQuery,
    Named(digest): Named,
    Body(reason): Body<Reason>,
) -> Result<Response, Problem> {
    let operator = caller.decides(&reason.why)?;
    let begun = begin(&desk, &known(&digest)?, operator).await?;
    Ok(later(&begun, &format!("/quarantine/{}/retest", begun.digest)))
}

/// A copy of the bytes, as text.
pub(super) async fn specimen(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    _: NoQuery,
    Named(digest): Named,
) -> Result<Response, Problem> {
    Ok(copy(&desk, &caller.who, caller.role, &digest).await?)
}

/// Deletes the bytes. What was seen of them stays.
pub(super) async fn erase(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    _: NoQuery,
    Named(digest): Named,
    Body(reason): Body<Reason>,
) -> Result<Response, Problem> {
    let operator = caller.decides(&reason.why)?;
    let after = erased(&desk, &known(&digest)?, &operator).await?;
    Ok(json(&Listed::of(&after)))
}

/// The last retest of an entry in this worker.
pub(super) async fn retested(
    State(desk): State<Arc<Desk>>,
    _: Caller,
    _: NoQuery,
    Named(digest): Named,
) -> Result<Response, Problem> {
    let last = desk.retests.of(&known(&digest)?).ok_or_else(|| {
        let words = "This worker remembers no retest of it. What came of one is a note in the entry's audit trail.";
        Refusal::new(Code::NotFound, words)
    })?;
    Ok(json(&last))
}

impl Decision {
    fn action(self) -> Action {
        match self {
            Self::Release => Action::Release,
            Self::Raise => Action::Raise,
            Self::Confirm => Action::Confirm,
            Self::Allow => Action::Allow,
        }
    }
}

impl<'a> Listed<'a> {
    fn of(entry: &'a Entry) -> Self {
        let seen = mark(entry);
        Self { entry, seen }
    }
}

impl<'a> Whole<'a> {
    fn of(dossier: &'a Dossier) -> Self {
        let seen = mark(&dossier.entry);
        Self { dossier, seen }
    }
}
