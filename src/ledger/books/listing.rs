//! Pages of the operators' list, in stretches of one index; what waits for operators; who works.

use super::entries::{as_of, time};
use super::rows::{self, Cells, word};
use crate::ledger::engine::{Fault, Query, Session, Statements, query};
use crate::ledger::{COUNTED, Entry, LOOKED_AT, Listing, Mark, Page, Sort, Unreviewed, WorkerRecord};

/// The first stretch; each further one is four times as long: most pages are full after the first.
const FIRST: u32 = 64;
/// A worker's strikes are sorted as a whole each time: one stretch has them all.
const OF_WORKER: u32 = 1000;
/// Most workers that are listed.
const WORKERS: u32 = 200;

/// The index that a page is found by, its value, and how long its first stretch is.
struct Way {
    page: &'static str,
    end: &'static str,
    value: Option<String>,
    first: u32,
}

/// The way of the filter that is likely to be rarest.
fn way(sql: &Statements, listing: &Listing) -> Result<Way, Fault> {
    let (newest, oldest, value) = match listing {
        Listing {
            worker: Some(worker), ..
        } => (
            (sql.page_of_worker, sql.end_of_worker),
            (sql.oldest_of_worker, sql.oldest_end_of_worker),
            Some(worker.0.clone()),
        ),
        Listing {
            tenant: Some(tenant), ..
        } => (
            (sql.page_of_tenant, sql.end_of_tenant),
            (sql.oldest_of_tenant, sql.oldest_end_of_tenant),
            Some(tenant.clone()),
        ),
        Listing {
            format: Some(format), ..
        } => (
            (sql.page_of_format, sql.end_of_format),
            (sql.oldest_of_format, sql.oldest_end_of_format),
            Some(word(format)?),
        ),
        Listing {
            reason: Some(reason), ..
        } => (
            (sql.page_of_reason, sql.end_of_reason),
            (sql.oldest_of_reason, sql.oldest_end_of_reason),
            Some(word(reason)?),
        ),
        Listing { state: Some(state), .. } => (
            (sql.page_of_state, sql.end_of_state),
            (sql.oldest_of_state, sql.oldest_end_of_state),
            Some(state.word().to_owned()),
        ),
        _ => (
            (sql.page_of_all, sql.end_of_all),
            (sql.oldest_of_all, sql.oldest_end_of_all),
            None,
        ),
    };
    let (page, end) = match listing.sort {
        Sort::Newest => newest,
        Sort::Oldest => oldest,
    };
    let first = match listing.worker {
        Some(_) => OF_WORKER,
        None => FIRST,
    };
    Ok(Way {
        page,
        end,
        value,
        first,
    })
}

/// A page of the list.
pub(super) async fn page(session: &mut Session, listing: &Listing) -> Result<Page, Fault> {
    let way = way(session.sql, listing)?;
    let most = listing.most.max(1) as usize;
    let (mut stretch, mut looked_at, mut behind) = (way.first, 0, listing.behind);
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        // One more than is shown tells whether there is a next page.
        let wanted = most + 1 - entries.len();
        let query = of_stretch(way.page, &way, listing, behind, stretch)
            .bind(listing.state.map(|state| state.word()))
            .bind(session.now)
            .bind(listing.reason.map(|reason| word(&reason)).transpose()?)
            .bind(listing.tenant.clone())
            .bind(listing.format.map(|format| word(&format)).transpose()?)
            .bind(i64::try_from(wanted).unwrap_or(i64::MAX));
        let rows = query.fetch_all(session.connection()).await?;
        for row in &rows {
            entries.push(rows::entry(row)?);
        }
        looked_at += stretch;
        if entries.len() > most {
            entries.truncate(most);
            let next = entries.last().map(mark);
            return Ok(shown(entries, next, session.now));
        }
        behind = end(session, &way, listing, behind, stretch).await?;
        if behind.is_none() || looked_at >= LOOKED_AT {
            return Ok(shown(entries, behind, session.now));
        }
        stretch = (stretch * 4).min(LOOKED_AT - looked_at);
    }
}

fn shown(entries: Vec<Entry>, next: Option<Mark>, now: i64) -> Page {
    Page {
        entries: entries.into_iter().map(|entry| as_of(entry, now)).collect(),
        next,
    }
}

fn mark(entry: &Entry) -> Mark {
    Mark {
        changed_ms: entry.changed.timestamp_millis(),
        digest: entry.digest,
    }
}

/// The first five values, which say which stretch it is: where the list ends, and the place that it goes on from.
fn of_stretch(statement: &'static str, way: &Way, listing: &Listing, behind: Option<Mark>, stretch: u32) -> Query {
    let since = listing.since.map_or(i64::MIN, |since| since.timestamp_millis());
    let until = listing.until.map_or(i64::MAX, |until| until.timestamp_millis());
    let (end, begin) = match listing.sort {
        Sort::Newest => (since, until),
        Sort::Oldest => (until, since),
    };
    let (changed_ms, digest) = match behind {
        Some(mark) => (mark.changed_ms, mark.digest.to_string()),
        // Nothing comes before the empty digest: from the newest on, what changed at that very time is out; from the oldest on, it is in.
        None => (begin, String::new()),
    };
    query(statement)
        .bind(way.value.clone())
        .bind(end)
        .bind(changed_ms)
        .bind(digest)
        .bind(stretch)
}

/// The last entry of a stretch; none where the stretch was not full: there is nothing behind it.
async fn end(
    session: &mut Session,
    way: &Way,
    listing: &Listing,
    behind: Option<Mark>,
    stretch: u32,
) -> Result<Option<Mark>, Fault> {
    let query = of_stretch(way.end, way, listing, behind, stretch);
    let row = query.fetch_optional(session.connection()).await?;
    row.map(|row| {
        let cells = Cells::of(&row, "entries", "key");
        Ok(Mark {
            changed_ms: cells.get("at")?,
            digest: cells.word("key")?,
        })
    })
    .transpose()
}

/// What waits for an operator.
pub(super) async fn unreviewed(session: &mut Session) -> Result<Unreviewed, Fault> {
    let query = query(session.sql.unreviewed).bind(COUNTED);
    let row = query.fetch_one(session.connection()).await?;
    let (oldest, waiting): (Option<i64>, i64) = (row.try_get("oldest")?, row.try_get("waiting")?);
    Ok(Unreviewed {
        entries: waiting.unsigned_abs(),
        oldest: oldest.map(time),
    })
}

/// Who works, by host.
pub(super) async fn workers(session: &mut Session) -> Result<Vec<WorkerRecord>, Fault> {
    let now = session.now;
    let query = query(session.sql.workers).bind(WORKERS);
    let found = query.fetch_all(session.connection()).await?;
    found.iter().map(|row| rows::worker_record(row, now)).collect()
}
