//! Attempts that the ledger has of this worker, and that nobody runs: claims whose answers never came, because a connection was lost while the ledger
//! committed or a server was silent for too long, and endings that a ledger lost with its last rows. Each would block its upload for as long as this worker lives.
//!
//! Such a digest is in doubt until a heartbeat has had the ledger release what is recorded of it for this worker. Until then the worker claims it no more:
//! what is recorded is then an attempt that it knows, or one that is nobody's.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Worker;
use crate::digest::Digest;
use crate::ledger::{Attempt, AttemptId, Claim, Claimed, LedgerError};

/// What this worker has claimed.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// How many claims of a digest are on their way.
    asked: HashMap<Digest, u32>,
    /// Attempts that have not landed.
    running: HashSet<(AttemptId, Digest)>,
    doubtful: HashSet<Digest>,
}

/// A claim on its way. Dropped without an answer, it leaves its digest in doubt.
struct Asked<'c> {
    claims: &'c Claims,
    digest: Digest,
    answer: Answer,
}

/// What was heard of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Nothing,
    Runs(AttemptId),
    RunsNot,
}

/// What to do about a digest in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
enum Doubt {
    /// Another claim of it is on its way.
    Later,
    /// An attempt of it is known: it is the only one.
    Gone,
    /// Whatever the ledger has of it is to be released.
    Release,
}

impl Worker {
    /// Claims a digest. One in doubt counts as running.
    pub(super) async fn claim(&self, claim: &Claim) -> Result<Claimed, LedgerError> {
        let Some(mut asked) = self.claims.ask(claim.digest) else {
            return Ok(Claimed::Busy);
        };
        let claimed = self.ledger.claim(claim).await?;
        asked.answer = match &claimed {
            Claimed::Run(attempt) => Answer::Runs(attempt.id),
            _ => Answer::RunsNot,
        };
        Ok(claimed)
    }

    /// Holds what is recorded for this worker against what it runs: the difference is in doubt, until the next beat has it released.
    pub async fn look_for_forgotten(&self) -> Result<(), LedgerError> {
        for digest in self.claims.unknown(&self.ledger.running(&self.id).await?) {
            tracing::warn!(%digest, "the ledger has an attempt of this worker that it does not run");
        }
        Ok(())
    }

    /// Has released what is recorded for this worker and nobody runs.
    pub(super) async fn release_unheard(&self) -> Result<(), LedgerError> {
        for digest in self.claims.doubtful() {
            match self.claims.doubt(&digest) {
                Doubt::Later => continue,
                Doubt::Gone => {}
                Doubt::Release => {
                    if let Some(attempt) = self.ledger.disown(&self.id, &digest).await? {
                        tracing::warn!(%digest, attempt = attempt.0, "released an attempt that nobody runs");
                    }
                }
            }
            self.claims.lock().doubtful.remove(&digest);
        }
        Ok(())
    }
}

impl Claims {
    fn ask(&self, digest: Digest) -> Option<Asked<'_>> {
        let mut known = self.lock();
        if known.doubtful.contains(&digest) {
            return None;
        }
        *known.asked.entry(digest).or_default() += 1;
        Some(Asked {
            claims: self,
            digest,
            answer: Answer::Nothing,
        })
    }

    /// The attempt has ended, and the ledger knows.
    pub(super) fn landed(&self, attempt: &Attempt) {
        self.lock().running.remove(&(attempt.id, attempt.digest));
    }

    /// Of these digests, those that come into doubt: no attempt is known, and no claim is on its way.
    fn unknown(&self, recorded: &[Digest]) -> Vec<Digest> {
        let known = &mut *self.lock();
        let is_known = |digest: &Digest| {
            known.asked.contains_key(digest) || known.running.iter().any(|(_, running)| running == digest)
        };
        let unknown = recorded.iter().copied().filter(|digest| !is_known(digest));
        let unknown: Vec<Digest> = unknown.filter(|digest| !known.doubtful.contains(digest)).collect();
        known.doubtful.extend(&unknown);
        unknown
    }

    fn doubtful(&self) -> Vec<Digest> {
        self.lock().doubtful.iter().copied().collect()
    }

    fn doubt(&self, digest: &Digest) -> Doubt {
        let known = self.lock();
        if known.asked.contains_key(digest) {
            Doubt::Later
        } else if known.running.iter().any(|(_, running)| running == digest) {
            Doubt::Gone
        } else {
            Doubt::Release
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Nothing that panics is done while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut known = self.claims.lock();
        match self.answer {
            Answer::Nothing => {
                known.doubtful.insert(self.digest);
            }
            Answer::Runs(attempt) => {
                known.running.insert((attempt, self.digest));
            }
            Answer::RunsNot => {}
        }
        let left = known.asked.get(&self.digest).map_or(0, |asked| asked.saturating_sub(1));
        match left {
            0 => known.asked.remove(&self.digest),
            _ => known.asked.insert(self.digest, left),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quarantine::Gate;

    fn answered(asked: Option<Asked<'_>>, answer: Answer) {
        let mut asked = asked.unwrap();
        asked.answer = answer;
    }

    #[test]
    fn what_was_never_answered_is_in_doubt_until_it_is_released() {
        let (claims, cat) = (Claims::default(), Digest::of(b"cat"));
        drop(claims.ask(cat));
        assert_eq!((claims.doubtful(), claims.doubt(&cat)), (vec![cat], Doubt::Release));
        assert!(claims.ask(cat).is_none(), "nothing is claimed that is in doubt");
        answered(claims.ask(Digest::of(b"dog")), Answer::RunsNot);
        claims.lock().doubtful.remove(&cat);
        answered(claims.ask(cat), Answer::RunsNot);
        assert!(claims.doubtful().is_empty());
    }

    #[test]
    fn what_is_recorded_and_not_known_comes_into_doubt() {
        let (claims, cat, dog, cow) = (
            Claims::default(),
            Digest::of(b"cat"),
            Digest::of(b"dog"),
            Digest::of(b"cow"),
        );
        answered(claims.ask(cat), Answer::Runs(AttemptId(7)));
        let on_its_way = claims.ask(dog);
        assert_eq!(claims.unknown(&[cat, dog, cow]), [cow]);
        assert_eq!(claims.unknown(&[cat, dog, cow]), [], "it is in doubt already");
        assert_eq!((claims.doubtful(), claims.doubt(&cow)), (vec![cow], Doubt::Release));
        answered(on_its_way, Answer::RunsNot);
    }

    #[test]
    fn an_attempt_that_is_known_is_not_released() {
        let (claims, cat) = (Claims::default(), Digest::of(b"cat"));
        let (lost, other) = (claims.ask(cat), claims.ask(cat));
        drop(lost);
        assert_eq!(claims.doubt(&cat), Doubt::Later, "the other may be the one that runs");
        answered(other, Answer::Runs(AttemptId(7)));
        assert_eq!(claims.doubt(&cat), Doubt::Gone);
        claims.landed(&Attempt {
            id: AttemptId(7),
            digest: cat,
            started_ms: 0,
            gate: Gate::Open,
            raised: None,
            renews: None,
        });
        assert_eq!(claims.doubt(&cat), Doubt::Release);
    }
}
