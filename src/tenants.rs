//! Tenants: what each may use, what operators decided about them, and what follows for a job at the door. `[pure]`
//!
//! Limits come in three layers, each over the one before: `[tenants.default]`, `[tenants.NAME]`, and what an operator set while the
//! fleet was running, which the ledger keeps.

pub mod gate;
pub mod noise;
pub mod probation;
#[cfg(test)]
mod simulation;
pub mod window;
mod words;

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::sandbox::limits::exact;

/// A tenant that was first to send more uploads than this that were convicted within [`PROBATION`] is on probation.
pub const PROBATION_CONVICTIONS: u64 = 5;
/// How long a tenant must be quiet until its probation ends, and how far back convictions count.
pub const PROBATION: Duration = Duration::from_secs(3600);

/// What one tenant may use, in the whole fleet. 0: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Jobs begun per minute.
    pub jobs_per_minute: u64,
    /// CPU seconds of its attempts per minute.
    pub cpu_seconds_per_minute: u64,
    /// Bytes of uploads fetched per day.
    #[serde(with = "exact")]
    pub bytes_per_day: ByteSize,
    /// Attempts running at once.
    pub in_flight: u32,
    /// Jobs that wait, put aside or kept in the ledger.
    pub queued: u64,
    /// What becomes of a job that is over a limit.
    pub over: Over,
}

/// What becomes of a job whose tenant is over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// It waits until its tenant is within its limits again. Over `queued`, it is refused all the same.
    #[default]
    Park,
    /// It ends `refused: tenant-over-limit`.
    Refuse,
}

/// Some limits, to be laid over others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SomeLimits {
    /// See [`Limits::jobs_per_minute`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs_per_minute: Option<u64>,
    /// See [`Limits::cpu_seconds_per_minute`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds_per_minute: Option<u64>,
    /// See [`Limits::bytes_per_day`].
    #[serde(with = "exact::option", skip_serializing_if = "Option::is_none")]
    pub bytes_per_day: Option<ByteSize>,
    /// See [`Limits::in_flight`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u32>,
    /// See [`Limits::queued`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued: Option<u64>,
    /// See [`Limits::over`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,
}

/// What becomes of a blocked tenant's jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Block {
    /// They wait until the tenant is unblocked.
    Hold,
    /// They end `refused: tenant-blocked`.
    Refuse,
    /// They are acknowledged without a word.
    Drop,
}

/// What the ledger keeps about a tenant; nothing for most.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Standing {
    /// Whether it is blocked, and how.
    pub block: Option<Block>,
    /// Limits that an operator set.
    pub limits: SomeLimits,
    /// Jobs enqueued before are purged; milliseconds since 1970.
    pub purged_before_ms: Option<u64>,
    /// On probation until then; milliseconds since 1970. Absent or past: it is not.
    pub probation_until_ms: Option<u64>,
}

/// What a tenant's jobs used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Use {
    /// Jobs begun.
    pub jobs: u64,
    /// CPU time of attempts, in milliseconds.
    pub cpu_ms: u64,
    /// Bytes of uploads fetched.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            jobs_per_minute: 6000,
            cpu_seconds_per_minute: 0,
            bytes_per_day: ByteSize(0),
            in_flight: 0,
            queued: 0,
            over: Over::Park,
        }
    }
}

impl Limits {
    /// These limits with some others laid over them.
    #[must_use]
    pub fn with(self, some: &SomeLimits) -> Self {
        Self {
            jobs_per_minute: some.jobs_per_minute.unwrap_or(self.jobs_per_minute),
            cpu_seconds_per_minute: some.cpu_seconds_per_minute.unwrap_or(self.cpu_seconds_per_minute),
            bytes_per_day: some.bytes_per_day.unwrap_or(self.bytes_per_day),
            in_flight: some.in_flight.unwrap_or(self.in_flight),
            queued: some.queued.unwrap_or(self.queued),
            over: some.over.unwrap_or(self.over),
        }
    }
}

impl From<Limits> for SomeLimits {
    fn from(all: Limits) -> Self {
        Self {
            jobs_per_minute: Some(all.jobs_per_minute),
            cpu_seconds_per_minute: Some(all.cpu_seconds_per_minute),
            bytes_per_day: Some(all.bytes_per_day),
            in_flight: Some(all.in_flight),
            queued: Some(all.queued),
            over: Some(all.over),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_lie_over_each_other_and_survive_the_ledger_to_the_byte() {
        let some = SomeLimits {
            bytes_per_day: Some(ByteSize::mib(1200)),
            over: Some(Over::Refuse),
            ..SomeLimits::default()
        };
        let wire = serde_json::to_string(&some).unwrap();
        assert_eq!(wire, r#"{"bytes_per_day":"1200 MiB","over":"refuse"}"#);
        assert_eq!(serde_json::from_str::<SomeLimits>(&wire).unwrap(), some);
        let limits = Limits::default().with(&some);
        assert_eq!((limits.bytes_per_day, limits.over), (ByteSize::mib(1200), Over::Refuse));
        assert_eq!(limits.jobs_per_minute, 6000);
        assert_eq!(Limits::default().with(&SomeLimits::from(limits)), limits);
    }
}
