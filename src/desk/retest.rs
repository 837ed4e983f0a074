//! Specimens that are tried once more in this worker: one at a time, and what came of the last few.
//!
//! What comes of one is a note of whoever asked, in the ledger. That it runs, and what came of it in fields, is remembered here: the note is for people.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::held::dossier;
use super::refusal::{Code, Refusal};
use super::specimen::kept;
use super::visitor::WHY;
use super::{Desk, locked};
use crate::clock;
use crate::digest::Digest;
use crate::ledger::Operator;
use crate::pipeline::Retested;
use crate::quarantine::Action;

/// How many are remembered.
const REMEMBERED: usize = 32;

/// Those of this worker.
pub(super) struct Retests {
    turn: Arc<Semaphore>,
    /// The newest last; one for each digest.
    last: Mutex<VecDeque<Retest>>,
}

/// A specimen that is tried, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retest {
    /// Which.
    pub(crate) digest: Digest,
    /// Who asked.
    pub(crate) who: String,
    /// When.
    pub(crate) began: DateTime<Utc>,
    /// How far it is.
    pub(crate) state: Standing,
    /// What came of it; absent until it has ended.
    pub(crate) result: Option<Retested>,
    /// Why it could not be tried.
    pub(crate) problem: Option<String>,
}

/// How far a retest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    /// It waits for the worker to be empty, or runs.
    Running,
    /// Something came of it.
    Ended,
    /// It could not be tried: our own fault.
    Failed,
}

impl Retests {
    pub(super) fn new() -> Self {
        Self {
            turn: Arc::new(Semaphore::new(1)),
            last: Mutex::default(),
        }
    }

    /// The last one of a digest that is remembered.
    pub(super) fn of(&self, digest: &Digest) -> Option<Retest> {
        locked(&self.last)
            .iter()
            .find(|retest| retest.digest == *digest)
            .cloned()
    }

    fn remember(&self, retest: Retest) {
        let mut last = locked(&self.last);
        last.retain(|other| other.digest != retest.digest);
        if last.len() >= REMEMBERED {
            last.pop_front();
        }
        last.push_back(retest);
    }
}

/// Begins to try the bytes of an entry again, alone in this worker. What comes of it becomes a note of this operator.
pub(super) async fn begin(desk: &Arc<Desk>, digest: &Digest, mut operator: Operator) -> Result<Retest, Refusal> {
    let entry = dossier(desk, digest).await?.entry;
    let (_, file) = kept(desk, &entry).await?;
    let work = desk.work()?;
    let one_by_one = Arc::clone(&desk.retests.turn).try_acquire_owned().map_err(|_| {
        let words = "Another specimen is being tried in this worker. Wait until that has ended.";
        Refusal::new(Code::Busy, words)
    })?;
    let begun = Retest {
        digest: *digest,
        who: operator.who.clone(),
        began: clock::now(),
        state: Standing::Running,
        result: None,
        problem: None,
    };
    desk.retests.remember(begun.clone());
    tracing::info!(who = operator.who, %digest, "retests a specimen");
    let (desk, mut ended) = (Arc::clone(desk), begun.clone());
    let runtime = desk.runtime.clone();
    runtime.spawn(async move {
        let _one_by_one = one_by_one;
        let note = match work.worker.retest(&file, entry.raised).await {
            Ok(came) => {
                let note = came.note(&operator.why);
                ended.state = Standing::Ended;
                ended.result = Some(came);
                note
            }
            Err(error) => {
                let problem = format!("it could not be tried: {error}");
                let note = format!("retest: {problem}");
                ended.state = Standing::Failed;
                ended.problem = Some(problem);
                note
            }
        };
        operator.why = note.chars().take(WHY).collect();
        // First the note: whoever sees that it has ended finds it.
        if let Err(error) = work.ledger.act(&entry.digest, Action::Note, &operator).await {
            tracing::error!(%error, note, "a retest is not in the audit trail");
        }
        desk.retests.remember(ended);
    });
    Ok(begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_each_digest_is_remembered_and_the_oldest_makes_room() {
        let retests = Retests::new();
        let of = |number: usize, state| Retest {
            digest: Digest::of(&number.to_le_bytes()),
            who: "ann".to_owned(),
            began: clock::now(),
            state,
            result: None,
            problem: None,
        };
        for number in 0..=REMEMBERED {
            retests.remember(of(number, Standing::Running));
            retests.remember(of(number, Standing::Ended));
        }
        assert_eq!(locked(&retests.last).len(), REMEMBERED);
        let standing = |number: usize| {
            retests
                .of(&Digest::of(&number.to_le_bytes()))
                .map(|retest| retest.state)
        };
        assert_eq!((standing(0), standing(1)), (None, Some(Standing::Ended)));
    }
}
