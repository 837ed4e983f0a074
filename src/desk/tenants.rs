//! Tenants: what they use and what was decided about each; limits, blocks, purges.
//!
//! What is decided is in the ledger when the page comes back; workers read it there within a second.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use bytesize::ByteSize;
use maud::{Markup, html};
use url::form_urlencoded;

use super::account::Role;
use super::decision::{Decision, Why};
use super::form::Form;
use super::frame::{columns, moment};
use super::query::shortened;
use super::refusal::{Code, Refusal};
use super::tenancy::{ACTIONS, LISTED, act, busiest, doomed, found, meant, some};
use super::visitor::Visitor;
use super::{Desk, frame};
use crate::clock;
use crate::job::check_name;
use crate::ledger::{TenantAction, TenantAuditRecord, TenantSummary};
use crate::tenants::{Over, SomeLimits, Standing, Use};

/// Fields of the limits' form: name, label, what is written there.
const LIMITS: [(&str, &str, &str); 5] = [
    ("jobs_per_minute", "Jobs begun per minute", "a number"),
    ("cpu_seconds_per_minute", "CPU seconds per minute", "a number"),
    ("bytes_per_day", "Bytes fetched per day", "a size, such as 10GiB"),
    ("in_flight", "Attempts at once", "a number"),
    ("queued", "Jobs that wait", "a number"),
];

/// Tenants of whom there is anything to say; the busiest first.
pub(super) async fn list(State(desk): State<Arc<Desk>>, visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    if let Some(tenant) = asked_for(&query.unwrap_or_default()) {
        return match check_name("tenant", &tenant) {
            Ok(()) => Redirect::to(&format!("/tenants/{tenant}")).into_response(),
            Err(problem) => frame::plain(StatusCode::BAD_REQUEST, &problem),
        };
    }
    match busiest(&desk).await {
        Ok(tenants) => frame::page(&visitor, "/tenants", "Tenants", &listed(&tenants)),
        Err(refusal) => refusal.into(),
    }
}

fn asked_for(query: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let found = pairs.find(|(name, value)| name == "tenant" && !value.is_empty());
    found.map(|(_, value)| value.into_owned())
}

/// One tenant.
pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
    Path(tenant): Path<String>,
) -> Result<Response, Response> {
    let (summary, audit) = found(&desk, &tenant).await?;
    let content = html! {
        (glance(&summary))
        @if visitor.role >= Role::Operator {
            (actions(&visitor, &summary))
            (limits(&visitor, &summary))
        }
        (trail(&audit))
    };
    Ok(frame::page(&visitor, "/tenants", &format!("Tenant {tenant}"), &content))
}

/// What a purge would give up, before it does.
pub(super) async fn preview(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
    Path(tenant): Path<String>,
) -> Result<Response, Response> {
    let doomed = doomed(&desk, &tenant).await?;
    let content = html! {
        p { "All jobs that this tenant has enqueued until now are given up: each ends " code { "refused: purged" } ". Later ones are not touched. This cannot be taken back." }
        table {
            tbody {
                tr { th scope="row" { "wait in the ledger" } td { (doomed.waiting) } }
                tr { th scope="row" { "wait in its sideline" } td {
                    @match doomed.sideline {
                        None => "it has none",
                        Some(line) => { "sideline " (line) "; all sidelines together have " (doomed.sidelined) },
                    }
                } }
                tr { th scope="row" { "wait in the lanes" } td { "not counted: they are found as they come" } }
                tr { th scope="row" { "run now" } td { (doomed.running) ", which end as they will" } }
            }
        }
        @if visitor.role >= Role::Operator {
            (asked(&about(&tenant), "purge", "Purge", "").shown(&visitor, &html! {}))
        }
        p { a href={ "/tenants/" (tenant) } { "Leave it as it is" } }
    };
    Ok(frame::page(&visitor, "/tenants", &format!("Purge {tenant}?"), &content))
}

/// Gives up what was previewed, and what has come since.
pub(super) async fn purge(
    desk: State<Arc<Desk>>,
    visitor: Visitor,
    Path(tenant): Path<String>,
    form: Form,
) -> Result<Response, Response> {
    decide(desk, visitor, Path((tenant, "purge".to_owned())), form).await
}

/// Decides.
pub(super) async fn decide(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
    Path((tenant, action)): Path<(String, String)>,
    form: Form,
) -> Result<Response, Response> {
    let operator = visitor.decides(&form)?;
    let action = match action.as_str() {
        "purge" => TenantAction::Purge,
        "limit" => TenantAction::Limit(wished(&form).map_err(Refusal::bad)?),
        word => meant(word).ok_or_else(|| Refusal::new(Code::NotFound, "There is no such action."))?,
    };
    act(&desk, &tenant, &action, &operator).await?;
    Ok(Redirect::to(&about(&tenant)).into_response())
}

/// The limits in a form. An empty field leaves its limit as it is.
fn wished(form: &Form) -> Result<SomeLimits, String> {
    let limits = SomeLimits {
        jobs_per_minute: read(form, 0)?,
        cpu_seconds_per_minute: read(form, 1)?,
        bytes_per_day: read::<ByteSize>(form, 2)?,
        in_flight: read(form, 3)?,
        queued: read(form, 4)?,
        over: match form.field("over") {
            "" => None,
            word => {
                let known = [Over::Park, Over::Refuse].into_iter().find(|over| over.word() == word);
                Some(known.ok_or("Over a limit, a job is parked or refused.")?)
            }
        },
    };
    some(limits)
}

fn read<T: std::str::FromStr>(form: &Form, field: usize) -> Result<Option<T>, String> {
    let (name, label, kind) = LIMITS[field];
    match form.field(name).trim() {
        "" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| format!("{label}: {} is not {kind}.", shortened(text))),
    }
}

fn listed(tenants: &[TenantSummary]) -> Markup {
    html! {
        form .filters method="get" action="/tenants" aria-label="Find" {
            label { "Tenant " input name="tenant" maxlength="128" required; }
            button { "Show" }
        }
        p { "Those with decisions, jobs that wait or run, or use within the last hour; the busiest first." }
        @if tenants.len() > LISTED {
            p { (LISTED) " of " (tenants.len()) " are shown." }
        }
        section tabindex="0" aria-label="Tenants" {
            table {
                thead { tr {
                    (columns(&["tenant", "waiting", "running", "jobs this minute", "CPU this minute", "bytes today", "convicted", "sideline", "decided"]))
                } }
                tbody {
                    @for tenant in tenants.iter().take(LISTED) {
                        tr {
                            th scope="row" {
                                // A row that somebody edited may have a name that leads nowhere.
                                @match check_name("tenant", &tenant.tenant) {
                                    Ok(()) => a href={ "/tenants/" (tenant.tenant) } { (tenant.tenant) },
                                    Err(_) => bdi { (tenant.tenant) },
                                }
                            }
                            td { (tenant.waiting) }
                            td { (tenant.running) }
                            td { (tenant.minute.jobs) }
                            td { (seconds(tenant.minute.cpu_ms)) }
                            td { (ByteSize(tenant.day.bytes)) }
                            td { (tenant.convictions) }
                            td { @if let Some(line) = tenant.sideline { (line) } }
                            td .wide { (tenant.standing.told(clock::unix_ms())) }
                        }
                    }
                }
            }
        }
    }
}

fn glance(summary: &TenantSummary) -> Markup {
    let now = clock::unix_ms();
    let standing = match summary.standing.told(now) {
        nothing if nothing.is_empty() => "nothing".to_owned(),
        told => told,
    };
    html! {
        section aria-labelledby="glance" {
            h2 #glance { "At a glance" }
            table {
                tbody {
                    tr { th scope="row" { "decided" } td .wide { (standing) } }
                    tr { th scope="row" { "waiting in the ledger" } td { (summary.waiting) } }
                    tr { th scope="row" { "running" } td { (summary.running) } }
                    tr { th scope="row" { "sideline" } td { @match summary.sideline { Some(line) => { (line) ": it was noisy" } None => { "none" } } } }
                    tr { th scope="row" { "this minute" } td { (used(&summary.minute)) } }
                    tr { th scope="row" { "today (UTC)" } td { (used(&summary.day)) } }
                    tr { th scope="row" { "convicted within an hour" } td { (summary.convictions) } }
                }
            }
            p { a href={ "/quarantine?tenant=" (summary.tenant.replace('@', "%40")) } { "What it sent first, in quarantine" } }
        }
    }
}

fn actions(visitor: &Visitor, summary: &TenantSummary) -> Markup {
    let Standing { block, .. } = summary.standing;
    let on_probation = summary.standing.is_on_probation(clock::unix_ms());
    let sensible = ACTIONS.iter().filter(|(action, ..)| match action {
        TenantAction::Block(how) => block != Some(*how),
        TenantAction::Unblock => block.is_some(),
        TenantAction::EndProbation => on_probation,
        _ => true,
    });
    let about = about(&summary.tenant);
    html! {
        section aria-labelledby="decide" {
            h2 #decide { "Decide" }
            @for (_, path, word, comes) in sensible {
                (asked(&about, path, word, comes).shown(visitor, &html! {}))
            }
            p { a href={ "/tenants/" (summary.tenant) "/purge" } { "Purge its jobs …" } }
        }
    }
}

fn limits(visitor: &Visitor, summary: &TenantSummary) -> Markup {
    let about = about(&summary.tenant);
    let limit = asked(
        &about,
        "limit",
        "Set limits",
        "An empty field leaves its limit as it is. 0: no limit.",
    );
    let unlimit = asked(
        &about,
        "unlimit",
        "Take limits back",
        "Those of the configuration hold again.",
    );
    let fields = html! {
        @for (name, label, _) in LIMITS {
            label for=(name) { (label) }
            input id=(name) name=(name) maxlength="30";
        }
        label for="over" { "A job over a limit is" }
        select #over name="over" {
            option value="" { "as it was" }
            option value=(Over::Park.word()) { "parked: it waits" }
            option value=(Over::Refuse.word()) { "refused" }
        }
    };
    html! {
        section aria-labelledby="limits" {
            h2 #limits { "Limits" }
            p {
                @match summary.standing.limits.told() {
                    none if none.is_empty() => "Those of the configuration.",
                    told => { "Over those of the configuration: " (told) "." },
                }
            }
            (limit.shown(visitor, &fields))
            @if summary.standing.limits != SomeLimits::default() {
                (unlimit.shown(visitor, &html! {}))
            }
        }
    }
}

fn about(tenant: &str) -> String {
    format!("/tenants/{tenant}")
}

/// Why is asked for, and need not be said.
fn asked<'a>(about: &'a str, action: &'a str, button: &'a str, comes: &'a str) -> Decision<'a> {
    Decision {
        about,
        action,
        button,
        comes,
        why: Why::May,
    }
}

fn trail(audit: &[TenantAuditRecord]) -> Markup {
    let now = clock::unix_ms();
    html! {
        section tabindex="0" aria-labelledby="audit" {
            h2 #audit { "Audit" }
            table {
                thead { tr { (columns(&["when", "who", "what", "after", "why"])) } }
                tbody {
                    @for record in audit {
                        tr {
                            td { (moment(record.at)) }
                            td .wide { bdi { (record.who) } }
                            td { bdi { (record.action) } }
                            td .wide { (record.after.told(now)) }
                            td .wide { bdi { (record.why) } }
                        }
                    }
                }
            }
        }
    }
}

fn used(used: &Use) -> String {
    let bytes = ByteSize(used.bytes);
    format!("{} jobs, {} of CPU, {bytes} fetched", used.jobs, seconds(used.cpu_ms))
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_from_a_form_and_what_makes_no_sense_is_named() {
        let wished = |text: &str| wished(&Form::of(text.as_bytes()));
        let limits = wished("jobs_per_minute=5&bytes_per_day=+10GiB+&over=refuse&queued=").unwrap();
        assert_eq!(limits.told(), "jobs/min 5, bytes/day 10.0 GiB, over refuse");
        for (text, words) in [
            ("", "No field"),
            ("why=because", "No field"),
            ("jobs_per_minute=-1", "Jobs begun per minute: -1 is not a number"),
            ("in_flight=4294967296", "Attempts at once"),
            ("bytes_per_day=%3Cscript%3E", "not a size"),
            ("over=explode", "parked or refused"),
        ] {
            assert!(wished(text).unwrap_err().contains(words), "{text}");
        }
    }
}
