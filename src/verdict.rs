//! What the web app and the operators are told: status, reason and the measured cost of one job.

mod note;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::format::Format;
use crate::info::Info;
use crate::recipe::Preview;

pub use note::{Note, Notes};

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Renditions are stored.
    Converted,
    /// The upload or the job is not acceptable; sending it again gives the same answer.
    Rejected,
    /// The upload tripped a limit, or is known to.
    Quarantined,
    /// Policy, not the upload: its tenant may not have it converted now.
    Refused,
    /// Our fault, after retries.
    Failed,
}

/// Why a job did not end `converted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Magic bytes or a feature that no decoder here reads.
    UnsupportedFormat,
    /// The decoder found the file broken.
    Corrupt,
    /// No bytes at all.
    Empty,
    /// More bytes than the input limit.
    TooLarge,
    /// More pixels than the limit.
    TooManyPixels,
    /// More frames, or frames × canvas, than the limit.
    TooManyFrames,
    /// Another count over its limit: scans, inflated metadata, strips, memory needed.
    TooComplex,
    /// The job itself breaks the contract.
    InvalidJob,
    /// The store has no such upload.
    SourceMissing,
    /// The upload's digest is not the claimed one.
    DigestMismatch,
    /// Memory limit tripped.
    Memory,
    /// CPU limit tripped.
    Cpu,
    /// Wall-clock limit tripped on a quiet host.
    Wall,
    /// Output limit tripped.
    Output,
    /// A system call outside the allow-list.
    Violation,
    /// The child crashed, twice.
    Crash,
    /// Its worker was lost, alone with it, twice.
    WorkerLoss,
    /// Put on the list by an operator.
    Listed,
    /// The tenant is blocked.
    TenantBlocked,
    /// The tenant is over a limit.
    TenantOverLimit,
    /// The tenant's jobs were purged.
    Purged,
    /// No worker could prove its sandbox or finish, after all retries.
    Unavailable,
    /// A store failed, after all retries.
    Store,
}

impl Status {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 5] = [
        Self::Converted,
        Self::Rejected,
        Self::Quarantined,
        Self::Refused,
        Self::Failed,
    ];

    /// Its word, as in results.
    pub fn word(self) -> &'static str {
        match self {
            Self::Converted => "converted",
            Self::Rejected => "rejected",
            Self::Quarantined => "quarantined",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl Reason {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 23] = {
        use Reason::*;
        [
            UnsupportedFormat,
            Corrupt,
            Empty,
            TooLarge,
            TooManyPixels,
            TooManyFrames,
            TooComplex,
            InvalidJob,
            SourceMissing,
            DigestMismatch,
            Memory,
            Cpu,
            Wall,
            Output,
            Violation,
            Crash,
            WorkerLoss,
            Listed,
            TenantBlocked,
            TenantOverLimit,
            Purged,
            Unavailable,
            Store,
        ]
    };

    /// Its word, as in results.
    pub fn word(self) -> &'static str {
        match self {
            Self::UnsupportedFormat => "unsupported-format",
            Self::Corrupt => "corrupt",
            Self::Empty => "empty",
            Self::TooLarge => "too-large",
            Self::TooManyPixels => "too-many-pixels",
            Self::TooManyFrames => "too-many-frames",
            Self::TooComplex => "too-complex",
            Self::InvalidJob => "invalid-job",
            Self::SourceMissing => "source-missing",
            Self::DigestMismatch => "digest-mismatch",
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Wall => "wall",
            Self::Output => "output",
            Self::Violation => "violation",
            Self::Crash => "crash",
            Self::WorkerLoss => "worker-loss",
            Self::Listed => "listed",
            Self::TenantBlocked => "tenant-blocked",
            Self::TenantOverLimit => "tenant-over-limit",
            Self::Purged => "purged",
            Self::Unavailable => "unavailable",
            Self::Store => "store",
        }
    }

    /// The status that goes with the reason.
    pub fn status(self) -> Status {
        use Reason::*;
        match self {
            UnsupportedFormat | Corrupt | Empty | TooLarge | TooManyPixels | TooManyFrames | TooComplex
            | InvalidJob | SourceMissing | DigestMismatch => Status::Rejected,
            Memory | Cpu | Wall | Output | Violation | Crash | WorkerLoss | Listed => Status::Quarantined,
            TenantBlocked | TenantOverLimit | Purged => Status::Refused,
            Unavailable | Store => Status::Failed,
        }
    }
}

/// A limit, what it allows, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exceeded {
    /// The limit's name, as in the configuration: `pixels`, `frame_pixels`, `scans`, …
    pub limit: String,
    /// The value seen; where counting stopped at the limit, the value at which it stopped.
    pub seen: u64,
    /// The most that is allowed.
    pub allowed: u64,
}

impl std::fmt::Display for Exceeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = match self.limit.as_str() {
            "memory" | "output" | "input" | "inflated_metadata" | "svg" | "layers" => " bytes",
            _ => "",
        };
        write!(f, "{}: {}{unit} seen, {} allowed", self.limit, self.seen, self.allowed)
    }
}

/// A well-formed "no" to an upload: from the fetch, from the preflight, or from a decoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// A reason whose status is `rejected`.
    pub reason: Reason,
    /// One sentence for people.
    pub detail: String,
    /// The limit that was exceeded, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exceeded: Option<Exceeded>,
}

impl Refusal {
    /// A refusal that no limit stands behind. The detail is cut at 300 characters.
    pub fn new(reason: Reason, detail: impl std::fmt::Display) -> Self {
        let detail = detail.to_string().chars().take(300).collect();
        Self {
            reason,
            detail,
            exceeded: None,
        }
    }

    /// A refusal for a value over its limit.
    pub fn over(reason: Reason, limit: &str, seen: u64, allowed: u64) -> Self {
        let exceeded = Exceeded {
            limit: limit.to_owned(),
            seen,
            allowed,
        };
        Self {
            reason,
            detail: exceeded.to_string(),
            exceeded: Some(exceeded),
        }
    }

    /// The same, with what can be done about it.
    #[must_use]
    pub fn advising(mut self, remedy: &str) -> Self {
        self.detail = format!("{}; {remedy}", self.detail);
        self
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

/// One stored rendition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Name in the recipe.
    pub name: String,
    /// Store it is in, by its name in the configuration.
    pub store: String,
    /// Key in that store.
    pub key: String,
    /// Format it was encoded to.
    pub format: Format,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// The quality it was encoded with, 1 to 100; null without loss.
    #[serde(default)]
    pub quality: Option<u8>,
    /// Frames of an animation; not told of a still.
    #[serde(default = "still", skip_serializing_if = "is_still")]
    pub frames: u64,
    /// Address under which anybody may read it for a while, where the configuration asks for one. Not remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// The number of frames where none is told.
pub(crate) fn still() -> u64 {
    1
}

/// Whether a number of frames is not told.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
pub(crate) fn is_still(frames: &u64) -> bool {
    *frames == 1
}

/// The `data` of a result event: all that is told of one job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The job's id.
    pub job: String,
    /// Whose job it is.
    pub tenant: String,
    /// How it ended.
    pub status: Status,
    /// Why, where it did not end `converted`.
    pub reason: Option<Reason>,
    /// One sentence for people.
    pub detail: Option<String>,
    /// True when nothing had to be run: the answer was known.
    pub repeat: bool,
    /// The upload's digest, where the upload was read.
    pub sha256: Option<Digest>,
    /// The upload's size in bytes.
    pub bytes: Option<u64>,
    /// The upload's format.
    pub format: Option<Format>,
    /// Width as displayed, in pixels.
    pub width: Option<u32>,
    /// Height as displayed, in pixels.
    pub height: Option<u32>,
    /// Frames of an animation; 1 for a still.
    pub frames: Option<u64>,
    /// The placeholder, where the job asked for one.
    #[serde(default)]
    pub placeholder: Option<Preview>,
    /// Facts from the upload's headers, where the job asked for them.
    #[serde(default)]
    pub info: Option<Info>,
    /// What was made.
    pub renditions: Vec<Stored>,
    /// What was done about an odd upload without refusing it.
    #[serde(default)]
    pub notes: Notes,
    /// CPU time of the child, in milliseconds.
    pub cpu_ms: Option<u64>,
    /// Wall time of the child, in milliseconds.
    pub wall_ms: Option<u64>,
    /// Peak resident memory of the child, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Time from enqueueing to the start of work, in milliseconds.
    pub queued_ms: Option<u64>,
    /// The worker that ended the job.
    pub worker: String,
    /// The job's `metadata`, as it came.
    pub metadata: Value,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_those_that_are_written_and_all_is_in_order() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(json!(reason), reason.word());
            assert_eq!(json!(reason.status()), reason.status().word());
            assert_eq!(reason as usize, index);
        }
        assert_eq!(json!(Status::Converted), Status::Converted.word());
        let unknown = serde_json::from_value::<Reason>(json!("?")).unwrap_err().to_string();
        // The error names the unknown word, and then all that are known.
        assert_eq!(unknown.matches('`').count() / 2, Reason::ALL.len() + 1);
    }
}
