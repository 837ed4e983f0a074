//! One entry: what it is, why it is held, what became of it, and what may be done.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use bytesize::ByteSize;
use maud::{Markup, html};
use serde_json::Value;

use super::account::Role;
use super::form::Form;
use super::quarantine::moment;
use super::visitor::Visitor;
use super::{Desk, frame};
use crate::digest::Digest;
use crate::ledger::{Dossier, Entry, LedgerError, Operator};
use crate::quarantine::Action;

/// Longest reason that an operator may give, in characters.
const WHY: usize = 500;

/// What an operator may do, with the word of its button and what comes of it.
const ACTIONS: [(Action, &str, &str); 3] = [
    (
        Action::Release,
        "Release",
        "It runs again under the usual limits, and may be convicted again.",
    ),
    (Action::Confirm, "Confirm", "You agree: it never expires."),
    (
        Action::Allow,
        "Allow",
        "You vouch for it: it runs, and is never convicted.",
    ),
];

pub(super) async fn page(State(desk): State<Arc<Desk>>, visitor: Visitor, Path(digest): Path<String>) -> Response {
    match dossier(&desk, &digest).await {
        Ok(dossier) => shown(&visitor, &dossier, None),
        Err(response) => response,
    }
}

/// Decides. Whoever comes second sees what the first one did.
pub(super) async fn decide(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
    Path((digest, action)): Path<(String, String)>,
    form: Form,
) -> Result<Response, Response> {
    visitor.sent(&form)?;
    if visitor.role < Role::Operator {
        return Err(frame::plain(StatusCode::FORBIDDEN, "Viewers look; operators decide."));
    }
    let action = ACTIONS.iter().find(|(known, ..)| known.word() == action);
    let (action, ..) = action.ok_or_else(|| frame::plain(StatusCode::NOT_FOUND, "There is no such action."))?;
    let why = form.field("why");
    if why.chars().count() > WHY {
        let problem = format!("The reason is longer than {WHY} characters.");
        return Err(frame::plain(StatusCode::BAD_REQUEST, &problem));
    }
    let before = dossier(&desk, &digest).await?;
    if form.field("seen") != seen(&before.entry) {
        let words = "Somebody or something else has decided meanwhile. This is how it stands now.";
        return Err(shown(&visitor, &before, Some(words)));
    }
    let work = desk.shown.work().ok_or_else(no_ledger)?;
    let operator = Operator {
        who: visitor.who.clone(),
        why: why.to_owned(),
    };
    match work.ledger.act(&before.entry.digest, *action, &operator).await {
        Ok(entry) => {
            tracing::info!(who = visitor.who, action = action.word(), digest = %entry.digest, "decided at the desk");
            Ok(Redirect::to(&format!("/quarantine/{}", entry.digest)).into_response())
        }
        Err(LedgerError::WrongState { .. }) => {
            let now = dossier(&desk, &digest).await?;
            let words = "That makes no sense any more: this is how it stands now.";
            Err(shown(&visitor, &now, Some(words)))
        }
        Err(error) => Err(frame::plain(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())),
    }
}

/// What a decision is made on: the entry as it was when the page was shown.
fn seen(entry: &Entry) -> String {
    format!("{}-{}", entry.state.word(), entry.changed.timestamp_micros())
}

async fn dossier(desk: &Desk, digest: &str) -> Result<Dossier, Response> {
    let unknown = || frame::plain(StatusCode::NOT_FOUND, "There is no entry for that digest.");
    let digest: Digest = digest.parse().map_err(|_| unknown())?;
    let work = desk.shown.work().ok_or_else(no_ledger)?;
    match work.ledger.dossier(&digest).await {
        Ok(Some(dossier)) => Ok(dossier),
        Ok(None) => Err(unknown()),
        Err(error) => Err(frame::plain(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())),
    }
}

fn no_ledger() -> Response {
    frame::plain(
        StatusCode::SERVICE_UNAVAILABLE,
        "The worker has not opened its ledger yet.",
    )
}

fn shown(visitor: &Visitor, dossier: &Dossier, notice: Option<&str>) -> Response {
    let entry = &dossier.entry;
    let content = html! {
        @if let Some(notice) = notice {
            p .wrong role="alert" { (notice) }
        }
        (identity(entry))
        @if visitor.role >= Role::Operator {
            (actions(visitor, entry))
        }
        (strikes(dossier))
        (attempts(dossier))
        (audit(dossier))
    };
    let title = format!("Upload {}", entry.digest.short());
    match notice {
        None => frame::page(visitor, "/quarantine", &title, &content),
        Some(_) => {
            let mut response = frame::page(visitor, "/quarantine", &title, &content);
            *response.status_mut() = StatusCode::CONFLICT;
            response
        }
    }
}

fn identity(entry: &Entry) -> Markup {
    let looks = &entry.looks;
    let size = match (looks.width, looks.height, looks.frames) {
        (Some(width), Some(height), Some(frames)) => format!("{width} × {height}, frames: {frames}"),
        _ => "not known".to_owned(),
    };
    let format = looks.format.map_or("not known".to_owned(), |format| {
        serde_json::to_value(format)
            .ok()
            .and_then(|word| word.as_str().map(str::to_owned))
            .unwrap_or_default()
    });
    html! {
        section aria-labelledby="what" {
            h2 #what { (entry.state.word()) ": " (entry.reason.word()) }
            p { (entry.detail) }
            table {
                tbody {
                    tr { th scope="row" { "SHA-256" } td { code { (entry.digest) } } }
                    tr { th scope="row" { "sent first by" } td { (entry.tenant) } }
                    tr { th scope="row" { "as" } td { (entry.name) } }
                    tr { th scope="row" { "bytes" } td { (looks.bytes) " (" (ByteSize(looks.bytes)) ")" } }
                    tr { th scope="row" { "format" } td { (format) } }
                    tr { th scope="row" { "size" } td { (size) } }
                    tr { th scope="row" { "held since" } td { (moment(entry.since)) } }
                    tr { th scope="row" { "changed" } td { (moment(entry.changed)) } }
                    tr { th scope="row" { "expires" } td { @match entry.expires { Some(at) => { (moment(at)) } None => { "never" } } } }
                    tr { th scope="row" { "refused since" } td { (entry.repeats) " times" } }
                    tr { th scope="row" { "build, limits" } td { (entry.epoch.build) ", " (entry.epoch.limits) } }
                    tr { th scope="row" { "bytes kept" } td { @if entry.specimen.is_some() { "yes" } @else { "no" } } }
                }
            }
        }
    }
}

fn actions(visitor: &Visitor, entry: &Entry) -> Markup {
    let sensible = ACTIONS
        .iter()
        .filter(|(action, ..)| entry.state.after(*action).is_some());
    html! {
        section aria-labelledby="decide" {
            h2 #decide { "Decide" }
            @for (action, word, comes) in sensible {
                form .decision method="post" action={ "/quarantine/" (entry.digest) "/" (action.word()) } {
                    input type="hidden" name="csrf" value=(visitor.csrf.shown());
                    input type="hidden" name="seen" value=(seen(entry));
                    label for={ "why-" (action.word()) } { "Why" }
                    input id={ "why-" (action.word()) } name="why" maxlength=(WHY);
                    button { (word) }
                    p { (comes) }
                }
            }
        }
    }
}

fn strikes(dossier: &Dossier) -> Markup {
    html! {
        section aria-labelledby="strikes" {
            h2 #strikes { "Strikes" }
            @if dossier.strikes.is_empty() { p { "None." } }
            @for strike in &dossier.strikes {
                h3 { (strike.reason.word()) ", " (moment(strike.at)) }
                (evidence(&strike.evidence))
            }
        }
    }
}

/// Evidence is a tree; its leaves are shown with their paths.
fn evidence(value: &Value) -> Markup {
    let mut leaves = Vec::new();
    collect(String::new(), value, &mut leaves);
    html! {
        table {
            tbody {
                @for (path, text) in &leaves {
                    tr { th scope="row" { (path) } td { (text) } }
                }
            }
        }
    }
}

fn collect(path: String, value: &Value, leaves: &mut Vec<(String, String)>) {
    let below = |name: &str| match path.is_empty() {
        true => name.to_owned(),
        false => format!("{path}.{name}"),
    };
    match value {
        Value::Object(object) => object
            .iter()
            .for_each(|(name, value)| collect(below(name), value, leaves)),
        Value::Null => {}
        Value::Array(list) => {
            let words: Vec<String> = list.iter().map(text).collect();
            leaves.push((path, words.join(", ")));
        }
        leaf => leaves.push((path, text(leaf))),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn attempts(dossier: &Dossier) -> Markup {
    html! {
        section aria-labelledby="attempts" {
            h2 #attempts { "Attempts" }
            table {
                thead { tr { @for column in ["began", "worker", "outcome", "alone", "CPU", "wall", "memory"] { th scope="col" { (column) } } } }
                tbody {
                    @for attempt in &dossier.attempts {
                        tr {
                            td { (moment(attempt.started)) }
                            td { (attempt.worker.0) }
                            td { (attempt.outcome) }
                            td { @if attempt.solo { "yes" } @else { "no" } }
                            td { (attempt.usage.cpu_ms) " ms" }
                            td { (attempt.usage.wall_ms) " ms" }
                            td { (ByteSize(attempt.usage.peak_memory_bytes)) }
                        }
                    }
                }
            }
        }
    }
}

fn audit(dossier: &Dossier) -> Markup {
    html! {
        section aria-labelledby="audit" {
            h2 #audit { "Audit" }
            table {
                thead { tr { @for column in ["when", "who", "what", "before", "after", "why"] { th scope="col" { (column) } } } }
                tbody {
                    @for record in &dossier.audit {
                        tr {
                            td { (moment(record.at)) }
                            td { (record.who) }
                            td { (record.action) }
                            td { (record.before.map_or("", |state| state.word())) }
                            td { (record.after.word()) }
                            td { (record.why) }
                        }
                    }
                }
            }
        }
    }
}
