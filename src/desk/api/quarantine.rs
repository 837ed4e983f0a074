//! The quarantine over the API: list, one entry, decisions, notes, digests from their first digits.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::answer::{Problem, json};
use super::bearer::{Caller, NoQuery};
use super::body::{Body, Named};
use crate::desk::Desk;
use crate::desk::held::{Decided, act, dossier, known, mark, seen};
use crate::desk::quarantine::{behind, listing};
use crate::desk::refusal::{Code, Refusal};
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
