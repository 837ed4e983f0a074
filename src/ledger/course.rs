//! What went on over time, in equal steps up to now: jobs begun and ended, uploads convicted.
//!
//! It is counted from what the ledger keeps anyhow, found by an index, and no more than so many rows of it: where there are more, a course begins late,
//! and says since when. Verdicts are counted as workers tell them, ten seconds late, and without the last ten of one that was killed.

#![forbid(unsafe_code)]

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::DAYS_KEPT;
use crate::verdict::{Reason, Status};

/// Most rows that jobs are counted from: a tenant has one for each minute, or day, in which it began any.
pub const USES_COUNTED: u32 = 300_000;
/// Most records of the audit trail that convictions are counted from.
pub const RECORDS_COUNTED: u32 = 20_000;

/// How long the verdicts of an hour are kept.
pub const VERDICTS_KEPT: Duration = DAYS_KEPT;

/// How far back a course goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Span {
    /// 24 hours, by hour.
    #[default]
    Day,
    /// 30 days, by day.
    Month,
}

/// The steps of a span up to now. Hours and days are UTC's, and the last one is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    span: Span,
    /// Number of the first one since 1970.
    first: i64,
}

/// What went on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// When.
    pub steps: Steps,
    /// Jobs begun, step by step.
    pub jobs: Vec<u64>,
    /// Since when they are counted, where the ledger knows of more.
    pub jobs_since: Option<DateTime<Utc>>,
    /// Jobs ended, step by step, by those statuses that there were.
    pub verdicts: Vec<(Status, Vec<u64>)>,
    /// Uploads that rules convicted, step by step, by those reasons that there were.
    pub convictions: Vec<(Reason, Vec<u64>)>,
    /// Since when they are counted, where the ledger knows of more.
    pub convictions_since: Option<DateTime<Utc>>,
}

impl Span {
    /// Its steps.
    pub fn steps(self) -> usize {
        match self {
            Self::Day => 24,
            Self::Month => 30,
        }
    }

    /// How long each is, in milliseconds.
    pub fn step_ms(self) -> i64 {
        match self {
            Self::Day => 3_600_000,
            Self::Month => 24 * 3_600_000,
        }
    }
}

impl Steps {
    /// Those up to this time, in milliseconds since 1970.
    pub fn until(span: Span, now_ms: i64) -> Self {
        let last = now_ms.div_euclid(span.step_ms());
        let first = last - (span.steps() as i64 - 1);
        Self { span, first }
    }

    /// What they are the steps of.
    pub fn span(self) -> Span {
        self.span
    }

    /// When each begins, in milliseconds since 1970; the oldest first.
    pub fn begins(self) -> impl Iterator<Item = i64> {
        let steps = 0..self.span.steps() as i64;
        steps.map(move |step| (self.first + step) * self.span.step_ms())
    }

    /// When the first one begins, in milliseconds since 1970.
    pub fn since_ms(self) -> i64 {
        self.first * self.span.step_ms()
    }

    /// Counts, each of a time in milliseconds, step by step. Those of other times are left out.
    pub fn spread(self, counted: impl IntoIterator<Item = (i64, u64)>) -> Vec<u64> {
        let mut counts = vec![0_u64; self.span.steps()];
        for (at_ms, count) in counted {
            let step = at_ms.saturating_sub(self.since_ms()).div_euclid(self.span.step_ms());
            let step = usize::try_from(step).ok();
            if let Some(sum) = step.and_then(|step| counts.get_mut(step)) {
                *sum = sum.saturating_add(count);
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn the_last_step_is_now_and_steps_begin_with_hours_and_days() {
        // Half past seven, a hundred days after the first.
        let now = 100 * 24 * HOUR + 7 * HOUR + HOUR / 2;
        let hours: Vec<i64> = Steps::until(Span::Day, now).begins().collect();
        assert_eq!((hours.len(), hours[23]), (24, 100 * 24 * HOUR + 7 * HOUR));
        assert_eq!(hours[0], hours[23] - 23 * HOUR);
        let days: Vec<i64> = Steps::until(Span::Month, now).begins().collect();
        assert_eq!((days.len(), days[29]), (30, 100 * 24 * HOUR));
        assert_eq!(days[0], Steps::until(Span::Month, now).since_ms());
    }

    #[test]
    fn counts_are_added_where_they_belong_and_others_left_out() {
        let steps = Steps::until(Span::Day, 100 * HOUR);
        let since = steps.since_ms();
        let counts = steps.spread([
            (since, 1),
            (since + HOUR - 1, 2),
            (since + HOUR, 4),
            (since - 1, 100),
            (100 * HOUR, 8),
            (101 * HOUR, 100),
            (i64::MIN, 100),
            (i64::MAX, 100),
        ]);
        assert_eq!((counts[0], counts[1], counts[23]), (3, 4, 8));
        assert_eq!(counts.iter().sum::<u64>(), 15);
        assert_eq!(steps.spread([(since, u64::MAX), (since, 1)])[0], u64::MAX);
    }
}
