//! How often an animation is shown, and how long its frames are, in the units of another format. `[pure]`
#![forbid(unsafe_code)]

/// How often an animation is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::convert) enum Plays {
    /// Over and over.
    Forever,
    /// So often, at least once.
    Times(u32),
}

impl Plays {
    /// From a count of which 0 means for ever.
    pub(super) fn of(count: u32) -> Self {
        match count {
            0 => Self::Forever,
            count => Self::Times(count),
        }
    }
}

/// Turns durations into whole units without drifting: what is rounded off one frame is given to the next.
#[derive(Debug, Clone, Copy)]
pub(in crate::convert) struct Clock {
    /// Microseconds of a unit.
    unit: u64,
    /// Least units of a frame that lasts at all.
    least: u64,
    /// Microseconds and units up to now.
    passed: u64,
    told: u64,
}

impl Clock {
    /// A clock of this many microseconds a unit; a frame that lasts at all lasts at least so many.
    pub(in crate::convert) fn new(unit: u64, least: u64) -> Self {
        Self {
            unit,
            least,
            passed: 0,
            told: 0,
        }
    }

    /// The units of a frame that lasts so many microseconds, `most` at most.
    pub(in crate::convert) fn step(&mut self, microseconds: u64, most: u64) -> u64 {
        self.passed = self.passed.saturating_add(microseconds);
        let due = (self.passed + self.unit / 2) / self.unit;
        let least = if microseconds == 0 { 0 } else { self.least };
        let units = due.saturating_sub(self.told).max(least);
        self.told += units;
        units.min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_frames_a_second_take_a_second() {
        let mut clock = Clock::new(10_000, 0);
        let steps: Vec<u64> = (0..60).map(|_| clock.step(16_667, 65_535)).collect();
        assert_eq!(steps.iter().sum::<u64>(), 100);
        assert!(steps.iter().all(|step| (1..=2).contains(step)), "{steps:?}");
    }

    #[test]
    fn a_frame_is_not_shorter_than_the_least_nor_longer_than_the_most() {
        let mut clock = Clock::new(10_000, 2);
        let steps = [1000, 0, 900_000_000, 30_000].map(|microseconds| clock.step(microseconds, 65_535));
        // Two milliseconds were told too many at first; what was cut off is gone.
        assert_eq!(steps, [2, 0, 65_535, 3]);
    }
}
