//! Metrics: a worker's [`Vitals`] as text, in Prometheus's exposition format 0.0.4.
//!
//! No client library stands behind this: every label is a word of a closed vocabulary (but for the few tenants with most in hand), so each
//! series is an atomic that is there from the start, at zero. Nothing registers, nothing locks. What each metric means is in
//! `docs/metrics.md`; a test holds that page, alerts and dashboard against this one.

mod text;

use std::time::Duration;

use crate::health::Cause;
use crate::pipeline::BUILD;
use crate::verdict::Status;
use crate::vitals::{Tally, Vitals};

use text::Text;

/// Content type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of a worker.
pub fn text(vitals: &Vitals) -> String {
    let mut text = Text::default();
    state(&mut text, vitals);
    parts(&mut text, vitals);
    work(&mut text, vitals);
    jobs(&mut text, &vitals.tally);
    attempts(&mut text, &vitals.tally);
    notices(&mut text, &vitals.tally);
    traces(&mut text, &vitals.tally);
    listener(&mut text, &vitals.tally);
    text.into_string()
}

fn state(text: &mut Text, vitals: &Vitals) {
    let obstacles = vitals.facts().obstacles();
    let stands = |cause| obstacles.iter().any(|obstacle| obstacle.cause == cause);
    text.gauge("lazaret_build_info", "Always 1; the version is a label.")
        .of(&[("version", BUILD)], 1);
    text.gauge("lazaret_uptime_seconds", "Time since the process began.")
        .of(&[], vitals.tally.clock.elapsed().as_secs());
    text.gauge("lazaret_ready", "1 where the worker takes work, as /readyz says.")
        .of(&[], u8::from(obstacles.is_empty()));
    let mut causes = text.gauge(
        "lazaret_not_ready",
        "1 for each cause that keeps the worker from taking work.",
    );
    for cause in Cause::ALL {
        causes.of(&[("cause", cause.word())], u8::from(stands(cause)));
    }
    text.gauge(
        "lazaret_worker_standstill_seconds",
        "Time since the worker's threads turned last.",
    )
    .of(&[], seconds(vitals.tally.turned_ago()));
}

fn parts(text: &mut Text, vitals: &Vitals) {
    let signs = vitals
        .pulses()
        .map(|(cause, pulse)| (cause.word(), pulse.sign(), pulse.failures()));
    let mut silence = text.gauge(
        "lazaret_part_silence_seconds",
        "Time since a part last answered that it is well; since the process began, where it never did.",
    );
    for (part, sign, _) in &signs {
        let silent = sign.answered_ago.unwrap_or_else(|| vitals.tally.clock.elapsed());
        silence.of(&[("part", part)], seconds(silent));
    }
    let mut took = text.gauge(
        "lazaret_part_answer_seconds",
        "How long the last good answer of a part took.",
    );
    for (part, sign, _) in &signs {
        took.of(&[("part", part)], seconds(sign.took));
    }
    let mut failed = text.counter(
        "lazaret_part_failures_total",
        "Answers of a part that something is wrong.",
    );
    for (part, _, failures) in &signs {
        failed.of(&[("part", part)], failures);
    }
}

fn work(text: &mut Text, vitals: &Vitals) {
    let (gauges, copied) = (&vitals.gauges, vitals.gauges.copied());
    let mut gauge = |name, help, value: u64| {
        text.gauge(name, help).of(&[], value);
    };
    gauge("lazaret_slots", "Most attempts at once.", copied.slots);
    gauge("lazaret_attempts_running", "Attempts that run.", gauges.in_flight());
    gauge("lazaret_jobs_in_hand", "Jobs in this worker.", copied.in_hand);
    gauge("lazaret_jobs_waiting", "Of those, not begun yet.", copied.waiting);
    gauge(
        "lazaret_ledger_jobs_waiting",
        "Jobs of the fleet that wait in the ledger: copies, suspects, retries, what is over a limit.",
        gauges.kept_by_ledger(),
    );
    gauge(
        "lazaret_unsettled_attempts",
        "Attempts that ended and that the ledger could not take yet.",
        copied.unsettled,
    );
    gauge(
        "lazaret_memory_budget_bytes",
        "Memory that children may use together.",
        copied.budget_bytes,
    );
    gauge(
        "lazaret_memory_budget_free_bytes",
        "What of it is free.",
        copied.budget_free_bytes,
    );
    gauge(
        "lazaret_staging_free_bytes",
        "Free space where attempts write.",
        gauges.staging_free_bytes(),
    );
    let mut queues = text.gauge(
        "lazaret_queue_messages",
        "Messages that wait in a queue of the broker, for all workers.",
    );
    for (queue, depth) in gauges.queues() {
        queues.of(&[("queue", queue)], depth);
    }
    let mut tenants = text.gauge(
        "lazaret_tenant_jobs_in_hand",
        "Jobs in this worker, of the few tenants with most of them.",
    );
    for (tenant, jobs) in &copied.tenants {
        tenants.of(&[("tenant", tenant)], jobs);
    }
}

fn jobs(text: &mut Text, tally: &Tally) {
    let mut ended = text.counter(
        "lazaret_jobs_total",
        "Jobs that ended; known: answered from memory, without a child.",
    );
    for (reason, ran, count) in tally.jobs() {
        let status = reason.map_or(Status::Converted, |reason| reason.status());
        let labels = [
            ("status", status.word()),
            ("reason", reason.map_or("", |reason| reason.word())),
            ("known", ran.word()),
        ];
        ended.of(&labels, count);
    }
    text.histogram(
        "lazaret_job_wait_seconds",
        "From enqueueing a job to the start of its work, where it is known when it was enqueued.",
        &tally.waits,
    );
    let mut retries = text.counter("lazaret_retries_total", "Jobs that are tried again, by what failed.");
    for (cause, count) in tally.retries.so_far() {
        retries.of(&[("cause", cause)], count);
    }
}

fn attempts(text: &mut Text, tally: &Tally) {
    let mut ended = text.counter("lazaret_attempts_total", "Attempts that ended, by outcome.");
    for (outcome, count) in tally.attempts.so_far() {
        ended.of(&[("outcome", outcome)], count);
    }
    let mut renewals = text.counter(
        "lazaret_renewals_total",
        "Attempts that tried again what was decided by another build or under other limits, by outcome.",
    );
    for (outcome, count) in tally.renewals.so_far() {
        renewals.of(&[("outcome", outcome)], count);
    }
    text.histogram("lazaret_attempt_cpu_seconds", "CPU time of attempts.", &tally.cpu);
    text.histogram("lazaret_attempt_wall_seconds", "Wall time of attempts.", &tally.wall);
    text.histogram(
        "lazaret_attempt_memory_bytes",
        "Peak resident memory of attempts.",
        &tally.memory,
    );
    text.counter(
        "lazaret_upload_bytes_total",
        "Bytes of uploads that attempts were given.",
    )
    .of(&[], tally.upload_bytes.so_far());
    let mut strikes = text.counter("lazaret_strikes_total", "Outcomes that counted against an upload.");
    for (reason, count) in tally.strikes() {
        strikes.of(&[("reason", reason.word())], count);
    }
    let mut convictions = text.counter("lazaret_convictions_total", "Uploads that were quarantined.");
    for (reason, count) in tally.convictions() {
        convictions.of(&[("reason", reason.word())], count);
    }
    text.counter(
        "lazaret_attempts_lost_total",
        "Attempts of workers that vanished, as this one found.",
    )
    .of(&[], tally.lost.so_far());
    let mut controls = text.counter(
        "lazaret_controls_total",
        "Conversions of what is known to be good, after odd outcomes and where trips rise.",
    );
    for (result, count) in tally.controls.so_far() {
        controls.of(&[("result", result)], count);
    }
}

fn notices(text: &mut Text, tally: &Tally) {
    let mut notices = text.counter(
        "lazaret_notices_total",
        "Notices: sent in full, counted in a delivery that tells of others, failed with the delivery that was given up.",
    );
    for (result, count) in tally.notices.so_far() {
        notices.of(&[("result", result)], count);
    }
}

fn traces(text: &mut Text, tally: &Tally) {
    let mut spans = text.counter(
        "lazaret_trace_spans_total",
        "Spans that ended, by what became of them on the way to a collector.",
    );
    for (result, count) in tally.spans.so_far() {
        spans.of(&[("result", result)], count);
    }
}

fn listener(text: &mut Text, tally: &Tally) {
    let mut requests = text.counter("lazaret_http_requests_total", "Requests to this listener.");
    for (path, count) in tally.requests() {
        requests.of(&[("path", path)], count);
    }
    text.counter(
        "lazaret_http_evicted_total",
        "Connections that were closed for newer ones.",
    )
    .of(&[], tally.evicted.so_far());
}

fn seconds(time: Duration) -> f64 {
    time.as_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vitals::Copied;

    /// Every line is a comment, or a name, labels and a number.
    fn is_sample(line: &str) -> bool {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let named = name.starts_with("lazaret_") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        named && value.parse::<f64>().is_ok()
    }

    #[test]
    fn every_line_is_one_of_the_format() {
        let vitals = Vitals::new();
        let text = text(&vitals);
        assert!(text.ends_with('\n'));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(is_sample(line), "{line}");
        }
        assert!(text.contains("\nlazaret_not_ready{cause=\"starting\"} 1\n"), "{text}");
        assert!(text.contains("\nlazaret_jobs_total{status=\"quarantined\",reason=\"cpu\",known=\"no\"} 0\n"));
        assert!(text.contains("\nlazaret_attempt_cpu_seconds_bucket{le=\"0.01\"} 0\n"));
        assert!(text.contains("\nlazaret_attempt_cpu_seconds_bucket{le=\"+Inf\"} 0\n"));
    }

    #[test]
    fn what_a_tenant_calls_itself_stays_within_its_label() {
        let vitals = Vitals::new();
        vitals.gauges.copy(Copied {
            tenants: vec![("a\"b\\c\nd".to_owned(), 7)],
            ..Copied::default()
        });
        assert!(text(&vitals).contains("\nlazaret_tenant_jobs_in_hand{tenant=\"a\\\"b\\\\c\\nd\"} 7\n"));
    }

    #[test]
    fn no_metric_is_told_twice() {
        let text = text(&Vitals::new());
        let mut series: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let all = series.len();
        series.sort_unstable_by_key(|line| line.rsplit_once(' ').map(|it| it.0));
        series.dedup_by_key(|line| line.rsplit_once(' ').map(|it| it.0));
        assert_eq!(series.len(), all);
    }
}
