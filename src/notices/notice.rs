//! One thing that somebody should know of. `[pure]`
//!
//! Its id is made from what happened: whoever sees it twice, from one worker or from two, can drop the second. What tenants and files brought is
//! text of strangers: bounded, and without characters that drive terminals or turn the direction of a line.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::digest::Digest;
use crate::ledger::WorkerId;
use crate::verdict::Reason;

/// Namespace of notices' and deliveries' ids (UUID version 5), made once for this project.
pub(super) const NAMESPACE: Uuid = Uuid::from_u128(0x3b0e_93d4_7c5a_4a6f_8f10_6c61_7a61_7265);

/// Longest name of an upload, in characters.
const NAME: usize = 256;
/// Longest id of a job, and name of a tenant or a worker, in characters.
const ID: usize = 128;
/// Longest sentence, in characters.
const SENTENCE: usize = 300;

/// What can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An upload was convicted.
    Quarantined,
    /// A child tried a system call that it may not make.
    Violation,
    /// A worker stopped taking work because what is known to be good does not convert there; or takes work again.
    Breaker,
    /// A worker is gone without a word.
    WorkerLost,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Quarantined, Self::Violation, Self::Breaker, Self::WorkerLost];

    /// Its word, as in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
            Self::Violation => "violation",
            Self::Breaker => "breaker",
            Self::WorkerLost => "worker-lost",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// An upload was convicted, by this attempt.
    Quarantined(Upload),
    /// The child of this attempt tried what it must not.
    Violation(Upload),
    /// The breaker of a worker.
    Breaker {
        /// Where it stands now.
        state: Turn,
        /// When it opened.
        #[serde(serialize_with = "write")]
        since: DateTime<Utc>,
        /// Why, in one sentence.
        detail: String,
    },
    /// A worker is gone without a word.
    WorkerLost {
        /// Which.
        lost: String,
        /// How many attempts it was running.
        attempts: usize,
    },
    /// Nothing: somebody tries whether notices arrive.
    Test,
}

/// The upload that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Upload {
    /// Its digest.
    pub sha256: Digest,
    /// What for.
    pub reason: Reason,
    /// Whose it is; absent where the ledger was not reached.
    pub tenant: Option<String>,
    /// Its name as the tenant knows it; absent as above.
    pub name: Option<String>,
    /// The job that it came with; absent where its worker was lost.
    pub job: Option<String>,
    /// One sentence for people.
    pub detail: String,
    /// The attempt: makes the id, and is not told.
    #[serde(skip)]
    pub attempt: i64,
}

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    /// The worker takes no work.
    Opened,
    /// It takes work again.
    Closed,
}

impl What {
    /// What it is; nothing where it is only a test.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Quarantined(_) => Some(Kind::Quarantined),
            Self::Violation(_) => Some(Kind::Violation),
            Self::Breaker { .. } => Some(Kind::Breaker),
            Self::WorkerLost { .. } => Some(Kind::WorkerLost),
            Self::Test => None,
        }
    }

    /// What makes it the same when it is told again. An attempt is numbered within its ledger: with the digest it is one of a kind.
    fn named(&self, worker: &str, time: &str) -> String {
        match self {
            Self::Quarantined(upload) => format!("quarantined/{}/{}", upload.sha256, upload.attempt),
            Self::Violation(upload) => format!("violation/{}/{}", upload.sha256, upload.attempt),
            Self::Breaker { state, since, .. } => format!("breaker/{worker}/{}/{state:?}", written(*since)),
            Self::WorkerLost { lost, .. } => format!("worker-lost/{lost}"),
            Self::Test => format!("test/{worker}/{time}"),
        }
    }

    fn bounded(self) -> Self {
        match self {
            Self::Quarantined(upload) => Self::Quarantined(upload.bounded()),
            Self::Violation(upload) => Self::Violation(upload.bounded()),
            Self::Breaker { state, since, detail } => Self::Breaker {
                state,
                since,
                detail: bounded(&detail, SENTENCE),
            },
            Self::WorkerLost { lost, attempts } => Self::WorkerLost {
                lost: bounded(&lost, ID),
                attempts,
            },
            Self::Test => Self::Test,
        }
    }
}

impl Upload {
    fn bounded(self) -> Self {
        let cut = |text: Option<String>, most| text.map(|text| bounded(&text, most));
        Self {
            tenant: cut(self.tenant, ID),
            name: cut(self.name, NAME),
            job: cut(self.job, ID),
            detail: bounded(&self.detail, SENTENCE),
            ..self
        }
    }
}

/// A notice, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Notice {
    /// The same whenever the same thing is told.
    pub(super) id: String,
    /// When it was seen, RFC 3339.
    pub(super) time: String,
    /// Who saw it.
    pub(super) worker: String,
    #[serde(flatten)]
    pub(super) what: What,
}

impl Notice {
    /// What a worker saw.
    pub(super) fn of(worker: &WorkerId, what: What, now: DateTime<Utc>) -> Self {
        let time = written(now);
        let named = what.named(&worker.0, &time);
        Self {
            id: Uuid::new_v5(&NAMESPACE, named.as_bytes()).to_string(),
            worker: bounded(&worker.0, ID),
            time,
            what: what.bounded(),
        }
    }
}

/// A time of day as messages have it.
pub(super) fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn write<S: Serializer>(at: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&written(*at))
}

/// On one line, without what drives a terminal or turns a line, and cut.
fn bounded(text: &str, most: usize) -> String {
    let mut clean = text.chars().map(visible);
    let mut cut: String = clean.by_ref().take(most).collect();
    if clean.next().is_some() {
        cut.pop();
        cut.push('…');
    }
    cut
}

fn visible(c: char) -> char {
    match c {
        '\n' | '\r' | '\t' => ' ',
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str) -> WorkerId {
        WorkerId(name.to_owned())
    }

    fn upload(attempt: i64) -> Upload {
        Upload {
            sha256: Digest::of(b"a bomb"),
            reason: Reason::Memory,
            tenant: Some("acme".to_owned()),
            name: Some("a.webp".to_owned()),
            job: Some("job-1".to_owned()),
            detail: "memory: 2 bytes seen, 1 allowed".to_owned(),
            attempt,
        }
    }

    fn told(by: &str, what: What, millis: i64) -> Notice {
        Notice::of(&worker(by), what, DateTime::from_timestamp_millis(millis).unwrap())
    }

    #[test]
    fn the_same_thing_has_the_same_id_whoever_tells_it_and_when() {
        let lost = |by, of: &str, at| {
            let what = What::WorkerLost {
                lost: of.to_owned(),
                attempts: 2,
            };
            told(by, what, at).id
        };
        assert_eq!(lost("w1", "w9", 1), lost("w2", "w9", 2));
        assert_ne!(lost("w1", "w9", 1), lost("w1", "w8", 1));
        let convicted = |by, attempt| told(by, What::Quarantined(upload(attempt)), 1).id;
        assert_eq!(convicted("w1", 7), convicted("w2", 7));
        assert_ne!(convicted("w1", 7), convicted("w1", 8), "convicted again, later");
        assert_ne!(convicted("w1", 7), told("w1", What::Violation(upload(7)), 1).id);
        let breaker = |by, state| {
            let since = DateTime::UNIX_EPOCH;
            let detail = String::new();
            told(by, What::Breaker { state, since, detail }, 1).id
        };
        assert_eq!(breaker("w1", Turn::Opened), breaker("w1", Turn::Opened));
        assert_ne!(breaker("w1", Turn::Opened), breaker("w2", Turn::Opened));
        assert_ne!(breaker("w1", Turn::Opened), breaker("w1", Turn::Closed));
    }

    #[test]
    fn text_of_strangers_is_cut_and_harmless() {
        let hostile = "a\u{1b}]0;x\u{7}\u{202e}\n\"}".repeat(1000);
        assert!(hostile.chars().count() >= 10_000);
        let what = What::Quarantined(Upload {
            tenant: Some(hostile.clone()),
            name: Some(hostile.clone()),
            job: Some(hostile.clone()),
            detail: hostile,
            ..upload(1)
        });
        let json = serde_json::to_value(told("w1", what, 1)).unwrap();
        for (field, most) in [("tenant", ID), ("name", NAME), ("job", ID), ("detail", SENTENCE)] {
            let text = json[field].as_str().unwrap();
            assert_eq!(text.chars().count(), most, "{field}");
            assert!(
                text.ends_with('…') && text.starts_with("a\u{fffd}]0;x\u{fffd}\u{fffd} \"}a"),
                "{text}"
            );
            assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
        }
        assert_eq!(bounded("abc", 3), "abc");
        assert_eq!(bounded("abcd", 3), "ab…");
    }

    #[test]
    fn it_is_one_flat_object() {
        let json = serde_json::to_value(told("w1", What::Quarantined(upload(7)), 1)).unwrap();
        let expected = serde_json::json!({
            "id": json["id"], "time": "1970-01-01T00:00:00.001Z", "worker": "w1", "kind": "quarantined",
            "sha256": Digest::of(b"a bomb").to_string(), "reason": "memory", "tenant": "acme", "name": "a.webp",
            "job": "job-1", "detail": "memory: 2 bytes seen, 1 allowed",
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn words_are_those_that_are_written() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
        }
    }
}
