//! Tokens: made, found by what their text hashes to, listed, revoked.

use super::rows;
use crate::digest::Digest;
use crate::ledger::engine::{Fault, Session, query};
use crate::ledger::{NewToken, TOKENS, Token, TokenMade, TokenRevoked};

/// Makes a token known.
pub(super) async fn add(session: &mut Session, token: &NewToken) -> Result<TokenMade, Fault> {
    let lasts = token
        .lasts
        .map(|lasts| i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX));
    let query = query(session.sql.add_token)
        .bind(token.hash.to_string())
        .bind(token.name.clone())
        .bind(token.role.word())
        .bind(session.now)
        .bind(token.made_by.clone())
        .bind(lasts.map(|lasts| session.now.saturating_add(lasts)));
    match query.execute(session.connection()).await? {
        0 => Ok(TokenMade::NameTaken),
        _ => Ok(TokenMade::Made),
    }
}

/// The token whose text hashes to this.
pub(super) async fn find(session: &mut Session, hash: &Digest) -> Result<Option<Token>, Fault> {
    let now = session.now;
    let query = query(session.sql.token).bind(hash.to_string());
    let row = query.fetch_optional(session.connection()).await?;
    row.map(|row| rows::token(&row, now)).transpose()
}

/// The first of them, those that are revoked last, else by name.
pub(super) async fn list(session: &mut Session) -> Result<Vec<Token>, Fault> {
    let now = session.now;
    let query = query(session.sql.tokens).bind(TOKENS);
    let found = query.fetch_all(session.connection()).await?;
    found.iter().map(|row| rows::token(row, now)).collect()
}

/// Ends a token.
pub(super) async fn revoke(session: &mut Session, name: &str, who: &str) -> Result<TokenRevoked, Fault> {
    let revoke = query(session.sql.revoke_token)
        .bind(name.to_owned())
        .bind(session.now)
        .bind(who.to_owned());
    if revoke.execute(session.connection()).await? > 0 {
        return Ok(TokenRevoked::Now);
    }
    let known = query(session.sql.is_token).bind(name.to_owned());
    match known.fetch_optional(session.connection()).await? {
        Some(_) => Ok(TokenRevoked::Before),
        None => Ok(TokenRevoked::Unknown),
    }
}
