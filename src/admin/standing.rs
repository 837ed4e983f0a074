//! What is said of a worker's health, as JSON.
//!
//! In: its [`Vitals`]. Out: the bodies of `/livez` and `/readyz`; the desk's API has the latter, too.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::health::{Cause, Obstacle};
use crate::pipeline::BUILD;
use crate::vitals::Vitals;

/// Whether the process lives.
#[derive(Debug, Serialize)]
pub(super) struct Livez {
    pub(super) live: bool,
    reasons: Vec<Reason>,
    uptime_ms: u64,
}

/// Whether it takes work.
#[derive(Debug, Serialize)]
pub(crate) struct Readyz {
    pub(super) ready: bool,
    reasons: Vec<Reason>,
    /// What that is known by, and how old it is.
    parts: BTreeMap<&'static str, Part>,
    build: &'static str,
    uptime_ms: u64,
}

#[derive(Debug, Serialize)]
struct Reason {
    cause: Cause,
    why: String,
    lasts_ms: Option<u64>,
}

/// A part that is asked again and again.
#[derive(Debug, Serialize)]
struct Part {
    /// Time since it last answered that it is well.
    age_ms: Option<u64>,
    /// How long that answer took.
    took_ms: u64,
    /// How long it has owed an answer.
    waiting_ms: Option<u64>,
}

impl Livez {
    pub(super) fn of(vitals: &Vitals) -> Self {
        let death = vitals.facts().death();
        Self {
            live: death.is_none(),
            reasons: death.into_iter().map(Reason::from).collect(),
            uptime_ms: vitals.tally.clock.elapsed_ms(),
        }
    }
}

impl Readyz {
    pub(crate) fn of(vitals: &Vitals) -> Self {
        let facts = vitals.facts();
        let obstacles = facts.obstacles();
        let parts = facts.signs.into_iter().map(|(cause, sign)| {
            let part = Part {
                age_ms: sign.answered_ago.map(whole_ms),
                took_ms: whole_ms(sign.took),
                waiting_ms: sign.waiting.map(whole_ms),
            };
            (cause.word(), part)
        });
        Self {
            ready: obstacles.is_empty(),
            parts: parts.collect(),
            reasons: obstacles.into_iter().map(Reason::from).collect(),
            build: BUILD,
            uptime_ms: vitals.tally.clock.elapsed_ms(),
        }
    }
}

impl From<Obstacle> for Reason {
    fn from(obstacle: Obstacle) -> Self {
        Self {
            cause: obstacle.cause,
            why: obstacle.why,
            lasts_ms: obstacle.lasts.map(whole_ms),
        }
    }
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
