//! The HTTP client of the rest of the program, as the exporter wants it. It blocks, on the exporter's own thread.
//!
//! In: requests. Out: answers; and a line in the log when a collector begins to fail, and when it takes traces again. Headers are in neither. No redirect is
//! followed, and no proxy of the environment is used.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use ureq::Agent;
use ureq::tls::TlsConfig;

use crate::config::{CollectorAddress, ConfigError, Tls, TracesConfig};
use crate::trust;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// Longest call, and longest time that a batch is tried for.
pub(super) const CALL: Duration = Duration::from_secs(5);
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
        let settings = Agent::config_builder()
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(CALL))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            // One that the collector has just closed would lose a batch.
            .max_idle_connections(0)
            .max_idle_connections_per_host(0);
        let settings = match collector.tls() {
            Tls::On => settings.tls_config(believing(config.ca.as_deref())?),
            Tls::Off => settings,
        };
        Ok(Self {
            agent: settings.build().into(),
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

/// TLS that believes the CA of a file, or those of the system.
fn believing(ca: Option<&Path>) -> Result<TlsConfig, ConfigError> {
    let wrong = |problem: String| ConfigError {
        place: "traces.ca".to_owned(),
        problem,
    };
    let (roots, none) = match ca {
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| wrong(format!("{}: {error}", path.display())))?;
            (
                trust::certificates(&text),
                format!("{}: holds no certificate in PEM", path.display()),
            )
        }
        None => (trust::system(), trust::NO_CAS.to_owned()),
    };
    match roots.is_empty() {
        true => Err(wrong(none)),
        false => Ok(trust::tls(roots, None)),
    }
}
