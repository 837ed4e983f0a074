//! Dead letters: what nobody can make sense of, and jobs that failed. They wait for the operator.
//!
//! In: the broker's dead messages, one after another. Out: each goes back to its lane, is dropped, or stays. To look takes nothing away:
//! what was neither put back nor dropped is there again when the round is over.

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::{BrokerError, Envelope, amqp};
use crate::digest::Digest;
use crate::job::check_name;

/// A dead message.
#[derive(Debug)]
pub struct DeadLetter {
    /// What operators call it: the job's id, or `+` and the first 12 digits of its body's SHA-256. Copies have the same.
    pub id: String,
    /// The job's id, where it can be read.
    pub job: Option<String>,
    /// Whose job it is, where it can be read.
    pub tenant: Option<String>,
    /// Why it is dead; untrusted text.
    pub why: String,
    /// Since when, in milliseconds since 1970, where somebody wrote it.
    pub since_ms: Option<u64>,
    /// What is written around its body.
    pub envelope: Envelope,
    /// Its body; `None` where it is no message at all.
    pub body: Option<Vec<u8>>,
    /// Its size in bytes.
    pub bytes: u64,
    pub(super) hold: Hold,
}

/// What a broker knows a dead letter by.
#[derive(Debug)]
pub(super) enum Hold {
    /// A file's name.
    File(String),
    /// An unacknowledged message of the round's channel.
    Message(amqp::HeldLetter),
}

/// One round through the dead letters. Those that are looked at are nobody else's until it ends.
#[async_trait]
pub trait DeadLetters: Send {
    /// The next one, oldest first; those that die during the round are not part of it.
    async fn next(&mut self) -> Result<Option<DeadLetter>, BrokerError>;
    /// Puts one back on its lane as new, but for a higher `requeued`. Safe there before it is gone here: a crash leaves a copy, not a gap.
    async fn requeue(&mut self, letter: &DeadLetter) -> Result<(), BrokerError>;
    /// Drops one for good.
    async fn drop_letter(&mut self, letter: &DeadLetter) -> Result<(), BrokerError>;
    /// Ends the round.
    async fn end(self: Box<Self>);
}

/// What is read from a body that need not be a job: id and tenant, and what to call it by.
pub(super) struct Name {
    pub(super) id: String,
    pub(super) job: Option<String>,
    pub(super) tenant: Option<String>,
}

impl Name {
    /// Reads a body.
    pub(super) fn of(body: &[u8]) -> Self {
        let object: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        let name = |field: &str| {
            let name = object.get(field)?.as_str()?;
            check_name(field, name).is_ok().then(|| name.to_owned())
        };
        let job = name("job");
        Self {
            id: job.clone().unwrap_or_else(|| nameless(body)),
            job,
            tenant: name("tenant"),
        }
    }
}

/// What has no job's id is called by its bytes. No job's id has a `+`.
pub(super) fn nameless(bytes: &[u8]) -> String {
    format!("+{}", &Digest::of(bytes).to_string()[..12])
}

/// The envelope with which a dead letter goes back: a new one, from the lane it was first put into, that an operator had run again.
pub(super) fn reborn(envelope: &Envelope, now_ms: u64) -> Envelope {
    Envelope {
        enqueued_ms: Some(now_ms),
        tries: 0,
        sideline: None,
        requeued: envelope.requeued.saturating_add(1),
        ..envelope.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Lane;

    #[test]
    fn a_letter_is_called_by_its_job_or_by_its_bytes() {
        let name = Name::of(br#"{"job":"a-1","tenant":"acme","nonsense":[]}"#);
        assert_eq!((name.id.as_str(), name.tenant.as_deref()), ("a-1", Some("acme")));
        for body in [&b"\xff"[..], b"[]", br#"{"job":7}"#, br#"{"job":"\u001b[2J"}"#] {
            let name = Name::of(body);
            assert_eq!((name.id.len(), name.job), (13, None));
            assert_eq!(name.id, nameless(body));
        }
    }

    #[test]
    fn what_goes_back_is_new_but_for_its_count() {
        let dead = Envelope {
            lane: Lane::Bulk,
            enqueued_ms: Some(1),
            tries: 5,
            sideline: Some(3),
            requeued: 1,
            ..Envelope::default()
        };
        let new = Envelope {
            lane: Lane::Bulk,
            enqueued_ms: Some(9),
            requeued: 2,
            ..Envelope::default()
        };
        assert_eq!(reborn(&dead, 9), new);
    }
}
