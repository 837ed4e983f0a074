//! What is answered: `/livez`, `/readyz`, `/metrics`. From memory, within a second, in JSON or Prometheus's text.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;
use tokio::time::timeout;

use super::Shown;
use crate::health::{Cause, Obstacle};
use crate::metrics;
use crate::pipeline::BUILD;
use crate::vitals::{Path, Vitals};

/// Longest time that an answer takes.
const LONGEST: Duration = Duration::from_secs(1);

/// Whether the process lives.
#[derive(Serialize)]
struct Livez {
    live: bool,
    reasons: Vec<Reason>,
    uptime_ms: u64,
}

/// Whether it takes work.
#[derive(Serialize)]
struct Readyz {
    ready: bool,
    reasons: Vec<Reason>,
    /// What that is known by, and how old it is.
    parts: BTreeMap<&'static str, Part>,
    build: &'static str,
    uptime_ms: u64,
}

#[derive(Serialize)]
struct Reason {
    cause: Cause,
    why: String,
    lasts_ms: Option<u64>,
}

/// A part that is asked again and again.
#[derive(Serialize)]
struct Part {
    /// Time since it last answered that it is well.
    age_ms: Option<u64>,
    /// How long that answer took.
    took_ms: u64,
    /// How long it has owed an answer.
    waiting_ms: Option<u64>,
}

#[derive(Serialize)]
struct Wrong {
    error: &'static str,
}

/// Every path of the listener.
pub(super) fn router(shown: Arc<Shown>) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(all_metrics))
        .fallback(async || wrong(StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics"))
        .method_not_allowed_fallback(async || wrong(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD are answered"))
        .layer(from_fn(within_bounds))
        .with_state(shown)
}

async fn livez(State(shown): State<Arc<Shown>>) -> Response {
    let vitals = asked_for(&shown, Path::Livez);
    let death = vitals.facts().death();
    let status = status(death.is_none());
    let answer = Livez {
        live: death.is_none(),
        reasons: death.into_iter().map(Reason::from).collect(),
        uptime_ms: vitals.tally.clock.elapsed_ms(),
    };
    json(status, &answer)
}

async fn readyz(State(shown): State<Arc<Shown>>) -> Response {
    let vitals = asked_for(&shown, Path::Readyz);
    let facts = vitals.facts();
    let obstacles = facts.obstacles();
    let status = status(obstacles.is_empty());
    let parts = facts.signs.into_iter().map(|(cause, sign)| {
        let part = Part {
            age_ms: sign.answered_ago.map(whole_ms),
            took_ms: whole_ms(sign.took),
            waiting_ms: sign.waiting.map(whole_ms),
        };
        (cause.word(), part)
    });
    let answer = Readyz {
        ready: obstacles.is_empty(),
        reasons: obstacles.into_iter().map(Reason::from).collect(),
        parts: parts.collect(),
        build: BUILD,
        uptime_ms: vitals.tally.clock.elapsed_ms(),
    };
    json(status, &answer)
}

async fn all_metrics(State(shown): State<Arc<Shown>>) -> Response {
    let vitals = asked_for(&shown, Path::Metrics);
    answer(StatusCode::OK, metrics::CONTENT_TYPE, metrics::text(&vitals))
}

fn asked_for(shown: &Shown, path: Path) -> Arc<Vitals> {
    let vitals = shown.vitals();
    vitals.tally.asked_for(path);
    vitals
}

/// Every answer within its time, and with headers that keep browsers from storing it or making anything of it.
async fn within_bounds(request: Request, next: Next) -> Response {
    let late = || wrong(StatusCode::SERVICE_UNAVAILABLE, "no answer within a second");
    let mut response = timeout(LONGEST, next.run(request)).await.unwrap_or_else(|_| late());
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

impl From<Obstacle> for Reason {
    fn from(obstacle: Obstacle) -> Self {
        Self {
            cause: obstacle.cause,
            why: obstacle.why,
            lasts_ms: obstacle.lasts.map(whole_ms),
        }
    }
}

fn status(well: bool) -> StatusCode {
    match well {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn wrong(status: StatusCode, error: &'static str) -> Response {
    json(status, &Wrong { error })
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    // None of these types can fail to be written.
    let body = serde_json::to_string(value).unwrap_or_default();
    answer(status, "application/json", body + "\n")
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_hangs_is_cut_off_after_a_second() {
        let router = Router::new()
            .route("/", get(async || std::future::pending::<Response>().await))
            .layer(from_fn(within_bounds));
        let service = hyper_util::service::TowerToHyperService::new(router);
        let response = hyper::service::Service::call(&service, Request::new(Body::empty()))
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    }
}
