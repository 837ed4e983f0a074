//! Refusals by digest, told apart: by the hour for two days, by the day for a month, and by tenant.
//!
//! They are counted where [`Entry::repeats`](super::Entry::repeats) is, in the same transaction, and behind the same lock on the entry's row. What is
//! kept of one digest is bounded: so many hours and days, and in each of them so many tenants by name. Absent: names of files, which a refusal
//! leaves to nobody.

#![forbid(unsafe_code)]

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{DAYS_KEPT, Span};

/// How long the refusals of an hour are kept.
pub const REFUSED_HOURS_KEPT: Duration = Duration::from_secs(48 * 3600);
/// How long the refusals of a day are kept.
pub const REFUSED_DAYS_KEPT: Duration = DAYS_KEPT;
/// Most tenants of an hour, or a day, that are told apart for one digest. The others are counted together.
pub const TENANTS_TOLD_APART: u32 = 20;
/// Most tenants that a dossier names.
pub const TENANTS_LISTED: u32 = 20;

/// When an upload was refused by its digest, and who sent it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Refusals {
    /// Hours (UTC) in which it was refused, of the last two days, the oldest first.
    pub hours: Vec<Refused>,
    /// The same by the day, of the last month.
    pub days: Vec<Refused>,
    /// Tenants that sent it, the busiest first, at most [`TENANTS_LISTED`]; last, where there are any, those that are not told apart.
    pub tenants: Vec<SentBy>,
}

/// Refusals of an hour, or of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// When it began.
    pub from: DateTime<Utc>,
    /// How many there were.
    pub times: u64,
}

/// A tenant that sent an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentBy {
    /// Who; absent: others, together.
    pub tenant: Option<String>,
    /// Attempts that are kept.
    pub attempts: u64,
    /// Refusals by digest, within [`REFUSED_DAYS_KEPT`].
    pub refusals: u64,
    /// When the last of both was.
    pub last: DateTime<Utc>,
}

impl Refusals {
    /// Of hours, or of days: each with its time in milliseconds since 1970.
    pub fn of(&self, span: Span) -> impl Iterator<Item = (i64, u64)> {
        let steps = match span {
            Span::Day => &self.hours,
            Span::Month => &self.days,
        };
        steps.iter().map(|step| (step.from.timestamp_millis(), step.times))
    }

    /// When the last one was, in milliseconds since 1970, as far as steps tell.
    pub fn last_ms(&self) -> Option<i64> {
        self.of(Span::Day)
            .chain(self.of(Span::Month))
            .map(|(from, _)| from)
            .max()
    }
}
