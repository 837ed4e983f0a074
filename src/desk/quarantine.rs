//! The quarantine list: what is held, filtered and paged.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};
use url::form_urlencoded::Serializer;

use super::account::Role;
use super::frame::{columns, moment};
use super::held::mark as mark_of;
use super::query::{LONGEST, fields, known, shortened, time, written};
use super::refusal::Refusal;
use super::visitor::{Visitor, WHY};
use super::{Desk, bulk, frame};
use crate::format::Format;
use crate::ledger::{Entry, LOOKED_AT, Listing, Mark, Page, Sort, WorkerId};
use crate::quarantine::State as Standing;
use crate::verdict::{Reason, Status};

/// Entries of a page.
const PAGE: u32 = 50;
/// Characters of a name that a row shows.
const NAME: usize = 60;
/// States in the order in which they come to be.
const STATES: [Standing; 6] = [
    Standing::Suspected,
    Standing::Quarantined,
    Standing::Confirmed,
    Standing::Released,
    Standing::Expired,
    Standing::Allowed,
];

/// Reads a query. What makes no sense is said, and not guessed at.
pub(super) fn listing(query: &str) -> Result<Listing, String> {
    let mut listing = Listing {
        most: PAGE,
        ..Listing::default()
    };
    for (name, value) in fields(query)? {
        match (&*name, &*value) {
            ("state", word) => listing.state = Some(known(STATES, Standing::word, "state", word)?),
            ("reason", word) => listing.reason = Some(known(Reason::ALL, Reason::word, "reason", word)?),
            ("format", word) => listing.format = Some(known(Format::ALL, Format::name, "format", word)?),
            ("tenant", tenant) => listing.tenant = Some(tenant.to_owned()),
            ("worker", worker) => listing.worker = Some(WorkerId(worker.to_owned())),
            ("since", text) => listing.since = Some(time(text)?),
            ("until", text) => listing.until = Some(time(text)?),
            ("sort", word) => listing.sort = known(Sort::ALL, Sort::word, "sort", word)?,
            ("behind", text) => listing.behind = Some(mark(text)?),
            (other, _) => return Err(format!("there is no filter {}", shortened(other))),
        }
    }
    Ok(listing)
}

/// The same filter at another place of the list, as a path.
fn path(listing: &Listing, behind: Option<Mark>) -> String {
    let mut query = Serializer::new(String::new());
    let pairs = [
        ("state", listing.state.map(|state| state.word().to_owned())),
        ("reason", listing.reason.map(|reason| reason.word().to_owned())),
        ("tenant", listing.tenant.clone()),
        ("format", listing.format.map(|format| format.name().to_owned())),
        ("worker", listing.worker.as_ref().map(|worker| worker.0.clone())),
        ("since", listing.since.map(written)),
        ("until", listing.until.map(written)),
        (
            "sort",
            (listing.sort != Sort::default()).then(|| listing.sort.word().to_owned()),
        ),
        ("behind", behind.map(self::behind)),
    ];
    for (name, value) in pairs {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    match query.finish() {
        query if query.is_empty() => "/quarantine".to_owned(),
        query => format!("/quarantine?{query}"),
    }
}

/// A place in the list, as [`listing`] reads it.
pub(super) fn behind(mark: Mark) -> String {
    format!("{}-{}", mark.changed_ms, mark.digest)
}

/// Reads what [`behind`] wrote.
fn mark(text: &str) -> Result<Mark, String> {
    let read = || {
        let (changed, digest) = text.split_once('-')?;
        Some(Mark {
            changed_ms: changed.parse().ok()?,
            digest: digest.parse().ok()?,
        })
    };
    read().ok_or_else(|| "there is no such place in the list; begin at its first page".to_owned())
}

pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, Response> {
    let listing = listing(&query.unwrap_or_default()).map_err(Refusal::bad)?;
    let page = desk.work()?.ledger.page(&listing).await.map_err(Refusal::from)?;
    let content = shown(&visitor, &listing, &page);
    Ok(frame::page(&visitor, "/quarantine", "Quarantine", &content))
}

fn shown(visitor: &Visitor, listing: &Listing, page: &Page) -> Markup {
    let (first, next) = match listing.sort {
        Sort::Newest => ("Newest", "Older"),
        Sort::Oldest => ("Oldest", "Newer"),
    };
    html! {
        (filters(listing))
        @if page.entries.is_empty() {
            p { "Nothing here." }
        } @else if visitor.role >= Role::Operator {
            form method="post" action="/quarantine" {
                (table(&page.entries, Ticked::Can))
                (many(visitor, listing))
            }
        } @else {
            (table(&page.entries, Ticked::Cannot))
        }
        @if page.next.is_some() && page.entries.len() < PAGE as usize {
            p { "Of the entries that come next, " (LOOKED_AT) " were looked at. There are more." }
        }
        nav .pages aria-label="Pages of the list" {
            @if listing.behind.is_some() { a rel="first" href=(path(listing, None)) { (first) } }
            @if page.next.is_some() { a rel="next" href=(path(listing, page.next)) { (next) } }
        }
    }
}

fn filters(listing: &Listing) -> Markup {
    let reasons = Reason::ALL
        .into_iter()
        .filter(|reason| reason.status() == Status::Quarantined)
        .map(Reason::word);
    html! {
        form .filters method="get" action="/quarantine" aria-label="Filter" {
            (choice("State", "state", STATES.into_iter().map(Standing::word), listing.state.map(Standing::word)))
            (choice("Reason", "reason", reasons, listing.reason.map(Reason::word)))
            (choice("Format", "format", Format::ALL.into_iter().map(Format::name), listing.format.map(Format::name)))
            label { "Tenant " input name="tenant" value=[&listing.tenant] maxlength=(LONGEST); }
            label { "Worker " input name="worker" value=[listing.worker.as_ref().map(|worker| &worker.0)] maxlength=(LONGEST); }
            label { "Changed since (UTC) " input type="datetime-local" name="since" value=[listing.since.map(written)]; }
            label { "and before (UTC) " input type="datetime-local" name="until" value=[listing.until.map(written)]; }
            label { "First "
                select name="sort" {
                    @for sort in Sort::ALL {
                        option value=(sort.word()) selected[sort == listing.sort] { (sort.word()) " change" }
                    }
                }
            }
            button { "Filter" }
        }
    }
}

fn choice(label: &str, name: &str, words: impl Iterator<Item = &'static str>, chosen: Option<&'static str>) -> Markup {
    html! {
        label { (label) " "
            select name=(name) {
                option value="" { "any" }
                @for word in words {
                    option value=(word) selected[chosen == Some(word)] { (word) }
                }
            }
        }
    }
}

/// Whether entries can be ticked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ticked {
    Can,
    Cannot,
}

/// One decision about many entries.
fn many(visitor: &Visitor, listing: &Listing) -> Markup {
    let filter = path(listing, None);
    html! {
        section .decision aria-labelledby="many" {
            h2 #many { "Decide about many" }
            input type="hidden" name="csrf" value=(visitor.csrf.shown());
            input type="hidden" name="filter" value=(filter.split_once('?').map_or("", |(_, query)| query));
            fieldset {
                legend { "Which" }
                label .tick { input type="radio" name="which" value="ticked" checked; " those that are ticked" }
                label .tick { input type="radio" name="which" value="all"; " all that the filter shows, on every page" }
            }
            label for="action" { "What" }
            select #action name="action" required {
                option value="" { "choose" }
                @for (action, word) in bulk::ACTIONS { option value=(action.word()) { (word) } }
            }
            label for="why" { "Why" }
            input #why name="why" maxlength=(WHY);
            button { "Decide" }
            p { "Entries that have changed since this page was made are left alone." }
        }
    }
}

fn table(entries: &[Entry], ticked: Ticked) -> Markup {
    html! {
        section tabindex="0" aria-label="Entries" {
            table {
                thead {
                    tr {
                        @if ticked == Ticked::Can { th scope="col" { "tick" } }
                        (columns(&["upload", "state", "reason", "what was seen", "format", "tenant", "name", "strikes", "refused", "changed"]))
                    }
                }
                tbody {
                    @for entry in entries {
                        tr {
                            @if ticked == Ticked::Can {
                                td { input .tick type="checkbox" name="entry" value={ (entry.digest) "." (mark_of(entry)) } aria-label={ "Tick " (entry.digest.short()) }; }
                            }
                            th scope="row" { a href={ "/quarantine/" (entry.digest) } { code { (entry.digest.short()) } } }
                            td { (entry.state.word()) }
                            td { (entry.reason.word()) }
                            td .wide { bdi { (entry.detail) } }
                            td { (entry.looks.format.map_or("", Format::name)) }
                            td .wide { bdi { (entry.tenant) } }
                            td .wide { bdi { (cut(&entry.name)) } }
                            td { (entry.strikes) }
                            td { (entry.repeats) }
                            td { (moment(entry.changed)) }
                        }
                    }
                }
            }
        }
    }
}

/// The end of a long name says more than its beginning.
fn cut(name: &str) -> String {
    let length = name.chars().count();
    match length > NAME {
        true => format!("…{}", name.chars().skip(length - NAME).collect::<String>()),
        false => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn a_query_is_read_and_written_alike() {
        let digest = Digest::of(b"x");
        let text = format!(
            "/quarantine?state=quarantined&reason=worker-loss&tenant=a%26b+%3C&format=svg&worker=host-1-abc\
             &since=2026-11-01T00%3A00&until=2026-11-22T03%3A30&sort=oldest&behind=17-{digest}"
        );
        let read = listing(text.split_once('?').unwrap().1).unwrap();
        assert_eq!(
            (read.state, read.reason, read.format),
            (Some(Standing::Quarantined), Some(Reason::WorkerLoss), Some(Format::Svg))
        );
        assert_eq!((read.tenant.as_deref(), read.most), (Some("a&b <"), PAGE));
        assert_eq!(read.sort, Sort::Oldest);
        assert_eq!(read.behind, Some(Mark { changed_ms: 17, digest }));
        assert_eq!(path(&read, read.behind), text);
        assert_eq!(
            path(&listing("state=&tenant=&since=&sort=newest").unwrap(), None),
            "/quarantine"
        );
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let long = format!("tenant={}", "a".repeat(10_000));
        let name = format!("{}=1", "n".repeat(10_000));
        for (query, words) in [
            ("behind=0", "no such place"),
            ("behind=-1-x", "no such place"),
            ("behind=99999999999999999999-", "no such place"),
            ("page=7", "no filter page"),
            ("state=lost", "no state"),
            ("reason=%27+OR+1%3D1", "no reason"),
            ("format=exe", "no format"),
            ("tenant=a%00", "a character that nothing here has"),
            ("since=soon", "a time is written as"),
            ("until=99999-01-01T00:00", "a time is written as"),
            ("sort=evil", "no sort of that name"),
            (long.as_str(), "longer than 200"),
            (name.as_str(), "no filter nnnnnnnnnnnnnnnnnnnn"),
        ] {
            let problem = listing(query).unwrap_err();
            assert!(problem.contains(words) && problem.len() < 100, "{problem}");
        }
    }
}
