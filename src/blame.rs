//! What an outcome counts for: nothing, a memory of a day, a strike, or a conviction. `[pure]`
//!
//! In: an [`Outcome`], the strikes that a digest already has, and what the control image said. Out: a [`Judgement`].
//! The counts are those of the outcome table in ARCHITECTURE.md.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sandbox::outcome::Outcome;
use crate::sandbox::protocol::Phase;
use crate::verdict::Reason;

/// How long a refusal is remembered.
pub const REFUSAL_MEMORY: Duration = Duration::from_secs(24 * 3600);
/// Two crashes convict when they lie within this time.
pub const CRASH_WINDOW: Duration = Duration::from_secs(24 * 3600);
/// Strikes that convict where one is not exact evidence.
pub const INEXACT_STRIKES: usize = 2;

/// A strike that a digest already has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strike {
    /// What it was for.
    pub reason: Reason,
    /// How long ago.
    pub age: Duration,
}

/// What the built-in control image did right after the attempt, under the same limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// Not needed, so not run.
    NotRun,
    /// It converted: the host is well, the upload is to blame.
    Converted,
    /// It failed: the host is sick, and nobody is to blame.
    Failed,
    /// It did not come to an end of its own: nothing is known, and nobody is to blame.
    Unclear,
}

/// What is decided of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Judgement {
    /// The renditions are good; a suspicion is cleared.
    Clear,
    /// Remember the refusal for [`REFUSAL_MEMORY`].
    Remember,
    /// Record a strike; retry.
    Strike(Reason),
    /// Record a strike and quarantine.
    Convict(Reason),
    /// Nothing against the upload; retry later.
    Retry,
    /// Nothing against the upload, and this host must stop taking work.
    SickHost,
}

/// Whether the outcome asks for a run of the control image before it is judged.
pub fn needs_control(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Violation | Outcome::Crashed(_) | Outcome::Killed => true,
        Outcome::Tripped(trip) => trip.reason == Reason::Wall,
        _ => false,
    }
}

/// Whether the outcome counts against its upload, be it at once or with another one like it.
pub fn counts_against(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Tripped(_)) || needs_control(outcome)
}

/// Judges an outcome. `earlier` are the strikes of the digest in its present epoch, this attempt not included.
pub fn judge(outcome: &Outcome, earlier: &[Strike], control: Control) -> Judgement {
    match control {
        Control::Failed if counts_against(outcome) => return Judgement::SickHost,
        Control::Unclear if needs_control(outcome) => return Judgement::Retry,
        _ => {}
    }
    match outcome {
        Outcome::Converted(_) => Judgement::Clear,
        Outcome::Refused(_) => Judgement::Remember,
        Outcome::Tripped(trip) if trip.reason == Reason::Wall => inexact(Reason::Wall, earlier, Duration::MAX),
        Outcome::Tripped(trip) => Judgement::Convict(trip.reason),
        Outcome::Violation => Judgement::Convict(Reason::Violation),
        Outcome::Crashed(_) | Outcome::Killed => inexact(Reason::Crash, earlier, CRASH_WINDOW),
        Outcome::Declined(_) | Outcome::Starved | Outcome::Unavailable(_) | Outcome::Released => Judgement::Retry,
    }
}

/// Judges the loss of a worker while it ran a suspect alone; a loss in company only makes suspects and is not judged here.
pub fn judge_solo_loss(earlier: &[Strike]) -> Judgement {
    inexact(Reason::WorkerLoss, earlier, Duration::MAX)
}

fn inexact(reason: Reason, earlier: &[Strike], window: Duration) -> Judgement {
    let counted = earlier
        .iter()
        .filter(|strike| strike.reason == reason && strike.age <= window)
        .count();
    if counted + 1 >= INEXACT_STRIKES {
        Judgement::Convict(reason)
    } else {
        Judgement::Strike(reason)
    }
}

/// How much of an upload a conviction covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Every recipe.
    Upload,
    /// Only the recipe that tripped.
    Recipe,
}

impl Scope {
    /// The scope of a conviction: the recipe where decoding had ended, the whole upload otherwise.
    pub fn of(phase: Phase) -> Self {
        match phase {
            Phase::Preflight | Phase::Decode | Phase::Transform => Self::Upload,
            Phase::Encode => Self::Recipe,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::outcome::Trip;
    use crate::verdict::Exceeded;

    fn tripped(reason: Reason) -> Outcome {
        let exceeded = Exceeded {
            limit: "test".to_owned(),
            seen: 2,
            allowed: 1,
        };
        Outcome::Tripped(Trip { reason, exceeded })
    }

    fn strike(reason: Reason, hours: u64) -> Strike {
        Strike {
            reason,
            age: Duration::from_secs(hours * 3600),
        }
    }

    #[test]
    fn exact_evidence_convicts_at_once() {
        for reason in [Reason::Memory, Reason::Cpu, Reason::Output] {
            assert_eq!(
                judge(&tripped(reason), &[], Control::NotRun),
                Judgement::Convict(reason)
            );
        }
        assert_eq!(
            judge(&Outcome::Violation, &[], Control::Converted),
            Judgement::Convict(Reason::Violation)
        );
    }

    #[test]
    fn inexact_evidence_convicts_at_the_second_strike() {
        let wall = tripped(Reason::Wall);
        assert_eq!(judge(&wall, &[], Control::Converted), Judgement::Strike(Reason::Wall));
        let earlier = [strike(Reason::Wall, 400)];
        assert_eq!(
            judge(&wall, &earlier, Control::Converted),
            Judgement::Convict(Reason::Wall)
        );
    }

    #[test]
    fn crashes_count_for_a_day() {
        let crash = Outcome::Crashed("SIGSEGV".to_owned());
        let verdict = |hours| judge(&crash, &[strike(Reason::Crash, hours)], Control::Converted);
        assert_eq!(verdict(23), Judgement::Convict(Reason::Crash));
        assert_eq!(verdict(25), Judgement::Strike(Reason::Crash));
    }

    #[test]
    fn strikes_of_another_kind_do_not_add_up() {
        let earlier = [strike(Reason::Wall, 1)];
        let crash = Outcome::Crashed("SIGSEGV".to_owned());
        assert_eq!(
            judge(&crash, &earlier, Control::Converted),
            Judgement::Strike(Reason::Crash)
        );
    }

    #[test]
    fn a_sick_host_blames_nobody() {
        let wall = tripped(Reason::Wall);
        for outcome in [
            Outcome::Violation,
            Outcome::Killed,
            Outcome::Crashed(String::new()),
            wall,
            // Looked for where trips rise: see the breaker.
            tripped(Reason::Cpu),
        ] {
            assert_eq!(
                judge(&outcome, &[strike(Reason::Crash, 1)], Control::Failed),
                Judgement::SickHost
            );
        }
    }

    #[test]
    fn a_control_that_says_nothing_blames_nobody() {
        for outcome in [Outcome::Violation, Outcome::Killed, Outcome::Crashed(String::new())] {
            assert_eq!(
                judge(&outcome, &[strike(Reason::Crash, 1)], Control::Unclear),
                Judgement::Retry
            );
        }
        assert_eq!(
            judge(&tripped(Reason::Cpu), &[], Control::Unclear),
            Judgement::Convict(Reason::Cpu)
        );
    }

    #[test]
    fn starved_and_unavailable_never_strike() {
        let earlier = [strike(Reason::Wall, 1), strike(Reason::Crash, 1)];
        let declined = Outcome::Declined(Exceeded {
            limit: "work".to_owned(),
            seen: 2,
            allowed: 1,
        });
        let unavailable = Outcome::Unavailable(String::new());
        for outcome in [Outcome::Starved, unavailable, Outcome::Released, declined] {
            assert_eq!(judge(&outcome, &earlier, Control::NotRun), Judgement::Retry);
        }
    }

    #[test]
    fn two_solo_losses_convict() {
        assert_eq!(judge_solo_loss(&[]), Judgement::Strike(Reason::WorkerLoss));
        let earlier = [strike(Reason::WorkerLoss, 1)];
        assert_eq!(judge_solo_loss(&earlier), Judgement::Convict(Reason::WorkerLoss));
    }
}
