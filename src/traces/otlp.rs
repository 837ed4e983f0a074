//! Spans to a collector: OTLP over HTTP, in protobuf.
//!
//! In: spans that have ended. Out: batches of them, posted by a thread of their own. The flow never waits for it: at most [`QUEUE`] spans are under way, and
//! one more is dropped and counted. Of the standard variables two are read: `OTEL_EXPORTER_OTLP_HEADERS`, because what is secret stays out of
//! files, and `OTEL_RESOURCE_ATTRIBUTES`, because platforms set it. All else is `[traces]`.
#![forbid(unsafe_code)]

mod client;
mod context;
mod headers;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanProcessor};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::{Layer, Registry};

use super::TARGET;
use crate::config::{CollectorAddress, ConfigError, TracesConfig};
use crate::pipeline::BUILD;
use crate::vitals::{Tally, Vitals};

use client::{Client, PATIENCE};
use queue::{Bounded, Counted, Load};

pub(super) use context::{adopt, traceparent};

/// Most spans under way.
const QUEUE: usize = 4096;
/// Most spans in one request.
const BATCH: usize = 512;
/// How long a span waits for company.
const COMPANY: Duration = Duration::from_secs(2);
/// How long the end of the process waits for the last spans.
const FINISH: Duration = Duration::from_secs(3);
/// What spans say they come from.
const SCOPE: &str = "lazaret";

/// What sends traces, and its thread.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tally: Arc<Tally>,
}

impl Traces {
    /// Looks at all that a start would take: the address, the CA, the headers. Nothing is connected.
    ///
    /// # Errors
    /// Names the key or the variable, and the way out.
    pub fn look(config: &TracesConfig) -> Result<(), ConfigError> {
        match &config.endpoint {
            Some(collector) => exporter(config, collector).map(drop),
            None => Ok(()),
        }
    }

    /// Starts the thread; none where the configuration names no collector. Nothing is connected before a span has ended.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    pub fn start(config: &TracesConfig, vitals: &Arc<Vitals>) -> Result<Option<Self>, ConfigError> {
        let Some(collector) = &config.endpoint else {
            return Ok(None);
        };
        let (load, tally) = (Arc::new(Load::default()), Arc::clone(&vitals.tally));
        let exporter = Counted::new(exporter(config, collector)?, &load, &tally);
        // All is set here: what is not would be read from the environment.
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(COMPANY)
            .build();
        let batches = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let provider = provider(config, Bounded::new(batches, &load, &tally));
        Ok(Some(Self { provider, tally }))
    }

    /// Hears of spans, and of nothing else.
    pub(crate) fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        OpenTelemetryLayer::new(self.provider.tracer(SCOPE))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false)
            .with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO))
            .boxed()
    }

    /// Sends what is left, for at most three seconds. Blocks: not for a thread of the runtime.
    pub fn finish(&self) {
        let finished = self.provider.shutdown_with_timeout(FINISH);
        let lost: u64 = self
            .tally
            .spans
            .so_far()
            .filter(|(word, _)| *word != queue::SENT)
            .map(|it| it.1)
            .sum();
        match finished {
            Ok(()) if lost == 0 => {}
            Ok(()) => tracing::warn!(lost, "some traces were not sent"),
            Err(error) => tracing::warn!(lost, %error, "the last traces were not sent"),
        }
    }
}

/// What makes spans of those that the flow has, and gives them on.
fn provider(config: &TracesConfig, processor: impl SpanProcessor + 'static) -> SdkTracerProvider {
    SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(Sampler::ParentBased(Box::new(sampler(config.one_in))))
        .with_resource(resource(config))
        .build()
}

/// What posts batches to a collector.
fn exporter(config: &TracesConfig, collector: &CollectorAddress) -> Result<SpanExporter, ConfigError> {
    headers::look(collector)?;
    SpanExporter::builder()
        .with_http()
        .with_http_client(Client::new(config, collector)?)
        .with_endpoint(collector.traces())
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(PATIENCE.call)
        .build()
        .map_err(|error| ConfigError {
            place: "traces.endpoint".to_owned(),
            problem: format!("{collector}: {error}"),
        })
}

/// For jobs that come without a trace.
fn sampler(one_in: u32) -> Sampler {
    match one_in {
        0 => Sampler::AlwaysOff,
        1 => Sampler::AlwaysOn,
        many => Sampler::TraceIdRatioBased(1.0 / f64::from(many)),
    }
}

/// Who sends.
fn resource(config: &TracesConfig) -> Resource {
    Resource::builder()
        .with_service_name(config.service.clone())
        .with_attribute(KeyValue::new("service.version", BUILD))
        .build()
}

#[cfg(test)]
mod tests;
