//! Envelopes as AMQP properties and headers, and back. Everything that came with a message is untrusted. `[pure]`

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::broker::envelope::{Envelope, ReplyTo, traceparent};
use crate::broker::topology;

/// Where a message came from first; absent from a publisher's own.
const LANE: &str = "x-lazaret-lane";
/// When it was enqueued, in milliseconds since 1970, as the worker that first moved it knew.
const ENQUEUED: &str = "x-lazaret-enqueued-ms";
/// How often it was tried.
const TRIES: &str = "x-lazaret-tries";
/// How often an operator had it run again.
const REQUEUED: &str = "x-lazaret-requeued";
/// Why a message is dead.
const REASON: &str = "x-lazaret-reason";
/// Since when, in milliseconds since 1970.
const DEAD_MS: &str = "x-lazaret-dead-ms";
/// The publisher's trace.
const TRACEPARENT: &str = "traceparent";
/// Most characters of a reason: headers must fit a frame.
const REASON_LENGTH: usize = 1000;

/// Reads the envelope of a message that came by this routing key, from this sideline if from one.
pub(super) fn envelope(properties: &BasicProperties, routing_key: &str, sideline: Option<u8>) -> Envelope {
    let none = FieldTable::default();
    let headers = properties.headers().as_ref().unwrap_or(&none);
    let stamp = properties.timestamp().as_ref().copied();
    let reply_to = properties.reply_to().as_ref().map(ShortString::as_str);
    let correlation = properties.correlation_id().as_ref().map(ShortString::as_str);
    Envelope {
        lane: text(headers, LANE)
            .and_then(|word| topology::lane(&word))
            .or_else(|| topology::lane(routing_key))
            .unwrap_or_default(),
        // Whole seconds, rounded up: a purge must not meet a job that came after it.
        enqueued_ms: number(headers, ENQUEUED)
            .or(stamp.map(|seconds| seconds.saturating_mul(1000).saturating_add(999))),
        reply_to: reply_to.and_then(|queue| ReplyTo::new(queue, correlation)),
        traceparent: text(headers, TRACEPARENT).and_then(|text| traceparent(&text)),
        tries: number(headers, TRIES).map_or(0, |tries| u32::try_from(tries).unwrap_or(u32::MAX)),
        sideline,
        requeued: number(headers, REQUEUED).map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX)),
    }
}

/// The properties of a job's message with this envelope.
pub(super) fn of_job(envelope: &Envelope, message_id: Option<ShortString>) -> BasicProperties {
    let mut headers = FieldTable::default();
    let mut put = |name: &str, value: AMQPValue| {
        headers.insert(name.into(), value);
    };
    put(LANE, AMQPValue::LongString(topology::lane_key(envelope.lane).into()));
    if let Some(enqueued) = envelope.enqueued_ms {
        put(ENQUEUED, whole(enqueued));
    }
    if envelope.tries > 0 {
        put(TRIES, whole(u64::from(envelope.tries)));
    }
    if envelope.requeued > 0 {
        put(REQUEUED, whole(u64::from(envelope.requeued)));
    }
    if let Some(trace) = &envelope.traceparent {
        put(TRACEPARENT, AMQPValue::LongString(trace.as_str().into()));
    }
    let mut properties = persistent("application/json").with_headers(headers);
    if let Some(id) = message_id {
        properties = properties.with_message_id(id);
    }
    if let Some(reply) = &envelope.reply_to {
        properties = properties.with_reply_to(reply.queue.as_str().into());
        if let Some(id) = &reply.correlation_id {
            properties = properties.with_correlation_id(id.as_str().into());
        }
    }
    match envelope.enqueued_ms {
        Some(enqueued) => properties.with_timestamp(enqueued / 1000),
        None => properties,
    }
}

/// The same, for a message that is dead, and why.
pub(super) fn of_dead(envelope: &Envelope, message_id: Option<ShortString>, why: &str, now_ms: u64) -> BasicProperties {
    let properties = of_job(envelope, message_id);
    let mut headers = properties.headers().clone().unwrap_or_default();
    let why: String = why.chars().take(REASON_LENGTH).collect();
    headers.insert(REASON.into(), AMQPValue::LongString(why.into()));
    headers.insert(DEAD_MS.into(), whole(now_ms));
    properties.with_headers(headers)
}

/// Why a message is dead and since when, in milliseconds since 1970: as a worker wrote, or else as the broker did.
pub(super) fn death(properties: &BasicProperties) -> (String, Option<u64>) {
    let none = FieldTable::default();
    let headers = properties.headers().as_ref().unwrap_or(&none);
    if let Some(why) = text(headers, REASON) {
        return (why, number(headers, DEAD_MS));
    }
    let Some(last) = last_death(headers) else {
        return ("nobody wrote why".to_owned(), None);
    };
    let word = |name| text(last, name).unwrap_or_default();
    let why = match word("reason").as_str() {
        "delivery_limit" => "delivered too often: workers were lost with it, or without it".to_owned(),
        "expired" => "waited too long".to_owned(),
        "maxlen" => "its queue was full".to_owned(),
        "rejected" => "rejected by a consumer".to_owned(),
        other => other.to_owned(),
    };
    let since = match last.inner().get("time") {
        Some(AMQPValue::Timestamp(seconds)) => Some(seconds.saturating_mul(1000)),
        _ => None,
    };
    (format!("{why} (the broker, from {})", word("queue")), since)
}

/// What the broker wrote of the last time that it dead-lettered a message.
fn last_death(headers: &FieldTable) -> Option<&FieldTable> {
    let AMQPValue::FieldArray(deaths) = headers.inner().get("x-death")? else {
        return None;
    };
    match deaths.as_slice().first()? {
        AMQPValue::FieldTable(death) => Some(death),
        _ => None,
    }
}

/// The properties of a result.
pub(super) fn of_result(id: &str, envelope: &Envelope, now_s: u64) -> BasicProperties {
    let mut properties = persistent("application/cloudevents+json; charset=utf-8")
        .with_message_id(id.into())
        .with_timestamp(now_s);
    if let Some(id) = envelope
        .reply_to
        .as_ref()
        .and_then(|reply| reply.correlation_id.as_ref())
    {
        properties = properties.with_correlation_id(id.as_str().into());
    }
    if let Some(trace) = &envelope.traceparent {
        let mut headers = FieldTable::default();
        headers.insert(TRACEPARENT.into(), AMQPValue::LongString(trace.as_str().into()));
        properties = properties.with_headers(headers);
    }
    properties
}

fn persistent(content_type: &str) -> BasicProperties {
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type(content_type.into())
        .with_app_id("lazaret".into())
}

fn whole(number: u64) -> AMQPValue {
    AMQPValue::LongLongInt(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A header's text.
fn text(headers: &FieldTable, name: &str) -> Option<String> {
    match headers.inner().get(name)? {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

fn number(headers: &FieldTable, name: &str) -> Option<u64> {
    match headers.inner().get(name)? {
        AMQPValue::LongLongInt(number) => u64::try_from(*number).ok(),
        AMQPValue::LongInt(number) => u64::try_from(*number).ok(),
        AMQPValue::LongUInt(number) => Some(u64::from(*number)),
        AMQPValue::ShortInt(number) => u64::try_from(*number).ok(),
        AMQPValue::ShortUInt(number) => Some(u64::from(*number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Lane;

    #[test]
    fn an_envelope_survives_the_journey() {
        let envelope = Envelope {
            lane: Lane::Bulk,
            enqueued_ms: Some(1_790_000_000_123),
            reply_to: ReplyTo::new("answers", Some("7")),
            traceparent: traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            tries: 3,
            sideline: Some(15),
            requeued: 1,
        };
        assert_eq!(super::envelope(&of_job(&envelope, None), "07", Some(15)), envelope);
    }

    #[test]
    fn why_a_message_is_dead_is_read_as_a_worker_or_the_broker_wrote_it() {
        let envelope = Envelope::default();
        let by_worker = of_dead(&envelope, None, "not JSON", 7_000);
        assert_eq!(death(&by_worker), ("not JSON".to_owned(), Some(7_000)));
        let mut last = FieldTable::default();
        for (name, word) in [("reason", "maxlen"), ("queue", "lazaret.jobs.bulk")] {
            last.insert(name.into(), AMQPValue::LongString(word.into()));
        }
        last.insert("time".into(), AMQPValue::Timestamp(7));
        let mut headers = FieldTable::default();
        headers.insert(
            "x-death".into(),
            AMQPValue::FieldArray(vec![AMQPValue::FieldTable(last)].into()),
        );
        let by_broker = BasicProperties::default().with_headers(headers);
        let why = "its queue was full (the broker, from lazaret.jobs.bulk)".to_owned();
        assert_eq!(death(&by_broker), (why, Some(7_000)));
        assert_eq!(death(&BasicProperties::default()).1, None);
    }

    #[test]
    fn what_a_publisher_leaves_out_has_a_default_and_what_it_forges_is_bounded() {
        assert_eq!(envelope(&BasicProperties::default(), "bulk", None).lane, Lane::Bulk);
        let mut headers = FieldTable::default();
        headers.insert(TRIES.into(), AMQPValue::LongLongInt(-5));
        headers.insert(LANE.into(), AMQPValue::LongString("nowhere".into()));
        headers.insert(TRACEPARENT.into(), AMQPValue::Boolean(true));
        let forged = BasicProperties::default()
            .with_headers(headers)
            .with_timestamp(u64::MAX);
        let read = envelope(&forged, "interactive", None);
        assert_eq!((read.tries, read.lane), (0, Lane::Interactive));
        assert_eq!((read.traceparent, read.enqueued_ms), (None, Some(u64::MAX)));
    }
}
