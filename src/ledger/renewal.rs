//! Renewals: what was decided under another build or other limits, tried again when it is asked for, a few at a time. `[pure]`
//!
//! In: what was decided, the epoch that it was decided in, and the epoch that asks. Out: what it is worth. What is old is tried again where there
//! is room for one more renewal; everybody else is answered with it at once, as if it held.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Entry, Epoch};
use crate::blame::REFUSAL_MEMORY;
use crate::quarantine::State;
use crate::verdict::{Reason, Status};

/// What an attempt tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Renews {
    /// What is remembered: renditions of another build, or a refusal of another build or other limits.
    Result,
    /// What keeps the upload in quarantine.
    Entry,
}

impl Renews {
    /// Its word in the ledger and in log lines.
    pub fn word(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::Entry => "entry",
        }
    }
}

/// What something that was decided is worth to whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Worth {
    /// It is the answer.
    Holds,
    /// It is the answer, and may be tried again.
    Old,
    /// It is forgotten.
    Nothing,
}

/// Whether one more renewal may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Room {
    Free,
    Full,
}

/// What a result is worth to an epoch: renditions hold within a build; a refusal within build and limits, and for a day in any case.
pub(super) fn of_result(status: Status, made: &Epoch, asks: &Epoch, age: Duration) -> Worth {
    let holds = match status {
        Status::Converted => made.build == asks.build,
        _ if age >= REFUSAL_MEMORY => return Worth::Nothing,
        _ => made == asks,
    };
    if holds { Worth::Holds } else { Worth::Old }
}

/// What an entry that refuses an upload is worth to an epoch under which the upload has so many strikes since it was last let go.
///
/// What a person listed or confirmed is a person's to let go; and what took workers with it might take one more. An upload that has a strike of
/// the epoch has been tried by it.
pub(super) fn of_entry(entry: &Entry, asks: &Epoch, strikes: usize) -> Worth {
    let by_rule = !matches!(entry.reason, Reason::Listed | Reason::WorkerLoss);
    match entry.state == State::Quarantined && by_rule && entry.epoch != *asks && strikes == 0 {
        true => Worth::Old,
        false => Worth::Holds,
    }
}

/// Whether one more may run where so many do, and `most` may.
pub(super) fn room(most: u32, running: u64) -> Room {
    match running < u64::from(most) {
        true => Room::Free,
        false => Room::Full,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::digest::Digest;

    fn epoch(build: &str, limits: &str) -> Epoch {
        Epoch {
            build: build.to_owned(),
            limits: limits.to_owned(),
        }
    }

    #[test]
    fn what_a_result_is_worth() {
        let (day, almost) = (REFUSAL_MEMORY, REFUSAL_MEMORY - Duration::from_millis(1));
        let (same, build, limits) = (epoch("1", "a"), epoch("2", "a"), epoch("1", "b"));
        for (status, asks, age, worth) in [
            (Status::Converted, &same, day * 400, Worth::Holds),
            (Status::Converted, &limits, day * 400, Worth::Holds),
            (Status::Converted, &build, Duration::ZERO, Worth::Old),
            (Status::Converted, &build, day * 400, Worth::Old),
            (Status::Rejected, &same, almost, Worth::Holds),
            (Status::Rejected, &same, day, Worth::Nothing),
            (Status::Rejected, &build, almost, Worth::Old),
            (Status::Rejected, &limits, almost, Worth::Old),
            (Status::Rejected, &limits, day, Worth::Nothing),
        ] {
            let found = of_result(status, &epoch("1", "a"), asks, age);
            assert_eq!(found, worth, "{status:?} asked by {asks:?} after {age:?}");
        }
    }

    #[test]
    fn what_an_entry_is_worth() {
        use State::*;
        let (same, build, limits) = (epoch("1", "a"), epoch("2", "a"), epoch("1", "b"));
        for (state, reason, asks, strikes, worth) in [
            (Quarantined, Reason::Cpu, &same, 0, Worth::Holds),
            (Quarantined, Reason::Cpu, &build, 0, Worth::Old),
            (Quarantined, Reason::Memory, &limits, 0, Worth::Old),
            (Quarantined, Reason::Violation, &build, 0, Worth::Old),
            (Quarantined, Reason::Crash, &build, 0, Worth::Old),
            (Quarantined, Reason::Wall, &build, 1, Worth::Holds),
            (Quarantined, Reason::Listed, &build, 0, Worth::Holds),
            (Quarantined, Reason::WorkerLoss, &build, 0, Worth::Holds),
            (Confirmed, Reason::Cpu, &build, 0, Worth::Holds),
        ] {
            let mut entry = Entry::listed(Digest::of(b"bomb"), epoch("1", "a"), "", clock::now());
            (entry.state, entry.reason) = (state, reason);
            let found = of_entry(&entry, asks, strikes);
            assert_eq!(
                found, worth,
                "{state:?} for {reason:?}, asked by {asks:?}, struck {strikes}"
            );
        }
    }

    #[test]
    fn there_is_room_below_the_most() {
        for (most, running, found) in [
            (0, 0, Room::Full),
            (1, 0, Room::Free),
            (2, 1, Room::Free),
            (2, 2, Room::Full),
            (2, 9, Room::Full),
        ] {
            assert_eq!(room(most, running), found, "{running} of {most}");
        }
    }
}
