//! The tenant gate: whether a job may go on, by what operators decided about its tenant and by its limits. `[pure]`
//!
//! In: an [`Arrival`], the tenant's standing and limits, what it has used, the time. Out: a [`Gate`]. The order: purged, blocked,
//! too many queued, over a limit by time. Absent on purpose: attempts at once, which are a matter of whose turn it is and not of the door.

use chrono::DateTime;
use uuid::{Uuid, Version};

use super::{Block, Limits, Over, Standing, Use};
use crate::verdict::Reason;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// A job at the door.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Whose it is.
    pub tenant: &'a str,
    /// When it was enqueued, milliseconds since 1970, where that is known; see [`enqueued_ms`].
    pub enqueued_ms: Option<u64>,
    /// Whether it was here before.
    pub comes: Comes,
}

/// Whether a job was here before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comes {
    /// It comes from a lane.
    Anew,
    /// It has waited, put aside or kept in the ledger: it is one of those that count as queued.
    Again,
}

/// What a tenant has used, in the whole fleet, with what this worker has not yet told the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// In this minute.
    pub minute: Use,
    /// In this day, by UTC.
    pub day: Use,
    /// Its jobs that wait, put aside or kept in the ledger.
    pub queued: u64,
}

/// What becomes of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Gate {
    /// It goes on.
    Open,
    /// It waits until an operator unblocks its tenant.
    Held,
    /// It ends `refused`, with a reason and a sentence.
    Refused(Reason, String),
    /// It is acknowledged without a word.
    Dropped,
    /// It waits until its tenant is within its limits again.
    Over {
        /// The limit's name, as in the configuration.
        limit: &'static str,
        /// What was used, in the limit's unit.
        seen: u64,
        /// What is allowed, in the limit's unit.
        allowed: u64,
        /// When the minute or the day turns; milliseconds since 1970.
        until_ms: u64,
    },
}

/// Decides about a job. `limits` are the effective ones: see [`Limits::under`].
pub fn gate(arrival: &Arrival, standing: &Standing, limits: &Limits, used: &Used, now_ms: u64) -> Gate {
    let tenant = arrival.tenant;
    if let (Some(enqueued), Some(mark)) = (arrival.enqueued_ms, standing.purged_before_ms)
        && enqueued < mark
    {
        let detail = format!(
            "the jobs of tenant {tenant} that were enqueued before {} were purged; send it again if it is still wanted",
            written(mark)
        );
        return Gate::Refused(Reason::Purged, detail);
    }
    match standing.block {
        Some(Block::Drop) => return Gate::Dropped,
        Some(Block::Refuse) => {
            let detail =
                format!("tenant {tenant} is blocked; `lazaret tenant unblock {tenant}` lets its jobs in again");
            return Gate::Refused(Reason::TenantBlocked, detail);
        }
        Some(Block::Hold) | None => {}
    }
    if arrival.comes == Comes::Anew && limits.queued != 0 && used.queued >= limits.queued {
        let over = Exceeded::new("queued", used.queued, limits.queued, now_ms);
        return Gate::Refused(Reason::TenantOverLimit, over.sentence(tenant));
    }
    if standing.block == Some(Block::Hold) {
        return Gate::Held;
    }
    match (exceeded(limits, used, now_ms), limits.over) {
        (None, _) => Gate::Open,
        (Some(over), Over::Refuse) => Gate::Refused(Reason::TenantOverLimit, over.sentence(tenant)),
        (Some(over), Over::Park) => Gate::Over {
            limit: over.limit,
            seen: over.seen,
            allowed: over.allowed,
            until_ms: over.until_ms,
        },
    }
}

struct Exceeded {
    limit: &'static str,
    seen: u64,
    allowed: u64,
    until_ms: u64,
}

/// The limit that keeps the tenant out for longest.
fn exceeded(limits: &Limits, used: &Used, now_ms: u64) -> Option<Exceeded> {
    let bytes_per_day = limits.bytes_per_day.as_u64();
    let (minute, day) = (next(now_ms, MINUTE_MS), next(now_ms, DAY_MS));
    let all = [
        Exceeded::new("bytes_per_day", used.day.bytes, bytes_per_day, day),
        Exceeded::new("jobs_per_minute", used.minute.jobs, limits.jobs_per_minute, minute),
        Exceeded::new(
            "cpu_seconds_per_minute",
            used.minute.cpu_ms / 1000,
            limits.cpu_seconds_per_minute,
            minute,
        ),
    ];
    all.into_iter().find(|one| one.allowed != 0 && one.seen >= one.allowed)
}

/// The next turn of a minute or a day.
fn next(now_ms: u64, length_ms: u64) -> u64 {
    (now_ms / length_ms + 1).saturating_mul(length_ms)
}

impl Exceeded {
    fn new(limit: &'static str, seen: u64, allowed: u64, until_ms: u64) -> Self {
        Self {
            limit,
            seen,
            allowed,
            until_ms,
        }
    }

    fn sentence(&self, tenant: &str) -> String {
        let Self {
            limit, seen, allowed, ..
        } = self;
        let when = match *limit {
            "queued" => "when some of its jobs have ended".to_owned(),
            _ => format!("after {}", written(self.until_ms)),
        };
        format!(
            "tenant {tenant} is over {limit}: {seen} seen, {allowed} allowed; send it again {when}, or raise it with `lazaret tenant limit \
             {tenant}`"
        )
    }
}

/// A time for people, by UTC.
fn written(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(DateTime::from_timestamp_millis);
    time.map_or_else(
        || format!("{ms} ms after 1970"),
        |time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
    )
}

/// When a job was enqueued, in milliseconds since 1970: a UUID of version 7 tells; otherwise the broker's timestamp in whole seconds,
/// taken as the last millisecond of its second, so that no purge takes a job that came after it. A time in the future is not believed.
#[must_use]
pub fn enqueued_ms(job: &str, broker_timestamp_s: Option<u64>, now_ms: u64) -> Option<u64> {
    let told = Uuid::try_parse(job)
        .ok()
        .filter(|id| id.get_version() == Some(Version::SortRand))
        .and_then(|id| id.get_timestamp())
        .map(|time| {
            let (seconds, nanoseconds) = time.to_unix();
            seconds.saturating_mul(1000) + u64::from(nanoseconds) / 1_000_000
        })
        .filter(|ms| *ms <= now_ms);
    let stamped = broker_timestamp_s.filter(|seconds| *seconds <= now_ms / 1000);
    told.or_else(|| Some(stamped? * 1000 + 999))
}

#[cfg(test)]
mod tests;
