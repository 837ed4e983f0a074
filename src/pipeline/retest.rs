//! A specimen, tried once more because an operator asks: alone in this process, under the usual limits or raised ones.
//!
//! Nobody is judged by it and nothing is kept of it: what came of it is told, and written down by whoever asked. The ledger hears of no attempt, so
//! a specimen that takes workers with it takes this one, and nothing else: nothing runs beside it.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Worker, evidence};
use crate::recipe::{Recipe, Rendition, Target};
use crate::sandbox::outcome::{Outcome, Usage};
use crate::sandbox::protocol::Task;
use crate::sandbox::{Sandbox, Watch};
use crate::verdict::{Exceeded, Reason};

/// What came of a specimen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retested {
    /// An outcome's word.
    pub outcome: String,
    /// What it was refused for, or which limit it tripped.
    pub reason: Option<Reason>,
    /// The same in one sentence.
    pub detail: String,
    /// The limit, what was seen and what is allowed, where it was a limit.
    pub exceeded: Option<Exceeded>,
    /// What it took.
    pub usage: Usage,
    /// How many times as high its limits were; absent: the usual ones.
    pub raised: Option<u32>,
}

impl Retested {
    fn of(outcome: &Outcome, usage: Usage, raised: Option<u32>) -> Self {
        let (reason, exceeded) = match outcome {
            Outcome::Tripped(trip) => (Some(trip.reason), Some(trip.exceeded.clone())),
            Outcome::Refused(refusal) => (Some(refusal.reason), refusal.exceeded.clone()),
            Outcome::Violation => (Some(Reason::Violation), None),
            Outcome::Crashed(_) | Outcome::Killed => (Some(Reason::Crash), None),
            _ => (None, None),
        };
        Self {
            outcome: outcome.word().to_owned(),
            reason,
            detail: evidence::sentence(outcome),
            exceeded,
            usage,
            raised,
        }
    }

    /// Whether a rendition came of it.
    pub fn converted(&self) -> bool {
        self.outcome == Outcome::Converted(Vec::new()).word()
    }

    /// What is written into the audit trail, with the reason of whoever asked for it.
    pub fn note(&self, why: &str) -> String {
        match why.trim() {
            "" => format!("retest: {self}"),
            why => format!("retest: {self}; {why}"),
        }
    }
}

/// In one sentence, with what it took.
impl fmt::Display for Retested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Usage {
            cpu_ms,
            wall_ms,
            peak_memory_bytes,
            ..
        } = self.usage;
        let Self { outcome, detail, .. } = self;
        write!(
            f,
            "{outcome}: {detail}; {cpu_ms} ms of CPU, {wall_ms} ms, {peak_memory_bytes} bytes of memory"
        )
    }
}

impl Worker {
    /// What comes of these bytes, with nothing beside them in this worker.
    ///
    /// # Errors
    /// No attempt could be made.
    pub async fn retest(&self, specimen: &File, raised: Option<u32>) -> io::Result<Retested> {
        let _alone = self.seats.alone().await;
        retest(&self.sandbox, specimen, raised, self.release()).await
    }
}

/// What comes of these bytes. Nothing else runs in this process meanwhile; that is the caller's business.
///
/// # Errors
/// No attempt could be made.
pub async fn retest(
    sandbox: &Sandbox,
    specimen: &File,
    raised: Option<u32>,
    release: watch::Receiver<bool>,
) -> io::Result<Retested> {
    let sandbox = match raised {
        Some(times) => Cow::Owned(sandbox.raised(times)),
        None => Cow::Borrowed(sandbox),
    };
    let task = Task::Convert(recipe()?);
    let attempted = sandbox.attempt(specimen, task, Watch::Both, release).await?;
    Ok(Retested::of(&attempted.outcome, attempted.facts.usage, raised))
}

/// What is asked for: a picture as large as a page shows.
fn recipe() -> io::Result<Recipe> {
    let mut page = Rendition::named("retest");
    page.format = Target::Jpeg;
    page.width = Some(1600);
    Recipe::new(vec![page]).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::outcome::Trip;

    #[test]
    fn what_came_of_it_is_told_with_limit_value_and_cost() {
        let exceeded = Exceeded {
            limit: "cpu_ms".to_owned(),
            seen: 1001,
            allowed: 1000,
        };
        let trip = Trip {
            reason: Reason::Cpu,
            exceeded: exceeded.clone(),
        };
        let usage = Usage {
            cpu_ms: 1001,
            wall_ms: 1100,
            waited_ms: 0,
            peak_memory_bytes: 5,
        };
        let tripped = Retested::of(&Outcome::Tripped(trip), usage, Some(4));
        assert_eq!(
            (tripped.reason, &tripped.exceeded, tripped.converted()),
            (Some(Reason::Cpu), &Some(exceeded), false)
        );
        let note = tripped.note(" after the upgrade ");
        assert!(
            note.starts_with("retest: tripped: ")
                && note.ends_with("; 1001 ms of CPU, 1100 ms, 5 bytes of memory; after the upgrade"),
            "{note}"
        );
        let converted = Retested::of(&Outcome::Converted(Vec::new()), usage, None);
        assert!(converted.converted() && converted.reason.is_none());
    }
}
