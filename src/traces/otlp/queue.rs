//! Spans under way, bounded and counted: each is sent, or failed at a collector, or was dropped because too many were under way.
//!
//! The library's queue drops too, and tells nobody how many. This one is never longer, so that it alone drops.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

use super::QUEUE;
use crate::vitals::Tally;

/// A collector has it.
pub(super) const SENT: &str = "sent";
/// No collector took it in time.
const FAILED: &str = "failed";
/// Too many were under way.
const DROPPED: &str = "dropped";

/// How many spans are under way.
#[derive(Debug, Default)]
pub(super) struct Load(AtomicUsize);

impl Load {
    /// Whether there is room for one more, which is then under way.
    fn takes_one(&self, most: usize) -> bool {
        let one_more = |now| (now < most).then_some(now + 1);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .is_ok()
    }

    fn are_through(&self, spans: usize) {
        self.0.fetch_sub(spans, Ordering::Relaxed);
    }
}

/// A queue that never has more under way than [`QUEUE`].
#[derive(Debug)]
pub(super) struct Bounded<P> {
    inner: P,
    load: Arc<Load>,
    tally: Arc<Tally>,
}

impl<P> Bounded<P> {
    pub(super) fn new(inner: P, load: &Arc<Load>, tally: &Arc<Tally>) -> Self {
        Self {
            inner,
            load: Arc::clone(load),
            tally: Arc::clone(tally),
        }
    }
}

impl<P: SpanProcessor> SpanProcessor for Bounded<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        match self.load.takes_one(QUEUE) {
            true => self.inner.on_end(span),
            false => self.tally.spans.one(DROPPED),
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// An exporter that says what became of each span.
#[derive(Debug)]
pub(super) struct Counted<E> {
    inner: E,
    load: Arc<Load>,
    tally: Arc<Tally>,
}

impl<E> Counted<E> {
    pub(super) fn new(inner: E, load: &Arc<Load>, tally: &Arc<Tally>) -> Self {
        Self {
            inner,
            load: Arc::clone(load),
            tally: Arc::clone(tally),
        }
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.inner.export(batch).await;
        self.load.are_through(spans);
        let word = if result.is_ok() { SENT } else { FAILED };
        self.tally.spans.more(word, spans as u64);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
