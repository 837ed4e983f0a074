//! One decision about many entries, over the API: begun, and looked after.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::answer::{Problem, json, later};
use super::bearer::{Caller, NoQuery};
use super::body::{Body, Named};
use crate::desk::Desk;
use crate::desk::bulk::{Chosen, found, started};
use crate::desk::held::{known, seen};
use crate::desk::refusal::Refusal;
use crate::ledger::Seen;
use crate::quarantine::Action;

/// Most bytes of a body.
const MOST: usize = 128 << 10;
/// Most entries that are named one by one.
const NAMED: usize = 500;

/// What may be decided about many.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Confirm,
    Release,
    Allow,
    Note,
}

/// Which, and what.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    decision: Decision,
    /// Those, each as it was seen.
    entries: Option<Vec<Marked>>,
    /// All that the list shows with these filters, on every page.
    filter: Option<BTreeMap<String, String>>,
    #[serde(default)]
    why: String,
}

/// An entry as it was seen.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Marked {
    digest: String,
    seen: String,
}

/// Begins. It goes on in the background: where to look is the answer.
pub(super) async fn begin(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    _: NoQuery,
    Body(wish): Body<Wish, MOST>,
) -> Result<Response, Problem> {
    let operator = caller.decides(&wish.why)?;
    let chosen = match (&wish.entries, &wish.filter) {
        (Some(entries), None) => Chosen::Ticked(marked(entries)?),
        (None, Some(filter)) => filtered(filter)?,
        _ => {
            let words = "Say which entries: `entries`, or all of a `filter`; one of both.";
            return Err(Refusal::bad(words).into());
        }
    };
    let run = started(&desk, wish.decision.action(), operator, chosen)?;
    let progress = run.told();
    Ok(later(&progress, &format!("/decisions/{}", progress.number)))
}

/// How far it is.
pub(super) async fn show(
    State(desk): State<Arc<Desk>>,
    _: Caller,
    _: NoQuery,
    Named(number): Named,
) -> Result<Response, Problem> {
    Ok(json(&found(&desk, &number)?.told()))
}

fn marked(entries: &[Marked]) -> Result<Vec<Seen>, Refusal> {
    if entries.is_empty() || entries.len() > NAMED {
        let words = format!("`entries` has {}: send 1 to {NAMED}, or a `filter`.", entries.len());
        return Err(Refusal::bad(words));
    }
    let read = |(place, marked): (usize, &Marked)| {
        let digest = known(&marked.digest).ok();
        let words =
            || format!("entries[{place}] is none: send `digest` and `seen` as the list has them; nothing was decided.");
        let read = digest.and_then(|digest| seen(digest, &marked.seen));
        read.ok_or_else(|| Refusal::bad(words()))
    };
    entries.iter().enumerate().map(read).collect()
}

/// The list's own filters, read as its query is.
fn filtered(filter: &BTreeMap<String, String>) -> Result<Chosen, Refusal> {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(filter);
    Chosen::filtered(&query.finish()).map_err(Refusal::bad)
}

impl Decision {
    fn action(self) -> Action {
        match self {
            Self::Confirm => Action::Confirm,
            Self::Release => Action::Release,
            Self::Allow => Action::Allow,
            Self::Note => Action::Note,
        }
    }
}
