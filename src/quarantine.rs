//! The quarantine's states, what an operator may do in each, and when an entry expires. `[pure]`
//!
//! `suspected → quarantined → confirmed | released | expired`, and `allowed`, the operator's override. One entry per digest.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::blame::Scope;
use crate::digest::Digest;
use crate::recipe::RecipeKey;
use crate::verdict::Reason;

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Was running when a worker was lost, or has a first strike: runs alone next time.
    Suspected,
    /// Convicted by evidence: refused by its digest.
    Quarantined,
    /// An operator agreed: never expires.
    Confirmed,
    /// An operator let it go: runs again under the usual limits, and may be convicted again.
    Released,
    /// Its time was over: as if released.
    Expired,
    /// An operator vouches for it: runs, and is never convicted.
    Allowed,
}

/// How many times as high limits are once an operator has raised them.
pub const RAISED: u32 = 4;

/// What an operator, or time, does to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Put on the list by hand.
    Add,
    /// Taken over from another ledger.
    Import,
    /// Let go.
    Release,
    /// Let go, with limits raised until its state changes next.
    Raise,
    /// Agree with the conviction.
    Confirm,
    /// Vouch for the upload.
    Allow,
    /// Say something about it. Nothing else changes.
    Note,
    /// Delete the bytes that were kept of it. Nothing else changes.
    Erase,
    /// Time is over.
    Expire,
}

impl Action {
    /// The action's word in the audit trail and in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Import => "import",
            Self::Release => "release",
            Self::Raise => "raise",
            Self::Confirm => "confirm",
            Self::Allow => "allow",
            Self::Note => "note",
            Self::Erase => "erase",
            Self::Expire => "expire",
        }
    }
}

/// Whether a digest may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Gate {
    /// Under the usual rules.
    Open,
    /// Alone: nothing else in its worker, nothing else alone in the fleet.
    Solo,
    /// Under the usual limits, but no outcome convicts.
    Vouched,
    /// Not at all.
    Closed,
}

impl State {
    /// The state's word in tables, events and the ledger.
    pub fn word(self) -> &'static str {
        match self {
            Self::Suspected => "suspected",
            Self::Quarantined => "quarantined",
            Self::Confirmed => "confirmed",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Allowed => "allowed",
        }
    }

    /// The state after an action, or `None` where the action makes no sense in this state.
    pub fn after(self, action: Action) -> Option<Self> {
        use State::*;
        match (action, self) {
            (Action::Add | Action::Import, Suspected | Released | Expired) => Some(Quarantined),
            (Action::Release, Suspected | Quarantined | Confirmed | Allowed) => Some(Released),
            (Action::Raise, _) => Some(Released),
            (Action::Confirm, Suspected | Quarantined | Released | Expired) => Some(Confirmed),
            (Action::Allow, state) if state != Allowed => Some(Allowed),
            (Action::Note | Action::Erase, state) => Some(state),
            (Action::Expire, Suspected | Quarantined) => Some(Expired),
            _ => None,
        }
    }

    /// Whether an upload in this state may run with recipe `asked`; `listed` is the recipe its entry was made for.
    pub fn gate(self, scope: Scope, listed: Option<&RecipeKey>, asked: &RecipeKey) -> Gate {
        match self {
            Self::Quarantined | Self::Confirmed => match scope {
                Scope::Recipe if listed != Some(asked) => Gate::Open,
                _ => Gate::Closed,
            },
            Self::Suspected => Gate::Solo,
            Self::Allowed => Gate::Vouched,
            Self::Released | Self::Expired => Gate::Open,
        }
    }
}

/// How long an entry of this state and reason lasts; `None`: for ever.
///
/// 30 days for limit trips and crashes, 90 days for lost workers and for what an operator listed, with ±10 % jitter so that
/// entries that came together do not all expire together. The jitter comes from the digest: it is the same on every worker.
pub fn lifetime(state: State, reason: Reason, digest: &Digest) -> Option<Duration> {
    let days = match (state, reason) {
        (State::Suspected | State::Quarantined, Reason::WorkerLoss | Reason::Listed) => 90,
        (State::Suspected | State::Quarantined, _) => 30,
        _ => return None,
    };
    let base = Duration::from_secs(days * 24 * 3600);
    let spread = u32::from_str_radix(&digest.to_string()[..4], 16).unwrap_or(0);
    let factor = 0.9 + 0.2 * f64::from(spread) / f64::from(u16::MAX);
    Some(base.mul_f64(factor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STATES: [State; 6] = [
        State::Suspected,
        State::Quarantined,
        State::Confirmed,
        State::Released,
        State::Expired,
        State::Allowed,
    ];

    fn key(text: &str) -> RecipeKey {
        RecipeKey(text.to_owned())
    }

    #[test]
    fn quarantined_uploads_are_closed_to_every_recipe() {
        for state in [State::Quarantined, State::Confirmed] {
            assert_eq!(state.gate(Scope::Upload, Some(&key("a")), &key("b")), Gate::Closed);
        }
    }

    #[test]
    fn a_recipe_scope_closes_only_its_recipe() {
        let gate = |asked: &str| State::Quarantined.gate(Scope::Recipe, Some(&key("a")), &key(asked));
        assert_eq!((gate("a"), gate("b")), (Gate::Closed, Gate::Open));
    }

    #[test]
    fn confirmed_entries_never_expire() {
        assert_eq!(State::Confirmed.after(Action::Expire), None);
        assert_eq!(lifetime(State::Confirmed, Reason::Cpu, &Digest::of(b"x")), None);
    }

    #[test]
    fn every_state_can_be_left_by_an_operator() {
        for state in STATES {
            let ways = [Action::Release, Action::Confirm, Action::Allow];
            assert!(ways.iter().any(|&way| state.after(way).is_some()), "{state:?}");
        }
    }

    proptest! {
        #[test]
        fn jitter_is_at_most_a_tenth(bytes: Vec<u8>) {
            let life = lifetime(State::Quarantined, Reason::Cpu, &Digest::of(&bytes)).unwrap();
            let days = life.as_secs_f64() / 86_400.0;
            prop_assert!((26.99..=33.01).contains(&days), "{days}");
        }
    }
}
