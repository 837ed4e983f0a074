//! A server, asked: one request, one answer, with the token.
//!
//! In: paths and bodies of the API. Out: JSON, or why there is none. The token goes to the one address that was named.
#![forbid(unsafe_code)]

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::Agent;
use ureq::http::{HeaderValue, Request, header};

use super::address::ServerAddress;
use super::errors;
use super::token::Token;
use crate::cli::Failure;
use crate::config::Tls;
use crate::http::{self, Patience};
use crate::ledger::Dossier;
use crate::trust;

/// A desk gives itself ten seconds.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(5),
    call: Duration::from_secs(20),
};
/// Most bytes of an answer.
const ANSWER: u64 = 16 << 20;

/// A server, and what it knows us by.
#[derive(Clone)]
pub(super) struct Link {
    agent: Agent,
    base: String,
    bearer: HeaderValue,
}

/// What came back.
struct Answer {
    status: u16,
    /// Where it leads, if anywhere.
    location: String,
    body: Vec<u8>,
}

/// Why nothing was done.
pub(super) enum Refused {
    /// There is no such thing.
    NotFound(Failure),
    /// Somebody or something was faster, or it makes no sense in that state; how it stands now.
    TooLate(Conflict, Box<Dossier>),
    /// Anything else.
    Otherwise(Failure),
}

/// What a decision ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conflict {
    /// The entry is another one by now.
    DecidedMeanwhile,
    /// Its state does not allow it.
    WrongState,
}

/// The shape of all refusals.
#[derive(Deserialize)]
struct Problem {
    error: Sentence,
    now: Option<Value>,
}

#[derive(Deserialize)]
struct Sentence {
    code: String,
    message: String,
}

impl Link {
    /// Nothing is connected yet.
    pub(super) fn new(address: &ServerAddress, token: &Token, ca: Option<&Path>) -> Result<Self, Failure> {
        let tls = match (address.tls(), ca) {
            (Tls::On, ca) => {
                Some(trust::believing(ca).map_err(|problem| Failure::Other(format!("--server-ca: {problem}")))?)
            }
            (Tls::Off, None) => None,
            (Tls::Off, Some(_)) => {
                let words = "--server-ca is for a server at https://; this one is asked without TLS";
                return Err(Failure::Usage(words.to_owned()));
            }
        };
        Ok(Self {
            agent: http::client(PATIENCE, tls),
            base: address.base().to_owned(),
            bearer: token.header(),
        })
    }

    /// Looks at something.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Refused> {
        self.ask("GET", path, None).await
    }

    /// Has something done.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, Refused> {
        self.ask("POST", path, Some(body.to_string())).await
    }

    /// An answer's JSON as what it should be.
    pub(super) fn read<T: DeserializeOwned>(&self, value: Value) -> Result<T, Failure> {
        serde_json::from_value(value).map_err(|error| self.failure(errors::not_the_api(&error)))
    }

    /// What is wrong, with the server it is wrong with.
    pub(super) fn failure(&self, problem: impl std::fmt::Display) -> Failure {
        Failure::Other(format!("{}: {problem}", self.base))
    }

    async fn ask(&self, method: &'static str, path: &str, body: Option<String>) -> Result<Value, Refused> {
        let url = format!("{}/api/v1{path}", self.base);
        let link = self.clone();
        // Blocks.
        let asked = tokio::task::spawn_blocking(move || link.call(method, &url, body)).await;
        let answer = asked
            .map_err(|panic| self.failure(panic))?
            .map_err(|error| self.failure(errors::unreachable(&error)))?;
        self.understood(&answer)
    }

    fn call(&self, method: &str, url: &str, body: Option<String>) -> Result<Answer, ureq::Error> {
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::AUTHORIZATION, self.bearer.clone());
        let mut response = match body {
            None => self.agent.run(request.body(())?)?,
            Some(body) => {
                let request = request.header(header::CONTENT_TYPE, "application/json");
                self.agent.run(request.body(body)?)?
            }
        };
        let location = response.headers().get(header::LOCATION);
        let location = location.map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned());
        Ok(Answer {
            status: response.status().as_u16(),
            location: location.unwrap_or_default(),
            body: response.body_mut().with_config().limit(ANSWER).read_to_vec()?,
        })
    }

    fn understood(&self, answer: &Answer) -> Result<Value, Refused> {
        let status = answer.status;
        match status {
            200..=299 => {
                let read = serde_json::from_slice(&answer.body);
                return read.map_err(|error| self.failure(errors::not_the_api(&error)).into());
            }
            300..=399 => return Err(self.failure(errors::redirected(status, &answer.location)).into()),
            _ => {}
        }
        let problem: Problem = serde_json::from_slice(&answer.body).map_err(|_| self.failure(errors::odd(status)))?;
        let refused = self.failure(errors::refused(&problem.error.message));
        let conflict = match (status, problem.error.code.as_str()) {
            (404, _) => return Err(Refused::NotFound(refused)),
            (409, "decided-meanwhile") => Conflict::DecidedMeanwhile,
            (409, "wrong-state") => Conflict::WrongState,
            _ => return Err(refused.into()),
        };
        match problem.now {
            Some(now) => Err(Refused::TooLate(conflict, Box::new(self.read(now)?))),
            None => Err(refused.into()),
        }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Otherwise(failure)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotFound(failure) | Refused::Otherwise(failure) => failure,
            Refused::TooLate(_, now) => {
                Self::Other(format!("{} is {} by now", now.entry.digest, now.entry.state.word()))
            }
        }
    }
}
