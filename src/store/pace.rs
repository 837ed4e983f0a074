//! How fast an object must come: whole within a deadline, and never slower than a rate over a while. `[pure]`
//!
//! Only the waiting for a sender counts: whoever takes long to write down what came is not told to be slow.

use std::time::Duration;

use super::terms::Terms;

/// The while over which a rate is looked at.
const WHILE: Duration = Duration::from_secs(10);

/// An object that comes.
#[derive(Debug)]
pub(super) struct Pace {
    deadline: Duration,
    /// Bytes that must come in each [`WHILE`].
    least: u64,
    bytes: u64,
    waited: Duration,
}

/// What a sender is given up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TooSlow {
    /// It was not over in time.
    #[error("not read to its end within {} (buckets.deadline)", humantime::format_duration(*.0))]
    Deadline(Duration),
    /// Too little came.
    #[error("{bytes} bytes came in 10s, {least} are the least (buckets.slowest)")]
    Rate {
        /// What came.
        bytes: u64,
        /// What had to.
        least: u64,
    },
}

impl Pace {
    pub fn new(terms: &Terms) -> Self {
        Self {
            deadline: terms.deadline,
            least: terms.slowest.saturating_mul(WHILE.as_secs()),
            bytes: 0,
            waited: Duration::ZERO,
        }
    }

    /// How long to wait for more, so long after the beginning.
    pub fn patience(&self, age: Duration) -> Duration {
        let left = self.deadline.saturating_sub(age);
        match self.least {
            0 => left,
            _ => left.min(WHILE.saturating_sub(self.waited)),
        }
    }

    /// So many bytes came after such a wait; the object began to come so long ago.
    pub fn came(&mut self, bytes: u64, waited: Duration, age: Duration) -> Result<(), TooSlow> {
        self.bytes += bytes;
        self.waited += waited;
        if age >= self.deadline {
            return Err(TooSlow::Deadline(self.deadline));
        }
        if self.waited < WHILE {
            return Ok(());
        }
        if self.bytes < self.least {
            return Err(TooSlow::Rate {
                bytes: self.bytes,
                least: self.least,
            });
        }
        (self.bytes, self.waited) = (0, Duration::ZERO);
        Ok(())
    }

    /// Why nothing more is waited for.
    pub fn silence(&self, age: Duration) -> TooSlow {
        if age >= self.deadline {
            return TooSlow::Deadline(self.deadline);
        }
        TooSlow::Rate {
            bytes: self.bytes,
            least: self.least,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace(slowest: u64) -> Pace {
        Pace::new(&Terms {
            connect: SECOND,
            patience: SECOND,
            deadline: SECOND * 60,
            slowest,
            presign: None,
        })
    }

    /// The first refusal of a sender of so many bytes a second, and when.
    fn fed(slowest: u64, bytes: u64) -> (u32, TooSlow) {
        let mut pace = pace(slowest);
        (1..)
            .find_map(|second| Some((second, pace.came(bytes, SECOND, SECOND * second).err()?)))
            .unwrap()
    }

    #[test]
    fn both_sides_of_the_rate() {
        let least = 1000;
        assert_eq!(fed(100, 99), (10, TooSlow::Rate { bytes: 990, least }));
        assert_eq!(fed(100, 100), (60, TooSlow::Deadline(SECOND * 60)));
        assert_eq!(fed(0, 0), (60, TooSlow::Deadline(SECOND * 60)));
    }

    #[test]
    fn silence_is_waited_for_until_the_rate_or_the_deadline_forbids_it() {
        let mut silent = pace(100);
        assert_eq!(silent.patience(Duration::ZERO), WHILE);
        silent.came(5, SECOND * 4, SECOND * 4).unwrap();
        assert_eq!(silent.patience(SECOND * 4), SECOND * 6);
        assert_eq!(silent.silence(SECOND * 10), TooSlow::Rate { bytes: 5, least: 1000 });
        assert_eq!(silent.patience(SECOND * 58), SECOND * 2);
        assert_eq!(silent.silence(SECOND * 60), TooSlow::Deadline(SECOND * 60));
        assert_eq!(pace(0).patience(SECOND), SECOND * 59);
    }

    #[test]
    fn a_slow_disk_of_our_own_is_no_slow_sender() {
        let mut pace = pace(100);
        for second in (5..60).step_by(5) {
            pace.came(10, Duration::from_millis(1), SECOND * second).unwrap();
        }
    }

    #[test]
    fn people_are_told_the_setting() {
        let words = TooSlow::Rate { bytes: 5, least: 1000 }.to_string();
        assert_eq!(words, "5 bytes came in 10s, 1000 are the least (buckets.slowest)");
        let words = TooSlow::Deadline(SECOND * 120).to_string();
        assert_eq!(words, "not read to its end within 2m (buckets.deadline)");
    }
}
