//! What waits to be delivered, and when it goes. `[pure]`
//!
//! An avalanche of convictions is one delivery: some of each kind are told in full, all are counted. The first notice after quiet goes out almost
//! at once; after that, one delivery in the time that the configuration names. What waits is bounded, whatever comes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::notice::{Kind, Notice};

/// Most notices of one kind that a delivery tells in full: a thousand convictions do not hide one violation.
pub(super) const OF_A_KIND: usize = 20;
/// How long the first notice after quiet waits for company: one attack is seldom one file.
const COMPANY: Duration = Duration::from_secs(1);

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Those that are told in full, oldest first.
    pub(super) told: Vec<Notice>,
    /// How many there were of each kind, told in full or not.
    pub(super) counts: BTreeMap<Kind, u64>,
    /// Notices of earlier deliveries that were given up.
    pub(super) undelivered: u64,
    /// When the first one came, since some start.
    since: Option<Duration>,
}

impl Gathered {
    /// One more, at this time since some start.
    pub(super) fn add(&mut self, notice: Notice, now: Duration) {
        self.since.get_or_insert(now);
        let Some(kind) = notice.what.kind() else {
            self.told.push(notice);
            return;
        };
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        if *count <= OF_A_KIND as u64 {
            self.told.push(notice);
        }
    }

    /// How many there are, told in full or not.
    pub(super) fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How many are only counted.
    pub(super) fn omitted(&self) -> u64 {
        self.count().saturating_sub(self.told.len() as u64)
    }

    /// When they are to go; none where there are none. `last` is when the last delivery began.
    pub(super) fn due(&self, last: Option<Duration>, digest: Duration) -> Option<Duration> {
        let since = self.since? + COMPANY.min(digest);
        Some(last.map_or(since, |last| since.max(last + digest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::WorkerId;
    use crate::notices::notice::What;

    fn notice(number: usize) -> Notice {
        lost(&format!("w{number}"))
    }

    fn lost(name: &str) -> Notice {
        let what = What::WorkerLost {
            lost: name.to_owned(),
            attempts: 0,
        };
        Notice::of(&WorkerId("w".to_owned()), what, chrono::DateTime::UNIX_EPOCH)
    }

    fn breaker() -> Notice {
        let what = What::Breaker {
            state: crate::notices::Turn::Opened,
            since: chrono::DateTime::UNIX_EPOCH,
            detail: String::new(),
        };
        Notice::of(&WorkerId("w".to_owned()), what, chrono::DateTime::UNIX_EPOCH)
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const DIGEST: Duration = Duration::from_secs(30);

    #[test]
    fn an_avalanche_is_told_in_part_and_counted_whole_and_hides_nothing() {
        let mut gathered = Gathered::default();
        for number in 0..100_000 {
            gathered.add(notice(number), at(0));
        }
        gathered.add(breaker(), at(1));
        assert_eq!((gathered.told.len(), gathered.count()), (OF_A_KIND + 1, 100_001));
        assert_eq!(gathered.omitted(), 100_000 - OF_A_KIND as u64);
        assert_eq!(gathered.told.last().unwrap().what.kind(), Some(Kind::Breaker));
        assert_eq!(gathered.told[0], notice(0), "the oldest are told");
    }

    #[test]
    fn the_first_after_quiet_goes_almost_at_once_and_the_next_in_time() {
        let mut gathered = Gathered::default();
        assert_eq!(gathered.due(None, DIGEST), None);
        gathered.add(notice(0), at(100));
        gathered.add(notice(1), at(100) + COMPANY / 2);
        assert_eq!(
            gathered.due(None, DIGEST),
            Some(at(100) + COMPANY),
            "the first one's time counts"
        );
        assert_eq!(
            gathered.due(Some(at(10)), DIGEST),
            Some(at(100) + COMPANY),
            "quiet for long enough"
        );
        assert_eq!(gathered.due(Some(at(90)), DIGEST), Some(at(120)));
        assert_eq!(gathered.due(Some(at(100)), COMPANY / 4), Some(at(100) + COMPANY / 4));
    }

    #[test]
    fn what_was_given_up_alone_is_no_reason_to_deliver() {
        let gathered = Gathered {
            undelivered: 7,
            ..Gathered::default()
        };
        assert_eq!(gathered.due(None, DIGEST), None);
    }
}
