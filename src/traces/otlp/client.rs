//! The HTTP client of the rest of the program, as the exporter wants it. It blocks, on the exporter's own thread.
//!
//! In: requests. Out: answers; and a line in the log when a collector begins to fail, and when it takes traces again. Headers are in neither.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use ureq::Agent;

use crate::config::{CollectorAddress, ConfigError, Tls, TracesConfig};
use crate::http::{self, Patience};
use crate::trust;

/// The call is the longest time that a batch is tried for, too.
pub(super) const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(2),
    call: Duration::from_secs(5),
};
/// Most bytes of an answer.
const ANSWER: u64 = 64 << 10;

#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    collector: CollectorAddress,
    failing: AtomicBool,
}

impl Client {
    /// Nothing is connected yet.
    pub(super) fn new(config: &TracesConfig, collector: &CollectorAddress) -> Result<Self, ConfigError> {
        let tls = match collector.tls() {
            Tls::On => Some(trust::configured("traces.ca", config.ca.as_deref())?),
            Tls::Off => None,
        };
        Ok(Self {
            agent: http::client(PATIENCE, tls),
            collector: collector.clone(),
            failing: AtomicBool::new(false),
        })
    }

    fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (parts, body) = request.into_parts();
        let answer = self.agent.run(Request::from_parts(parts, &body[..]))?;
        let (parts, mut body) = answer.into_parts();
        let body = body.with_config().limit(ANSWER).read_to_vec()?;
        Ok(Response::from_parts(parts, body.into()))
    }

    /// Says so when something changes.
    fn note(&self, problem: Option<String>) {
        let failed = self.failing.swap(problem.is_some(), Ordering::Relaxed);
        let collector = &self.collector;
        match problem {
            Some(problem) if !failed => {
                tracing::warn!(%collector, problem, "traces cannot be sent; jobs do not wait for that")
            }
            None if failed => tracing::info!(%collector, "traces are sent again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.post(request);
        self.note(match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("answers {}", answer.status())),
            Err(error) => Some(error.to_string()),
        });
        Ok(answer?)
    }
}
