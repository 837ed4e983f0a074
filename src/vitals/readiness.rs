//! Whether a worker may take work, by its own judgement; why not, otherwise.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::health::{Cause, Obstacle};

/// Whether this worker may take work. Answers come from memory.
#[derive(Debug)]
pub struct Readiness {
    clock: Stopwatch,
    trouble: Mutex<Option<Trouble>>,
}

#[derive(Debug)]
struct Trouble {
    cause: Cause,
    why: String,
    since: Duration,
}

impl Readiness {
    pub(super) fn new(clock: Stopwatch) -> Self {
        Self {
            clock,
            trouble: Mutex::default(),
        }
    }

    /// Work may be taken.
    pub fn ready(&self) {
        *self.lock() = None;
    }

    /// No work may be taken, and why. The last word counts; the time is that of the first one.
    pub fn not_ready(&self, cause: Cause, why: &str) {
        tracing::error!(why, "not ready");
        let now = self.clock.elapsed();
        let mut trouble = self.lock();
        let since = trouble.as_ref().map_or(now, |trouble| trouble.since);
        *trouble = Some(Trouble {
            cause,
            why: why.to_owned(),
            since,
        });
    }

    /// Why no work may be taken; `None` where it may.
    pub fn why_not(&self) -> Option<String> {
        self.lock().as_ref().map(|trouble| trouble.why.clone())
    }

    /// The same, with its cause and for how long.
    pub fn obstacle(&self) -> Option<Obstacle> {
        let now = self.clock.elapsed();
        self.lock().as_ref().map(|trouble| Obstacle {
            cause: trouble.cause,
            why: trouble.why.clone(),
            lasts: Some(now.saturating_sub(trouble.since)),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
