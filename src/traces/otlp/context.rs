//! W3C Trace Context: a job's `traceparent` as the parent of a span, and a span as the `traceparent` of a result.
//!
//! Absent on purpose: `tracestate`, which is other vendors' and as long as anybody likes; it is dropped, as the standard allows.
#![forbid(unsafe_code)]

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::broker::{Envelope, envelope};

/// Puts a span below the trace of an envelope; an envelope without one gets that of the span.
pub(in crate::traces) fn adopt(span: &Span, envelope: &mut Envelope) {
    match envelope.traceparent.as_deref().and_then(read) {
        // Where nobody listens, there is nothing to put anywhere.
        Some(parent) => {
            let _ = span.set_parent(Context::new().with_remote_span_context(parent));
        }
        None => envelope.traceparent = traceparent(span),
    }
}

/// What goes on from a span; none where nobody listens.
pub(in crate::traces) fn traceparent(span: &Span) -> Option<String> {
    written(span.context().span().span_context())
}

/// Of the flags, the standard's first level knows one: whether the trace is recorded. What comes from the ledger may have been edited there.
fn read(text: &str) -> Option<SpanContext> {
    let text = envelope::traceparent(text)?;
    let parts: Vec<&str> = text.split('-').collect();
    let [_, trace, span, flags] = parts[..] else {
        return None;
    };
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

fn written(context: &SpanContext) -> Option<String> {
    let recorded = u8::from(context.is_sampled());
    let (trace, span) = (context.trace_id(), context.span_id());
    context.is_valid().then(|| format!("00-{trace}-{span}-{recorded:02x}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_trace_is_read_and_written_alike(trace in 1u128.., span in 1u64.., flags in any::<u8>()) {
            let text = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
            let context = read(&text).unwrap();
            prop_assert!(context.is_remote());
            prop_assert_eq!(context.is_sampled(), flags & 1 == 1);
            let again = written(&context).unwrap();
            prop_assert_eq!(&again[..53], &text[..53]);
            prop_assert_eq!(&again[53..], if flags & 1 == 1 { "01" } else { "00" });
            prop_assert_eq!(read(&again), Some(context));
        }

        #[test]
        fn what_is_no_trace_is_not_read(text in "(00|01|ff)-[0-9a-fA-F+]{31,33}-[0-9a-f]{15,17}-[0-9a-f+]{2}(-[0-9a-f]{2})?") {
            let form = text.len() == 55 && text.starts_with("00-") && !text.contains(['+', 'A', 'B', 'C', 'D', 'E', 'F']);
            prop_assert!(form || read(&text).is_none());
        }
    }

    #[test]
    fn where_nobody_listens_an_envelope_stays_as_it_came() {
        let mut bare = Envelope::default();
        adopt(&Span::none(), &mut bare);
        assert_eq!((bare.traceparent.as_deref(), traceparent(&Span::none())), (None, None));
    }
}
