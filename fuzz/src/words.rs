//! Readers of words: messages, packets, configuration, headers.

use std::collections::BTreeMap;

use lazaret::broker::ReplyTo;
use lazaret::broker::envelope::{REPLIES, traceparent};
use lazaret::config::Config;
use lazaret::job::{self, Job};
use lazaret::sandbox::protocol::{MAX_FROM_CHILD, Packet};

/// A message that is taken names things that a file name and a queue can bear; one that is not says why, briefly.
pub fn job(bytes: &[u8]) -> bool {
    match Job::parse(bytes, &BTreeMap::new(), &["uploads"]) {
        Ok(job) => {
            assert!(job::check_name("job", &job.job).is_ok() && job::check_name("tenant", &job.tenant).is_ok());
            assert!(job::check_key(&job.source.key).is_ok());
            assert!(job.recipe.renditions().len() <= 16);
            true
        }
        Err(invalid) => {
            assert!(
                invalid.problem.len() < 2_000,
                "{} bytes of problem",
                invalid.problem.len()
            );
            bytes.starts_with(b"{")
        }
    }
}

/// What is understood is written and understood again, the same.
pub fn packet(bytes: &[u8]) -> bool {
    match Packet::read(bytes) {
        Packet::Message(message) => {
            let written = serde_json::to_vec(&message).unwrap();
            // A number may take more digits than were read.
            if written.len() <= MAX_FROM_CHILD {
                assert_eq!(Packet::read(&written), Packet::Message(message));
            }
            true
        }
        Packet::Memory(record) => {
            assert_eq!(record.to_bytes(), bytes);
            true
        }
        Packet::Malformed(what) => {
            assert!(what.len() < 2 * MAX_FROM_CHILD);
            bytes.starts_with(b"{")
        }
    }
}

/// A configuration that is taken makes sense to the rest of the program.
pub fn config(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    match Config::parse(text, "fuzz.toml", Vec::new()) {
        Ok(config) => {
            assert!(config.slots() >= 1);
            let _ = config.recipes();
            let _ = config.limits_of("acme");
        }
        Err(error) => assert!(error.to_string().contains("fuzz.toml")),
    }
    true
}

/// What is taken over from a message's headers is what it says it is.
pub fn headers(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    if let Some(trace) = traceparent(text) {
        assert!(trace == text && trace.len() == 55 && trace.is_ascii());
    }
    if let Some(reply) = ReplyTo::new(text, Some(text)) {
        let own = reply.queue.starts_with("lazaret.");
        assert!(!reply.queue.is_empty() && (!own || reply.queue.starts_with(REPLIES)));
    }
    true
}
