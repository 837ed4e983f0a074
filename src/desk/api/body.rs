//! A body: JSON, bounded, with no keys but those that are read.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use super::BODY;
use super::answer::Problem;
use crate::desk::Desk;
use crate::desk::refusal::{Code, Refusal};

/// Longest text of what is wrong with a body, in characters.
const WRONG: usize = 300;

/// What a body of at most so many bytes says.
pub(super) struct Body<T, const MOST: usize = BODY>(pub(super) T);

impl<T: DeserializeOwned, const MOST: usize> FromRequest<Arc<Desk>> for Body<T, MOST> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Arc<Desk>) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let words = "Send JSON, and say so: `Content-Type: application/json`.";
            return Err(Refusal::new(Code::NotJson, words).into());
        }
        let bytes = to_bytes(request.into_body(), MOST).await.map_err(|_| {
            let words = format!("The body has more than {MOST} bytes, or ended early.");
            Refusal::new(Code::TooLong, words)
        })?;
        Ok(Self(read(&bytes)?))
    }
}

/// A part of the path, whatever was written there.
pub(super) struct Named(pub(super) String);

impl FromRequestParts<Arc<Desk>> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Problem> {
        let named = Path::<String>::from_request_parts(parts, desk).await;
        let named = named.map_err(|_| Refusal::new(Code::NotFound, "Nothing has a name that is no text."))?;
        Ok(Self(named.0))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Unknown keys, and those that come twice, are named.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let wrong = |problem: &str| Refusal::bad(format!("The body cannot be read: {problem}"));
    // A list would be taken for the fields in their order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(wrong("it is no JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let problem: String = error.to_string().chars().take(WRONG).collect();
        wrong(&problem)
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Said {
        #[allow(dead_code, reason = "it is read, and that is what is tried")]
        why: String,
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said_briefly() {
        assert!(read::<Said>(br#"{"why": "x"}"#).is_ok());
        let long = format!(r#"{{"{}": 1}}"#, "k".repeat(10_000));
        let deep = format!(r#"{{"why": {}"#, "[".repeat(10_000));
        for (body, words) in [
            ("", "no JSON object"),
            ("why=x", "no JSON object"),
            (r#"["x"]"#, "no JSON object"),
            (r#"{"why": "x""#, "EOF while parsing"),
            (r#"{"why": "x"} {}"#, "trailing characters"),
            (r#"{"why": "x", "why": "y"}"#, "duplicate field `why`"),
            (r#"{"why": "x", "who": "root"}"#, "unknown field `who`, expected `why`"),
            (r#"{"why": 7}"#, "invalid type: integer `7`, expected a string"),
            (long.as_str(), "unknown field `kkk"),
            (deep.as_str(), "invalid type: sequence"),
        ] {
            let problem = read::<Said>(body.as_bytes()).unwrap_err();
            assert!(
                problem.words.contains(words) && problem.words.len() < 400,
                "{}",
                problem.words
            );
        }
        assert_eq!(read::<Said>(b"{\"why\": \"\xff\"}").unwrap_err().code, Code::BadRequest);
    }
}
