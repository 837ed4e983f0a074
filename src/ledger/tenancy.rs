//! What the ledger keeps about tenants: what operators and rules decided, what was used, who waits where.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::tenants::{Block, SomeLimits, Standing, Use};

/// How long a sideline is a tenant's own after it was leased or kept last.
pub const SIDELINE_LEASE: Duration = Duration::from_secs(600);
/// How long the use of a minute is kept.
pub const MINUTES_KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long the use of a day is kept.
pub const DAYS_KEPT: Duration = Duration::from_secs(31 * 24 * 3600);

/// How far changes of standings have been read. Every change has a higher one than all before it, whichever tenant it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub i64);

/// What an operator may do about a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantAction {
    /// Lays limits over those that operators set before.
    Limit(SomeLimits),
    /// Takes all limits back that operators set: the configuration's hold again.
    Unlimit,
    /// Blocks it.
    Block(Block),
    /// Lets it go on: its waiting jobs are due at once.
    Unblock,
    /// Gives up all jobs enqueued so far: those that wait are due at once, to be refused.
    Purge,
    /// Ends its probation early.
    EndProbation,
}

impl TenantAction {
    /// Its word in the audit trail.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Limit(_) => "limit",
            Self::Unlimit => "unlimit",
            Self::Block(_) => "block",
            Self::Unblock => "unblock",
            Self::Purge => "purge",
            Self::EndProbation => "end-probation",
        }
    }

    /// The standing it makes of another, at `now_ms` by the database's clock.
    #[must_use]
    pub fn applied_to(&self, mut standing: Standing, now_ms: u64) -> Standing {
        match self {
            Self::Limit(limits) => standing.limits = laid_over(standing.limits, limits),
            Self::Unlimit => standing.limits = SomeLimits::default(),
            Self::Block(block) => standing.block = Some(*block),
            Self::Unblock => standing.block = None,
            Self::Purge => standing.purged_before_ms = Some(now_ms),
            Self::EndProbation => standing.probation_until_ms = None,
        }
        standing
    }

    /// Whether jobs that wait must be looked at again at once.
    pub(super) fn rouses(&self) -> Rouse {
        match self {
            Self::Unblock | Self::Purge => Rouse::AtOnce,
            _ => Rouse::WhenDue,
        }
    }
}

/// When a tenant's waiting jobs are looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Rouse {
    AtOnce,
    WhenDue,
}

fn laid_over(under: SomeLimits, over: &SomeLimits) -> SomeLimits {
    SomeLimits {
        jobs_per_minute: over.jobs_per_minute.or(under.jobs_per_minute),
        cpu_seconds_per_minute: over.cpu_seconds_per_minute.or(under.cpu_seconds_per_minute),
        bytes_per_day: over.bytes_per_day.or(under.bytes_per_day),
        in_flight: over.in_flight.or(under.in_flight),
        queued: over.queued.or(under.queued),
        over: over.over.or(under.over),
    }
}

/// One change of a tenant's standing. Append-only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TenantAuditRecord {
    /// When.
    pub at: DateTime<Utc>,
    /// An operator's name, or `lazaret` where a rule did it.
    pub who: String,
    /// What was done: an action's word, or `probation`.
    pub action: String,
    /// Why, in the operator's words or the rule's.
    pub why: String,
    /// Standing before; absent for the first one.
    pub before: Option<Standing>,
    /// Standing after.
    pub after: Standing,
}

/// A tenant at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TenantSummary {
    /// Whose.
    pub tenant: String,
    /// What was decided about it.
    pub standing: Standing,
    /// The sideline it has leased.
    pub sideline: Option<u8>,
    /// Its jobs that wait in the ledger.
    pub waiting: u64,
    /// Its attempts that run.
    pub running: u64,
    /// What it used this minute.
    pub minute: Use,
    /// What it used this day (UTC).
    pub day: Use,
    /// Uploads that it sent first and that were convicted within [`crate::tenants::PROBATION`].
    pub convictions: u64,
}

impl TenantSummary {
    /// One of whom there is nothing to say.
    pub fn quiet(tenant: &str) -> Self {
        Self {
            tenant: tenant.to_owned(),
            standing: Standing::default(),
            sideline: None,
            waiting: 0,
            running: 0,
            minute: Use::default(),
            day: Use::default(),
            convictions: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_laid_over_and_taken_back() {
        let limits = |jobs, queued| SomeLimits {
            jobs_per_minute: jobs,
            queued,
            ..SomeLimits::default()
        };
        let first = TenantAction::Limit(limits(Some(5), None)).applied_to(Standing::default(), 0);
        let second = TenantAction::Limit(limits(None, Some(7))).applied_to(first, 0);
        assert_eq!(second.limits, limits(Some(5), Some(7)));
        assert_eq!(TenantAction::Unlimit.applied_to(second, 0), Standing::default());
    }

    #[test]
    fn a_purge_leaves_a_block_as_it_is() {
        let blocked = TenantAction::Block(Block::Hold).applied_to(Standing::default(), 1);
        let purged = TenantAction::Purge.applied_to(blocked, 2);
        assert_eq!((purged.block, purged.purged_before_ms), (Some(Block::Hold), Some(2)));
        assert_eq!(TenantAction::Unblock.applied_to(purged, 3).purged_before_ms, Some(2));
    }
}
