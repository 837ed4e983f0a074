//! The entrance: logging in and out. Every try is logged, with who and from where.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use url::form_urlencoded;

use super::account::Role;
use super::form::Form;
use super::secret::Secret;
use super::session::LONGEST;
use super::visitor::{Peer, SESSION, Visitor, address, cookie};
use super::{Desk, Proxied, frame};

/// Cookie that must come back with the form: somebody else's page cannot log a browser in.
const ENTRANCE: &str = "lazaret_entrance";
/// Where the entrance leads, where it was not asked for anything else.
const HOME: &str = "/";

/// Why somebody is not let in.
enum Refused {
    /// Name or password.
    Wrong,
    /// Too many tries.
    Wait(Duration),
    /// Our own fault.
    Closed,
}

pub(super) async fn page(State(desk): State<Arc<Desk>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let next = pairs
        .find(|(name, _)| name == "next")
        .map(|(_, next)| next.into_owned());
    asked(&desk, StatusCode::OK, next.as_deref().unwrap_or(HOME), "", None)
}

pub(super) async fn log_in(
    State(desk): State<Arc<Desk>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    form: Form,
) -> Response {
    let from = address(&headers, peer.map(|Extension(peer)| peer), desk.proxied);
    let (name, next) = (form.field("name"), within(form.field("next")));
    let seen = cookie(&headers, ENTRANCE).unwrap_or_default();
    if seen.is_empty() || seen != form.field("entrance") {
        let words = "The page was open for too long, or the browser keeps no cookies. Try again.";
        return asked(&desk, StatusCode::FORBIDDEN, next, name, Some(words));
    }
    match let_in(&desk, name, form.field("password"), from).await {
        Ok(role) => {
            tracing::info!(who = name, role = role.word(), from = ?from, "logged in at the desk");
            welcomed(&desk, name, role, next)
        }
        Err(Refused::Wrong) => {
            tracing::warn!(name = shortened(name), from = ?from, "refused at the desk: name or password");
            let words = "No such name and password.";
            asked(&desk, StatusCode::UNAUTHORIZED, next, name, Some(words))
        }
        Err(Refused::Wait(wait)) => {
            let seconds = wait.as_secs() + 1;
            tracing::warn!(name = shortened(name), from = ?from, seconds, "refused at the desk: too many tries");
            let words = format!("Too many tries. The next one may be made in {seconds} s.");
            let mut response = asked(&desk, StatusCode::TOO_MANY_REQUESTS, next, name, Some(&words));
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            response
        }
        Err(Refused::Closed) => frame::plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "Nobody can log in now. The log of the worker says why.",
        ),
    }
}

pub(super) async fn log_out(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Response> {
    visitor.sent(&form)?;
    if let Some(id) = cookie(&headers, SESSION) {
        desk.sessions().end(id);
    }
    tracing::info!(who = visitor.who, "logged out at the desk");
    let mut response = Redirect::to("/login").into_response();
    set_cookie(&mut response, SESSION, "", Duration::ZERO, desk.proxied);
    Ok(response)
}

/// The role of somebody who may come in.
async fn let_in(desk: &Arc<Desk>, name: &str, password: &str, from: Option<IpAddr>) -> Result<Role, Refused> {
    let keys = [format!("name {}", shortened(name)), format!("from {from:?}")];
    if let Some(wait) = desk.throttle().wait(&keys, desk.clock.elapsed()) {
        return Err(Refused::Wait(wait));
    }
    let accounts = desk.accounts().await.map_err(|error| {
        tracing::error!(%error, "the desk's accounts");
        Refused::Closed
    })?;
    let Ok(_turn) = desk.hashing.acquire().await else {
        return Err(Refused::Closed);
    };
    // Whoever tried meanwhile counts too.
    if let Some(wait) = desk.throttle().wait(&keys, desk.clock.elapsed()) {
        return Err(Refused::Wait(wait));
    }
    let (name, password) = (name.to_owned(), password.to_owned());
    let role = tokio::task::spawn_blocking(move || accounts.role_of(&name, &password)).await;
    match role {
        Ok(Some(role)) => {
            desk.throttle().succeeded(&keys);
            Ok(role)
        }
        Ok(None) => {
            desk.throttle().failed(&keys, desk.clock.elapsed());
            Err(Refused::Wrong)
        }
        Err(_) => Err(Refused::Closed),
    }
}

fn welcomed(desk: &Desk, who: &str, role: Role, next: &str) -> Response {
    let (Ok(id), Ok(csrf)) = (Secret::new(), Secret::new()) else {
        return frame::plain(StatusCode::SERVICE_UNAVAILABLE, "This host has no randomness.");
    };
    desk.sessions().begin(&id, who, role, csrf, desk.clock.elapsed());
    let mut response = Redirect::to(next).into_response();
    set_cookie(&mut response, SESSION, id.shown(), LONGEST, desk.proxied);
    response
}

/// The form, with a cookie that must come back with it.
fn asked(desk: &Desk, status: StatusCode, next: &str, name: &str, wrong: Option<&str>) -> Response {
    let Ok(entrance) = Secret::new() else {
        return frame::plain(StatusCode::SERVICE_UNAVAILABLE, "This host has no randomness.");
    };
    let content = html! {
        @if let Some(wrong) = wrong {
            p .wrong role="alert" { (wrong) }
        }
        form method="post" action="/login" {
            input type="hidden" name="entrance" value=(entrance.shown());
            input type="hidden" name="next" value=(within(next));
            label for="name" { "Name" }
            input #name name="name" value=(shortened(name)) autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus;
            label for="password" { "Password" }
            input #password name="password" type="password" autocomplete="current-password" required;
            button { "Log in" }
        }
    };
    let mut response = frame::bare(status, "Log in", &content);
    set_cookie(
        &mut response,
        ENTRANCE,
        entrance.shown(),
        Duration::from_secs(3600),
        desk.proxied,
    );
    response
}

/// A path of this desk; anything else leads home.
fn within(next: &str) -> &str {
    let own = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n']);
    let plain = next.len() <= 512 && next.is_ascii();
    if own && plain { next } else { HOME }
}

fn shortened(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Out of reach of scripts and of other sites; over TLS alone, where a proxy has it.
fn set_cookie(response: &mut Response, name: &str, value: &str, lasts: Duration, proxied: Proxied) {
    let secure = match proxied {
        Proxied::Yes => "; Secure",
        Proxied::No => "",
    };
    let seconds = lasts.as_secs();
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entrance_leads_to_this_desk_and_nowhere_else() {
        for own in ["/", "/quarantine", "/quarantine/ab?x=1"] {
            assert_eq!(within(own), own);
        }
        let long = format!("/{}", "a".repeat(512));
        for other in [
            "",
            "//evil.example",
            "https://evil.example",
            "/\\evil",
            "/a\r\nX: y",
            "javascript:1",
            "/ä",
            &long,
        ] {
            assert_eq!(within(other), HOME, "{other}");
        }
    }
}
