//! The program's HTTP client, wherever it asks or tells somebody: the one address that is named, and no other.
//!
//! In: how long it may take, whom to believe. Out: a client. No redirect is followed and no proxy of the environment used, because credentials and
//! signatures go along. No connection is kept: one that the other side has just closed would lose what is sent. Every status is an answer. Calls block.
#![forbid(unsafe_code)]

use std::time::Duration;

use ureq::Agent;
use ureq::tls::TlsConfig;

use crate::pipeline::BUILD;

/// How long is waited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For everything, the connection included.
    pub call: Duration,
}

impl Patience {
    /// One time for all of it.
    pub(crate) fn of(call: Duration) -> Self {
        Self { connect: call, call }
    }
}

/// The client. Nothing is connected yet.
pub(crate) fn client(patience: Patience, tls: Option<TlsConfig>) -> Agent {
    let settings = Agent::config_builder()
        .timeout_connect(Some(patience.connect))
        .timeout_global(Some(patience.call))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent(format!("lazaret/{BUILD}"))
        .max_idle_connections(0)
        .max_idle_connections_per_host(0);
    let settings = match tls {
        Some(tls) => settings.tls_config(tls),
        None => settings,
    };
    settings.build().into()
}
