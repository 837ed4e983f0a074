//! The API: what the pages do, for programs. JSON in and out, bearer tokens, one table of routes.
//!
//! The rules are those of the pages, by the same functions: this module and those below it read bodies, write answers, and decide nothing. What each
//! route takes and gives is in docs/openapi.json, which tests hold against the table, and against real answers.
//!
//! Absent on purpose: cookies (a session of a browser opens nothing here, so there is nothing to forge), and accounts.

mod answer;
mod audit;
mod bearer;
mod body;
mod intake;
mod many;
mod overview;
mod quarantine;
mod tenants;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};

use super::refusal::{Code, Refusal};
use super::{Desk, in_time};
use answer::Problem;

/// What each route takes and gives.
const DOCUMENT: &str = include_str!("../../docs/openapi.json");
/// Most bytes of a body, but for imports.
const BODY: usize = 16 << 10;

/// Every route: method, path below `/api/v1`, handler.
fn routes() -> [(&'static str, &'static str, MethodRouter<Arc<Desk>>); 23] {
    [
        ("GET", "/openapi.json", get(document)),
        ("GET", "/overview", get(overview::show)),
        ("GET", "/quarantine", get(quarantine::list)),
        ("POST", "/quarantine", post(intake::add)),
        ("POST", "/quarantine/import", post(intake::import)),
        ("GET", "/quarantine/{digest}", get(quarantine::show)),
        ("POST", "/quarantine/{digest}/decisions", post(quarantine::decide)),
        ("POST", "/quarantine/{digest}/notes", post(quarantine::note)),
        ("POST", "/quarantine/{digest}/retest", post(quarantine::retest)),
        ("GET", "/quarantine/{digest}/retest", get(quarantine::retested)),
        ("GET", "/quarantine/{digest}/specimen", get(quarantine::specimen)),
        ("POST", "/quarantine/{digest}/erase", post(quarantine::erase)),
        ("POST", "/decisions", post(many::begin)),
        ("GET", "/decisions/{number}", get(many::show)),
        ("GET", "/digests/{digest}", get(quarantine::alike)),
        ("GET", "/tenants", get(tenants::list)),
        ("GET", "/tenants/{tenant}", get(tenants::show)),
        ("GET", "/tenants/{tenant}/purge", get(tenants::preview)),
        ("POST", "/tenants/{tenant}/purge", post(tenants::purge)),
        ("POST", "/tenants/{tenant}/decisions", post(tenants::decide)),
        ("GET", "/workers", get(audit::workers)),
        ("GET", "/audit", get(audit::list)),
        ("GET", "/audit/export", get(audit::export)),
    ]
}

/// All of it, below `/api/v1`.
pub(super) fn router(desk: &Arc<Desk>) -> Router<Arc<Desk>> {
    let router = routes()
        .into_iter()
        .fold(Router::new(), |router, (_, path, handler)| router.route(path, handler));
    router
        .fallback(nothing_here)
        .method_not_allowed_fallback(other_method)
        .layer(from_fn_with_state(Arc::clone(desk), elsewhere))
}

async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

pub(super) async fn nothing_here() -> Response {
    let words = "There is no such route. /api/v1/openapi.json lists all.";
    Problem::from(Refusal::new(Code::NotFound, words)).into_response()
}

async fn other_method() -> Problem {
    let words = "This route does not take that method. /api/v1/openapi.json lists what each takes.";
    Refusal::new(Code::MethodNotAllowed, words).into()
}

/// Runs the handlers on the worker's runtime, and for so long.
async fn elsewhere(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Result<Response, Problem> {
    Ok(in_time(&desk, next.run(request)).await?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let document = document();
        let paths = document["paths"].as_object().unwrap().iter();
        let documented: BTreeSet<(String, String)> = paths
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().keys().filter(|key| *key != "parameters");
                methods
                    .map(|method| (method.to_uppercase(), path.clone()))
                    .collect::<Vec<_>>()
            })
            .collect();
        let all: BTreeSet<(String, String)> = routes()
            .into_iter()
            .map(|(method, path, _)| (method.to_owned(), path.to_owned()))
            .collect();
        assert_eq!(documented, all);
        assert_eq!(document["servers"][0]["url"], "/api/v1");
    }

    #[test]
    fn the_document_has_every_code_and_no_other() {
        let document = document();
        let words = &document["components"]["schemas"]["Error"]["properties"]["error"]["properties"]["code"]["enum"];
        let documented: Vec<&str> = words
            .as_array()
            .unwrap()
            .iter()
            .map(|word| word.as_str().unwrap())
            .collect();
        let all: Vec<&str> = Code::ALL.iter().map(|code| code.word()).collect();
        assert_eq!(documented, all);
    }
}
