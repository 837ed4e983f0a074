//! Health: whether a worker lives, and whether it takes work. `[pure]`
//!
//! In: [`Facts`] from memory. Out: what stands in the way, with its cause. To live and to take work are two questions: a worker whose ledger or
//! broker is silent lives, and ending it would mend nothing (one that did so took the standby down as well).

use std::time::Duration;

use serde::Serialize;

/// How long a part may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How old an answer may be. Every part is asked at least every 5 s.
pub const STALE: Duration = Duration::from_secs(20);
/// How long the worker's runtime may stand still before it takes no more work.
pub const STANDSTILL: Duration = Duration::from_secs(5);
/// How long before it is given up. Whoever watches ends the process then: its queue keeps the jobs, its flight record tells what it ran.
pub const DEAD: Duration = Duration::from_secs(60);

/// How far a worker has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// It proves its sandbox and opens ledger and stores.
    Starting,
    /// It takes work.
    Working,
    /// It ends what it has.
    Draining,
}

/// What keeps a worker from taking work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// It has not started yet.
    Starting,
    /// It was told to stop, or a new configuration takes over.
    Draining,
    /// Its own threads stand still.
    Worker,
    /// The ledger is silent, or fails.
    Ledger,
    /// The broker is silent, or fails.
    Broker,
    /// The folder that attempts write to is silent, or fails.
    Disk,
    /// A bucket that no job can do without is silent, or fails.
    Store,
    /// What is known to be good does not convert here; the breaker is open.
    Host,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Starting,
        Self::Draining,
        Self::Worker,
        Self::Ledger,
        Self::Broker,
        Self::Disk,
        Self::Store,
        Self::Host,
    ];

    /// Its word in answers and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Draining => "draining",
            Self::Worker => "worker",
            Self::Ledger => "ledger",
            Self::Broker => "broker",
            Self::Disk => "disk",
            Self::Store => "store",
            Self::Host => "host",
        }
    }
}

/// How a part is that is asked again and again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sign {
    /// How long the question waits that is not answered.
    pub waiting: Option<Duration>,
    /// How long ago it last answered that all is well.
    pub answered_ago: Option<Duration>,
    /// How long that answer took.
    pub took: Duration,
    /// What its last answer was, where that was an error.
    pub failed: Option<String>,
}

/// What is known of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// How far it has come.
    pub stage: Stage,
    /// How long ago its runtime turned last.
    pub turned_ago: Duration,
    /// What it says itself.
    pub obstacle: Option<Obstacle>,
    /// How the parts are.
    pub signs: [(Cause, Sign); 4],
}

/// What stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// Which of the causes.
    pub cause: Cause,
    /// A sentence for people.
    pub why: String,
    /// For how long, where that is known.
    pub lasts: Option<Duration>,
}

impl Facts {
    /// All that keeps the worker from taking work; at most one of each cause. Nothing: it does.
    #[must_use]
    pub fn obstacles(&self) -> Vec<Obstacle> {
        let mut found: Vec<Obstacle> = Vec::new();
        let own = [self.by_stage(), self.standstill(STANDSTILL), self.obstacle.clone()];
        // Before the worker works nobody asks the parts.
        let parts = self.signs.iter().filter(|_| self.stage != Stage::Starting);
        let parts = parts.filter_map(|(cause, sign)| silence(*cause, sign));
        for obstacle in own.into_iter().flatten().chain(parts) {
            if found.iter().all(|known| known.cause != obstacle.cause) {
                found.push(obstacle);
            }
        }
        found
    }

    /// Why the process is beyond help; `None` where it lives.
    #[must_use]
    pub fn death(&self) -> Option<Obstacle> {
        self.standstill(DEAD)
    }

    fn by_stage(&self) -> Option<Obstacle> {
        let (cause, why) = match self.stage {
            Stage::Working => return None,
            Stage::Starting => (Cause::Starting, "the sandbox is proven and the ledger opened"),
            Stage::Draining => (Cause::Draining, "what runs ends, nothing is taken"),
        };
        Some(Obstacle {
            cause,
            why: why.to_owned(),
            lasts: None,
        })
    }

    fn standstill(&self, longest: Duration) -> Option<Obstacle> {
        (self.turned_ago > longest).then(|| Obstacle {
            cause: Cause::Worker,
            why: format!(
                "the worker's threads have stood still for {} s",
                self.turned_ago.as_secs()
            ),
            lasts: Some(self.turned_ago),
        })
    }
}

/// Why a part cannot be relied on.
fn silence(cause: Cause, sign: &Sign) -> Option<Obstacle> {
    let why = match sign {
        Sign {
            waiting: Some(waiting), ..
        } if *waiting > PATIENCE => format!("the {} has not answered for {} s", cause.word(), waiting.as_secs()),
        Sign {
            failed: Some(failed), ..
        } => failed.clone(),
        Sign { answered_ago: None, .. } => format!("the {} has not answered yet", cause.word()),
        Sign {
            answered_ago: Some(ago),
            ..
        } if *ago > STALE => format!("the {} was last heard of {} s ago", cause.word(), ago.as_secs()),
        _ => return None,
    };
    Some(Obstacle {
        cause,
        why,
        lasts: sign.answered_ago,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn well() -> Facts {
        let sign = Sign {
            answered_ago: Some(SECOND),
            ..Sign::default()
        };
        Facts {
            stage: Stage::Working,
            turned_ago: SECOND,
            obstacle: None,
            signs: [Cause::Ledger, Cause::Broker, Cause::Disk, Cause::Store].map(|cause| (cause, sign.clone())),
        }
    }

    fn causes(facts: &Facts) -> Vec<Cause> {
        facts.obstacles().into_iter().map(|obstacle| obstacle.cause).collect()
    }

    fn with(cause: Cause, sign: Sign) -> Facts {
        let mut facts = well();
        facts.signs = facts
            .signs
            .map(|(known, other)| (known, if known == cause { sign.clone() } else { other }));
        facts
    }

    #[test]
    fn a_worker_takes_work_where_every_part_has_answered_of_late() {
        assert_eq!(causes(&well()), []);
        let silent = |waiting| {
            let sign = Sign {
                waiting: Some(waiting),
                answered_ago: Some(waiting),
                ..Sign::default()
            };
            causes(&with(Cause::Broker, sign))
        };
        assert_eq!(silent(PATIENCE), []);
        assert_eq!(silent(PATIENCE + SECOND), [Cause::Broker]);
        let stale = Sign {
            answered_ago: Some(STALE + SECOND),
            ..Sign::default()
        };
        assert_eq!(causes(&with(Cause::Disk, stale)), [Cause::Disk]);
        assert_eq!(causes(&with(Cause::Ledger, Sign::default())), [Cause::Ledger]);
    }

    #[test]
    fn a_part_that_fails_says_why_and_each_cause_is_told_once() {
        let failed = Sign {
            answered_ago: Some(SECOND),
            failed: Some("disk full".to_owned()),
            ..Sign::default()
        };
        let mut facts = with(Cause::Ledger, failed);
        assert_eq!(facts.obstacles()[0].why, "disk full");
        facts.obstacle = Some(Obstacle {
            cause: Cause::Ledger,
            why: "the worker's own words".to_owned(),
            lasts: None,
        });
        assert_eq!(facts.obstacles().len(), 1);
        assert_eq!(facts.obstacles()[0].why, "the worker's own words");
    }

    #[test]
    fn before_it_works_and_while_it_drains_it_takes_nothing() {
        let mut facts = with(Cause::Ledger, Sign::default());
        facts.stage = Stage::Starting;
        assert_eq!(causes(&facts), [Cause::Starting]);
        assert_eq!(
            causes(&Facts {
                stage: Stage::Draining,
                ..well()
            }),
            [Cause::Draining]
        );
    }

    #[test]
    fn silent_parts_are_no_reason_to_end_a_worker_and_threads_that_stand_still_are() {
        let mut facts = with(Cause::Ledger, Sign::default());
        assert_eq!(facts.death(), None);
        facts.turned_ago = STANDSTILL + SECOND;
        assert!(facts.death().is_none() && causes(&facts).contains(&Cause::Worker));
        facts.turned_ago = DEAD + SECOND;
        assert_eq!(
            facts.death().unwrap().why,
            "the worker's threads have stood still for 61 s"
        );
    }

    #[test]
    fn words_are_those_of_the_answers() {
        for cause in Cause::ALL {
            assert_eq!(serde_json::json!(cause), cause.word());
        }
    }
}
