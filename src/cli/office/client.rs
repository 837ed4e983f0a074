//! A worker's desk over its API, as docs/openapi.json has it, in the ledger's own types.
//!
//! In: what a command wants. Out: what the ledger would have said. A decision is made on the entry as it is when it is asked for: whoever is faster in
//! between is told, and nothing is overwritten.
#![forbid(unsafe_code)]

use std::path::Path;
use std::time::Duration;

use chrono::DateTime;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;
use url::form_urlencoded::Serializer;

use super::Tenants;
use super::address::ServerAddress;
use super::link::{Conflict, Link, Refused};
use super::token::Token;
use crate::cli::{Failure, show};
use crate::clock;
use crate::desk::{Retest, RetestStanding};
use crate::digest::Digest;
use crate::ledger::{
    BYTES_AT_ONCE, DIGESTS_AT_ONCE, Dossier, ENTRIES_AT_ONCE, Entry, Exported, Filter, LedgerError, TenantAction,
    TenantAuditRecord, TenantSummary,
};
use crate::pipeline::Retested;
use crate::quarantine::{Action, State};
use crate::tenants::Standing;

/// Most pages of a list: half a million entries. A server that always has another one comes to an end, too.
const PAGES: u32 = 10_000;
/// How long somebody waits before looking again whether a retest has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How often: ten minutes, longer than any attempt under raised limits.
const LOOKS: u32 = 1200;

/// Who is asked.
pub(in crate::cli) struct Client(Link);

/// A page of the list.
#[derive(Deserialize)]
struct Page {
    entries: Vec<Value>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Added {
    added: u64,
}

#[derive(Deserialize)]
struct Imported {
    imported: u64,
}

#[derive(Deserialize)]
struct Alike {
    digests: Vec<Digest>,
}

/// The busiest tenants.
#[derive(Deserialize)]
struct Busiest {
    tenants: Vec<TenantSummary>,
    count: usize,
}

/// A tenant with its audit trail.
#[derive(Deserialize)]
struct Whole {
    #[serde(flatten)]
    summary: TenantSummary,
    audit: Vec<TenantAuditRecord>,
}

#[derive(Deserialize)]
struct Decided {
    standing: Standing,
}

impl Client {
    /// Nothing is connected yet.
    pub(super) fn new(address: &ServerAddress, token: &Token, ca: Option<&Path>) -> Result<Self, Failure> {
        Ok(Self(Link::new(address, token, ca)?))
    }

    /// Entries, newest change first. Ages are counted from this host's time of day.
    pub(super) async fn entries(&self, filter: &Filter) -> Result<Vec<Entry>, Failure> {
        let most = match filter.limit {
            0 => usize::MAX,
            most => most as usize,
        };
        let mut entries = Vec::new();
        for query in queries(filter, clock::unix_ms() / 1000) {
            entries.extend(self.pages(&query, most).await?);
        }
        // One state after the other came; and a ledger has those of one moment by digest.
        entries.sort_by(|one, other| other.changed.cmp(&one.changed).then(one.digest.cmp(&other.digest)));
        entries.truncate(most);
        Ok(entries)
    }

    /// The pages of one list, until there are as many entries as are wanted.
    async fn pages(&self, query: &str, most: usize) -> Result<Vec<Entry>, Failure> {
        let mut entries = Vec::new();
        let mut path = format!("/quarantine?{query}");
        for _ in 0..PAGES {
            let page: Page = self.0.read(self.0.get(&path).await?)?;
            for listed in page.entries {
                entries.push(self.entry(listed)?);
            }
            match page.next.filter(|_| entries.len() < most) {
                Some(next) => {
                    let behind = Serializer::new(String::new()).append_pair("behind", &next).finish();
                    path = format!("/quarantine?{query}&{behind}");
                }
                None => return Ok(entries),
            }
        }
        Err(self.0.failure(format!(
            "has more than {PAGES} pages; ask for less, or where the ledger is"
        )))
    }

    /// An entry, without what decisions about it are made on.
    fn entry(&self, mut listed: Value) -> Result<Entry, Failure> {
        if let Some(fields) = listed.as_object_mut() {
            fields.remove("seen");
        }
        self.0.read(listed)
    }

    /// Digests of entries that start with these digits, at most 2.
    pub(super) async fn resolve(&self, digits: &str) -> Result<Vec<Digest>, Failure> {
        let alike: Alike = self
            .0
            .read(self.0.get(&format!("/digests/{}", encoded(digits))).await?)?;
        Ok(alike.digests)
    }

    pub(super) async fn dossier(&self, digest: &Digest) -> Result<Option<Dossier>, Failure> {
        match self.0.get(&path_of(digest)).await {
            Ok(whole) => self.0.read(whole).map(Some),
            Err(Refused::NotFound(_)) => Ok(None),
            Err(refused) => Err(refused.into()),
        }
    }

    /// Decides about an entry as it is now, or says something about it.
    pub(super) async fn act(&self, digest: &Digest, action: Action, why: &str) -> Result<Entry, Failure> {
        let path = path_of(digest);
        let acted = match action {
            Action::Note => self.0.post(&format!("{path}/notes"), &json!({ "why": why })).await,
            decision => match self.0.get(&path).await {
                Ok(whole) => {
                    let wish = json!({ "decision": decision.word(), "seen": whole.get("seen"), "why": why });
                    self.0.post(&format!("{path}/decisions"), &wish).await
                }
                Err(refused) => Err(refused),
            },
        };
        match acted {
            Ok(entry) => self.entry(entry),
            Err(Refused::NotFound(_)) => Err(Failure::other(LedgerError::NoEntry(digest.to_string()))),
            Err(Refused::TooLate(conflict, now)) => Err(too_late(conflict, &now, action)),
            Err(refused) => Err(refused.into()),
        }
    }

    /// Tries the bytes of an entry again, in the worker that is asked, and waits for what comes of it.
    pub(in crate::cli) async fn retest(&self, digest: &Digest, why: &str) -> Result<Retested, Failure> {
        let path = format!("{}/retest", path_of(digest));
        let mut last: Retest = self.0.read(self.0.post(&path, &json!({ "why": why })).await?)?;
        for _ in 0..LOOKS {
            match (last.state, last.result, last.problem) {
                (RetestStanding::Ended, Some(result), _) => return Ok(result),
                (RetestStanding::Running, ..) => {}
                (_, _, problem) => {
                    let problem = show::harmless(&problem.unwrap_or_default(), 200);
                    return Err(Failure::Other(format!("{digest}: {problem}")));
                }
            }
            sleep(LOOK_AGAIN).await;
            last = match self.0.get(&path).await {
                Ok(found) => self.0.read(found)?,
                Err(Refused::NotFound(_)) => return Err(self.noted(digest, "another worker answers now")),
                Err(refused) => return Err(refused.into()),
            };
        }
        Err(self.noted(digest, "it has not ended yet"))
    }

    /// Where to look for what comes of a retest that nobody waits for any more.
    fn noted(&self, digest: &Digest, why: &str) -> Failure {
        self.0.failure(format!(
            "{why}; what comes of the retest of {digest} is a note in its audit trail: `lazaret quarantine show`"
        ))
    }

    /// Puts digests on the list: all or none.
    pub(super) async fn add(&self, digests: &[Digest], why: &str) -> Result<u64, Failure> {
        self.fits("digests", digests.len(), DIGESTS_AT_ONCE)?;
        let listing = json!({ "digests": digests, "why": why });
        let added: Added = self.0.read(self.0.post("/quarantine", &listing).await?)?;
        Ok(added.added)
    }

    /// Takes over entries with their strikes: all or none.
    pub(super) async fn import(&self, entries: &[Exported], why: &str) -> Result<u64, Failure> {
        if entries.is_empty() {
            return Ok(0);
        }
        self.fits("entries", entries.len(), ENTRIES_AT_ONCE)?;
        let import = json!({ "entries": entries, "why": why });
        self.fits("bytes of JSON", import.to_string().len(), BYTES_AT_ONCE)?;
        let imported: Imported = self.0.read(self.0.post("/quarantine/import", &import).await?)?;
        Ok(imported.imported)
    }

    /// All or none is a promise that a server keeps for so much at once.
    fn fits(&self, what: &str, count: usize, most: usize) -> Result<(), Failure> {
        match count > most {
            true => Err(self.0.failure(format!(
                "takes at most {most} {what} at once, and these are {count}: send them in parts, or run this where the ledger is, with --config FILE; \
                 nothing was sent"
            ))),
            false => Ok(()),
        }
    }

    /// Tenants by name, as far as a desk lists them.
    pub(super) async fn tenants(&self) -> Result<Tenants, Failure> {
        let busiest: Busiest = self.0.read(self.0.get("/tenants").await?)?;
        let mut listed = busiest.tenants;
        listed.sort_by(|one, other| one.tenant.cmp(&other.tenant));
        Ok(Tenants {
            listed,
            count: busiest.count,
        })
    }

    pub(super) async fn tenant(&self, tenant: &str) -> Result<(TenantSummary, Vec<TenantAuditRecord>), Failure> {
        let whole = self.0.get(&format!("/tenants/{}", encoded(tenant))).await?;
        let Whole { summary, audit } = self.0.read(whole)?;
        Ok((summary, audit))
    }

    pub(super) async fn tenant_act(&self, tenant: &str, action: &TenantAction, why: &str) -> Result<Standing, Failure> {
        let (route, wish) = match action {
            TenantAction::Purge => ("purge", json!({ "why": why })),
            TenantAction::Limit(limits) => (
                "decisions",
                json!({ "decision": "limit", "limits": limits, "why": why }),
            ),
            TenantAction::Block(block) => ("decisions", json!({ "decision": block.word(), "why": why })),
            TenantAction::Unlimit | TenantAction::Unblock | TenantAction::EndProbation => {
                ("decisions", json!({ "decision": action.word(), "why": why }))
            }
        };
        let path = format!("/tenants/{}/{route}", encoded(tenant));
        let decided: Decided = self.0.read(self.0.post(&path, &wish).await?)?;
        Ok(decided.standing)
    }
}

/// What is asked for a filter, at this second since 1970: a list for each state.
fn queries(filter: &Filter, now: u64) -> Vec<String> {
    let ago = |age: Duration| {
        let second = i64::try_from(now.saturating_sub(age.as_secs())).ok();
        let at = second.and_then(|second| DateTime::from_timestamp(second, 0));
        at.map(|at| at.format("%Y-%m-%dT%H:%M:%S").to_string())
    };
    let shared = [
        ("reason", filter.reason.map(|reason| reason.word().to_owned())),
        ("tenant", filter.tenant.clone()),
        ("since", filter.newer_than.and_then(ago)),
        ("until", filter.older_than.and_then(ago)),
    ];
    let mut states: Vec<Option<State>> = Vec::new();
    for state in filter.states.iter().copied().map(Some) {
        if !states.contains(&state) {
            states.push(state);
        }
    }
    if states.is_empty() {
        states.push(None);
    }
    let of_state = |state: Option<State>| {
        let mut query = Serializer::new(String::new());
        let state = ("state", state.map(|state| state.word().to_owned()));
        for (name, value) in [state].iter().chain(&shared) {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.finish()
    };
    states.into_iter().map(of_state).collect()
}

/// As a ledger says it; where that has no words for it, who was faster.
fn too_late(conflict: Conflict, now: &Dossier, action: Action) -> Failure {
    let (digest, state) = (now.entry.digest, now.entry.state);
    let last = now.audit.last();
    match (conflict, last) {
        (Conflict::WrongState, _) => Failure::other(LedgerError::WrongState {
            digest: digest.to_string(),
            state,
            action: action.word(),
        }),
        (Conflict::DecidedMeanwhile, Some(last)) => Failure::Other(format!(
            "{digest} is {} by now: `{}` by {} came first, and nothing was overwritten",
            state.word(),
            show::harmless(&last.action, 40),
            show::harmless(&last.who, 80)
        )),
        (Conflict::DecidedMeanwhile, None) => Failure::Other(format!(
            "{digest} is {} by now, and nothing was overwritten",
            state.word()
        )),
    }
}

fn path_of(digest: &Digest) -> String {
    format!("/quarantine/{digest}")
}

/// A name as one part of a path.
fn encoded(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Reason;

    #[test]
    fn a_filter_is_asked_for_state_by_state() {
        let hour = Duration::from_secs(3600);
        let filter = Filter {
            states: vec![State::Quarantined, State::Released, State::Quarantined],
            reason: Some(Reason::WorkerLoss),
            tenant: Some("a&b".to_owned()),
            older_than: Some(hour),
            newer_than: Some(24 * hour),
            limit: 7,
        };
        let shared = "reason=worker-loss&tenant=a%26b&since=1970-01-01T01%3A00%3A00&until=1970-01-02T00%3A00%3A00";
        assert_eq!(
            queries(&filter, 25 * 3600),
            [
                format!("state=quarantined&{shared}"),
                format!("state=released&{shared}")
            ]
        );
        assert_eq!(queries(&Filter::default(), 0), [""]);
        let ancient = Filter {
            older_than: Some(Duration::MAX),
            ..Filter::default()
        };
        assert_eq!(queries(&ancient, 7), ["until=1970-01-01T00%3A00%3A00"]);
    }
}
