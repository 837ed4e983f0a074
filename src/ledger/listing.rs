//! The operators' list: which entries a page of it shows, and where the next one begins.
//!
//! A page is found by one index, that of the rarest filter, from the newest change on or from the oldest. The other filters are held against what that index gives, and
//! no more than [`LOOKED_AT`] entries of it: a page may be short, or empty, and still have a next one. So no page costs more because there are
//! more entries.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Entry, WorkerId};
use crate::digest::Digest;
use crate::format::Format;
use crate::quarantine::State;
use crate::sandbox::layers::LayerReport;
use crate::verdict::Reason;

/// Most entries that are looked at for one page.
pub const LOOKED_AT: u32 = 4000;

/// Which entries a page shows, and in which order. All conditions hold together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Only this state. An entry whose time is over is neither `suspected` nor `quarantined`, and `expired` once it was tidied.
    pub state: Option<State>,
    /// Only this reason.
    pub reason: Option<Reason>,
    /// Only those that this tenant sent first.
    pub tenant: Option<String>,
    /// Only this format.
    pub format: Option<Format>,
    /// Only what struck while this worker ran it: its last thousand strikes.
    pub worker: Option<WorkerId>,
    /// Changed then or later.
    pub since: Option<DateTime<Utc>>,
    /// Changed before.
    pub until: Option<DateTime<Utc>>,
    /// Which change comes first.
    pub sort: Sort,
    /// Behind this place of the list, in its order.
    pub behind: Option<Mark>,
    /// At most so many entries.
    pub most: u32,
}

/// Which change comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// The newest.
    #[default]
    Newest,
    /// The oldest.
    Oldest,
}

impl Sort {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Newest, Self::Oldest];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
        }
    }
}

/// A place in the list: behind the entry with this digest that changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// When its state changed, in milliseconds.
    pub changed_ms: i64,
    /// Which.
    pub digest: Digest,
}

/// What a page shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// In the order that was asked for.
    pub entries: Vec<Entry>,
    /// Where the next page begins; none: there is nothing more.
    pub next: Option<Mark>,
}

/// What waits for an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Unreviewed {
    /// Entries that rules convicted and nobody has looked at; counted up to [`COUNTED`].
    pub entries: u64,
    /// When the oldest was convicted.
    pub oldest: Option<DateTime<Utc>>,
}

/// Unreviewed entries are counted so far.
pub const COUNTED: u32 = 1000;

/// A worker that signed on and not off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRecord {
    /// Who.
    pub worker: WorkerId,
    /// Its host.
    pub host: String,
    /// Its build.
    pub build: String,
    /// The layers of its sandbox, as it proved them when it started; empty: it did not say, or not in words that are known here.
    pub layers: Vec<LayerReport>,
    /// When it signed on.
    pub since: DateTime<Utc>,
    /// Whether its lease holds: it was heard lately.
    pub alive: bool,
}

/// Who sent an upload, and how often it was run for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// The tenant.
    pub tenant: String,
    /// Its name for the upload.
    pub name: String,
    /// Attempts that are kept.
    pub times: u64,
    /// When the last one began.
    pub last: DateTime<Utc>,
}
