//! How jobs ended, hour by hour: what a worker remembers of its own verdicts, for a month at most.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::verdict::Status;

/// Hours that are remembered.
const KEPT: usize = 31 * 24;
const HOUR_MS: u64 = 3_600_000;

/// Jobs that ended in one hour, in the order of [`Status::ALL`].
type Ended = [u64; Status::ALL.len()];

/// Jobs that ended, by hours since 1970.
#[derive(Debug, Default)]
pub struct Hours(Mutex<BTreeMap<u64, Ended>>);

impl Hours {
    /// A job ended at this time, in milliseconds since 1970.
    pub fn ended(&self, at_ms: u64, status: Status) {
        let mut hours = self.lock();
        let of_hour = hours.entry(at_ms / HOUR_MS).or_default();
        if let Some(count) = of_hour.get_mut(status as usize) {
            *count += 1;
        }
        if hours.len() > KEPT {
            hours.pop_first();
        }
    }

    /// Jobs that ended so, each count with the time at which its hour began, in milliseconds since 1970; the oldest first.
    pub fn by_hour(&self, status: Status) -> Vec<(i64, u64)> {
        let hours = self.lock();
        let told = hours.iter().map(|(hour, ended)| {
            let count = ended.get(status as usize).copied().unwrap_or_default();
            ((hour * HOUR_MS) as i64, count)
        });
        told.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Ended>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_a_place_of_its_own() {
        let hours = Hours::default();
        for status in Status::ALL {
            hours.ended(HOUR_MS, status);
        }
        for status in Status::ALL {
            assert_eq!(hours.by_hour(status), [(HOUR_MS as i64, 1)], "{}", status.word());
        }
    }

    #[test]
    fn an_hour_is_added_up_and_the_next_one_is_another() {
        let hours = Hours::default();
        for at_ms in [2 * HOUR_MS, 3 * HOUR_MS - 1, 3 * HOUR_MS] {
            hours.ended(at_ms, Status::Failed);
        }
        // A clock may be set back.
        hours.ended(2 * HOUR_MS, Status::Converted);
        let of = |hour: u64, count| ((hour * HOUR_MS) as i64, count);
        assert_eq!(hours.by_hour(Status::Failed), [of(2, 2), of(3, 1)]);
        assert_eq!(hours.by_hour(Status::Converted), [of(2, 1), of(3, 0)]);
    }

    #[test]
    fn the_oldest_hours_are_forgotten() {
        let hours = Hours::default();
        for hour in 0..KEPT as u64 + 5 {
            hours.ended(hour * HOUR_MS, Status::Converted);
        }
        let kept = hours.by_hour(Status::Converted);
        assert_eq!((kept.len(), kept[0].0), (KEPT, 5 * HOUR_MS as i64));
    }
}
