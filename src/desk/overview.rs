//! The overview: what waits for an operator, what went on, who works, and how this worker is. What is the ledger's is missing where that is silent; the
//! rest comes from memory.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use bytesize::ByteSize;
use maud::{Markup, html};
use tokio::time::timeout;

use super::frame::{columns, moment};
use super::refusal::Refusal;
use super::visitor::Visitor;
use super::{Desk, course, frame};
use crate::ledger::{COUNTED, Course, Ledger, LedgerError, Span, Unreviewed, WorkerRecord};
use crate::pipeline::BUILD;
use crate::sandbox::layers::{Held, LayerReport};
use crate::verdict::Status;
use crate::vitals::{Ran, Vitals};

/// How long the ledger is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, Response> {
    let span = course::span(&query.unwrap_or_default()).map_err(Refusal::bad)?;
    let (vitals, shown) = (desk.shown.vitals(), desk.shown.work());
    let layers = shown.as_ref().map_or(&[][..], |shown| &shown.worker.layers);
    let (fleet, course) = tokio::join!(fleet(&desk), course_of(&desk, span));
    let content = html! {
        @match &fleet {
            Ok(fleet) => (review(&fleet.unreviewed)),
            Err(why) => section aria-labelledby="review" { h2 #review { "To review" } p .wrong { (why) } },
        }
        (state(&vitals))
        (course::shown(span, &course, &vitals))
        (parts(&vitals))
        (sandbox(layers))
        (work(&vitals))
        (counts(&vitals))
        @if let Ok(fleet) = &fleet {
            (workers(&fleet.workers))
        }
    };
    Ok(frame::page(&visitor, "/", "Overview", &content))
}

/// What the ledger knows.
struct Fleet {
    unreviewed: Unreviewed,
    workers: Vec<WorkerRecord>,
}

async fn fleet(desk: &Desk) -> Result<Fleet, String> {
    let ledger = ledger(desk)?;
    soon(async {
        Ok(Fleet {
            unreviewed: ledger.unreviewed().await?,
            workers: ledger.workers().await?,
        })
    })
    .await
}

async fn course_of(desk: &Desk, span: Span) -> Result<Course, String> {
    let ledger = ledger(desk)?;
    soon(ledger.course(span)).await
}

fn ledger(desk: &Desk) -> Result<Arc<dyn Ledger>, String> {
    let work = desk.shown.work();
    work.map(|work| work.ledger)
        .ok_or_else(|| "The worker has not opened its ledger yet.".to_owned())
}

/// What the ledger answers, briefly waited for: the page is needed most where it does not answer.
async fn soon<T>(answer: impl Future<Output = Result<T, LedgerError>>) -> Result<T, String> {
    match timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("The ledger has not answered for {} s.", PATIENCE.as_secs())),
    }
}

fn review(unreviewed: &Unreviewed) -> Markup {
    let entries = match unreviewed.entries {
        many if many >= u64::from(COUNTED) => format!("{COUNTED} entries or more"),
        1 => "1 entry".to_owned(),
        some => format!("{some} entries"),
    };
    html! {
        section aria-labelledby="review" {
            h2 #review { "To review" }
            @match unreviewed.oldest {
                None => p .well { "Nothing." },
                Some(oldest) => p {
                    a href="/quarantine?state=quarantined" { (entries) }
                    " that nobody has decided about, the oldest from " (moment(oldest)) "."
                },
            }
        }
    }
}

fn workers(workers: &[WorkerRecord]) -> Markup {
    html! {
        section tabindex="0" aria-labelledby="fleet" {
            h2 #fleet { "Workers of the fleet" }
            table {
                thead { tr { (columns(&["worker", "host", "build", "sandbox", "since", "heard lately"])) } }
                tbody {
                    @for worker in workers {
                        tr {
                            th scope="row" { (worker.worker.0) }
                            td { (worker.host) }
                            td { (worker.build) }
                            td { (in_short(&worker.layers)) }
                            td { (moment(worker.since)) }
                            td { @if worker.alive { "yes" } @else { span .wrong { "no" } } }
                        }
                    }
                }
            }
        }
    }
}

fn state(vitals: &Vitals) -> Markup {
    let obstacles = vitals.facts().obstacles();
    html! {
        section aria-labelledby="state" {
            h2 #state { "This worker" }
            @if obstacles.is_empty() {
                p .well { "Takes work." }
            } @else {
                p .wrong { "Takes no work:" }
                ul {
                    @for obstacle in &obstacles {
                        li { strong { (obstacle.cause.word()) } ": " (obstacle.why) }
                    }
                }
            }
            p { "Build " (BUILD) ", up for " (span(vitals.tally.clock.elapsed())) "." }
        }
    }
}

fn parts(vitals: &Vitals) -> Markup {
    html! {
        section tabindex="0" aria-labelledby="parts" {
            h2 #parts { "What it depends on" }
            table {
                thead { tr { (columns(&["part", "answered", "took", "failures"])) } }
                tbody {
                    @for (cause, pulse) in vitals.pulses() {
                        @let sign = pulse.sign();
                        tr {
                            th scope="row" { (cause.word()) }
                            td { @match sign.answered_ago { Some(ago) => { (span(ago)) " ago" } None => "not yet" } }
                            td { (sign.took.as_millis()) " ms" }
                            td { (pulse.failures()) }
                        }
                    }
                }
            }
        }
    }
}

/// The layers of this worker's sandbox, as it proved them.
fn sandbox(layers: &[LayerReport]) -> Markup {
    html! {
        section tabindex="0" aria-labelledby="sandbox" {
            h2 #sandbox { "Sandbox" }
            @if layers.is_empty() {
                p { "Not proven yet." }
            } @else {
                table {
                    thead { tr { (columns(&["layer", "wanted", "holds", "with what, or why not"])) } }
                    tbody {
                        @for report in layers { (layer(report)) }
                    }
                }
            }
        }
    }
}

fn layer(report: &LayerReport) -> Markup {
    html! {
        tr {
            th scope="row" { (report.layer) }
            td { (report.mode.word()) }
            @match &report.held {
                Held::Yes(with) => { td { "yes" } td { (with) } }
                Held::No(why) => { td { span .wrong { "no" } } td { (why) "; " (report.layer.remedy()) } }
                Held::Off => { td { span .wrong { "no" } } td { "left out by configuration" } }
                Held::NotApplicable(why) => { td { "not needed" } td { (why) } }
            }
        }
    }
}

/// What of a sandbox does not hold.
fn in_short(layers: &[LayerReport]) -> String {
    let missing = layers.iter().filter(|report| report.held.is_missing());
    let missing: Vec<_> = missing.map(|report| report.layer.name()).collect();
    match (layers.is_empty(), missing.is_empty()) {
        (true, _) => "not told".to_owned(),
        (false, true) => "all layers".to_owned(),
        (false, false) => format!("without {}", missing.join(", ")),
    }
}

fn work(vitals: &Vitals) -> Markup {
    let (copied, queues) = (vitals.gauges.copied(), vitals.gauges.queues());
    let rows = [
        (
            "attempts that run",
            format!("{} of {}", vitals.gauges.in_flight(), copied.slots),
        ),
        (
            "jobs in hand",
            format!("{}, {} of them not begun", copied.in_hand, copied.waiting),
        ),
        (
            "jobs that wait in the ledger",
            vitals.gauges.kept_by_ledger().to_string(),
        ),
        ("verdicts the ledger has not taken", copied.unsettled.to_string()),
        (
            "memory budget",
            format!(
                "{} of {}",
                ByteSize(copied.budget_used()),
                ByteSize(copied.budget_bytes)
            ),
        ),
    ];
    html! {
        section aria-labelledby="work" {
            h2 #work { "Work" }
            table {
                tbody {
                    @for (name, value) in &rows {
                        tr { th scope="row" { (name) } td { (value) } }
                    }
                    @for (queue, depth) in &queues {
                        tr { th scope="row" { "queue " (queue) } td { (depth) } }
                    }
                    @for (tenant, jobs) in &copied.tenants {
                        tr { th scope="row" { "tenant " (tenant) } td { (jobs) " in hand" } }
                    }
                }
            }
        }
    }
}

/// How jobs ended in this worker since it started, by status: run, and known before.
pub(super) fn ended(vitals: &Vitals) -> [(Status, [u64; 2]); 5] {
    Status::ALL.map(|status| {
        let of = [Ran::Now, Ran::Before].map(|ran| {
            let jobs = vitals.tally.jobs();
            let jobs = jobs.filter(|(reason, now, _)| {
                *now == ran && reason.map_or(Status::Converted, |reason| reason.status()) == status
            });
            jobs.map(|(_, _, count)| count).sum()
        });
        (status, of)
    })
}

fn counts(vitals: &Vitals) -> Markup {
    html! {
        section aria-labelledby="jobs" {
            h2 #jobs { "Jobs since it started" }
            table {
                thead { tr { (columns(&["status", "ended", "known before"])) } }
                tbody {
                    @for (status, [now, before]) in ended(vitals) {
                        tr { th scope="row" { (status.word()) } td { (now) } td { (before) } }
                    }
                }
            }
        }
    }
}

/// A time in its two largest units.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::layers::{Layer, Mode};

    #[test]
    fn a_sandbox_is_told_by_what_it_lacks() {
        let of = |held: &[(Layer, Held)]| {
            let reports = held.iter().cloned().map(|(layer, held)| LayerReport {
                layer,
                mode: Mode::BestEffort,
                held,
            });
            in_short(&reports.collect::<Vec<_>>())
        };
        let up = (Layer::Seccomp, Held::Yes("an allow-list".to_owned()));
        let idle = (Layer::User, Held::NotApplicable("not root".to_owned()));
        let refused = (Layer::Namespaces, Held::No("EPERM".to_owned()));
        let left_out = (Layer::Landlock, Held::Off);
        assert_eq!(of(&[]), "not told");
        assert_eq!(of(&[idle.clone(), up.clone()]), "all layers");
        assert_eq!(of(&[up, refused, left_out, idle]), "without namespaces, landlock");
    }

    #[test]
    fn times_are_told_in_two_units() {
        let told = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(
            [told(0), told(59), told(61), told(3661), told(90_061)],
            ["0 s", "59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]
        );
    }
}
