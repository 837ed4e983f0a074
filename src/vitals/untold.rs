//! Jobs that ended, and that the ledger has not counted yet.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use crate::verdict::Status;

/// Counts by status, taken now and then by whoever tells the ledger.
#[derive(Debug, Default)]
pub struct Untold([AtomicU64; Status::ALL.len()]);

impl Untold {
    /// A job ended so.
    pub fn ended(&self, status: Status) {
        self.add(status, 1);
    }

    /// What there is, which is none of it any longer; empty where nothing ended.
    pub fn take(&self) -> Vec<(Status, u64)> {
        let counts = Status::ALL.into_iter().zip(&self.0);
        let taken = counts.map(|(status, count)| (status, count.swap(0, Ordering::Relaxed)));
        taken.filter(|(_, count)| *count > 0).collect()
    }

    /// What was taken, and could not be told.
    pub fn give_back(&self, taken: &[(Status, u64)]) {
        for (status, count) in taken {
            self.add(*status, *count);
        }
    }

    fn add(&self, status: Status, more: u64) {
        if let Some(count) = self.0.get(status as usize) {
            count.fetch_add(more, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_told_once_or_given_back() {
        let untold = Untold::default();
        assert!(untold.take().is_empty());
        for status in [Status::Failed, Status::Converted, Status::Failed] {
            untold.ended(status);
        }
        let taken = untold.take();
        assert_eq!(taken, [(Status::Converted, 1), (Status::Failed, 2)]);
        assert!(untold.take().is_empty());
        untold.ended(Status::Converted);
        untold.give_back(&taken);
        assert_eq!(untold.take(), [(Status::Converted, 2), (Status::Failed, 2)]);
    }
}
