//! The operators' desk: pages on the worker's listener.
//!
//! In: requests from browsers, at worst from hostile ones. Out: pages, rendered here, that work without JavaScript and have none inline. What a file or
//! a tenant brought is text: the templates escape it. Pages run on the worker's runtime, not on that of the health answers: whatever they wait
//! for, health does not.
#![allow(
    clippy::result_large_err,
    reason = "an answer in place of another one is moved once, to whoever sends it"
)]

mod account;
mod api;
mod audit;
mod bulk;
mod chart;
mod course;
mod decision;
mod entrance;
mod entry;
mod form;
mod frame;
mod held;
mod overview;
mod quarantine;
mod query;
mod refusal;
mod retest;
mod secret;
mod session;
mod specimen;
mod tenancy;
mod tenants;
mod throttle;
mod visitor;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub use account::{Account, Accounts, AccountsError, PASSWORD, Role, check_name};
pub(crate) use retest::{Retest, Standing as RetestStanding};
pub(crate) use secret::TOKEN;
pub use secret::{Secret, bearer_token};
pub(crate) use visitor::Peer;

use crate::admin::{Shown, Work};
use crate::clock::Stopwatch;
use refusal::{Code, Refusal};
use retest::Retests;
use session::Sessions;
use throttle::Throttle;

/// Longest time that a page takes.
const LONGEST: Duration = Duration::from_secs(10);
/// Most bytes of a form.
const FORM: usize = 64 << 10;
/// How old the accounts may be that a request is judged by.
const FRESH: Duration = Duration::from_secs(2);
/// Passwords that are hashed at once: each takes 19 MiB and a processor.
const HASHED_AT_ONCE: usize = 2;

/// Style of all pages.
const STYLE: &str = include_str!("../assets/desk/style.css");
/// What pages may load: their style. No script, no frame, no form that leads elsewhere.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Who may come, who is there, and what is shown.
pub(crate) struct Desk {
    file: PathBuf,
    proxied: Proxied,
    runtime: Handle,
    shown: Arc<Shown>,
    clock: Stopwatch,
    accounts: Mutex<Option<(Duration, Arc<Accounts>)>>,
    sessions: Mutex<Sessions>,
    throttle: Mutex<Throttle>,
    token_throttle: Mutex<Throttle>,
    hashing: Semaphore,
    runs: Mutex<bulk::Runs>,
    retests: Retests,
}

/// Whether a proxy with TLS stands before the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxied {
    /// It does: what it says of its clients is believed.
    Yes,
    /// Browsers of this host come by themselves.
    No,
}

impl Desk {
    /// A desk with the accounts of this file, whose pages run on this runtime.
    pub(crate) fn new(file: PathBuf, proxied: Proxied, runtime: Handle, shown: Arc<Shown>) -> Arc<Self> {
        Arc::new(Self {
            file,
            proxied,
            runtime,
            shown,
            clock: Stopwatch::start(),
            accounts: Mutex::default(),
            sessions: Mutex::default(),
            throttle: Mutex::default(),
            token_throttle: Mutex::default(),
            hashing: Semaphore::new(HASHED_AT_ONCE),
            runs: Mutex::default(),
            retests: Retests::new(),
        })
    }

    /// The accounts, at most two seconds old: whoever is removed from the file is out.
    async fn accounts(&self) -> Result<Arc<Accounts>, AccountsError> {
        let now = self.clock.elapsed();
        if let Some((read, accounts)) = &*locked(&self.accounts)
            && now.saturating_sub(*read) < FRESH
        {
            return Ok(Arc::clone(accounts));
        }
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || Accounts::read(&file)).await;
        let accounts =
            Arc::new(read.unwrap_or_else(|panic| {
                Err(AccountsError::Refused(format!("the accounts cannot be read: {panic}")))
            })?);
        *locked(&self.accounts) = Some((now, Arc::clone(&accounts)));
        Ok(accounts)
    }

    /// What pages ask; nothing where the worker has no ledger yet.
    fn work(&self) -> Result<Work, Refusal> {
        let words = "The worker has not opened its ledger yet.";
        self.shown
            .work()
            .ok_or_else(|| Refusal::new(Code::LedgerUnavailable, words))
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        locked(&self.sessions)
    }

    /// Of logins.
    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        locked(&self.throttle)
    }

    /// Of tokens: whoever sends wrong ones has nobody's failed logins forgotten.
    fn token_throttle(&self) -> MutexGuard<'_, Throttle> {
        locked(&self.token_throttle)
    }
}

/// Every page, and the API.
pub(crate) fn router(desk: &Arc<Desk>) -> Router {
    Router::new()
        .route("/", get(overview::page))
        .route("/login", get(entrance::page).post(entrance::log_in))
        .route("/logout", axum::routing::post(entrance::log_out))
        .route("/quarantine", get(quarantine::page).post(bulk::begin))
        .route("/bulk/{number}", get(bulk::page))
        .route("/quarantine/{digest}", get(entry::page))
        .route("/quarantine/{digest}/specimen", get(specimen::download))
        .route("/quarantine/{digest}/erase", axum::routing::post(specimen::erase))
        .route("/quarantine/{digest}/retest", axum::routing::post(specimen::retest))
        .route("/quarantine/{digest}/{action}", axum::routing::post(entry::decide))
        .route("/tenants", get(tenants::list))
        .route("/tenants/{tenant}", get(tenants::page))
        .route("/tenants/{tenant}/purge", get(tenants::preview).post(tenants::purge))
        .route("/tenants/{tenant}/{action}", axum::routing::post(tenants::decide))
        .route("/audit", get(audit::page))
        .route("/audit/export", get(audit::export))
        .route("/style.css", get(style))
        .fallback(frame::nothing_here)
        .layer(DefaultBodyLimit::max(FORM))
        .layer(from_fn_with_state(Arc::clone(desk), elsewhere))
        .route("/api/v1/", any(api::nothing_here))
        .nest("/api/v1", api::router(desk))
        .layer(from_fn(as_a_page))
        .with_state(Arc::clone(desk))
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// Runs the handlers on the worker's runtime, and for so long.
async fn elsewhere(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Result<Response, Response> {
    Ok(in_time(&desk, next.run(request)).await?)
}

/// An answer that is made on the worker's runtime, if it comes in time.
async fn in_time(desk: &Desk, answer: impl Future<Output = Response> + Send + 'static) -> Result<Response, Refusal> {
    let answer = desk.runtime.spawn(answer);
    let abort = answer.abort_handle();
    match timeout(LONGEST, answer).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(_)) => Err(Refusal::new(Code::Failed, "The answer was not made. The log has more.")),
        Err(_) => {
            abort.abort();
            let words = "This takes too long: what it asks does not answer.";
            Err(Refusal::new(Code::TooSlow, words))
        }
    }
}

/// Headers that keep a browser from making more of a page than it is.
async fn as_a_page(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // `no-referrer` would make browsers hide the origin of forms, which is looked at.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
