//! What programs put on the list: digests by hand, and entries of another ledger. All of a request, or none.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::{Problem, json};
use super::bearer::{Caller, NoQuery};
use super::body::Body;
use crate::clock;
use crate::desk::Desk;
use crate::desk::refusal::Refusal;
use crate::digest::Digest;
use crate::ledger::{
    BYTES_AT_ONCE, DIGESTS_AT_ONCE, ENTRIES_AT_ONCE, Entry, Exported, LedgerError, Operator, StrikeRecord,
};
use crate::pipeline::any_epoch;
use crate::quarantine::Action;

/// Longest text of what is wrong with one of many, in characters.
const WRONG: usize = 300;

/// Digests for the list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    digests: Vec<String>,
    #[serde(default)]
    why: String,
}

/// Entries for the list, as an export has them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Import {
    entries: Vec<Value>,
    #[serde(default)]
    why: String,
}

#[derive(Serialize)]
struct Added {
    added: u64,
}

#[derive(Serialize)]
struct Imported {
    /// Those that changed anything: what is as strict here stays.
    imported: u64,
    of: usize,
}

/// Puts digests on the list, whether their uploads were seen or not.
pub(super) async fn add(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    _: NoQuery,
    Body(listing): Body<Listing>,
) -> Result<Response, Problem> {
    let operator = caller.decides(&listing.why)?;
    some("digests", listing.digests.len(), DIGESTS_AT_ONCE)?;
    let mut entries = Vec::with_capacity(listing.digests.len());
    for (place, text) in listing.digests.iter().enumerate() {
        let digest: Digest = text
            .parse()
            .map_err(|error| wrong("digests", place, &format!("{error}"), "none was added"))?;
        let entry = Entry::listed(digest, any_epoch(), &operator.why, clock::now());
        entries.push((entry, Vec::new()));
    }
    let added = take_in(&desk, &entries, Action::Add, &operator).await?;
    Ok(json(&Added { added }))
}

/// Takes over entries with their strikes. What is stricter here stays.
pub(super) async fn import(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    _: NoQuery,
    Body(import): Body<Import, BYTES_AT_ONCE>,
) -> Result<Response, Problem> {
    let operator = caller.decides(&import.why)?;
    some("entries", import.entries.len(), ENTRIES_AT_ONCE)?;
    let mut entries = Vec::with_capacity(import.entries.len());
    for (place, value) in import.entries.into_iter().enumerate() {
        let wrong = |problem: String| wrong("entries", place, &problem, "nothing was imported");
        let one: Exported = serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?;
        one.check().map_err(wrong)?;
        entries.push((one.entry, one.strikes));
    }
    let imported = take_in(&desk, &entries, Action::Import, &operator).await?;
    let of = entries.len();
    Ok(json(&Imported { imported, of }))
}

async fn take_in(
    desk: &Desk,
    entries: &[(Entry, Vec<StrikeRecord>)],
    action: Action,
    operator: &Operator,
) -> Result<u64, Refusal> {
    let changed = desk.work()?.ledger.import(entries, action, operator).await;
    let changed = changed.map_err(|error| {
        let none = matches!(error, LedgerError::WrongState { .. });
        let mut refusal = Refusal::from(error);
        if none {
            refusal.words += "; none was changed";
        }
        refusal
    })?;
    tracing::info!(
        who = operator.who,
        action = action.word(),
        changed,
        "put on the list at the desk"
    );
    Ok(changed)
}

/// As many as are taken at once, and not none.
fn some(field: &str, count: usize, most: usize) -> Result<(), Refusal> {
    match count {
        0 => Err(Refusal::bad(format!("`{field}` has none: send 1 to {most}."))),
        count if count > most => {
            let words = format!("`{field}` has {count}, and {most} are taken at once: send them in parts.");
            Err(Refusal::bad(words))
        }
        _ => Ok(()),
    }
}

/// One of many, and what it kept the others from.
fn wrong(field: &str, place: usize, problem: &str, kept: &str) -> Refusal {
    let problem: String = problem.chars().take(WRONG).collect();
    Refusal::bad(format!("{field}[{place}]: {problem}; {kept}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_and_too_many_are_refused_and_texts_are_short() {
        assert!(some("digests", 1, 200).is_ok() && some("digests", 200, 200).is_ok());
        assert!(some("digests", 0, 200).unwrap_err().words.contains("send 1 to 200"));
        assert!(
            some("digests", 201, 200)
                .unwrap_err()
                .words
                .contains("201, and 200 are taken")
        );
        let long = wrong("entries", 17, &"<b>".repeat(10_000), "nothing was imported");
        assert!(long.words.starts_with("entries[17]: <b>") && long.words.len() < 400);
    }
}
