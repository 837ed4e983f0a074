//! What is answered: `/livez`, `/readyz`, `/metrics`. From memory, within a second, in JSON or Prometheus's text.

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
use super::standing::{Livez, Readyz};
use crate::desk::{self, Desk};
use crate::metrics;
use crate::vitals::{Path, Vitals};

/// Longest time that an answer takes.
const LONGEST: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Wrong {
    error: &'static str,
}

/// Every path of the listener. What is none of health is the desk's, where there is one.
pub(super) fn router(shown: Arc<Shown>, desk: Option<&Arc<Desk>>) -> Router {
    let health = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(all_metrics));
    let health = match desk {
        Some(_) => health,
        None => health.fallback(nothing_here),
    };
    let health = health
        .method_not_allowed_fallback(async || wrong(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD are answered"))
        .layer(from_fn(within_bounds))
        .with_state(shown);
    match desk {
        Some(desk) => health.merge(desk::router(desk)),
        None => health,
    }
}

async fn nothing_here() -> Response {
    wrong(StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics")
}

async fn livez(State(shown): State<Arc<Shown>>) -> Response {
    let livez = Livez::of(&asked_for(&shown, Path::Livez));
    json(status(livez.live), &livez)
}

async fn readyz(State(shown): State<Arc<Shown>>) -> Response {
    let readyz = Readyz::of(&asked_for(&shown, Path::Readyz));
    json(status(readyz.ready), &readyz)
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
