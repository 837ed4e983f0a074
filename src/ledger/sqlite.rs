//! The ledger in one SQLite file: the default, for one host and as many processes as it bears.
//!
//! The file is in write-ahead mode, so it must lie on a local disk: network file systems do not keep its locks. Every writing
//! transaction takes the write lock when it begins; a process waits for it up to a minute. A commit is on the disk when it
//! returns. Dropping the future of a writing method may leave its transaction done or undone: await it.

mod charge;
mod claim;
mod entries;
mod fault;
mod file;
mod group;
mod hints;
mod jobs;
mod operators;
mod probation;
mod rows;
mod session;
mod settle;
mod sidelines;
mod small;
mod statements;
mod tenants;
mod tidy;
mod usage;
mod workers;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

use self::fault::Fault;
use self::file::{Identity, Pools};
use self::group::Group;
use self::hints::Hints;
use self::session::Session;
use self::small::{Answer, End, IfKept, Park};
use super::{
    Arrival, ByClaim, Claim, Claimed, Dossier, Ending, Entry, Filter, KeptJob, Ledger, LedgerError, Lost, Operator,
    RefusalOf, Reopened, Revision, Settled, StrikeRecord, TenantAction, TenantAuditRecord, TenantSummary, WorkerId,
};
use crate::digest::Digest;
use crate::quarantine::Action;
use crate::recipe::RecipeKey;
use crate::tenants::{Standing, Use};
use crate::verdict::Report;

/// A ledger in a SQLite file. Clones share its connections.
#[derive(Clone)]
pub struct Sqlite {
    path: PathBuf,
    writer: sqlx::SqlitePool,
    group: Group,
    hints: Hints,
    readers: sqlx::SqlitePool,
    identity: Identity,
    patience: Duration,
    clock_offset_ms: i64,
}

/// What to do where there is no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Create,
    Refuse,
}

/// What tests set.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// How long a lock of another process is waited for.
    pub busy_timeout: Duration,
    /// Pages of 4 KiB after which the disk counts as full.
    pub max_pages: Option<u32>,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(60),
            max_pages: None,
        }
    }
}

impl Sqlite {
    /// Opens the ledger at `path`. Makes it where there is none: mode 0600, and its directories 0700.
    ///
    /// Refuses, without writing a byte, what is not a ledger of this schema or an earlier one.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        Self::open_tuned(path, Tuning::default()).await
    }

    /// Opens the ledger at `path`, which must exist: for commands that would only ever show an empty one.
    pub async fn open_existing(path: &Path) -> Result<Self, LedgerError> {
        Self::open_with(path, Missing::Refuse, Tuning::default()).await
    }

    /// [`Sqlite::open`], for tests.
    #[doc(hidden)]
    pub async fn open_tuned(path: &Path, tuning: Tuning) -> Result<Self, LedgerError> {
        Self::open_with(path, Missing::Create, tuning).await
    }

    /// The same ledger, seen by a clock that is ahead: for tests.
    #[doc(hidden)]
    pub fn with_clock_offset(mut self, offset_ms: i64) -> Self {
        self.clock_offset_ms = offset_ms;
        // Whoever leads a group writes by its own clock.
        self.group = Group::default();
        self
    }

    async fn open_with(path: &Path, missing: Missing, tuning: Tuning) -> Result<Self, LedgerError> {
        let path = file::absolute(path)?;
        let Pools {
            writer,
            readers,
            identity,
        } = file::open(&path, missing, &tuning).await?;
        Ok(Self {
            path,
            writer,
            group: Group::default(),
            hints: Hints::default(),
            readers,
            identity,
            patience: tuning.busy_timeout,
            clock_offset_ms: 0,
        })
    }

    async fn read(&self) -> Result<Session, LedgerError> {
        Session::reading(&self.readers, self.clock_offset_ms)
            .await
            .map_err(|fault| self.failed(fault))
    }

    async fn write(&self) -> Result<Session, LedgerError> {
        Session::writing(&self.writer, self.clock_offset_ms)
            .await
            .map_err(|fault| self.failed(fault))
    }

    async fn end_job(&self, report: &Report, if_kept: IfKept) -> Result<Option<Report>, LedgerError> {
        let report = report.clone();
        self.together(|batch| &mut batch.ends, End { report, if_kept }).await
    }

    /// Ends a transaction: commits what went well, rolls back what did not.
    async fn end_with<T>(&self, session: Session, result: Result<T, Fault>) -> Result<T, LedgerError> {
        let value = result.map_err(|fault| self.failed(fault))?;
        session.commit().await.map_err(|fault| self.failed(fault))?;
        Ok(value)
    }

    /// Somebody may move the file away under its users: they would go on, each in its own world, and run an upload twice.
    fn must_be_in_place(&self) -> Result<(), LedgerError> {
        match Identity::of(&self.path) {
            Ok(identity) if identity == self.identity => Ok(()),
            _ => Err(self.failed(Fault::Request(
                "was moved or replaced while in use: start the workers again".to_owned(),
            ))),
        }
    }

    fn failed(&self, fault: Fault) -> LedgerError {
        fault.failed(&self.path, self.patience)
    }
}

#[async_trait]
impl Ledger for Sqlite {
    async fn sign_on(&self, worker: &WorkerId, host: &str, build: &str) -> Result<(), LedgerError> {
        let mut session = self.write().await?;
        let done = workers::sign_on(&mut session, worker, host, build).await;
        self.end_with(session, done).await
    }

    async fn heartbeat(&self, worker: &WorkerId) -> Result<(), LedgerError> {
        self.must_be_in_place()?;
        let mut session = self.write().await?;
        let done = workers::heartbeat(&mut session, worker).await;
        self.end_with(session, done).await
    }

    async fn sign_off(&self, worker: &WorkerId) -> Result<(), LedgerError> {
        let mut session = self.write().await?;
        let done = workers::sign_off(&mut session, worker).await;
        self.end_with(session, done).await
    }

    async fn bury(&self, worker: &WorkerId) -> Result<Vec<Lost>, LedgerError> {
        let mut session = self.write().await?;
        let lost = workers::bury(&mut session, worker).await;
        self.end_with(session, lost).await
    }

    async fn bury_expired(&self, living: &[WorkerId]) -> Result<Vec<Lost>, LedgerError> {
        // Every worker asks often, and mostly for nothing: the write lock is taken only where somebody is to be buried.
        let mut look = self.read().await?;
        let expired = workers::expired(&mut look, living).await;
        if self.end_with(look, expired).await?.is_empty() {
            return Ok(Vec::new());
        }
        let mut session = self.write().await?;
        let lost = workers::bury_expired(&mut session, living).await;
        self.end_with(session, lost).await
    }

    async fn refused(&self, digest: &Digest, recipe: &RecipeKey) -> Result<Option<Entry>, LedgerError> {
        let mut look = self.read().await?;
        let refused = claim::refused(&mut look, digest, recipe).await;
        let Some(mut entry) = self.end_with(look, refused).await? else {
            return Ok(None);
        };
        self.together(|batch| &mut batch.repeats, *digest).await?;
        entry.repeats += 1;
        Ok(Some(entry))
    }

    async fn ask(&self, claim: &Claim) -> Result<Option<Claimed>, LedgerError> {
        let mut look = self.read().await?;
        let answer = claim::look(&mut look, claim).await;
        match self.end_with(look, answer).await? {
            Some(Claimed::Listed(mut entry)) => {
                self.together(|batch| &mut batch.repeats, claim.digest).await?;
                entry.repeats += 1;
                Ok(Some(Claimed::Listed(entry)))
            }
            answer => Ok(answer),
        }
    }

    async fn claim(&self, claim: &Claim) -> Result<Claimed, LedgerError> {
        let mut session = self.write().await?;
        let claimed = claim::claim(&mut session, claim).await;
        self.end_with(session, claimed).await
    }

    async fn forget(&self, digest: &Digest, recipe: &RecipeKey) -> Result<(), LedgerError> {
        let mut session = self.write().await?;
        let done = claim::forget(&mut session, digest, recipe).await;
        self.end_with(session, done).await
    }

    async fn settle(&self, ending: &Ending) -> Result<Settled, LedgerError> {
        let mut session = self.write().await?;
        let settled = settle::settle(&mut session, ending).await;
        self.end_with(session, settled).await
    }

    async fn arrival(&self, job: &str) -> Result<Arrival, LedgerError> {
        // One statement is a transaction of its own.
        let arrival = jobs::arrival(&self.readers, job).await;
        arrival.map_err(|fault| self.failed(fault))
    }

    async fn park(&self, job: &KeptJob, digest: Option<&Digest>, delay: Duration) -> Result<(), LedgerError> {
        let park = Park {
            job: job.clone(),
            digest: digest.copied(),
            delay,
        };
        self.together(|batch| &mut batch.parks, park).await
    }

    async fn adopt(&self, worker: &WorkerId, most: u32, kept_out: &[String]) -> Result<Vec<KeptJob>, LedgerError> {
        let mut look = self.read().await?;
        let any = jobs::any_due(&mut look).await;
        if !self.end_with(look, any).await? {
            return Ok(Vec::new());
        }
        let mut session = self.write().await?;
        let adopted = jobs::adopt(&mut session, worker, most, kept_out).await;
        self.end_with(session, adopted).await
    }

    async fn hold(&self, worker: &WorkerId, jobs: &[String]) -> Result<(), LedgerError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let mut session = self.write().await?;
        let done = jobs::hold(&mut session, worker, jobs).await;
        self.end_with(session, done).await
    }

    async fn end(&self, report: &Report) -> Result<Report, LedgerError> {
        let ended = self.end_job(report, IfKept::End).await?;
        ended.ok_or_else(|| self.failed(jobs::neither(&report.job)))
    }

    async fn end_unless_kept(&self, report: &Report) -> Result<Option<Report>, LedgerError> {
        self.end_job(report, IfKept::Leave).await
    }

    async fn answer_by_claim(
        &self,
        job: &str,
        claimed: &Digest,
        recipe: &RecipeKey,
        refusal: RefusalOf,
    ) -> Result<ByClaim, LedgerError> {
        // One statement, for which nobody has to wait: most claims are of good uploads.
        let look = match self.hints.has(claimed) {
            true => claim::Look::Listed,
            false => {
                let look = claim::by_claim(&self.readers, job, claimed).await;
                look.map_err(|fault| self.failed(fault))?
            }
        };
        match look {
            claim::Look::Nothing => Ok(ByClaim::New),
            claim::Look::Job => Ok(self.arrival(job).await?.into()),
            claim::Look::Listed => {
                let answer = Answer {
                    job: job.to_owned(),
                    digest: *claimed,
                    recipe: recipe.clone(),
                    refusal,
                };
                let answer = self.together(|batch| &mut batch.answers, answer).await?;
                match &answer {
                    ByClaim::Refused(_) => self.hints.listed(*claimed),
                    ByClaim::New => self.hints.not_listed(claimed),
                    ByClaim::Waiting(_) | ByClaim::Ended(_) => {}
                }
                Ok(answer)
            }
        }
    }

    async fn waiting(&self) -> Result<u64, LedgerError> {
        let mut look = self.read().await?;
        let waiting = jobs::waiting(&mut look).await;
        self.end_with(look, waiting).await
    }

    async fn reopen(&self, job: &str) -> Result<Reopened, LedgerError> {
        let mut session = self.write().await?;
        let reopened = jobs::reopen(&mut session, job).await;
        self.end_with(session, reopened).await
    }

    async fn tenants(&self, after: Revision) -> Result<Vec<(String, Standing, Revision)>, LedgerError> {
        let mut look = self.read().await?;
        let changed = tenants::changed(&mut look, after).await;
        self.end_with(look, changed).await
    }

    async fn standing(&self, tenant: &str) -> Result<Standing, LedgerError> {
        let mut look = self.read().await?;
        let standing = tenants::find(&mut look, tenant).await;
        Ok(self.end_with(look, standing).await?.unwrap_or_default())
    }

    async fn tenant_act(
        &self,
        tenant: &str,
        action: &TenantAction,
        operator: &Operator,
    ) -> Result<Standing, LedgerError> {
        let mut session = self.write().await?;
        let standing = tenants::act(&mut session, tenant, action, operator).await;
        self.end_with(session, standing).await
    }

    async fn tenant_audit(&self, tenant: &str) -> Result<Vec<TenantAuditRecord>, LedgerError> {
        let mut look = self.read().await?;
        let audit = tenants::audit(&mut look, tenant).await;
        self.end_with(look, audit).await
    }

    async fn tenant_list(&self) -> Result<Vec<TenantSummary>, LedgerError> {
        let mut look = self.read().await?;
        let list = tenants::list(&mut look).await;
        self.end_with(look, list).await
    }

    async fn charge(&self, used: &[(String, Use)]) -> Result<Vec<(String, Use, Use)>, LedgerError> {
        if used.iter().all(|(_, of_tenant)| *of_tenant == Use::default()) {
            let mut look = self.read().await?;
            let totals = usage::totals(&mut look, used).await;
            return self.end_with(look, totals).await;
        }
        let mut session = self.write().await?;
        let totals = usage::charge(&mut session, used).await;
        self.end_with(session, totals).await
    }

    async fn lease_sideline(&self, tenant: &str, lines: u8) -> Result<Option<u8>, LedgerError> {
        let mut session = self.write().await?;
        let line = sidelines::lease(&mut session, tenant, lines).await;
        self.end_with(session, line).await
    }

    async fn keep_sidelines(&self, lines: &[u8]) -> Result<(), LedgerError> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut session = self.write().await?;
        let done = sidelines::keep(&mut session, lines).await;
        self.end_with(session, done).await
    }

    async fn sidelines(&self) -> Result<Vec<(u8, String)>, LedgerError> {
        let mut look = self.read().await?;
        let leased = sidelines::leased(&mut look).await;
        self.end_with(look, leased).await
    }

    async fn entries(&self, filter: &Filter) -> Result<Vec<Entry>, LedgerError> {
        let mut look = self.read().await?;
        let entries = entries::list(&mut look, filter).await;
        self.end_with(look, entries).await
    }

    async fn resolve(&self, prefix: &str) -> Result<Vec<Digest>, LedgerError> {
        let mut look = self.read().await?;
        let digests = entries::resolve(&mut look, prefix).await;
        self.end_with(look, digests).await
    }

    async fn dossier(&self, digest: &Digest) -> Result<Option<Dossier>, LedgerError> {
        let mut look = self.read().await?;
        let dossier = entries::dossier(&mut look, digest).await;
        self.end_with(look, dossier).await
    }

    async fn act(&self, digest: &Digest, action: Action, operator: &Operator) -> Result<Entry, LedgerError> {
        let mut session = self.write().await?;
        let entry = operators::act(&mut session, digest, action, operator).await;
        self.end_with(session, entry).await
    }

    async fn import(
        &self,
        entries: &[(Entry, Vec<StrikeRecord>)],
        action: Action,
        operator: &Operator,
    ) -> Result<u64, LedgerError> {
        let mut session = self.write().await?;
        let changed = operators::import(&mut session, entries, action, operator).await;
        self.end_with(session, changed).await
    }

    /// The last process to do so tidies the file's -wal away.
    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn tidy(&self) -> Result<u64, LedgerError> {
        let mut session = self.write().await?;
        let changed = tidy::tidy(&mut session).await;
        self.end_with(session, changed).await
    }
}
