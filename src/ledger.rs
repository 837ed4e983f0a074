//! The ledger: what is running, what came of it, what is quarantined, and who decided so. The fleet's one memory.
//!
//! In: claims and endings of attempts, jobs that wait, actions of operators. Out: who may run, what is known already, the quarantine.
//! Every method is one transaction; rules come from [`crate::blame`] and [`crate::quarantine`], the clock is the database's.
//!
//! Absent on purpose: bytes of uploads and renditions (stores hold those), and retries of failed statements: an error means
//! that the caller stops taking work.

mod books;
mod copy;
mod course;
mod engine;
mod export;
mod inventory;
mod listing;
pub mod postgres;
mod refusals;
mod renewal;
pub mod sqlite;
mod tenancy;
mod tokens;
mod trail;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::blame::{Control, Judgement, Scope};
use crate::digest::Digest;
use crate::format::Format;
use crate::info::Info;
use crate::quarantine::{Action, Gate, State};
use crate::recipe::{Preview, RecipeKey};
use crate::sandbox::layers::LayerReport;
use crate::sandbox::outcome::{Outcome, Usage};
use crate::sandbox::protocol::Phase;
use crate::tenants::{Standing, Use};
use crate::verdict::{Notes, Reason, Report, Status, Stored};

pub use copy::{Copied, copy};
pub use course::{Course, RECORDS_COUNTED, Span, Steps, USES_COUNTED, VERDICTS_KEPT};
pub use export::{BYTES_AT_ONCE, DIGESTS_AT_ONCE, ENTRIES_AT_ONCE, Exported};
pub use inventory::{Count, Inventory, TABLES, Table};
pub use listing::{COUNTED, LOOKED_AT, Listing, Mark, Page, Sender, Sort, Unreviewed, WorkerRecord};
pub use refusals::{
    REFUSED_DAYS_KEPT, REFUSED_HOURS_KEPT, Refusals, Refused, SentBy, TENANTS_LISTED, TENANTS_TOLD_APART,
};
pub use renewal::Renews;
pub use tenancy::{DAYS_KEPT, MINUTES_KEPT, Revision, SIDELINE_LEASE, TenantAction, TenantAuditRecord, TenantSummary};
pub use tokens::{NewToken, TOKENS, Token, TokenMade, TokenRevoked, TokenStanding};
pub use trail::{Place, Trail, TrailListing, TrailPage, TrailRecord};

/// How long a worker is believed alive after its last heartbeat.
pub const LEASE: Duration = Duration::from_secs(30);
/// How often a worker renews its lease.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long ended jobs and attempts that left no strike are kept.
pub const HISTORY: Duration = Duration::from_secs(7 * 24 * 3600);

/// One process that runs attempts: `host-pid-random`; never used twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub String);

/// Number of an attempt. A ledger gives each out once, but one that lost its last rows (a replica that was behind was promoted) gives those of
/// the rows that it lost out again: whoever writes an outcome names the upload and the time as well, see [`Attempt`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptId(pub i64);

/// A lease that was renewed, in milliseconds since 1970 by the database's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Until when it was good before.
    pub before_ms: i64,
    /// Until when it is good now.
    pub until_ms: i64,
}

/// What a verdict is valid for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// Converter build: renditions are reused within it.
    pub build: String,
    /// Digest of the limits, 16 hexadecimal digits: refusals are remembered within build and limits.
    pub limits: String,
}

/// Asks whether a digest may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The upload.
    pub digest: Digest,
    /// What is to be made of it.
    pub recipe: RecipeKey,
    /// Build and limits of the worker.
    pub epoch: Epoch,
    /// Who wants to run it.
    pub worker: WorkerId,
    /// Whose upload it is.
    pub tenant: String,
    /// Its name as the tenant knows it: a key or a path, cut at 512 characters.
    pub name: String,
    /// The job it is for.
    pub job: String,
    /// Whether the worker runs nothing else until this attempt has ended: a suspect is recorded only then.
    pub alone: bool,
    /// Most attempts of the tenant that may run in the fleet, this one included; absent: no bound.
    pub most_in_flight: Option<u32>,
    /// Most renewals that may run in the fleet, this one included; 0: what was decided under another epoch is not tried again.
    pub renewals: u32,
}

/// The answer to a [`Claim`].
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Claimed {
    /// Refused by its digest; the repeat is counted.
    Listed(Box<Entry>),
    /// Converted or rejected before: nothing needs to run.
    Known(Box<Known>),
    /// An attempt on the digest is running, or the digest must run solo and another one does: wait.
    Busy,
    /// The tenant has as many attempts running as it may: wait. Nothing is recorded.
    TenantFull,
    /// The digest is suspected: claim again when the worker runs nothing else. Nothing is recorded yet.
    MustBeAlone,
    /// The attempt is recorded, durably: run it.
    Run(Attempt),
}

/// A recorded attempt. Its id, upload and time together are its fencing token: an outcome is written only while the attempt that has all three is
/// running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// The upload that it runs.
    pub digest: Digest,
    /// When it was recorded, in milliseconds since 1970 by the database's clock.
    pub started_ms: i64,
    /// `Open`, `Solo` or `Vouched`.
    pub gate: Gate,
    /// How many times as high its limits are, where an operator raised them.
    pub raised: Option<u32>,
    /// What it tries again that was decided under another epoch; absent: nothing was.
    pub renews: Option<Renews>,
}

/// What is known of an upload from its headers and its conversion; all absent where it never got that far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Looks {
    /// Size in bytes.
    pub bytes: u64,
    /// Format.
    pub format: Option<Format>,
    /// Width as displayed, in pixels.
    pub width: Option<u32>,
    /// Height as displayed, in pixels.
    pub height: Option<u32>,
    /// Frames.
    pub frames: Option<u64>,
    /// Its placeholder, where the recipe asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<Preview>,
    /// Facts from its headers, where the recipe asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<Info>,
    /// What its conversion did about oddities; none where it did not convert.
    #[serde(default, skip_serializing_if = "Notes::is_empty")]
    pub notes: Notes,
}

/// An earlier result that still holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// `Converted` or `Rejected`.
    pub status: Status,
    /// Why it was rejected.
    pub reason: Option<Reason>,
    /// One sentence for people.
    pub detail: Option<String>,
    /// What the upload looks like.
    pub looks: Looks,
    /// What was made.
    pub renditions: Vec<Stored>,
    /// What the attempt used.
    pub usage: Usage,
}

/// The end of an attempt, to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// Which attempt.
    pub attempt: Attempt,
    /// What happened.
    pub outcome: Outcome,
    /// How far the child said it got.
    pub phase: Phase,
    /// What it used.
    pub usage: Usage,
    /// What the control image did, where it was run.
    pub control: Control,
    /// What the upload looks like.
    pub looks: Looks,
    /// What was made and stored; empty unless converted.
    pub renditions: Vec<Stored>,
    /// Key of the kept bytes in the specimens' store, where they were kept.
    pub specimen: Option<String>,
    /// Evidence for operators: limit, value, signal, host load, co-running attempts, build, kernel.
    pub evidence: Value,
}

/// What became of an [`Ending`].
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Settled {
    /// Written, and judged.
    Judged(Judgement),
    /// The attempt was not running any more (its worker was taken for lost, or the ledger lost its last rows): nothing was written.
    Fenced,
}

/// An attempt whose worker was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The upload it was running.
    pub digest: Digest,
    /// The attempt.
    pub attempt: AttemptId,
    /// What it came to: `Strike` or `Convict` after a solo run, `Strike` after a renewal of an entry; `Retry` in company (the digest is suspected now).
    pub judgement: Judgement,
}

/// A worker that was found lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burial {
    /// Which.
    pub worker: WorkerId,
    /// What it was running.
    pub lost: Vec<Lost>,
}

/// A quarantine entry: one per digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The upload.
    pub digest: Digest,
    /// Where it stands.
    pub state: State,
    /// What for.
    pub reason: Reason,
    /// How much it covers.
    pub scope: Scope,
    /// The recipe it tripped with.
    pub recipe: Option<RecipeKey>,
    /// Build and limits it was made under.
    pub epoch: Epoch,
    /// Who sent it first.
    pub tenant: String,
    /// Its name then.
    pub name: String,
    /// What it looks like.
    pub looks: Looks,
    /// One sentence for people: the limit, the value seen, the value allowed.
    pub detail: String,
    /// Where its bytes are kept.
    pub specimen: Option<String>,
    /// When the entry was made.
    pub since: DateTime<Utc>,
    /// When its state changed last.
    pub changed: DateTime<Utc>,
    /// When it expires.
    pub expires: Option<DateTime<Utc>>,
    /// Strikes in all.
    pub strikes: u64,
    /// How often it was refused by its digest.
    pub repeats: u64,
    /// How many times as high its limits are, where an operator raised them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raised: Option<u32>,
}

/// An entry with its history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dossier {
    /// The entry.
    pub entry: Entry,
    /// Its strikes, oldest first.
    pub strikes: Vec<StrikeRecord>,
    /// Its attempts, newest first, at most 50.
    pub attempts: Vec<AttemptRecord>,
    /// Its audit trail, oldest first.
    pub audit: Vec<AuditRecord>,
    /// Who sent it, by attempts that are kept; at most 20. A refusal by its digest leaves no name.
    #[serde(default)]
    pub senders: Vec<Sender>,
    /// When it was refused by its digest, and by whom it was sent.
    #[serde(default)]
    pub refusals: Refusals,
}

/// One strike. Append-only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrikeRecord {
    /// When.
    pub at: DateTime<Utc>,
    /// The attempt; absent for imported strikes.
    pub attempt: Option<AttemptId>,
    /// What for.
    pub reason: Reason,
    /// Build and limits.
    pub epoch: Epoch,
    /// Evidence, as in [`Ending::evidence`].
    pub evidence: Value,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Its id.
    pub id: AttemptId,
    /// Who ran it.
    pub worker: WorkerId,
    /// With which recipe.
    pub recipe: RecipeKey,
    /// Whether it ran alone.
    pub solo: bool,
    /// When it began.
    pub started: DateTime<Utc>,
    /// When it ended.
    pub ended: Option<DateTime<Utc>>,
    /// `running`, an outcome's word, or `lost`.
    pub outcome: String,
    /// What it used.
    pub usage: Usage,
    /// What it tried again that was decided under another epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renews: Option<Renews>,
}

/// One change of an entry. Append-only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When.
    pub at: DateTime<Utc>,
    /// An operator's name, or `lazaret` where a rule did it.
    pub who: String,
    /// What was done: an action's word, or `convict`, `suspect`, `clear`, `widen`, `renew`.
    pub action: String,
    /// Why, in the operator's words or the rule's.
    pub why: String,
    /// State before; absent for a new entry.
    pub before: Option<State>,
    /// State after.
    pub after: State,
}

/// Who acts on the quarantine, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Name for the audit trail.
    pub who: String,
    /// Reason for the audit trail.
    pub why: String,
}

/// An entry as an operator saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub digest: Digest,
    /// Its state then.
    pub state: State,
    /// When that had changed, in milliseconds.
    pub changed_ms: i64,
}

impl Seen {
    /// This entry, as it is now.
    pub fn of(entry: &Entry) -> Self {
        Self {
            digest: entry.digest,
            state: entry.state,
            changed_ms: entry.changed.timestamp_millis(),
        }
    }
}

/// What became of an action on what an operator saw.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Acted {
    /// Done; the entry after it.
    Done(Box<Entry>),
    /// Somebody or something was faster: nothing was done. The entry as it is.
    TooLate(Box<Entry>),
}

/// Which entries to list. All conditions hold together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only these states; empty: all.
    pub states: Vec<State>,
    /// Only this reason.
    pub reason: Option<Reason>,
    /// Only this tenant's.
    pub tenant: Option<String>,
    /// Only entries whose state changed at least this long ago.
    pub older_than: Option<Duration>,
    /// Only entries whose state changed at most this long ago.
    pub newer_than: Option<Duration>,
    /// At most this many, newest first; 0: no bound.
    pub limit: u32,
}

/// A job that the ledger keeps: because it was answered, or because it waits and its message is acknowledged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptJob {
    /// The job's id.
    pub job: String,
    /// Whose it is.
    pub tenant: String,
    /// The message body and envelope, to go on from.
    pub message: Value,
    /// How often it was tried and came back for our own fault.
    pub tries: u32,
}

/// What the ledger knows of a job that has just arrived.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Arrival {
    /// Nothing: go on.
    New,
    /// It waits here already, for this tenant: its message can go.
    Waiting(String),
    /// It ended before: answer the same again.
    Ended(Box<Report>),
}

/// What the ledger says to a job whose sender claims a digest.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum ByClaim {
    /// Neither the job nor anything against the digest is known: go on. Nothing was written.
    New,
    /// It waits here already, for this tenant: its message can go.
    Waiting(String),
    /// It ended before: answer the same again.
    Ended(Box<Report>),
    /// The digest is listed for its recipe: the repeat is counted, and the job has ended with this report.
    Refused(Box<Report>),
}

impl From<Arrival> for ByClaim {
    fn from(arrival: Arrival) -> Self {
        match arrival {
            Arrival::New => Self::New,
            Arrival::Waiting(tenant) => Self::Waiting(tenant),
            Arrival::Ended(report) => Self::Ended(report),
        }
    }
}

/// Words the report that a job ends with whose digest is listed. May be called more than once; it must not wait for anything.
pub type RefusalOf = Box<dyn Fn(&Entry) -> Report + Send + Sync>;

/// What became of a job that an operator wants to run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Reopened {
    /// It had ended `failed` and is forgotten: the same message is a new job.
    Reopened,
    /// It waits here, and will be tried again by itself.
    NotEnded,
    /// It has ended with a verdict, which stands.
    EndedOtherwise(Status),
    /// The ledger knows no such job, or not any more.
    Unknown,
}

/// What went wrong with the ledger.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// The file or server cannot be used: not ours, corrupt, read-only, newer than this program. Names remedy.
    #[error("ledger {place}: {problem}")]
    Unusable {
        /// Path or server.
        place: String,
        /// What is wrong and what helps.
        problem: String,
    },
    /// A statement failed: locked for too long, disk full, connection lost.
    #[error("ledger {place}: {problem}")]
    Failed {
        /// Path or server.
        place: String,
        /// What the database said.
        problem: String,
    },
    /// No entry has this digest.
    #[error("no quarantine entry for {0}")]
    NoEntry(String),
    /// The action makes no sense in the entry's state.
    #[error("{digest} is {}, which cannot be changed by `{action}`", state.word())]
    WrongState {
        /// Which entry.
        digest: String,
        /// Its state.
        state: State,
        /// What was asked for.
        action: &'static str,
    },
}

/// A ledger. Two stores implement it; the same tests hold for both.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Makes the worker known and gives it a lease. `layers` are those of its sandbox, as it proved them; empty: it did not.
    async fn sign_on(
        &self,
        worker: &WorkerId,
        host: &str,
        build: &str,
        layers: &[LayerReport],
    ) -> Result<(), LedgerError>;
    /// Renews the worker's lease.
    async fn heartbeat(&self, worker: &WorkerId) -> Result<Lease, LedgerError>;
    /// The worker ended in order and runs nothing any more.
    async fn sign_off(&self, worker: &WorkerId) -> Result<(), LedgerError>;
    /// The worker is gone without a word: ends its attempts as lost and judges them.
    async fn bury(&self, worker: &WorkerId) -> Result<Vec<Lost>, LedgerError>;
    /// The same for every worker whose lease is over, but those that are known to live, and those that somebody else buried meanwhile. Nobody
    /// is buried by a worker whose own lease does not hold: where the ledger lost what was renewed last, leases tell nothing.
    async fn bury_expired(&self, by: &WorkerId, living: &[WorkerId]) -> Result<Vec<Burial>, LedgerError>;
    /// Whether the worker has signed on, and has neither signed off nor been buried.
    async fn is_signed_on(&self, worker: &WorkerId) -> Result<bool, LedgerError>;

    /// The entry that refuses this claim, if there is one; the repeat of its tenant's is counted. For digests that are known, or claimed, before the
    /// upload is fetched. One that may be renewed now refuses nobody.
    async fn refused(&self, claim: &Claim) -> Result<Option<Entry>, LedgerError>;
    /// The answer to a claim where no attempt is needed or allowed now; `None` where it is to be claimed. Records no attempt.
    async fn ask(&self, claim: &Claim) -> Result<Option<Claimed>, LedgerError>;
    /// Claims a digest: refused, known, busy, or recorded as running.
    async fn claim(&self, claim: &Claim) -> Result<Claimed, LedgerError>;
    /// Releases the attempt on a digest that is recorded as running for a worker, where there is one: its claim was never answered, so nobody
    /// runs it. A claim of the worker that the database still works on is waited for.
    async fn disown(&self, worker: &WorkerId, digest: &Digest) -> Result<Option<AttemptId>, LedgerError>;
    /// Uploads of which an attempt is recorded as running for a worker: it knows whether it runs them.
    async fn running(&self, worker: &WorkerId) -> Result<Vec<Digest>, LedgerError>;
    /// Forgets an earlier result: its renditions are not there any more.
    async fn forget(&self, digest: &Digest, recipe: &RecipeKey) -> Result<(), LedgerError>;
    /// Ends an attempt: judges its outcome, writes result, strike and state.
    async fn settle(&self, ending: &Ending) -> Result<Settled, LedgerError>;

    /// What is known of an arriving job.
    async fn arrival(&self, job: &str) -> Result<Arrival, LedgerError>;
    /// The fastest way out, in one go: what is known of an arriving job, and where that is nothing and the digest that its sender
    /// claims is listed for its recipe, the repeat counted, for the tenant of that report, and the job ended with the report that `refusal` words.
    async fn answer_by_claim(&self, claim: &Claim, refusal: RefusalOf) -> Result<ByClaim, LedgerError>;
    /// Keeps a job that waits, durably, for at least `delay`; its message can be acknowledged then.
    async fn park(&self, job: &KeptJob, digest: Option<&Digest>, delay: Duration) -> Result<(), LedgerError>;
    /// Takes over at most `most` waiting jobs whose digest is not running, of no tenant that is `kept_out`; they are the worker's for a
    /// lease.
    async fn adopt(&self, worker: &WorkerId, most: u32, kept_out: &[String]) -> Result<Vec<KeptJob>, LedgerError>;
    /// Keeps adopted jobs the worker's for another lease: those it still works on, and no others.
    async fn hold(&self, worker: &WorkerId, jobs: &[String]) -> Result<(), LedgerError>;
    /// Ends a job with its report. A job ends once: returns the report that counts, the first one.
    async fn end(&self, report: &Report) -> Result<Report, LedgerError>;
    /// The same for a job whose message is in hand. `None`, and nothing is written, where the ledger keeps the job meanwhile: another
    /// copy of the message came to somebody who acknowledged it, so that nobody would tell if the one who ends it is gone before it is told.
    async fn end_unless_kept(&self, report: &Report) -> Result<Option<Report>, LedgerError>;
    /// How many jobs wait.
    async fn waiting(&self) -> Result<u64, LedgerError>;
    /// Forgets a job that ended `failed`, so that it can run again.
    async fn reopen(&self, job: &str) -> Result<Reopened, LedgerError>;

    /// Standings that changed after a revision, oldest change first.
    async fn tenants(&self, after: Revision) -> Result<Vec<(String, Standing, Revision)>, LedgerError>;
    /// What was decided about a tenant; the default where nothing was.
    async fn standing(&self, tenant: &str) -> Result<Standing, LedgerError>;
    /// An operator's action on a tenant; returns the standing after it.
    async fn tenant_act(
        &self,
        tenant: &str,
        action: &TenantAction,
        operator: &Operator,
    ) -> Result<Standing, LedgerError>;
    /// A tenant's audit trail, oldest first.
    async fn tenant_audit(&self, tenant: &str) -> Result<Vec<TenantAuditRecord>, LedgerError>;
    /// Every tenant with a standing, a sideline, jobs that wait, attempts that run, or use in the last hour; by name.
    async fn tenant_list(&self) -> Result<Vec<TenantSummary>, LedgerError>;
    /// Adds what tenants used. Returns what the fleet used for each of them this minute and this day (UTC); a use of nothing only
    /// asks.
    async fn charge(&self, used: &[(String, Use)]) -> Result<Vec<(String, Use, Use)>, LedgerError>;
    /// Counts jobs that ended, for the hour (UTC) it is now.
    async fn count_verdicts(&self, ended: &[(Status, u64)]) -> Result<(), LedgerError>;

    /// A sideline below `lines` for a tenant: its own, or a free one, for [`SIDELINE_LEASE`]; `None` where all are taken.
    async fn lease_sideline(&self, tenant: &str, lines: u8) -> Result<Option<u8>, LedgerError>;
    /// Renews the leases of these sidelines, whosever they are: they are not empty.
    async fn keep_sidelines(&self, lines: &[u8]) -> Result<(), LedgerError>;
    /// Sidelines that are leased now, and to whom; by number.
    async fn sidelines(&self) -> Result<Vec<(u8, String)>, LedgerError>;

    /// Entries, newest change first.
    async fn entries(&self, filter: &Filter) -> Result<Vec<Entry>, LedgerError>;
    /// A page of the operators' list.
    async fn page(&self, listing: &Listing) -> Result<Page, LedgerError>;
    /// A page of the audit trail of all uploads, or of all tenants.
    async fn trail(&self, listing: &TrailListing) -> Result<TrailPage, LedgerError>;
    /// What went on over time: jobs begun and ended, uploads convicted.
    async fn course(&self, span: Span) -> Result<Course, LedgerError>;
    /// What waits for an operator.
    async fn unreviewed(&self) -> Result<Unreviewed, LedgerError>;
    /// Workers that signed on and not off, by host; at most 200.
    async fn workers(&self) -> Result<Vec<WorkerRecord>, LedgerError>;
    /// Digests of entries that start with these hexadecimal digits, at most 2.
    async fn resolve(&self, prefix: &str) -> Result<Vec<Digest>, LedgerError>;
    /// One entry with its history.
    async fn dossier(&self, digest: &Digest) -> Result<Option<Dossier>, LedgerError>;
    /// An operator's action on an entry.
    async fn act(&self, digest: &Digest, action: Action, operator: &Operator) -> Result<Entry, LedgerError>;
    /// The same, where the entry still is as the operator saw it. A note can always be made.
    async fn act_on(&self, seen: &Seen, action: Action, operator: &Operator) -> Result<Acted, LedgerError>;
    /// Puts a digest on the list by hand (reason `listed`), or entries from another ledger with their strikes: all or none.
    async fn import(
        &self,
        entries: &[(Entry, Vec<StrikeRecord>)],
        action: Action,
        operator: &Operator,
    ) -> Result<u64, LedgerError>;
    /// Makes a token of the API known.
    async fn add_token(&self, token: &NewToken) -> Result<TokenMade, LedgerError>;
    /// The token whose text hashes to this, whether it is still good or not.
    async fn token(&self, hash: &Digest) -> Result<Option<Token>, LedgerError>;
    /// Tokens, good and others, by name; at most [`TOKENS`].
    async fn tokens(&self) -> Result<Vec<Token>, LedgerError>;
    /// Revokes a token: it opens nothing from now on.
    async fn revoke_token(&self, name: &str, who: &str) -> Result<TokenRevoked, LedgerError>;

    /// Lets go of the store, in order. Nothing may be asked afterwards.
    async fn close(&self);
    /// Expires entries that are due and drops history older than [`HISTORY`], a few hundred rows at a time; returns rows changed.
    async fn tidy(&self) -> Result<u64, LedgerError>;
}
