//! Answers as JSON, and problems in one shape: `{"error": {"code", "message"}}`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::desk::refusal::{Code, Refusal};
use crate::ledger::LedgerError;

/// A refusal, on its way out as JSON.
#[derive(Debug)]
pub(super) struct Problem {
    refusal: Refusal,
    /// Seconds after which another try may be made.
    retry_after: Option<u64>,
}

/// The shape of all problems; where somebody else decided, with how it stands now.
#[derive(Serialize)]
struct Shape<'a, T> {
    error: Sentence<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<T>,
}

#[derive(Serialize)]
struct Sentence<'a> {
    code: &'static str,
    message: &'a str,
}

impl Problem {
    /// The same refusal, with a time for the next try.
    pub(super) fn after(refusal: Refusal, seconds: u64) -> Self {
        Self {
            refusal,
            retry_after: Some(seconds),
        }
    }

    /// A refusal, with how things stand now.
    pub(super) fn with_now(refusal: &Refusal, now: impl Serialize) -> Response {
        told(refusal, Some(now))
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            retry_after: None,
        }
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        Refusal::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = told::<()>(&self.refusal, None);
        let headers = response.headers_mut();
        let challenge = match self.refusal.code {
            Code::NoToken => Some("Bearer"),
            Code::InvalidToken => Some("Bearer error=\"invalid_token\""),
            _ => None,
        };
        if let Some(challenge) = challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// An answer.
pub(super) fn json(value: &impl Serialize) -> Response {
    written(StatusCode::OK, value)
}

/// An answer that is not there yet, and where it will be, below `/api/v1`.
pub(super) fn later(value: &impl Serialize, at: &str) -> Response {
    let mut response = written(StatusCode::ACCEPTED, value);
    if let Ok(at) = HeaderValue::try_from(format!("/api/v1{at}")) {
        response.headers_mut().insert(header::LOCATION, at);
    }
    response
}

fn told<T: Serialize>(refusal: &Refusal, now: Option<T>) -> Response {
    let error = Sentence {
        code: refusal.code.word(),
        message: &refusal.words,
    };
    written(refusal.code.status(), &Shape { error, now })
}

fn written(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => (status, [(header::CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer of the API cannot be written");
            let text = "{\"error\":{\"code\":\"failed\",\"message\":\"The answer was not made. The log has more.\"}}\n";
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                [(header::CONTENT_TYPE, "application/json")],
                text,
            )
                .into_response()
        }
    }
}
