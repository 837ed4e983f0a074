//! What is written around a job's body: where it came from, when, for whom, how often it was tried. `[pure]`

use serde::{Deserialize, Serialize};

use super::Lane;
use crate::tenants::gate::Comes;

/// How the names of queues begin that `lazaret submit` waits at: its user may make no others.
pub const REPLIES: &str = "lazaret.replies.";

/// What is written around a job's body. It goes with the job wherever it waits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Envelope {
    /// The queue it was first put into.
    pub lane: Lane,
    /// When it was enqueued, in milliseconds since 1970, where the broker knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enqueued_ms: Option<u64>,
    /// Who else wants the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<ReplyTo>,
    /// The publisher's trace, as in W3C Trace Context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// How often it came back for our own fault.
    pub tries: u32,
    /// The sideline it is in; a message is put aside once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sideline: Option<u8>,
    /// How often an operator had it run again after it had failed.
    pub requeued: u32,
}

/// A queue that wants the result, and what it knows the job by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyTo {
    /// The queue's name.
    pub queue: String,
    /// Echoed.
    pub correlation_id: Option<String>,
}

impl Envelope {
    /// Whether the job was here before: put aside, or tried.
    pub fn comes(&self) -> Comes {
        match (self.sideline, self.tries) {
            (None, 0) => Comes::Anew,
            _ => Comes::Again,
        }
    }
}

impl ReplyTo {
    /// A queue to reply to; `None` for Lazaret's own but [`REPLIES`]: a publisher could write where it has no right to.
    pub fn new(queue: &str, correlation_id: Option<&str>) -> Option<Self> {
        let allowed = !queue.starts_with("lazaret.") || queue.starts_with(REPLIES);
        (!queue.is_empty() && allowed).then(|| Self {
            queue: queue.to_owned(),
            correlation_id: correlation_id.map(str::to_owned),
        })
    }
}

/// A W3C `traceparent` of version 00, or nothing: `00-` 32 digits `-` 16 digits `-` 2 digits, lower-case hexadecimal.
pub fn traceparent(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags] = parts[..] else {
        return None;
    };
    let digits = |part: &str, count: usize| {
        part.len() == count && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let nonzero = |part: &str| part.bytes().any(|byte| byte != b'0');
    let good = version == "00" && digits(trace, 32) && digits(span, 16) && digits(flags, 2);
    (good && nonzero(trace) && nonzero(span)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same rule, written as positions.
    fn is_trace(text: &[u8]) -> bool {
        let form = text.iter().enumerate().all(|(at, byte)| match at {
            0 | 1 => *byte == b'0',
            2 | 35 | 52 => *byte == b'-',
            _ => b"0123456789abcdef".contains(byte),
        });
        form && text.len() == 55 && text[3..35] != [b'0'; 32] && text[36..52] != [b'0'; 16]
    }

    proptest! {
        #[test]
        fn a_trace_goes_on_as_it_came(trace in 1u128.., span in 1u64.., flags in any::<u8>()) {
            let text = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
            prop_assert_eq!(traceparent(&text), Some(text));
        }

        #[test]
        fn what_differs_from_a_trace_is_none(
            trace in any::<u8>(), span in any::<u8>(), at in 0usize..55, put in "[0-9a-gA-F +-]{0,2}",
        ) {
            let mut text = format!("00-{trace:032x}-{span:016x}-01");
            text.replace_range(at..=at, &put);
            let expected = is_trace(text.as_bytes()).then(|| text.clone());
            prop_assert_eq!(traceparent(&text), expected);
        }
    }

    #[test]
    fn only_a_well_formed_trace_is_carried_on() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(traceparent(good).as_deref(), Some(good));
        for bad in [
            "",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(traceparent(bad), None, "{bad}");
        }
    }

    #[test]
    fn nobody_replies_into_the_workers_own_queues() {
        assert_eq!(ReplyTo::new("lazaret.jobs.interactive", None), None);
        assert_eq!(ReplyTo::new("", Some("7")), None);
        assert!(ReplyTo::new("amq.rabbitmq.reply-to.x", Some("7")).is_some());
        assert!(ReplyTo::new("lazaret.replies.x", None).is_some());
    }
}
