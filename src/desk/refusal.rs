//! Why something is not done: a word for programs, a sentence with the remedy for people. Pages tell it as a page, the API as JSON.

use axum::http::StatusCode;
use axum::response::Response;

use super::frame;
use crate::ledger::LedgerError;

/// What stands in the way, as a closed vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// It makes no sense as it was asked.
    BadRequest,
    /// Nobody said who asks.
    NoToken,
    /// A token that is none, or none any more.
    InvalidToken,
    /// Viewers look.
    NotAllowed,
    /// There is no such thing.
    NotFound,
    /// It is there, and cannot be asked for in that way.
    MethodNotAllowed,
    /// Somebody or something was faster.
    DecidedMeanwhile,
    /// It makes no sense for an entry in that state.
    WrongState,
    /// More than is read.
    TooLong,
    /// The body is none that is read.
    NotJson,
    /// Too many tokens that were none.
    TooManyTries,
    /// Something is done one by one, and another one is at it.
    Busy,
    /// The ledger does not answer, or is not open yet.
    LedgerUnavailable,
    /// The store of specimens does not answer as it should.
    StoreUnavailable,
    /// What was asked did not answer in time.
    TooSlow,
    /// Our own fault.
    Failed,
}

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) words: String,
}

impl Code {
    /// Every code.
    #[cfg(test)]
    pub(super) const ALL: [Self; 16] = [
        Self::BadRequest,
        Self::NoToken,
        Self::InvalidToken,
        Self::NotAllowed,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::DecidedMeanwhile,
        Self::WrongState,
        Self::TooLong,
        Self::NotJson,
        Self::TooManyTries,
        Self::Busy,
        Self::LedgerUnavailable,
        Self::StoreUnavailable,
        Self::TooSlow,
        Self::Failed,
    ];

    /// Its word.
    pub(super) fn word(self) -> &'static str {
        self.row().0
    }

    /// Its status.
    pub(super) fn status(self) -> StatusCode {
        self.row().1
    }

    fn row(self) -> (&'static str, StatusCode) {
        match self {
            Self::BadRequest => ("bad-request", StatusCode::BAD_REQUEST),
            Self::NoToken => ("no-token", StatusCode::UNAUTHORIZED),
            Self::InvalidToken => ("invalid-token", StatusCode::UNAUTHORIZED),
            Self::NotAllowed => ("not-allowed", StatusCode::FORBIDDEN),
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => ("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED),
            Self::DecidedMeanwhile => ("decided-meanwhile", StatusCode::CONFLICT),
            Self::WrongState => ("wrong-state", StatusCode::CONFLICT),
            Self::TooLong => ("too-long", StatusCode::PAYLOAD_TOO_LARGE),
            Self::NotJson => ("not-json", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::TooManyTries => ("too-many-tries", StatusCode::TOO_MANY_REQUESTS),
            Self::Busy => ("busy", StatusCode::TOO_MANY_REQUESTS),
            Self::StoreUnavailable => ("store-unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::LedgerUnavailable => ("ledger-unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::TooSlow => ("too-slow", StatusCode::SERVICE_UNAVAILABLE),
            Self::Failed => ("failed", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// The last code ends the list: one that is new is in it.
#[cfg(test)]
const _: () = assert!(Code::ALL.len() == Code::Failed as usize + 1);

impl Refusal {
    pub(super) fn new(code: Code, words: impl Into<String>) -> Self {
        let words = words.into();
        Self { code, words }
    }

    /// What was asked makes no sense.
    pub(super) fn bad(words: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, words)
    }
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        let code = match error {
            LedgerError::NoEntry(_) => Code::NotFound,
            LedgerError::WrongState { .. } => Code::WrongState,
            LedgerError::Unusable { .. } | LedgerError::Failed { .. } => Code::LedgerUnavailable,
        };
        Self::new(code, error.to_string())
    }
}

/// As a page.
impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        frame::plain(refusal.code.status(), &refusal.words)
    }
}
