//! What went on over time, for the overview: the fleet's jobs, verdicts and convictions, as the ledger has them; where that is silent, verdicts as this
//! worker remembers its own.

#![forbid(unsafe_code)]

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::chart::{Chart, numbers};
use super::frame::moment;
use super::query::{fields, known, shortened};
use crate::clock;
use crate::ledger::{Course, Span, Steps};
use crate::verdict::Status;
use crate::vitals::Vitals;

const SPANS: [Span; 2] = [Span::Day, Span::Month];

/// Reads a query. What makes no sense is said, and not guessed at.
pub(super) fn span(query: &str) -> Result<Span, String> {
    let mut span = Span::default();
    for (name, value) in fields(query)? {
        match &*name {
            "span" => span = known(SPANS, word, "span", &value)?,
            other => return Err(format!("there is no filter {}", shortened(other))),
        }
    }
    Ok(span)
}

/// The section.
pub(super) fn shown(span: Span, course: &Result<Course, String>, vitals: &Vitals) -> Markup {
    html! {
        section aria-labelledby="course" {
            h2 #course { "Over time" }
            nav .pages aria-label="How far back" {
                @for one in SPANS {
                    a href={ "/?span=" (word(one)) } aria-current=[(one == span).then_some("true")] { (name(one)) }
                }
            }
            @match course {
                Ok(course) => (of_fleet(course)),
                Err(why) => {
                    p .wrong { (why) }
                    (of_worker(Steps::until(span, clock::unix_ms() as i64), vitals))
                }
            }
        }
    }
}

fn of_fleet(course: &Course) -> Markup {
    let jobs = [("jobs", course.jobs.clone())];
    let verdicts = course.verdicts.iter();
    let verdicts: Vec<_> = verdicts
        .map(|(status, counts)| (status.word(), counts.clone()))
        .collect();
    let convictions = course.convictions.iter();
    let convictions: Vec<_> = convictions
        .map(|(reason, counts)| (reason.word(), counts.clone()))
        .collect();
    html! {
        (group("Jobs begun, in the fleet", course.steps, &jobs, course.jobs_since))
        (group("Jobs ended, in the fleet, by verdict", course.steps, &verdicts, None))
        (group("Uploads convicted, in the fleet, by reason", course.steps, &convictions, course.convictions_since))
    }
}

fn of_worker(steps: Steps, vitals: &Vitals) -> Markup {
    let ended = Status::ALL.map(|status| (status.word(), steps.spread(vitals.tally.hours.by_hour(status))));
    let ended: Vec<(&str, Vec<u64>)> = ended
        .into_iter()
        .filter(|(_, counts)| counts.iter().any(|count| *count > 0))
        .collect();
    group("Jobs ended, in this worker, by verdict", steps, &ended, None)
}

/// Charts with the same steps, and their numbers.
pub(super) fn group(title: &str, steps: Steps, series: &[(&str, Vec<u64>)], since: Option<DateTime<Utc>>) -> Markup {
    let span = steps.span();
    let begins: Vec<String> = steps.begins().map(|at_ms| told(span, at_ms)).collect();
    let drawn = |name: &str, counts: &[u64]| {
        let chart = Chart {
            name,
            each: each(span),
            steps: &begins,
            counts,
        };
        chart.drawn()
    };
    html! {
        h3 { (title) }
        @if let Some(since) = since {
            p { "Counted since " (moment(since)) ": there is more than is counted for a page." }
        }
        @if series.is_empty() {
            p { "None." }
        } @else {
            div .charts {
                @for (name, counts) in series { (drawn(name, counts)) }
            }
            (numbers(&begins, series))
        }
    }
}

/// When a step begins.
fn told(span: Span, at_ms: i64) -> String {
    let at = DateTime::from_timestamp_millis(at_ms).unwrap_or(DateTime::<Utc>::MIN_UTC);
    let format = match span {
        Span::Day => "%Y-%m-%d %H:%M",
        Span::Month => "%Y-%m-%d",
    };
    at.format(format).to_string()
}

fn word(span: Span) -> &'static str {
    match span {
        Span::Day => "24h",
        Span::Month => "30d",
    }
}

fn name(span: Span) -> &'static str {
    match span {
        Span::Day => "24 hours",
        Span::Month => "30 days",
    }
}

fn each(span: Span) -> &'static str {
    match span {
        Span::Day => "an hour",
        Span::Month => "a day",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Reason;

    #[test]
    fn a_span_is_read_and_nothing_else() {
        for (query, read) in [("", Span::Day), ("span=24h", Span::Day), ("span=30d", Span::Month)] {
            assert_eq!(span(query), Ok(read), "{query}");
        }
        for (query, words) in [
            ("span=1y", "no span"),
            ("span=%3Cscript%3E", "no span"),
            ("since=2026-11-22T03:00", "no filter since"),
        ] {
            assert!(span(query).unwrap_err().contains(words), "{query}");
        }
    }

    #[test]
    fn what_there_was_is_drawn_and_where_the_ledger_is_silent_the_rest_is() {
        let vitals = Vitals::new();
        vitals.tally.hours.ended(clock::unix_ms(), Status::Rejected);
        let steps = Steps::until(Span::Month, 100 * 24 * 3_600_000);
        let mut course = Course {
            steps,
            jobs: steps.spread([(steps.since_ms(), 12)]),
            jobs_since: None,
            verdicts: vec![(Status::Converted, steps.spread([(steps.since_ms(), 7)]))],
            convictions: vec![(Reason::WorkerLoss, steps.spread([(steps.since_ms(), 5)]))],
            convictions_since: None,
        };
        let page = shown(Span::Month, &Ok(course.clone()), &vitals).into_string();
        for part in [
            "<strong>jobs</strong>: 12 in all, at most 12 a day",
            "<strong>worker-loss</strong>: 5 in all, at most 5 a day",
            "<strong>converted</strong>: 7 in all, at most 7 a day",
            "<title>1970-03-13: 12</title>",
            "href=\"/?span=30d\" aria-current=\"true\"",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("Counted since"), "{page}");
        assert!(!page.contains("<strong>rejected"), "{page}");

        course.convictions_since = DateTime::from_timestamp_millis(0);
        course.convictions.clear();
        let page = shown(Span::Month, &Ok(course), &vitals).into_string();
        assert!(
            page.contains("<p>None.</p>") && page.contains("Counted since"),
            "{page}"
        );

        let page = shown(Span::Day, &Err("It hangs.".to_owned()), &vitals).into_string();
        assert!(
            page.contains("It hangs.") && page.contains("<strong>rejected"),
            "{page}"
        );
        assert!(
            !page.contains("<strong>jobs") && !page.contains("<strong>converted"),
            "{page}"
        );
    }
}
