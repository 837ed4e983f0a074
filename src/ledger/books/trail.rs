//! Pages of the audit trails.

use super::rows::{self, Cells};
use crate::ledger::engine::{Fault, Query, Session, query};
use crate::ledger::{LOOKED_AT, Place, Trail, TrailListing, TrailPage};

/// A page of a trail.
pub(super) async fn page(session: &mut Session, listing: &TrailListing) -> Result<TrailPage, Fault> {
    let (page, end) = match listing.of {
        Trail::Uploads => (session.sql.trail_of_uploads, session.sql.end_of_uploads),
        Trail::Tenants => (session.sql.trail_of_tenants, session.sql.end_of_tenants),
    };
    let most = listing.shown() as usize;
    // One more than is shown tells whether there is a next page.
    let query = of_stretch(page, listing)
        .bind(listing.who.clone())
        .bind(listing.action.clone())
        .bind(listing.shown() + 1);
    let found = query.fetch_all(session.connection()).await?;
    let mut records = found.iter().map(rows::trail_record).collect::<Result<Vec<_>, _>>()?;
    if records.len() > most {
        records.truncate(most);
        let next = records.last().map(|record| record.place());
        return Ok(TrailPage { records, next });
    }
    let row = of_stretch(end, listing).fetch_optional(session.connection()).await?;
    let next = row.map(|row| {
        let cells = Cells::of(&row, "audit", "id");
        Ok::<_, Fault>(Place {
            at_ms: cells.get("at")?,
            id: cells.get("id")?,
        })
    });
    Ok(TrailPage {
        records,
        next: next.transpose()?,
    })
}

/// The first four values, which say which stretch it is.
fn of_stretch(statement: &'static str, listing: &TrailListing) -> Query {
    let (before, id) = match (listing.behind, listing.until) {
        (Some(place), _) => (place.at_ms, place.id),
        // Nothing comes before the lowest number: what was decided at that very time is out.
        (None, Some(until)) => (until.timestamp_millis(), i64::MIN),
        (None, None) => (i64::MAX, i64::MAX),
    };
    query(statement)
        .bind(listing.since.map_or(i64::MIN, |since| since.timestamp_millis()))
        .bind(before)
        .bind(id)
        .bind(LOOKED_AT)
}
