//! The quarantine list: what is held, filtered and paged.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use url::form_urlencoded::{self, Serializer};

use super::visitor::Visitor;
use super::{Desk, frame};
use crate::ledger::{Entry, Filter};
use crate::quarantine::State as Standing;
use crate::verdict::{Reason, Status};

/// Entries of a page.
const PAGE: u32 = 50;
/// Last page: whoever looks for older entries asks for them by age.
const LAST: u32 = 200;
/// Longest filter, in characters.
const LONGEST: usize = 200;
/// States in the order in which they come to be.
const STATES: [Standing; 6] = [
    Standing::Suspected,
    Standing::Quarantined,
    Standing::Confirmed,
    Standing::Released,
    Standing::Expired,
    Standing::Allowed,
];

/// What a page of the list is asked by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Asked {
    state: Option<Standing>,
    reason: Option<Reason>,
    tenant: String,
    older_than: Option<Duration>,
    page: u32,
}

impl Asked {
    /// Reads a query. What makes no sense is said, and not guessed at.
    fn of(query: &str) -> Result<Self, String> {
        let mut asked = Self {
            page: 1,
            ..Self::default()
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if value.chars().count() > LONGEST {
                return Err(format!("{name} is longer than {LONGEST} characters"));
            }
            match (&*name, &*value) {
                (_, "") => {}
                ("state", word) => asked.state = Some(known(STATES, Standing::word, "state", word)?),
                ("reason", word) => asked.reason = Some(known(Reason::ALL, Reason::word, "reason", word)?),
                ("tenant", tenant) => asked.tenant = tenant.to_owned(),
                ("older_than", text) => {
                    let age = humantime::parse_duration(text).map_err(|error| format!("older_than: {error}"))?;
                    asked.older_than = Some(age);
                }
                ("page", number) => {
                    let page = number.parse().ok().filter(|page| (1..=LAST).contains(page));
                    asked.page =
                        page.ok_or_else(|| format!("page: a number from 1 to {LAST}; filter by age to see more"))?;
                }
                (other, _) => return Err(format!("there is no filter {other}")),
            }
        }
        Ok(asked)
    }

    /// One more than this page shows, so that it is known whether there is a next one.
    fn filter(&self) -> Filter {
        Filter {
            states: self.state.into_iter().collect(),
            reason: self.reason,
            tenant: Some(self.tenant.clone()).filter(|tenant| !tenant.is_empty()),
            older_than: self.older_than,
            newer_than: None,
            limit: self.page * PAGE + 1,
        }
    }

    /// The same filter at another page, as a path.
    fn at(&self, page: u32) -> String {
        let mut query = Serializer::new(String::new());
        let age = self.older_than.map(|age| humantime::format_duration(age).to_string());
        let pairs = [
            ("state", self.state.map(|state| state.word().to_owned())),
            ("reason", self.reason.map(|reason| reason.word().to_owned())),
            ("tenant", Some(self.tenant.clone())),
            ("older_than", age),
            ("page", Some(page.to_string())),
        ];
        for (name, value) in pairs {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                query.append_pair(name, &value);
            }
        }
        format!("/quarantine?{}", query.finish())
    }
}

fn known<T: Copy, const N: usize>(
    all: [T; N],
    word_of: fn(T) -> &'static str,
    what: &str,
    word: &str,
) -> Result<T, String> {
    let mut all = all.into_iter();
    all.find(|one| word_of(*one) == word)
        .ok_or_else(|| format!("there is no {what} of that name"))
}

pub(super) async fn page(State(desk): State<Arc<Desk>>, visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let asked = match Asked::of(&query.unwrap_or_default()) {
        Ok(asked) => asked,
        Err(problem) => return frame::plain(StatusCode::BAD_REQUEST, &problem),
    };
    let Some(work) = desk.shown.work() else {
        return frame::plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "The worker has not opened its ledger yet.",
        );
    };
    let mut entries = match work.ledger.entries(&asked.filter()).await {
        Ok(entries) => entries,
        Err(error) => return frame::plain(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    };
    let begins = ((asked.page - 1) * PAGE) as usize;
    let has_more = entries.len() > begins + PAGE as usize;
    let shown: Vec<Entry> = entries.drain(begins.min(entries.len())..).take(PAGE as usize).collect();
    let content = html! {
        (filters(&asked))
        @if shown.is_empty() {
            p { "Nothing here." }
        } @else {
            (table(&shown))
        }
        nav .pages aria-label="Pages of the list" {
            @if asked.page > 1 { a rel="prev" href=(asked.at(asked.page - 1)) { "Newer" } }
            span { "Page " (asked.page) }
            @if has_more && asked.page < LAST { a rel="next" href=(asked.at(asked.page + 1)) { "Older" } }
        }
    };
    frame::page(&visitor, "/quarantine", "Quarantine", &content)
}

fn filters(asked: &Asked) -> Markup {
    let reasons = Reason::ALL
        .into_iter()
        .filter(|reason| reason.status() == Status::Quarantined);
    let age = asked.older_than.map(|age| humantime::format_duration(age).to_string());
    html! {
        form .filters method="get" action="/quarantine" {
            label { "State "
                select name="state" {
                    option value="" { "any" }
                    @for state in STATES {
                        option value=(state.word()) selected[asked.state == Some(state)] { (state.word()) }
                    }
                }
            }
            label { "Reason "
                select name="reason" {
                    option value="" { "any" }
                    @for reason in reasons {
                        option value=(reason.word()) selected[asked.reason == Some(reason)] { (reason.word()) }
                    }
                }
            }
            label { "Tenant " input name="tenant" value=(asked.tenant) maxlength=(LONGEST); }
            label { "Changed at least so long ago " input name="older_than" value=[age] placeholder="7days"; }
            button { "Filter" }
        }
    }
}

fn table(entries: &[Entry]) -> Markup {
    html! {
        section aria-label="Entries" {
            table {
                thead {
                    tr {
                        @for column in ["upload", "state", "reason", "what was seen", "tenant", "name", "strikes", "refused", "changed"] {
                            th scope="col" { (column) }
                        }
                    }
                }
                tbody {
                    @for entry in entries {
                        tr {
                            th scope="row" { a href={ "/quarantine/" (entry.digest) } { code { (entry.digest.short()) } } }
                            td { (entry.state.word()) }
                            td { (entry.reason.word()) }
                            td { (entry.detail) }
                            td { (entry.tenant) }
                            td .wide { (entry.name) }
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

/// A time, as people and programs read it.
pub(super) fn moment(at: DateTime<Utc>) -> Markup {
    let text = at.format("%Y-%m-%d %H:%M:%S").to_string();
    html! { time datetime=(at.to_rfc3339()) { (text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_and_written_alike() {
        let text = "/quarantine?state=quarantined&reason=worker-loss&tenant=a%26b+%3C&older_than=7days&page=3";
        let asked = Asked::of(text.split_once('?').unwrap().1).unwrap();
        assert_eq!(
            (asked.state, asked.reason),
            (Some(Standing::Quarantined), Some(Reason::WorkerLoss))
        );
        assert_eq!((asked.tenant.as_str(), asked.filter().limit), ("a&b <", 151));
        assert_eq!(asked.at(3), text);
        assert_eq!(Asked::of("state=&tenant=").unwrap().at(1), "/quarantine?page=1");
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let long = format!("tenant={}", "a".repeat(10_000));
        for (query, words) in [
            ("page=0", "from 1 to 200"),
            ("page=-1", "from 1 to 200"),
            ("page=99999999999999", "from 1 to 200"),
            ("state=lost", "no state"),
            ("reason=%27+OR+1%3D1", "no reason"),
            ("older_than=soon", "older_than"),
            ("sort=evil", "no filter sort"),
            (long.as_str(), "longer than 200"),
        ] {
            assert!(Asked::of(query).unwrap_err().contains(words), "{query}");
        }
    }
}
