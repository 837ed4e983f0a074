//! Spans as the flow makes them, heard by somebody, and what becomes of too many of them.

use std::sync::Mutex;

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, SpanId, SpanKind, Status, Tracer as _};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter};
use tracing::Instrument;
use tracing_subscriber::prelude::*;

use super::*;
use crate::broker::{Envelope, Lane};
use crate::digest::Digest;
use crate::ledger::WorkerId;
use crate::traces::{self, GoesOn};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

/// Keeps every span that has ended.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Kept {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// What is kept of spans that are made meanwhile.
fn heard(one_in: u32, work: impl FnOnce()) -> Vec<SpanData> {
    let (config, kept) = (
        TracesConfig {
            one_in,
            ..TracesConfig::default()
        },
        Kept::default(),
    );
    let traces = Traces {
        provider: provider(&config, kept.clone()),
        tally: Arc::clone(&Vitals::new().tally),
    };
    tracing::subscriber::with_default(tracing_subscriber::registry().with(vec![traces.layer()]), work);
    let spans = kept.0.lock().unwrap();
    spans.clone()
}

fn held(envelope: &mut Envelope) -> tracing::Span {
    traces::held("rabbitmq", &WorkerId("w".to_owned()), "j-7", "acme", envelope)
}

fn with_trace(flags: &str) -> Envelope {
    Envelope {
        traceparent: Some(format!("{TRACE}-{flags}")),
        lane: Lane::Bulk,
        tries: 2,
        ..Envelope::default()
    }
}

fn named<'s>(spans: &'s [SpanData], name: &str) -> &'s SpanData {
    spans
        .iter()
        .find(|span| span.name == name)
        .unwrap_or_else(|| panic!("{name}: {spans:?}"))
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
    found.map(|attribute| attribute.value.to_string())
}

#[test]
fn a_job_is_one_span_below_its_publisher_with_its_steps_below_it() {
    let mut told = None;
    let spans = heard(1, || {
        let (mut envelope, runtime) = (
            with_trace("01"),
            tokio::runtime::Builder::new_current_thread().build().unwrap(),
        );
        let span = held(&mut envelope);
        assert_eq!(
            envelope,
            with_trace("01"),
            "the publisher\u{2019}s trace goes with it wherever it waits"
        );
        let work = async {
            traces::upload(&Digest::of(b"cat"));
            async { tracing::info!(name = "cat.jpg", "a line of the log") }
                .instrument(traces::step("fetch"))
                .await;
            let publish = traces::step("publish");
            told = traces::below(&publish, &envelope).traceparent.clone();
            traces::goes_on(GoesOn::Ledger);
        };
        runtime.block_on(work.instrument(span));
    });
    let (root, fetch, publish) = (
        named(&spans, "process lazaret.jobs"),
        named(&spans, "fetch"),
        named(&spans, "publish"),
    );
    assert_eq!(spans.len(), 3);
    assert_eq!(root.parent_span_id, SpanId::from_hex("00f067aa0ba902b7").unwrap());
    assert_eq!(
        (root.span_kind.clone(), &root.status),
        (SpanKind::Consumer, &Status::Unset)
    );
    for (key, value) in [
        ("messaging.system", "rabbitmq"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "lazaret.jobs"),
        ("messaging.message.id", "j-7"),
        ("lazaret.lane", "bulk"),
        ("lazaret.tries", "2"),
        ("lazaret.goes_on", "ledger"),
    ] {
        assert_eq!(attribute(root, key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(attribute(root, "lazaret.digest"), Some(Digest::of(b"cat").to_string()));
    for span in [fetch, publish] {
        assert_eq!(span.parent_span_id, root.span_context.span_id());
        assert_eq!(span.span_context.trace_id(), root.span_context.trace_id());
    }
    let expected = format!("{}-{}-01", &TRACE[..35], publish.span_context.span_id());
    assert_eq!(told, Some(expected));
    assert!(spans.iter().all(|span| span.events.is_empty()) && !format!("{spans:?}").contains("cat.jpg"));
}

#[test]
fn who_came_with_a_trace_has_decided_and_one_in_so_many_of_the_others_begins_one() {
    // What it came with, one in so many of the others: recorded?
    for (came, one_in, recorded) in [
        (Some("01"), 0, true),
        (Some("00"), 1, false),
        (None, 0, false),
        (None, 1, true),
    ] {
        let mut envelope = came.map(with_trace).unwrap_or_default();
        let spans = heard(one_in, || drop(held(&mut envelope)));
        assert_eq!(spans.len(), usize::from(recorded), "{came:?} {one_in}");
        let on = envelope.traceparent.unwrap();
        assert_eq!(on.ends_with("-01"), recorded, "{came:?} {one_in}: {on}");
        assert_eq!(on.starts_with(TRACE), came.is_some(), "{on}");
    }
    let spans = heard(10, || {
        for _ in 0..1000 {
            drop(held(&mut Envelope::default()));
        }
    });
    assert!((20..300).contains(&spans.len()), "{}", spans.len());
}

#[test]
fn what_is_broken_begins_a_trace_of_its_own() {
    for broken in [
        "",
        "x",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        &format!("{TRACE}-+1"),
    ] {
        let mut envelope = Envelope {
            traceparent: Some(broken.to_owned()),
            ..Envelope::default()
        };
        let spans = heard(1, || drop(held(&mut envelope)));
        let root = named(&spans, "process lazaret.jobs");
        assert_eq!(root.parent_span_id, SpanId::INVALID, "{broken}");
        assert!(
            envelope
                .traceparent
                .unwrap()
                .contains(&root.span_context.trace_id().to_string())
        );
    }
}

/// A collector.
#[derive(Debug, Clone, Copy)]
enum Collector {
    Takes,
    Refuses,
}

impl SpanExporter for Collector {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        match self {
            Self::Takes => Ok(()),
            Self::Refuses => Err(OTelSdkError::InternalFailure("gone".to_owned())),
        }
    }
}

#[test]
fn what_there_is_no_room_for_is_dropped_and_every_span_is_counted() {
    let (load, tally, kept) = (
        Arc::new(Load::default()),
        Arc::clone(&Vitals::new().tally),
        Kept::default(),
    );
    let provider = provider(&TracesConfig::default(), Bounded::new(kept.clone(), &load, &tally));
    let tracer = provider.tracer(SCOPE);
    let ends = |spans: usize| (0..spans).for_each(|_| tracer.start("a span").end());
    let counts = || tally.spans.so_far().map(|(_, count)| count).collect::<Vec<_>>();
    let through = |collector| {
        let exporter = Counted::new(collector, &load, &tally);
        let batch = std::mem::take(&mut *kept.0.lock().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        drop(runtime.block_on(exporter.export(batch)));
    };
    ends(QUEUE + 3);
    assert_eq!((kept.0.lock().unwrap().len(), counts()), (QUEUE, vec![0, 0, 3]));
    through(Collector::Refuses);
    assert_eq!(counts(), [0, QUEUE as u64, 3]);
    // There is room again.
    ends(5);
    through(Collector::Takes);
    assert_eq!(counts(), [5, QUEUE as u64, 3]);
}
