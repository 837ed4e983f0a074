//! Traces, as a collector hears them of jobs that come with one.

#[path = "../servers/collector.rs"]
mod collector;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use self::collector::{Collector, Manner};
use super::stage::*;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

fn with_trace(trace: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("traceparent".into(), AMQPValue::LongString(trace.into()));
    headers.insert("tracestate".into(), AMQPValue::LongString("vendor=of-others".into()));
    BasicProperties::default().with_headers(headers)
}

#[test]
fn one_trace_goes_from_the_publisher_through_the_worker_to_the_listener() {
    let (stage, collector) = (Stage::new("traces"), Collector::start(Manner::Well));
    // One upload each: a copy would be in hand twice.
    let uploads = [PHOTO, "valid/photos/rocket.bmp", "malformed/text.jpg"];
    stage.upload(&uploads);
    stage.upload(&[SLOW_FILE]);
    let endpoint = collector.endpoint();
    let mut environment = vec![
        ("LAZARET_TRACES_ENDPOINT", endpoint.as_str()),
        ("LAZARET_WORKER_SLOTS", "2"),
    ];
    environment.extend(super::world::SLOW);
    let worker = stage.serve(&environment);
    let broken = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
    let traces = [
        ("recorded", format!("{TRACE}-01")),
        ("unrecorded", format!("{TRACE}-00")),
        ("broken", broken.to_owned()),
    ];
    for ((id, trace), upload) in traces.into_iter().zip(uploads) {
        let body = job(id, "acme", upload).to_string();
        stage
            .client
            .publish_with("interactive", body.as_bytes(), with_trace(&trace));
    }
    // The second waits for the first in the ledger, and is there without its message.
    for id in ["slow", "its-copy"] {
        let body = small(id, "acme", SLOW_FILE).to_string();
        stage
            .client
            .publish_with("interactive", body.as_bytes(), with_trace(&format!("{TRACE}-01")));
    }
    let jobs = ["recorded", "unrecorded", "broken", "slow", "its-copy"];
    let answers = jobs.map(|id| stage.client.answer(id));
    stage.ends_empty([worker]);
    let heard = collector.heard();

    let [recorded, unrecorded, broken, ..] = &answers;
    let root = heard.root("recorded");
    assert_eq!(
        (root.trace.as_str(), root.parent.as_str()),
        (&TRACE[3..35], &TRACE[36..])
    );
    assert_eq!(root.attribute("messaging.system"), "rabbitmq");
    let publish = heard
        .below(root)
        .into_iter()
        .find(|span| span.name == "publish lazaret.results")
        .unwrap();
    assert_eq!(recorded.event["traceparent"], publish.traceparent());
    assert_eq!(recorded.header("traceparent"), Some(publish.traceparent()));
    assert_eq!(recorded.header("tracestate"), None, "it is others'");

    let on = unrecorded.header("traceparent").unwrap();
    assert!(on.starts_with(&TRACE[..35]) && on.ends_with("-00"), "{on}");
    assert!(
        !heard
            .spans
            .iter()
            .any(|span| span.attribute("messaging.message.id") == "unrecorded")
    );

    let root = heard.root("broken");
    assert_eq!(root.parent, "");
    assert!(
        broken
            .header("traceparent")
            .unwrap()
            .starts_with(&format!("00-{}", root.trace))
    );

    // In this worker's hands twice: until the ledger kept it, and when it was adopted. Both times below the publisher.
    let of_copies = heard
        .spans
        .iter()
        .filter(|span| span.kind == 5 && ["slow", "its-copy"].contains(&span.attribute("messaging.message.id")));
    let mut ends: Vec<_> = of_copies
        .inspect(|span| assert_eq!(span.parent, &TRACE[36..]))
        .collect();
    ends.sort_by_key(|span| span.end);
    let words: Vec<_> = ends
        .iter()
        .map(|span| (span.attribute("lazaret.goes_on"), span.attribute("lazaret.status")))
        .collect();
    assert_eq!(words.first(), Some(&("ledger", "")), "{words:?}");
    assert_eq!(
        words.iter().filter(|(_, status)| *status == "converted").count(),
        2,
        "{words:?}"
    );
    let traces = heard.spans.iter().filter(|span| span.trace == TRACE[3..35]).count();
    assert!(traces > 20, "{traces}");
}
