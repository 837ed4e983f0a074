//! Entries on their way into a ledger from outside: by hand, or written by an export. `[pure]`
//!
//! What comes in is somebody's text. Its numbers must be such that a ledger can go on counting from them, and its texts such that a list can show them.

#![forbid(unsafe_code)]

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Entry, Epoch, Looks, StrikeRecord};
use crate::blame::Scope;
use crate::digest::Digest;
use crate::quarantine::{RAISED, State};
use crate::verdict::Reason;

/// Most entries that a server takes over at once: all or none of them, within the ten seconds that it gives itself.
pub const ENTRIES_AT_ONCE: usize = 2000;
/// Most bytes that they may take.
pub const BYTES_AT_ONCE: usize = 4 << 20;
/// Most digests that a server puts on the list at once.
pub const DIGESTS_AT_ONCE: usize = 200;

/// Longest text of an entry, in characters.
const TEXT: usize = 4096;
/// Longest evidence of a strike, and what is known of an upload, as JSON, in bytes.
const EVIDENCE: usize = 64 << 10;
/// Most strikes of an entry.
const STRIKES: usize = 1000;
/// Most refusals that an entry comes with: further ones can still be counted.
const REPEATS: u64 = 1 << 53;

/// One line of an export: an entry with its strikes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exported {
    /// The entry.
    pub entry: Entry,
    /// Its strikes.
    pub strikes: Vec<StrikeRecord>,
}

impl Exported {
    /// Whether a ledger can take it over.
    ///
    /// # Errors
    /// What is wrong with it: field, value and the most that there may be.
    pub fn check(&self) -> Result<(), String> {
        let Self { entry, strikes } = self;
        let recipe = entry.recipe.as_ref().map_or("", |recipe| recipe.0.as_str());
        for (field, text) in [
            ("tenant", &*entry.tenant),
            ("name", &entry.name),
            ("detail", &entry.detail),
            ("recipe", recipe),
            ("specimen", entry.specimen.as_deref().unwrap_or_default()),
            ("epoch.build", &entry.epoch.build),
            ("epoch.limits", &entry.epoch.limits),
        ] {
            has_an_end(field, text)?;
        }
        is_small("looks", &entry.looks)?;
        if entry.repeats > REPEATS {
            return Err(format!("repeats: {} is more than {REPEATS}", entry.repeats));
        }
        match entry.raised {
            None | Some(RAISED) => {}
            Some(times) => return Err(format!("raised: {times} is neither {RAISED} nor absent")),
        }
        if strikes.len() > STRIKES {
            return Err(format!("strikes: {} are more than {STRIKES}", strikes.len()));
        }
        for (place, strike) in strikes.iter().enumerate() {
            has_an_end("epoch.build", &strike.epoch.build)
                .and_then(|()| has_an_end("epoch.limits", &strike.epoch.limits))
                .and_then(|()| is_small("evidence", &strike.evidence))
                .map_err(|problem| format!("strikes[{place}].{problem}"))?;
        }
        Ok(())
    }
}

impl Entry {
    /// An entry for a digest of which nothing is known, but that an operator wants it on the list.
    pub fn listed(digest: Digest, epoch: Epoch, why: &str, now: DateTime<Utc>) -> Self {
        Self {
            digest,
            state: State::Quarantined,
            reason: Reason::Listed,
            scope: Scope::Upload,
            recipe: None,
            epoch,
            tenant: String::new(),
            name: String::new(),
            looks: Looks::default(),
            detail: match why {
                "" => "listed by an operator".to_owned(),
                why => format!("listed by an operator: {why}"),
            },
            specimen: None,
            since: now,
            changed: now,
            expires: None,
            strikes: 0,
            repeats: 0,
            raised: None,
        }
    }
}

fn has_an_end(field: &str, text: &str) -> Result<(), String> {
    match text.chars().count() {
        _ if text.contains('\0') => Err(format!("{field}: it has a character that is none (NUL)")),
        characters if characters > TEXT => Err(format!("{field}: {characters} characters are more than {TEXT}")),
        _ => Ok(()),
    }
}

fn is_small(field: &str, value: &impl Serialize) -> Result<(), String> {
    let bytes = serde_json::to_vec(value).map_or(usize::MAX, |json| json.len());
    match bytes > EVIDENCE {
        true => Err(format!("{field}: {bytes} bytes are more than {EVIDENCE}")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn exported() -> Exported {
        let epoch = Epoch {
            build: "b".to_owned(),
            limits: String::new(),
        };
        let now = DateTime::<Utc>::MIN_UTC;
        Exported {
            entry: Entry::listed(Digest::of(b"x"), epoch.clone(), "an attack", now),
            strikes: vec![StrikeRecord {
                at: now,
                attempt: None,
                reason: Reason::Cpu,
                epoch,
                evidence: json!({}),
            }],
        }
    }

    #[test]
    fn what_comes_in_has_ends_and_is_named_where_it_has_none() {
        assert_eq!(exported().check(), Ok(()));
        assert_eq!(exported().entry.detail, "listed by an operator: an attack");
        let wrong = |change: fn(&mut Exported)| {
            let mut one = exported();
            change(&mut one);
            one.check().unwrap_err()
        };
        for (problem, words) in [
            (
                wrong(|one| one.entry.name = "ü".repeat(10_000)),
                "name: 10000 characters are more than 4096",
            ),
            (
                wrong(|one| one.entry.detail = "a\0b".to_owned()),
                "detail: it has a character",
            ),
            (
                wrong(|one| one.entry.repeats = u64::MAX),
                "repeats: 18446744073709551615 is more than",
            ),
            (
                wrong(|one| one.entry.raised = Some(u32::MAX)),
                "raised: 4294967295 is neither 4 nor absent",
            ),
            (
                wrong(|one| one.strikes = vec![one.strikes[0].clone(); 1001]),
                "strikes: 1001 are more than 1000",
            ),
            (
                wrong(|one| one.strikes[0].evidence = json!("x".repeat(70_000))),
                "strikes[0].evidence: 70002 bytes are more than 65536",
            ),
        ] {
            assert!(problem.starts_with(words), "{problem}");
        }
    }
}
