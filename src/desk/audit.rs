//! The audit trail: who decided what, about uploads or tenants; filtered, paged, exported.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde_json::json;
use url::form_urlencoded::Serializer;

use super::frame::{columns, moment};
use super::query::{LONGEST, fields, shortened, time, written};
use super::refusal::Refusal;
use super::visitor::Visitor;
use super::{Desk, frame};
use crate::clock;
use crate::digest::Digest;
use crate::job::check_name;
use crate::ledger::{LOOKED_AT, Place, Trail, TrailListing, TrailPage, TrailRecord};
use crate::tenants::Standing;

/// Records of a page.
const PAGE: u32 = 100;
/// Most records of an export.
const EXPORTED: usize = 50_000;
/// Trails, by their words.
const TRAILS: [(Trail, &str); 2] = [(Trail::Uploads, "uploads"), (Trail::Tenants, "tenants")];

pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, Response> {
    let listing = listing(&query.unwrap_or_default()).map_err(Refusal::bad)?;
    let page = desk.work()?.ledger.trail(&listing).await.map_err(Refusal::from)?;
    Ok(frame::page(&visitor, "/audit", "Audit", &shown(&listing, &page)))
}

/// The same records and those behind them, one JSON object to a line. Where there are more than an export has, its last line says where the rest
/// begins.
pub(super) async fn export(
    State(desk): State<Arc<Desk>>,
    _: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, Response> {
    let listing = listing(&query.unwrap_or_default()).map_err(Refusal::bad)?;
    Ok(exported(&desk, listing, "/audit/export").await?)
}

/// An export as a file; `route` is where its last line leads.
pub(super) async fn exported(desk: &Desk, listing: TrailListing, route: &str) -> Result<Response, Refusal> {
    let lines = lines(desk, listing, route).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"lazaret-audit.jsonl\"",
        ),
    ];
    Ok((headers, lines).into_response())
}

async fn lines(desk: &Desk, mut listing: TrailListing, route: &str) -> Result<String, Refusal> {
    let ledger = desk.work()?.ledger;
    let (mut lines, mut count) = (String::new(), 0);
    listing.most = LOOKED_AT;
    loop {
        let page = ledger.trail(&listing).await?;
        count += page.records.len();
        for record in &page.records {
            lines.push_str(&json!(record).to_string());
            lines.push('\n');
        }
        listing.behind = page.next;
        if page.next.is_none() {
            return Ok(lines);
        }
        if count >= EXPORTED {
            lines.push_str(&json!({ "more": path(route, &listing, page.next) }).to_string());
            lines.push('\n');
            return Ok(lines);
        }
    }
}

/// Reads a query. What makes no sense is said, and not guessed at.
pub(super) fn listing(query: &str) -> Result<TrailListing, String> {
    let mut listing = TrailListing {
        most: PAGE,
        ..TrailListing::default()
    };
    for (name, value) in fields(query)? {
        match (&*name, &*value) {
            ("of", word) => {
                let known = TRAILS.iter().find(|(_, known)| *known == word);
                listing.of = known.ok_or("there is no trail of that name")?.0;
            }
            ("who", who) => listing.who = Some(who.to_owned()),
            ("action", action) => listing.action = Some(action.to_owned()),
            ("since", text) => listing.since = Some(time(text)?),
            ("until", text) => listing.until = Some(time(text)?),
            ("behind", text) => listing.behind = Some(place(text)?),
            (other, _) => return Err(format!("there is no filter {}", shortened(other))),
        }
    }
    Ok(listing)
}

/// The same filter at another place of the trail, as a path.
fn path(page: &str, listing: &TrailListing, behind: Option<Place>) -> String {
    let mut query = Serializer::new(String::new());
    let pairs = [
        ("of", Some(word(listing.of).to_owned())),
        ("who", listing.who.clone()),
        ("action", listing.action.clone()),
        ("since", listing.since.map(written)),
        ("until", listing.until.map(written)),
        ("behind", behind.map(self::behind)),
    ];
    for (name, value) in pairs {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    format!("{page}?{}", query.finish())
}

/// A place in the trail, as [`listing`] reads it.
pub(super) fn behind(place: Place) -> String {
    format!("{}-{}", place.at_ms, place.id)
}

/// Reads what [`behind`] wrote.
fn place(text: &str) -> Result<Place, String> {
    let read = || {
        let (at, id) = text.split_once('-')?;
        Some(Place {
            at_ms: at.parse().ok()?,
            id: id.parse().ok()?,
        })
    };
    read().ok_or_else(|| "there is no such place in the trail; begin at its first page".to_owned())
}

fn word(trail: Trail) -> &'static str {
    TRAILS
        .iter()
        .find(|(known, _)| *known == trail)
        .map_or("", |(_, word)| word)
}

fn shown(listing: &TrailListing, page: &TrailPage) -> Markup {
    html! {
        form .filters method="get" action="/audit" aria-label="Filter" {
            label { "About "
                select name="of" {
                    @for (trail, word) in TRAILS { option value=(word) selected[trail == listing.of] { (word) } }
                }
            }
            label { "Who " input name="who" value=[&listing.who] maxlength=(LONGEST); }
            label { "Action " input name="action" value=[&listing.action] maxlength=(LONGEST); }
            label { "Since (UTC) " input type="datetime-local" name="since" value=[listing.since.map(written)]; }
            label { "and before (UTC) " input type="datetime-local" name="until" value=[listing.until.map(written)]; }
            button { "Filter" }
        }
        p { "What rules decided has the name " code { "lazaret" } ". " a href=(path("/audit/export", listing, listing.behind)) { "Export from here, as JSON lines" } }
        @if page.records.is_empty() {
            p { "Nothing here." }
        } @else {
            (table(listing.of, &page.records))
        }
        @if page.next.is_some() && page.records.len() < PAGE as usize {
            p { "Of the records that come next, " (LOOKED_AT) " were looked at. There are more." }
        }
        nav .pages aria-label="Pages of the trail" {
            @if listing.behind.is_some() { a rel="first" href=(path("/audit", listing, None)) { "Newest" } }
            @if page.next.is_some() { a rel="next" href=(path("/audit", listing, page.next)) { "Older" } }
        }
    }
}

fn table(of: Trail, records: &[TrailRecord]) -> Markup {
    html! {
        section tabindex="0" aria-label="Records" {
            table {
                thead { tr { (columns(&["when", "about", "who", "what", "before", "after", "why"])) } }
                tbody {
                    @for record in records {
                        tr {
                            td { (moment(record.at)) }
                            td { (about(of, &record.about)) }
                            td { bdi { (record.who) } }
                            td { bdi { (record.action) } }
                            td .wide { bdi { (standing(of, record.before.as_deref().unwrap_or_default())) } }
                            td .wide { bdi { (standing(of, &record.after)) } }
                            td .wide { bdi { (record.why) } }
                        }
                    }
                }
            }
        }
    }
}

/// A link, where there is a page for it.
fn about(of: Trail, about: &str) -> Markup {
    match (of, about.parse::<Digest>(), check_name("tenant", about)) {
        (Trail::Uploads, Ok(digest), _) => html! { a href={ "/quarantine/" (digest) } { code { (digest.short()) } } },
        (Trail::Tenants, _, Ok(())) => html! { a href={ "/tenants/" (about) } { (about) } },
        _ => html! { bdi { (about) } },
    }
}

/// A tenant's standing is told in words, where it is one.
fn standing(of: Trail, text: &str) -> String {
    match (of, serde_json::from_str::<Standing>(text)) {
        (Trail::Tenants, Ok(standing)) => standing.told(clock::unix_ms()),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_and_written_alike() {
        let text =
            "/audit?of=tenants&who=olga+%3C&action=block&since=2026-11-01T00%3A00&until=2026-11-22T03%3A30&behind=17-4";
        let read = listing(text.split_once('?').unwrap().1).unwrap();
        assert_eq!(
            (read.of, read.who.as_deref(), read.most),
            (Trail::Tenants, Some("olga <"), PAGE)
        );
        assert_eq!(read.behind, Some(Place { at_ms: 17, id: 4 }));
        assert_eq!(path("/audit", &read, read.behind), text);
        assert_eq!(path("/audit", &listing("who=").unwrap(), None), "/audit?of=uploads");
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let long = format!("who={}", "a".repeat(10_000));
        for (query, words) in [
            ("of=everything", "no trail"),
            ("behind=7", "no such place"),
            ("behind=7-99999999999999999999", "no such place"),
            ("who=a%00", "a character that nothing here has"),
            ("since=soon", "a time is written as"),
            ("page=2", "no filter page"),
            (long.as_str(), "longer than 200"),
        ] {
            assert!(listing(query).unwrap_err().contains(words), "{query}");
        }
    }
}
