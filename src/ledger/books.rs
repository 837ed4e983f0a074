//! The ledger's transactions, written once for every database: each method of [`Ledger`] is one, or a look and one.
//!
//! A transaction that another one came between is done again, a few times. Dropping the future of a writing method may leave its
//! transaction done or undone: await it.

mod charge;
mod claim;
mod course;
mod entries;
mod group;
mod hints;
mod jobs;
mod listing;
mod operators;
mod probation;
mod refusals;
mod rows;
mod settle;
mod sidelines;
mod small;
mod tenants;
mod tidy;
mod tokens;
mod trail;
mod usage;
mod workers;

use std::time::Duration;

use async_trait::async_trait;

use self::group::Group;
use self::hints::Hints;
use self::small::{Answer, End, IfKept, Park, Repeat};
use super::engine::{Engine, Fault, Lock};
use super::{
    Acted, Arrival, AttemptId, Burial, ByClaim, Claim, Claimed, Course, Dossier, Ending, Entry, Filter, KeptJob, Lease,
    Ledger, LedgerError, Listing, Lost, NewToken, Operator, Page, RefusalOf, Reopened, Revision, Seen, Settled, Span,
    StrikeRecord, TenantAction, TenantAuditRecord, TenantSummary, Token, TokenMade, TokenRevoked, TrailListing,
    TrailPage, Unreviewed, WorkerId, WorkerRecord,
};
use crate::digest::Digest;
use crate::quarantine::Action;
use crate::recipe::RecipeKey;
use crate::sandbox::layers::LayerReport;
use crate::tenants::{Standing, Use};
use crate::verdict::{Report, Status};

/// How often a transaction is done again that another one came between.
const AGAIN: u32 = 5;

/// A ledger in some database. Clones share its connections.
#[derive(Clone)]
pub struct Books<E> {
    engine: E,
    group: Group,
    hints: Hints,
}

// Macros, because futures of closures that borrow a session cannot be promised to be `Send`.

/// One transaction that writes, under these locks.
macro_rules! writing {
    ($books:expr, $locks:expr, |$session:ident| $work:expr) => {{
        let mut again = 0;
        loop {
            let done = match $books.engine.write($locks).await {
                Ok(mut session) => {
                    let $session = &mut session;
                    let done = $work.await;
                    session.end_with(done).await
                }
                Err(fault) => Err(fault),
            };
            match done {
                Err(fault) if again < AGAIN && $books.engine.may_succeed_again(&fault) => {
                    again += 1;
                    tokio::time::sleep(Duration::from_millis(fastrand::u64(1..20))).await;
                }
                done => break done.map_err(|fault| $books.engine.failed(fault)),
            }
        }
    }};
}

/// One transaction that reads.
macro_rules! reading {
    ($books:expr, |$session:ident| $work:expr) => {{
        let done = match $books.engine.read().await {
            Ok(mut session) => {
                let $session = &mut session;
                let done = $work.await;
                session.end_with(done).await
            }
            Err(fault) => Err(fault),
        };
        done.map_err(|fault| $books.engine.failed(fault))
    }};
}

/// One statement, which is a transaction of its own.
macro_rules! single {
    ($books:expr, |$wire:ident, $sql:ident| $work:expr) => {{
        let done = match $books.engine.single().await {
            Ok(mut wire) => {
                let ($wire, $sql) = (&mut *wire, $books.engine.sql());
                $work.await
            }
            Err(fault) => Err(fault),
        };
        done.map_err(|fault| $books.engine.failed(fault))
    }};
}

#[expect(private_bounds, reason = "which databases there are is not for others to add to")]
impl<E: Engine> Books<E> {
    pub(super) fn on(engine: E) -> Self {
        Self {
            engine,
            group: Group::default(),
            hints: Hints::default(),
        }
    }

    pub(super) fn failed(&self, fault: Fault) -> LedgerError {
        self.engine.failed(fault)
    }

    pub(super) fn engine(&self) -> &E {
        &self.engine
    }

    async fn end_job(&self, report: &Report, if_kept: IfKept) -> Result<Option<Report>, LedgerError> {
        let report = report.clone();
        self.together(|batch| &mut batch.ends, End { report, if_kept }).await
    }

    async fn count_repeat(&self, digest: &Digest, tenant: &str) -> Result<(), LedgerError> {
        let repeat = Repeat {
            digest: *digest,
            tenant: tenant.to_owned(),
        };
        self.together(|batch| &mut batch.repeats, repeat).await
    }

    /// The same ledger, seen by a clock that is ahead: for tests.
    #[doc(hidden)]
    pub fn with_clock_offset(self, offset_ms: i64) -> Self {
        // Whoever leads a group writes by its own clock.
        Self {
            engine: self.engine.ahead(offset_ms),
            group: Group::default(),
            hints: self.hints,
        }
    }
}

#[async_trait]
impl<E: Engine> Ledger for Books<E> {
    async fn sign_on(
        &self,
        worker: &WorkerId,
        host: &str,
        build: &str,
        layers: &[LayerReport],
    ) -> Result<(), LedgerError> {
        writing!(self, &[], |session| workers::sign_on(
            session, worker, host, build, layers
        ))
    }

    async fn heartbeat(&self, worker: &WorkerId) -> Result<Lease, LedgerError> {
        self.engine.in_place().map_err(|fault| self.engine.failed(fault))?;
        writing!(self, &[], |session| workers::heartbeat(session, worker))
    }

    async fn sign_off(&self, worker: &WorkerId) -> Result<(), LedgerError> {
        writing!(self, &[Lock::ends(worker)], |session| workers::sign_off(
            session, worker
        ))
    }

    async fn bury(&self, worker: &WorkerId) -> Result<Vec<Lost>, LedgerError> {
        writing!(self, &[Lock::ends(worker)], |session| workers::bury(session, worker))
    }

    async fn bury_expired(&self, by: &WorkerId, living: &[WorkerId]) -> Result<Vec<Burial>, LedgerError> {
        // Every worker asks often, and mostly for nothing: the write lock is taken only where somebody is to be buried.
        let mut burials = Vec::new();
        for worker in reading!(self, |session| workers::expired(session, living))? {
            let buried = writing!(self, &[Lock::ends(&worker)], |session| workers::bury_expired(
                session, by, &worker
            ));
            burials.extend(buried?.map(|lost| Burial { worker, lost }));
        }
        Ok(burials)
    }

    async fn is_signed_on(&self, worker: &WorkerId) -> Result<bool, LedgerError> {
        reading!(self, |session| workers::is_signed_on(session, worker))
    }

    async fn refused(&self, claim: &Claim) -> Result<Option<Entry>, LedgerError> {
        let Some(mut entry) = reading!(self, |session| claim::refused(session, claim))? else {
            return Ok(None);
        };
        self.count_repeat(&claim.digest, &claim.tenant).await?;
        entry.repeats += 1;
        Ok(Some(entry))
    }

    async fn ask(&self, claim: &Claim) -> Result<Option<Claimed>, LedgerError> {
        match reading!(self, |session| claim::look(session, claim))? {
            Some(Claimed::Listed(mut entry)) => {
                self.count_repeat(&claim.digest, &claim.tenant).await?;
                entry.repeats += 1;
                Ok(Some(Claimed::Listed(entry)))
            }
            answer => Ok(answer),
        }
    }

    async fn claim(&self, claim: &Claim) -> Result<Claimed, LedgerError> {
        writing!(self, &claim::locks(claim), |session| claim::claim(session, claim))
    }

    async fn disown(&self, worker: &WorkerId, digest: &Digest) -> Result<Option<AttemptId>, LedgerError> {
        // Whoever claims holds the same lock until it has committed.
        writing!(self, &[Lock::digest(digest)], |session| claim::disown(
            session, worker, digest
        ))
    }

    async fn running(&self, worker: &WorkerId) -> Result<Vec<Digest>, LedgerError> {
        let runs = reading!(self, |session| workers::runs_of(session, worker))?;
        Ok(runs.into_iter().map(|run| run.digest).collect())
    }

    async fn forget(&self, digest: &Digest, recipe: &RecipeKey) -> Result<(), LedgerError> {
        writing!(self, &[Lock::digest(digest)], |session| claim::forget(
            session, digest, recipe
        ))
    }

    async fn settle(&self, ending: &Ending) -> Result<Settled, LedgerError> {
        writing!(self, &[Lock::digest(&ending.attempt.digest)], |session| settle::settle(
            session, ending
        ))
    }

    async fn arrival(&self, job: &str) -> Result<Arrival, LedgerError> {
        single!(self, |wire, sql| jobs::arrival(wire, sql, job))
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
        if !reading!(self, |session| jobs::any_due(session))? {
            return Ok(Vec::new());
        }
        writing!(self, &[], |session| jobs::adopt(session, worker, most, kept_out))
    }

    async fn hold(&self, worker: &WorkerId, jobs: &[String]) -> Result<(), LedgerError> {
        if jobs.is_empty() {
            return Ok(());
        }
        writing!(self, &[], |session| jobs::hold(session, worker, jobs))
    }

    async fn end(&self, report: &Report) -> Result<Report, LedgerError> {
        let ended = self.end_job(report, IfKept::End).await?;
        ended.ok_or_else(|| self.failed(jobs::neither(&report.job)))
    }

    async fn end_unless_kept(&self, report: &Report) -> Result<Option<Report>, LedgerError> {
        self.end_job(report, IfKept::Leave).await
    }

    async fn answer_by_claim(&self, claim: &Claim, refusal: RefusalOf) -> Result<ByClaim, LedgerError> {
        let (job, claimed) = (&claim.job, &claim.digest);
        // One statement, for which nobody has to wait: most claims are of good uploads.
        let look = match self.hints.has(claimed) {
            true => claim::Look::Listed,
            false => single!(self, |wire, sql| claim::by_claim(wire, sql, job, claimed))?,
        };
        match look {
            claim::Look::Nothing => Ok(ByClaim::New),
            claim::Look::Job => Ok(self.arrival(job).await?.into()),
            claim::Look::Listed => {
                // Copies of one moment are looked at once, whosever they are: what a tenant has running is a matter of its claim.
                let claim = Claim {
                    most_in_flight: None,
                    ..claim.clone()
                };
                let answer = Answer { claim, refusal };
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
        reading!(self, |session| jobs::waiting(session))
    }

    async fn reopen(&self, job: &str) -> Result<Reopened, LedgerError> {
        writing!(self, &[Lock::Reopening], |session| jobs::reopen(session, job))
    }

    async fn tenants(&self, after: Revision) -> Result<Vec<(String, Standing, Revision)>, LedgerError> {
        reading!(self, |session| tenants::changed(session, after))
    }

    async fn standing(&self, tenant: &str) -> Result<Standing, LedgerError> {
        Ok(reading!(self, |session| tenants::find(session, tenant))?.unwrap_or_default())
    }

    async fn tenant_act(
        &self,
        tenant: &str,
        action: &TenantAction,
        operator: &Operator,
    ) -> Result<Standing, LedgerError> {
        writing!(self, &[Lock::Standings], |session| tenants::act(
            session, tenant, action, operator
        ))
    }

    async fn tenant_audit(&self, tenant: &str) -> Result<Vec<TenantAuditRecord>, LedgerError> {
        reading!(self, |session| tenants::audit(session, tenant))
    }

    async fn tenant_list(&self) -> Result<Vec<TenantSummary>, LedgerError> {
        reading!(self, |session| tenants::list(session))
    }

    async fn charge(&self, used: &[(String, Use)]) -> Result<Vec<(String, Use, Use)>, LedgerError> {
        if used.iter().all(|(_, of_tenant)| *of_tenant == Use::default()) {
            return reading!(self, |session| usage::totals(session, used));
        }
        writing!(self, &[], |session| usage::charge(session, used))
    }

    async fn count_verdicts(&self, ended: &[(Status, u64)]) -> Result<(), LedgerError> {
        writing!(self, &[], |session| course::count(session, ended))
    }

    async fn lease_sideline(&self, tenant: &str, lines: u8) -> Result<Option<u8>, LedgerError> {
        writing!(self, &[Lock::Sidelines], |session| sidelines::lease(
            session, tenant, lines
        ))
    }

    async fn keep_sidelines(&self, lines: &[u8]) -> Result<(), LedgerError> {
        if lines.is_empty() {
            return Ok(());
        }
        writing!(self, &[Lock::Sidelines], |session| sidelines::keep(session, lines))
    }

    async fn sidelines(&self) -> Result<Vec<(u8, String)>, LedgerError> {
        reading!(self, |session| sidelines::leased(session))
    }

    async fn entries(&self, filter: &Filter) -> Result<Vec<Entry>, LedgerError> {
        reading!(self, |session| entries::list(session, filter))
    }

    async fn page(&self, listing: &Listing) -> Result<Page, LedgerError> {
        reading!(self, |session| listing::page(session, listing))
    }

    async fn trail(&self, listing: &TrailListing) -> Result<TrailPage, LedgerError> {
        reading!(self, |session| trail::page(session, listing))
    }

    async fn course(&self, span: Span) -> Result<Course, LedgerError> {
        reading!(self, |session| course::course(session, span))
    }

    async fn unreviewed(&self) -> Result<Unreviewed, LedgerError> {
        reading!(self, |session| listing::unreviewed(session))
    }

    async fn workers(&self) -> Result<Vec<WorkerRecord>, LedgerError> {
        reading!(self, |session| listing::workers(session))
    }

    async fn resolve(&self, prefix: &str) -> Result<Vec<Digest>, LedgerError> {
        reading!(self, |session| entries::resolve(session, prefix))
    }

    async fn dossier(&self, digest: &Digest) -> Result<Option<Dossier>, LedgerError> {
        reading!(self, |session| entries::dossier(session, digest))
    }

    async fn act(&self, digest: &Digest, action: Action, operator: &Operator) -> Result<Entry, LedgerError> {
        writing!(self, &[Lock::digest(digest)], |session| operators::act(
            session, digest, action, operator
        ))
    }

    async fn act_on(&self, seen: &Seen, action: Action, operator: &Operator) -> Result<Acted, LedgerError> {
        writing!(self, &[Lock::digest(&seen.digest)], |session| operators::act_on(
            session, seen, action, operator
        ))
    }

    async fn import(
        &self,
        entries: &[(Entry, Vec<StrikeRecord>)],
        action: Action,
        operator: &Operator,
    ) -> Result<u64, LedgerError> {
        writing!(self, &[], |session| operators::import(
            session, entries, action, operator
        ))
    }

    async fn add_token(&self, token: &NewToken) -> Result<TokenMade, LedgerError> {
        writing!(self, &[], |session| tokens::add(session, token))
    }

    async fn token(&self, hash: &Digest) -> Result<Option<Token>, LedgerError> {
        reading!(self, |session| tokens::find(session, hash))
    }

    async fn tokens(&self) -> Result<Vec<Token>, LedgerError> {
        reading!(self, |session| tokens::list(session))
    }

    async fn revoke_token(&self, name: &str, who: &str) -> Result<TokenRevoked, LedgerError> {
        writing!(self, &[], |session| tokens::revoke(session, name, who))
    }

    async fn close(&self) {
        self.engine.close().await;
    }

    async fn tidy(&self) -> Result<u64, LedgerError> {
        writing!(self, &[], |session| tidy::tidy(session))
    }
}
