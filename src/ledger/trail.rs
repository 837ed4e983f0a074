//! The audit trails as a whole: who decided what, about uploads or about tenants, newest first.
//!
//! A page is a stretch of the trail in time, of which what a filter lets through is shown: no more than [`LOOKED_AT`] records are looked at, so that a
//! page may be short and still have a next one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::LOOKED_AT;

/// What decisions are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trail {
    /// Entries of the quarantine.
    #[default]
    Uploads,
    /// Tenants.
    Tenants,
}

/// Which records a page of a trail shows, newest first. All conditions hold together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrailListing {
    /// Which trail.
    pub of: Trail,
    /// Only what this one decided; rules are `lazaret`.
    pub who: Option<String>,
    /// Only this action.
    pub action: Option<String>,
    /// Then or later.
    pub since: Option<DateTime<Utc>>,
    /// Before.
    pub until: Option<DateTime<Utc>>,
    /// Behind this place of the trail.
    pub behind: Option<Place>,
    /// At most so many records, and no more than [`LOOKED_AT`].
    pub most: u32,
}

/// A place in a trail: behind the record of this time and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When, in milliseconds.
    pub at_ms: i64,
    /// Its number, which no other record of the trail has.
    pub id: i64,
}

/// A record of a trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailRecord {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// About which upload, by digest, or tenant.
    pub about: String,
    /// An operator's name, or `lazaret` where a rule did it.
    pub who: String,
    /// What was done.
    pub action: String,
    /// Why, in the operator's words or the rule's.
    pub why: String,
    /// State or standing before, as the ledger has it; absent for the first record.
    pub before: Option<String>,
    /// State or standing after.
    pub after: String,
}

/// What a page of a trail shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrailPage {
    /// Newest first.
    pub records: Vec<TrailRecord>,
    /// Where the next page begins; none: there is nothing more.
    pub next: Option<Place>,
}

impl TrailListing {
    /// Records that a page shows at most.
    pub(super) fn shown(&self) -> u32 {
        self.most.clamp(1, LOOKED_AT)
    }
}

impl TrailRecord {
    pub(super) fn place(&self) -> Place {
        Place {
            at_ms: self.at.timestamp_millis(),
            id: self.id,
        }
    }
}
