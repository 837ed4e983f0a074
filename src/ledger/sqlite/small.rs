//! Small writes, many at a time: one statement for all of a kind.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use sqlx::Row;

use super::fault::Fault;
use super::group::{Ask, Batch};
use super::rows::{Cells, json};
use super::session::Session;
use super::{claim, entries, jobs, statements};
use crate::digest::Digest;
use crate::ledger::{Arrival, ByClaim, Entry, KeptJob, RefusalOf};
use crate::quarantine::Gate;
use crate::recipe::RecipeKey;
use crate::verdict::Report;

/// Longest delay of a job that waits: sums of it and a time fit a column.
const LONGEST_MS: i64 = 1 << 53;

/// A job with a claimed digest, to be refused if that digest is listed.
pub(super) struct Answer {
    pub(super) job: String,
    pub(super) digest: Digest,
    pub(super) recipe: RecipeKey,
    pub(super) refusal: RefusalOf,
}

/// A job that is to end.
pub(super) struct End {
    pub(super) report: Report,
    pub(super) if_kept: IfKept,
}

/// What becomes of a job that is to end and that waits here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfKept {
    /// It ends.
    End,
    /// It goes on waiting, and its ender is told so.
    Leave,
}

/// A job that is to wait.
pub(super) struct Park {
    pub(super) job: KeptJob,
    pub(super) digest: Option<Digest>,
    pub(super) delay: Duration,
}

/// Writes a batch, and fills in what its callers are told.
pub(super) async fn write(session: &mut Session, batch: &mut Batch) -> Result<(), Fault> {
    let mut repeats: BTreeMap<String, i64> = BTreeMap::new();
    for ask in &mut batch.repeats {
        *repeats.entry(ask.input.to_string()).or_default() += 1;
        ask.answer = Some(());
    }
    answer(session, &mut batch.answers, &mut repeats).await?;
    end(session, &mut batch.ends).await?;
    count(session, repeats).await?;
    park(session, &mut batch.parks).await
}

/// Looks every job and every digest up once; refuses what is listed.
async fn answer(
    session: &mut Session,
    asks: &mut [Ask<Answer, ByClaim>],
    repeats: &mut BTreeMap<String, i64>,
) -> Result<(), Fault> {
    if asks.is_empty() {
        return Ok(());
    }
    let mut known = arrivals(session, asks.iter().map(|ask| &ask.input.job)).await?;
    let mut listed: HashMap<Digest, Option<Entry>> = HashMap::new();
    let mut refused = Vec::new();
    for ask in asks {
        let Answer {
            job, digest, recipe, ..
        } = &ask.input;
        if !listed.contains_key(digest) {
            listed.insert(*digest, entries::current(session, digest).await?);
        }
        let entry = listed.get_mut(digest).and_then(Option::as_mut);
        let entry = entry.filter(|entry| claim::gate(Some(entry), recipe) == Gate::Closed);
        ask.answer = Some(match (known.get(job), entry) {
            (Some(arrival), _) => arrival.clone().into(),
            (None, None) => ByClaim::New,
            (None, Some(entry)) => {
                entry.repeats += 1;
                *repeats.entry(digest.to_string()).or_default() += 1;
                let report = Report {
                    job: job.clone(),
                    ..(ask.input.refusal)(entry)
                };
                known.insert(job.clone(), Arrival::Ended(Box::new(report.clone())));
                refused.push(report.clone());
                ByClaim::Refused(Box::new(report))
            }
        });
    }
    let _ = end_jobs(session, refused.iter()).await?;
    Ok(())
}

async fn end(session: &mut Session, asks: &mut [Ask<End, Option<Report>>]) -> Result<(), Fault> {
    let kept = kept(session, asks).await?;
    let leave = |ask: &&mut Ask<End, _>| ask.input.if_kept == IfKept::Leave && kept.contains(&ask.input.report.job);
    let (left, asks): (Vec<_>, Vec<_>) = asks.iter_mut().partition(leave);
    for ask in left {
        ask.answer = Some(None);
    }
    let reports: Vec<&Report> = asks.iter().map(|ask| &ask.input.report).collect();
    let mut ended = end_jobs(session, reports.into_iter()).await?;
    let mut late = Vec::new();
    for ask in asks {
        match ended.remove(&ask.input.report.job) {
            Some(()) => ask.answer = Some(Some(ask.input.report.clone())),
            None => late.push(ask),
        }
    }
    if late.is_empty() {
        return Ok(());
    }
    let jobs: Vec<&String> = late.iter().map(|ask| &ask.input.report.job).collect();
    let first = arrivals(session, jobs.into_iter()).await?;
    for ask in late {
        let job = &ask.input.report.job;
        ask.answer = match first.get(job) {
            Some(Arrival::Ended(report)) => Some(Some((**report).clone())),
            _ => return Err(jobs::neither(job)),
        };
    }
    Ok(())
}

/// Those that wait here, of the jobs that are not to end then.
async fn kept(session: &mut Session, asks: &[Ask<End, Option<Report>>]) -> Result<HashSet<String>, Fault> {
    let careful = asks.iter().filter(|ask| ask.input.if_kept == IfKept::Leave);
    let asked: Vec<&String> = careful.map(|ask| &ask.input.report.job).collect();
    if asked.is_empty() {
        return Ok(HashSet::new());
    }
    let known = arrivals(session, asked.into_iter()).await?;
    let waits = |(job, arrival)| matches!(arrival, Arrival::Waiting(_)).then_some(job);
    Ok(known.into_iter().filter_map(waits).collect())
}

/// Ends jobs; returns those that had not ended before.
async fn end_jobs<'r>(
    session: &mut Session,
    reports: impl Iterator<Item = &'r Report>,
) -> Result<HashMap<String, ()>, Fault> {
    #[derive(Serialize)]
    struct End<'r> {
        job: &'r str,
        tenant: &'r str,
        report: &'r Report,
    }
    let ends: Vec<End<'_>> = reports
        .map(|report| End {
            job: &report.job,
            tenant: &report.tenant,
            report,
        })
        .collect();
    if ends.is_empty() {
        return Ok(HashMap::new());
    }
    let query = sqlx::query(statements::END_JOBS).bind(json(&ends)?).bind(session.now);
    let ended = query.fetch_all(session.connection()).await?;
    ended.iter().map(|row| Ok((row.try_get("job")?, ()))).collect()
}

/// What is known of jobs; those of which nothing is are left out.
async fn arrivals(
    session: &mut Session,
    jobs: impl Iterator<Item = &String>,
) -> Result<HashMap<String, Arrival>, Fault> {
    let asked: Vec<&String> = jobs.collect();
    let query = sqlx::query(statements::JOBS).bind(json(&asked)?);
    let found = query.fetch_all(session.connection()).await?;
    found
        .iter()
        .map(|row| Ok((Cells::of(row, "jobs", "job").get("job")?, jobs::arrived(row)?)))
        .collect()
}

async fn count(session: &mut Session, repeats: BTreeMap<String, i64>) -> Result<(), Fault> {
    for (digest, times) in repeats {
        let query = sqlx::query(statements::COUNT_REPEATS).bind(digest).bind(times);
        query.execute(session.connection()).await?;
    }
    Ok(())
}

async fn park(session: &mut Session, asks: &mut [Ask<Park, ()>]) -> Result<(), Fault> {
    #[derive(Serialize)]
    struct Waiting<'a> {
        job: &'a str,
        tenant: &'a str,
        digest: Option<&'a Digest>,
        message: &'a Value,
        tries: u32,
        delay: i64,
    }
    if asks.is_empty() {
        return Ok(());
    }
    let waiting: Vec<Waiting<'_>> = asks
        .iter()
        .map(|Ask { input, .. }| Waiting {
            job: &input.job.job,
            tenant: &input.job.tenant,
            digest: input.digest.as_ref(),
            message: &input.job.message,
            tries: input.job.tries,
            delay: i64::try_from(input.delay.as_millis()).map_or(LONGEST_MS, |delay| delay.min(LONGEST_MS)),
        })
        .collect();
    let query = sqlx::query(statements::PARK).bind(json(&waiting)?).bind(session.now);
    query.execute(session.connection()).await?;
    for ask in asks {
        ask.answer = Some(());
    }
    Ok(())
}
