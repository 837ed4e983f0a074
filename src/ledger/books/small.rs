//! Small writes, many at a time: one statement for all of a kind, in the order of their keys.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::Serialize;

use super::group::{Ask, Batch};
use super::refusals::{self, Tally};
use super::rows::{Cells, json};
use super::{claim, entries, jobs};
use crate::digest::Digest;
use crate::ledger::engine::{Fault, Session, query};
use crate::ledger::{Arrival, ByClaim, Claim, Entry, Epoch, KeptJob, RefusalOf};
use crate::recipe::RecipeKey;
use crate::verdict::Report;

/// Longest delay of a job that waits: sums of it and a time fit a column.
const LONGEST_MS: i64 = 1 << 53;

/// A job with a claimed digest, to be refused if that digest is listed.
pub(super) struct Answer {
    pub(super) claim: Claim,
    pub(super) refusal: RefusalOf,
}

/// A refusal that is to be counted.
pub(super) struct Repeat {
    pub(super) digest: Digest,
    pub(super) tenant: String,
}

/// A job that is to end.
pub(super) struct End {
    pub(super) report: Report,
    pub(super) if_kept: IfKept,
}

/// What becomes of a job that is to end and that waits here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum IfKept {
    /// It ends.
    End,
    /// It goes on waiting, and its ender is told so.
    Leave,
}

impl End {
    fn order(&self) -> (&String, IfKept) {
        (&self.report.job, self.if_kept)
    }
}

/// A job that is to wait.
pub(super) struct Park {
    pub(super) job: KeptJob,
    pub(super) digest: Option<Digest>,
    pub(super) delay: Duration,
}

/// Writes a batch, and fills in what its callers are told.
pub(super) async fn write(session: &mut Session, batch: &mut Batch) -> Result<(), Fault> {
    let mut repeats = Tally::default();
    for ask in &mut batch.repeats {
        repeats.add(&ask.input.digest, &ask.input.tenant);
        ask.answer = Some(());
    }
    let refused = answer(session, &mut batch.answers, &mut repeats).await?;
    // Entries before jobs, as everywhere.
    refusals::count(session, &repeats).await?;
    refuse(session, &mut batch.answers, refused).await?;
    end(session, &mut batch.ends).await?;
    park(session, &mut batch.parks).await
}

/// Looks every job and every digest up once; returns the reports of jobs whose digest is listed.
async fn answer(
    session: &mut Session,
    asks: &mut [Ask<Answer, ByClaim>],
    repeats: &mut Tally,
) -> Result<Vec<Report>, Fault> {
    if asks.is_empty() {
        return Ok(Vec::new());
    }
    let mut known = arrivals(session, asks.iter().map(|ask| &ask.input.claim.job)).await?;
    let mut listed: HashMap<Digest, Option<Entry>> = HashMap::new();
    let mut refuses: HashMap<(Digest, RecipeKey, Epoch, u32), bool> = HashMap::new();
    let mut refused = Vec::new();
    for ask in asks {
        let Claim {
            job,
            digest,
            recipe,
            epoch,
            renewals,
            ..
        } = &ask.input.claim;
        if !listed.contains_key(digest) {
            listed.insert(*digest, entries::find(session, digest).await?);
        }
        let mut entry = listed.get_mut(digest).and_then(Option::as_mut);
        let same = (*digest, recipe.clone(), epoch.clone(), *renewals);
        if !refuses.contains_key(&same) {
            let answer = claim::refuses(session, &ask.input.claim, entry.as_deref()).await?;
            refuses.insert(same.clone(), answer);
        }
        entry = entry.filter(|_| refuses[&same]);
        ask.answer = Some(match (known.get(job), entry) {
            (Some(arrival), _) => arrival.clone().into(),
            (None, None) => ByClaim::New,
            (None, Some(entry)) => {
                entry.repeats += 1;
                let report = Report {
                    job: job.clone(),
                    ..(ask.input.refusal)(entry)
                };
                repeats.add(digest, &report.tenant);
                known.insert(job.clone(), Arrival::Ended(Box::new(report.clone())));
                refused.push(report.clone());
                ByClaim::Refused(Box::new(report))
            }
        });
    }
    Ok(refused)
}

/// Ends jobs whose digest is listed. Where somebody else has had one kept or ended since it was looked up, that counts.
async fn refuse(session: &mut Session, asks: &mut [Ask<Answer, ByClaim>], refused: Vec<Report>) -> Result<(), Fault> {
    let ends = refused.into_iter().map(|report| End {
        report,
        if_kept: IfKept::Leave,
    });
    let ends: Vec<End> = ends.collect();
    let ended = end_jobs(session, ends.iter()).await?;
    let jobs = ends.iter().map(|end| &end.report.job);
    let late: Vec<&String> = jobs.filter(|job| !ended.contains(*job)).collect();
    if late.is_empty() {
        return Ok(());
    }
    let first = arrivals(session, late.into_iter()).await?;
    for ask in asks {
        if let Some(arrival) = first.get(&ask.input.claim.job) {
            ask.answer = Some(arrival.clone().into());
        }
    }
    Ok(())
}

async fn end(session: &mut Session, asks: &mut [Ask<End, Option<Report>>]) -> Result<(), Fault> {
    // Of several for one job, one that ends it in any case counts.
    asks.sort_by(|one, other| one.input.order().cmp(&other.input.order()));
    let mut ended = end_jobs(session, asks.iter().map(|ask| &ask.input)).await?;
    let mut late = Vec::new();
    for ask in asks {
        match ended.remove(&ask.input.report.job) {
            true => ask.answer = Some(Some(ask.input.report.clone())),
            false => late.push(ask),
        }
    }
    if late.is_empty() {
        return Ok(());
    }
    let jobs: Vec<&String> = late.iter().map(|ask| &ask.input.report.job).collect();
    let first = arrivals(session, jobs.into_iter()).await?;
    for ask in late {
        let End { report, if_kept } = &ask.input;
        ask.answer = match (first.get(&report.job), if_kept) {
            (Some(Arrival::Ended(first)), _) => Some(Some((**first).clone())),
            (Some(Arrival::Waiting(_)), IfKept::Leave) => Some(None),
            _ => return Err(jobs::neither(&report.job)),
        };
    }
    Ok(())
}

/// Ends jobs; returns those that end now: that had not ended before, and are not left waiting. One statement decides and writes: between a
/// look and a write, another worker might have a job kept.
async fn end_jobs<'r>(session: &mut Session, ends: impl Iterator<Item = &'r End>) -> Result<HashSet<String>, Fault> {
    #[derive(Serialize)]
    struct Row<'r> {
        job: &'r str,
        tenant: &'r str,
        /// JSON as a text: databases read what they are given, and refuse characters in it that a report may have.
        report: String,
    }
    let row = |End { report, .. }: &&'r End| {
        Ok(Row {
            job: &report.job,
            tenant: &report.tenant,
            report: json(report)?,
        })
    };
    let mut ends: Vec<&'r End> = ends.collect();
    if ends.is_empty() {
        return Ok(HashSet::new());
    }
    // The first report of a job counts.
    ends.sort_by_key(|end| end.order());
    ends.dedup_by_key(|end| &end.report.job);
    let rows: Vec<Row<'r>> = ends.iter().map(row).collect::<Result<_, Fault>>()?;
    let leave = ends.iter().filter(|end| end.if_kept == IfKept::Leave);
    let leave: Vec<&String> = leave.map(|end| &end.report.job).collect();
    let query = query(session.sql.end_jobs)
        .bind(json(&rows)?)
        .bind(session.now)
        .bind(json(&leave)?);
    let ended = query.fetch_all(session.connection()).await?;
    ended.iter().map(|row| Ok(row.try_get("job")?)).collect()
}

/// What is known of jobs; those of which nothing is are left out.
async fn arrivals(
    session: &mut Session,
    jobs: impl Iterator<Item = &String>,
) -> Result<HashMap<String, Arrival>, Fault> {
    let asked: Vec<&String> = jobs.collect();
    let query = query(session.sql.jobs).bind(json(&asked)?);
    let found = query.fetch_all(session.connection()).await?;
    found
        .iter()
        .map(|row| Ok((Cells::of(row, "jobs", "job").get("job")?, jobs::arrived(row)?)))
        .collect()
}

async fn park(session: &mut Session, asks: &mut [Ask<Park, ()>]) -> Result<(), Fault> {
    #[derive(Serialize)]
    struct Waiting<'a> {
        job: &'a str,
        tenant: &'a str,
        digest: Option<&'a Digest>,
        message: String,
        tries: u32,
        delay: i64,
    }
    fn wait(Ask { input, .. }: &Ask<Park, ()>) -> Result<Waiting<'_>, Fault> {
        Ok(Waiting {
            job: &input.job.job,
            tenant: &input.job.tenant,
            digest: input.digest.as_ref(),
            message: json(&input.job.message)?,
            tries: input.job.tries,
            delay: i64::try_from(input.delay.as_millis()).map_or(LONGEST_MS, |delay| delay.min(LONGEST_MS)),
        })
    }
    if asks.is_empty() {
        return Ok(());
    }
    let mut waiting: Vec<Waiting<'_>> = asks.iter().rev().map(wait).collect::<Result<_, Fault>>()?;
    // The last word on a job counts.
    waiting.sort_by_key(|waiting| waiting.job);
    waiting.dedup_by_key(|waiting| waiting.job);
    let query = query(session.sql.park).bind(json(&waiting)?).bind(session.now);
    query.execute(session.connection()).await?;
    for ask in asks {
        ask.answer = Some(());
    }
    Ok(())
}
