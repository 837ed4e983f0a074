//! Who asks: somebody with a session, or nobody, who is led to the entrance.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use url::form_urlencoded::byte_serialize;

use super::account::Role;
use super::form::Form;
use super::refusal::{Code, Refusal};
use super::secret::Secret;
use super::{Desk, Proxied, frame};
use crate::ledger::Operator;

/// Name of the session's cookie.
pub(super) const SESSION: &str = "lazaret_session";
/// Longest reason that an operator may give, in characters.
pub(super) const WHY: usize = 500;

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) who: String,
    pub(crate) role: Role,
    pub(super) csrf: Secret,
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Visitor {
    /// The operator who sent a form, with the reason in it.
    pub(super) fn decides(&self, form: &Form) -> Result<Operator, Response> {
        self.sent(form)?;
        Ok(operator(&self.who, self.role, form.field("why"))?)
    }

    /// Whether a form comes from a page of this session.
    pub(super) fn sent(&self, form: &Form) -> Result<(), Response> {
        match self.csrf.is(form.field("csrf")) {
            true => Ok(()),
            false => Err(frame::plain(
                StatusCode::FORBIDDEN,
                "This form is not of your session. Open its page again and send it from there.",
            )),
        }
    }
}

/// The operator who decides, with a reason.
pub(super) fn operator(who: &str, role: Role, why: &str) -> Result<Operator, Refusal> {
    if role < Role::Operator {
        return Err(Refusal::new(Code::NotAllowed, "Viewers look; operators decide."));
    }
    if why.chars().count() > WHY || why.contains('\0') {
        let problem = format!("The reason has more than {WHY} characters, or one that is none.");
        return Err(Refusal::bad(problem));
    }
    Ok(Operator {
        who: who.to_owned(),
        why: why.to_owned(),
    })
}

impl FromRequestParts<Arc<Desk>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Response> {
        let session = cookie(&parts.headers, SESSION).and_then(|id| desk.sessions().of(id, desk.clock.elapsed()));
        let Some(session) = session else {
            let next: String = byte_serialize(parts.uri.path().as_bytes()).collect();
            return Err(Redirect::to(&format!("/login?next={next}")).into_response());
        };
        let accounts = desk.accounts().await.map_err(|error| {
            tracing::error!(%error, "the desk's accounts");
            frame::plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "The accounts cannot be read. The log has more.",
            )
        })?;
        // The account may be another one by now, or gone.
        match accounts.accounts.get(&session.who) {
            Some(account) => Ok(Self {
                who: session.who,
                role: account.role,
                csrf: session.csrf,
            }),
            None => {
                desk.sessions().end_all_of(&session.who);
                Err(Redirect::to("/login").into_response())
            }
        }
    }
}

/// A cookie's value.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).into_iter();
    let mut pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Where a request comes from. What a proxy adds to the list of addresses is its last one; the others are the client's own words.
pub(super) fn address(headers: &HeaderMap, peer: Option<Peer>, proxied: Proxied) -> Option<IpAddr> {
    let connected = peer.map(|Peer(address)| address.ip());
    if proxied == Proxied::No {
        return connected;
    }
    let told = headers.get_all("x-forwarded-for").into_iter().next_back();
    let last = told.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    last.or(connected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(
            header::COOKIE,
            "a=1; lazaret_sessions=2; lazaret_session=3=4".parse().unwrap(),
        );
        headers.append(header::COOKIE, "b=5".parse().unwrap());
        assert_eq!(cookie(&headers, SESSION), Some("3=4"));
        assert_eq!((cookie(&headers, "b"), cookie(&headers, "session")), (Some("5"), None));
    }

    #[test]
    fn a_proxys_word_counts_where_there_is_one() {
        let peer = Some(Peer("127.0.0.1:5".parse().unwrap()));
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "10.0.0.1, 192.0.2.7".parse().unwrap());
        let from = |proxied| address(&headers, peer, proxied).unwrap().to_string();
        assert_eq!(
            (from(Proxied::No), from(Proxied::Yes)),
            ("127.0.0.1".to_owned(), "192.0.2.7".to_owned())
        );
        headers.insert("x-forwarded-for", "nonsense".parse().unwrap());
        assert_eq!(address(&headers, peer, Proxied::Yes).unwrap().to_string(), "127.0.0.1");
    }
}
