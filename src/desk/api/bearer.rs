//! Who asks: whoever has a token, and nobody else. Every request that a token opens is a line of the log, as is every token that is refused.
//!
//! A token is 256 random bits, and what is kept of it is its SHA-256. A slow hash, as passwords have it, would buy nothing: it makes guessing dear
//! where there is little to guess, and nobody guesses 256 bits, with a fast hash or a slow one. Those that fail are throttled by address all the
//! same, so that they fill no log: a good token is let in whatever else comes from there, and logins are counted apart.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::answer::Problem;
use crate::desk::account::Role;
use crate::desk::refusal::{Code, Refusal};
use crate::desk::secret::TOKEN;
use crate::desk::visitor::{Peer, address, operator};
use crate::desk::{Desk, query};
use crate::digest::Digest;
use crate::ledger::{Operator, Token, TokenStanding};

/// Longest path that a line of the log has.
const PATH: usize = 200;

/// Somebody with a token.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// `token:` and its name, as no account can be called.
    pub(super) who: String,
    pub(super) role: Role,
}

impl Caller {
    /// The operator who decides, with a reason.
    pub(super) fn decides(&self, why: &str) -> Result<Operator, Refusal> {
        operator(&self.who, self.role, why)
    }
}

impl FromRequestParts<Arc<Desk>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Problem> {
        let from = address(&parts.headers, parts.extensions.get::<Peer>().copied(), desk.proxied);
        let token = let_in(desk, &parts.headers, from).await?;
        let caller = Self {
            who: format!("token:{}", token.name),
            role: token.role,
        };
        let whole = parts
            .extensions
            .get::<OriginalUri>()
            .map_or(&parts.uri, |whole| &whole.0);
        let path: String = whole.path().chars().take(PATH).collect();
        tracing::info!(who = caller.who, role = caller.role.word(), from = ?from, method = %parts.method, path, "asks over the API");
        Ok(caller)
    }
}

/// No query at all: what it would filter, nobody reads.
pub(super) struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let fields = query::fields(parts.uri.query().unwrap_or_default()).map_err(Refusal::bad)?;
        match fields.first() {
            None => Ok(Self),
            Some((name, _)) => {
                let words = format!("there is no filter {}; this route has none", query::shortened(name));
                Err(Refusal::bad(words).into())
            }
        }
    }
}

async fn let_in(desk: &Desk, headers: &HeaderMap, from: Option<IpAddr>) -> Result<Token, Problem> {
    let words = "Send a token: `Authorization: Bearer lzt_…`. `lazaret desk token add` makes one.";
    let given = headers
        .get(header::AUTHORIZATION)
        .ok_or_else(|| Refusal::new(Code::NoToken, words))?;
    let found = match given.to_str().ok().and_then(bearer) {
        Some(text) => lookup(desk, text, from).await?,
        None => None,
    };
    match found {
        Some(token) if token.standing == TokenStanding::Good => Ok(token),
        Some(token) => Err(refused(desk, &token.name, token.standing.word(), from)),
        None => Err(refused(desk, "", "unknown", from)),
    }
}

/// What the ledger knows of a token. Why it does not answer is for the log, and not for somebody who may be anybody.
async fn lookup(desk: &Desk, text: &str, from: Option<IpAddr>) -> Result<Option<Token>, Refusal> {
    let found = desk.work()?.ledger.token(&Digest::of(text.as_bytes())).await;
    found.map_err(|error| {
        tracing::error!(%error, from = ?from, "tokens cannot be looked up");
        let words = "The ledger does not answer. The worker's log says why.";
        Refusal::new(Code::LedgerUnavailable, words)
    })
}

/// A token that opens nothing. Whoever goes on is told to wait, and fills no log.
fn refused(desk: &Desk, name: &str, standing: &str, from: Option<IpAddr>) -> Problem {
    let keys = [format!("{from:?}")];
    let now = desk.clock.elapsed();
    let mut throttle = desk.token_throttle();
    if let Some(wait) = throttle.wait(&keys, now) {
        let seconds = wait.as_secs() + 1;
        let words = format!("Too many tokens that are none. The next one may be sent in {seconds} s.");
        return Problem::after(Refusal::new(Code::TooManyTries, words), seconds);
    }
    throttle.failed(&keys, now);
    drop(throttle);
    tracing::warn!(name, standing, from = ?from, "refused over the API: token");
    let words = format!("This token is {standing}. `lazaret desk token add` makes another one.");
    Refusal::new(Code::InvalidToken, words).into()
}

/// The token in a header, if it may be one.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let may_be = scheme.eq_ignore_ascii_case("bearer") && token.starts_with(TOKEN) && token.len() <= 100;
    may_be.then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_a_token_or_none() {
        assert_eq!(bearer("Bearer lzt_abc"), Some("lzt_abc"));
        assert_eq!(bearer("bearer lzt_abc"), Some("lzt_abc"));
        let long = format!("Bearer lzt_{}", "a".repeat(10_000));
        for none in [
            "",
            "Bearer",
            "Bearer ",
            "lzt_abc",
            "Basic lzt_abc",
            "Bearer  lzt_abc",
            "Bearer abc",
            &long,
        ] {
            assert_eq!(bearer(none), None, "{none}");
        }
    }
}
