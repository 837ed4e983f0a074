//! One entry: what it is, why it is held, what became of it, and what may be done.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use bytesize::ByteSize;
use maud::{Markup, html};
use serde_json::Value;

use super::account::Role;
use super::course::group;
use super::decision::{Decision, Why};
use super::form::Form;
use super::frame::{columns, moment};
use super::held::{Decided, act, dossier, known, mark, seen};
use super::refusal::{Code, Refusal};
use super::visitor::Visitor;
use super::{Desk, frame};
use crate::clock;
use crate::format::Format;
use crate::ledger::{Dossier, Entry, Refusals, Span, Steps};
use crate::quarantine::Action;

/// What an operator may do, with the word of its button and what comes of it.
const ACTIONS: [(Action, &str, &str); 5] = [
    (
        Action::Release,
        "Release",
        "It runs again under the usual limits, and may be convicted again.",
    ),
    (
        Action::Raise,
        "Release with raised limits",
        "It runs again with four times the usual memory, CPU, wall time and output, until its state changes next.",
    ),
    (Action::Confirm, "Confirm", "You agree: it never expires."),
    (
        Action::Allow,
        "Allow",
        "You vouch for it: it runs, and is never convicted.",
    ),
    (Action::Note, "Note", "What you write is kept; nothing else changes."),
];

pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
    Path(digest): Path<String>,
) -> Result<Response, Response> {
    let dossier = dossier(&desk, &known(&digest)?).await?;
    Ok(shown(&visitor, &dossier, None))
}

/// Decides. Whoever comes second sees what the first one did.
pub(super) async fn decide(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
    Path((digest, action)): Path<(String, String)>,
    form: Form,
) -> Result<Response, Response> {
    let operator = visitor.decides(&form)?;
    let action = ACTIONS.iter().find(|(known, ..)| known.word() == action);
    let (action, ..) = action.ok_or_else(|| Refusal::new(Code::NotFound, "There is no such action."))?;
    let seen = seen(known(&digest)?, form.field("seen")).ok_or_else(|| {
        Refusal::bad("This form is not one of the entry's page. Open that again and send it from there.")
    })?;
    match act(&desk, &seen, *action, &operator).await? {
        Decided::Done(entry) => Ok(Redirect::to(&format!("/quarantine/{}", entry.digest)).into_response()),
        Decided::TooLate(refusal, now) => Ok(shown(&visitor, &now, Some(&refusal))),
    }
}

fn shown(visitor: &Visitor, dossier: &Dossier, refusal: Option<&Refusal>) -> Response {
    let entry = &dossier.entry;
    let content = html! {
        @if let Some(refusal) = refusal {
            p .wrong role="alert" { (refusal.words) }
        }
        (identity(entry))
        @if visitor.role >= Role::Operator {
            (actions(visitor, entry))
            @if entry.specimen.is_some() {
                (specimen(visitor, entry))
            }
        }
        (strikes(dossier))
        (refusals(dossier))
        (senders(dossier))
        (attempts(dossier))
        (audit(dossier))
    };
    let title = format!("Upload {}", entry.digest.short());
    let mut response = frame::page(visitor, "/quarantine", &title, &content);
    if let Some(refusal) = refusal {
        *response.status_mut() = refusal.code.status();
    }
    response
}

fn identity(entry: &Entry) -> Markup {
    let looks = &entry.looks;
    let size = match (looks.width, looks.height, looks.frames) {
        (Some(width), Some(height), Some(frames)) => format!("{width} × {height}, frames: {frames}"),
        _ => "not known".to_owned(),
    };
    let format = looks.format.map_or("not known", Format::name);
    html! {
        section aria-labelledby="what" {
            h2 #what { (entry.state.word()) ": " (entry.reason.word()) }
            p { bdi { (entry.detail) } }
            table {
                tbody {
                    tr { th scope="row" { "SHA-256" } td .wide { code { (entry.digest) } } }
                    tr { th scope="row" { "sent first by" } td .wide { bdi { (entry.tenant) } } }
                    tr { th scope="row" { "as" } td .wide { bdi { (entry.name) } } }
                    tr { th scope="row" { "bytes" } td { (looks.bytes) " (" (ByteSize(looks.bytes)) ")" } }
                    tr { th scope="row" { "format" } td { (format) } }
                    tr { th scope="row" { "size" } td { (size) } }
                    tr { th scope="row" { "held since" } td { (moment(entry.since)) } }
                    tr { th scope="row" { "changed" } td { (moment(entry.changed)) } }
                    tr { th scope="row" { "expires" } td { @match entry.expires { Some(at) => { (moment(at)) } None => { "never" } } } }
                    @if let Some(times) = entry.raised {
                        tr { th scope="row" { "limits" } td { (times) " times the usual ones" } }
                    }
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
    let about = format!("/quarantine/{}", entry.digest);
    let seen = html! { input type="hidden" name="seen" value=(mark(entry)); };
    let asked = |action: Action, button, comes| {
        let decision = Decision {
            about: &about,
            action: action.word(),
            button,
            comes,
            why: match action {
                Action::Note => Why::Must,
                _ => Why::May,
            },
        };
        decision.shown(visitor, &seen)
    };
    html! {
        section aria-labelledby="decide" {
            h2 #decide { "Decide" }
            @for (action, button, comes) in sensible { (asked(*action, button, comes)) }
        }
    }
}

fn specimen(visitor: &Visitor, entry: &Entry) -> Markup {
    let about = format!("/quarantine/{}", entry.digest);
    let retest = Decision {
        about: &about,
        action: "retest",
        button: "Retest now",
        comes: "It runs once, in the sandbox, with nothing beside it in this worker, and whatever comes of it changes nothing: it is a note in the audit \
                trail below, within a minute. Should it take this worker with it, nothing else is lost.",
        why: Why::NotAsked,
    };
    let erase = Decision {
        about: &about,
        action: "erase",
        button: "Delete the bytes",
        comes: "What was seen of them stays. This cannot be taken back.",
        why: Why::May,
    };
    html! {
        section aria-labelledby="specimen" {
            h2 #specimen { "Bytes" }
            (retest.shown(visitor, &html! {}))
            p {
                a href={ "/quarantine/" (entry.digest) "/specimen" } { "Take a copy" }
                ": a text file; " code { "sed '/^-/d' FILE | base64 -d" } " gives the bytes back."
            }
            (erase.shown(visitor, &html! {}))
        }
    }
}

fn strikes(dossier: &Dossier) -> Markup {
    html! {
        section tabindex="0" aria-labelledby="strikes" {
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
                    tr { th scope="row" .wide { bdi { (path) } } td .wide { bdi { (text) } } }
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

fn refusals(dossier: &Dossier) -> Markup {
    let Dossier { entry, refusals, .. } = dossier;
    let now = clock::unix_ms() as i64;
    html! {
        section aria-labelledby="refusals" {
            h2 #refusals { "Refusals" }
            p { "It was refused by its digest " (entry.repeats) " times. When that was is kept by the hour for two days, by the day for a month." }
            (refused_by("By hour", Steps::until(Span::Day, refusals.last_ms().unwrap_or(now).max(now)), refusals))
            (refused_by("By day", Steps::until(Span::Month, refusals.last_ms().unwrap_or(now).max(now)), refusals))
        }
    }
}

fn refused_by(title: &str, steps: Steps, refusals: &Refusals) -> Markup {
    let counts = steps.spread(refusals.of(steps.span()));
    let there_were = counts.iter().any(|count| *count > 0);
    let series = there_were.then_some(("refusals", counts));
    group(title, steps, series.as_slice(), None)
}

fn senders(dossier: &Dossier) -> Markup {
    html! {
        section tabindex="0" aria-labelledby="senders" {
            h2 #senders { "Who sent it" }
            p { "Attempts are kept for a week, or for ever where they left a strike; refusals by its digest for a month." }
            table {
                thead { tr { (columns(&["tenant", "attempts", "refusals", "last"])) } }
                tbody {
                    @for sent in &dossier.refusals.tenants {
                        tr {
                            td .wide { @match &sent.tenant { Some(tenant) => { bdi { (tenant) } } None => { em { "others" } } } }
                            td { (sent.attempts) }
                            td { (sent.refusals) }
                            td { (moment(sent.last)) }
                        }
                    }
                }
            }
            h3 { "As" }
            p { "By attempts that are kept: a refusal by its digest leaves no name." }
            table {
                thead { tr { (columns(&["tenant", "name", "attempts", "last"])) } }
                tbody {
                    @for sender in &dossier.senders {
                        tr {
                            td .wide { bdi { (sender.tenant) } }
                            td .wide { bdi { (sender.name) } }
                            td { (sender.times) }
                            td { (moment(sender.last)) }
                        }
                    }
                }
            }
        }
    }
}

fn attempts(dossier: &Dossier) -> Markup {
    html! {
        section tabindex="0" aria-labelledby="attempts" {
            h2 #attempts { "Attempts" }
            table {
                thead { tr { (columns(&["began", "worker", "outcome", "alone", "renewal", "CPU", "wall", "memory"])) } }
                tbody {
                    @for attempt in &dossier.attempts {
                        tr {
                            td { (moment(attempt.started)) }
                            td { (attempt.worker.0) }
                            td { (attempt.outcome) }
                            td { @if attempt.solo { "yes" } @else { "no" } }
                            td { @if attempt.renews.is_some() { "yes" } @else { "no" } }
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
        section tabindex="0" aria-labelledby="audit" {
            h2 #audit { "Audit" }
            table {
                thead { tr { (columns(&["when", "who", "what", "before", "after", "why"])) } }
                tbody {
                    @for record in &dossier.audit {
                        tr {
                            td { (moment(record.at)) }
                            td .wide { bdi { (record.who) } }
                            td { (record.action) }
                            td { (record.before.map_or("", |state| state.word())) }
                            td { (record.after.word()) }
                            td .wide { bdi { (record.why) } }
                        }
                    }
                }
            }
        }
    }
}
