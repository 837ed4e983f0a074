//! What is held, and what operators decide about it: found, marked as it was seen, decided. Pages and API both come here.

use super::Desk;
use super::refusal::{Code, Refusal};
use crate::digest::Digest;
use crate::ledger::{Acted, Dossier, Entry, LedgerError, Operator, Seen};
use crate::quarantine::Action;

/// What became of a decision.
#[must_use]
pub(super) enum Decided {
    /// It is made; the entry after it.
    Done(Box<Entry>),
    /// Nothing was done, for a reason; how it stands now.
    TooLate(Refusal, Box<Dossier>),
}

/// Does what an operator decides about an entry as it was seen.
pub(super) async fn act(desk: &Desk, seen: &Seen, action: Action, operator: &Operator) -> Result<Decided, Refusal> {
    has_words(action, operator)?;
    let acted = desk.work()?.ledger.act_on(seen, action, operator).await;
    let refusal = match acted {
        Ok(Acted::Done(entry)) => {
            tracing::info!(who = operator.who, action = action.word(), digest = %seen.digest, "decided at the desk");
            return Ok(Decided::Done(entry));
        }
        Ok(Acted::TooLate(_)) => Refusal::new(
            Code::DecidedMeanwhile,
            "Somebody or something else has decided meanwhile. This is how it stands now.",
        ),
        Err(LedgerError::WrongState { .. }) => Refusal::new(
            Code::WrongState,
            "That makes no sense any more. This is how it stands now.",
        ),
        Err(error) => return Err(error.into()),
    };
    Ok(Decided::TooLate(refusal, Box::new(dossier(desk, &seen.digest).await?)))
}

/// A note is its words.
pub(super) fn has_words(action: Action, operator: &Operator) -> Result<(), Refusal> {
    match action == Action::Note && operator.why.trim().is_empty() {
        true => Err(Refusal::bad("A note has words.")),
        false => Ok(()),
    }
}

/// What a decision is made on: the entry as it was when the page was shown.
pub(super) fn mark(entry: &Entry) -> String {
    let seen = Seen::of(entry);
    format!("{}-{}", seen.state.word(), seen.changed_ms)
}

/// Reads what [`mark`] wrote.
pub(super) fn seen(digest: Digest, text: &str) -> Option<Seen> {
    let (state, changed) = text.split_once('-')?;
    Some(Seen {
        digest,
        state: clap::ValueEnum::from_str(state, false).ok()?,
        changed_ms: changed.parse().ok()?,
    })
}

/// A digest, if it is one.
pub(super) fn known(digest: &str) -> Result<Digest, Refusal> {
    digest.parse().map_err(|_| no_entry())
}

/// An entry with its history.
pub(super) async fn dossier(desk: &Desk, digest: &Digest) -> Result<Dossier, Refusal> {
    desk.work()?.ledger.dossier(digest).await?.ok_or_else(no_entry)
}

fn no_entry() -> Refusal {
    Refusal::new(Code::NotFound, "There is no entry for that digest.")
}
