//! The server: how it is connected to, and what each connection tells it.
//!
//! Its end of a connection is set so that a client that vanished (power cut, network gone) is noticed within half a minute, and holds
//! neither locks nor a place among the server's connections for longer. This end has no such settings: it waits for every answer
//! only so long, and looks whether a connection that has rested still lives before it is used.

use std::fs::File;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor};
use tokio::time::timeout;

use super::{Terms, fault, statements, wire};
use crate::config::{PostgresAddress, PostgresConfig};
use crate::ledger::LedgerError;
use crate::ledger::engine::Fault;

/// How long a connection may take to come about, or to become free.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the reason is looked for why there is no connection.
const REASON: Duration = Duration::from_secs(2);
/// How long a connection may rest before it is looked at.
const RESTED: Duration = Duration::from_secs(1);
/// How long a connection that nobody needs is kept.
const IDLE: Duration = Duration::from_secs(300);
/// How long a connection is used: servers behind one name change.
const LIFETIME: Duration = Duration::from_secs(1800);

/// Longest host name in a connection's name, which PostgreSQL cuts at 63 characters.
const HOST: usize = 40;

/// A server, its database and user, and the terms.
#[derive(Clone)]
pub(super) struct Server {
    options: PgConnectOptions,
    terms: Terms,
    /// As operators know it: without a password.
    place: String,
    name: Name,
}

/// What connections are called in `pg_stat_activity`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    /// `lazaret HOST `.
    host: String,
    /// The same, and the boot.
    boot: String,
}

impl Server {
    pub(super) fn new(address: &PostgresAddress, config: &PostgresConfig) -> Result<Self, LedgerError> {
        let place = address.to_string();
        for (key, file) in config.named() {
            let problem = |error| format!("postgres.{key}: {}: {error}", file.display());
            File::open(file).map_err(|error| LedgerError::Unusable {
                place: place.clone(),
                problem: problem(error),
            })?;
        }
        let terms = config.terms();
        let name = Name::of_this_boot();
        let options = config
            .options(address)
            .application_name(&name.boot)
            .options(session(&terms));
        Ok(Self {
            options: options.disable_statement_logging(),
            terms,
            place,
            name,
        })
    }

    /// As operators know it: without a password.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// A connection of its own, beside the pool.
    pub(super) async fn connect(&self) -> Result<PgConnection, Fault> {
        within(CONNECT, async {
            let mut connection = self.options.connect().await?;
            connection.execute(statements::SETTLE_IN).await?;
            Ok(connection)
        })
        .await
    }

    /// Connections that come about when they are needed.
    pub(super) fn pool(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(self.terms.connections)
            .acquire_timeout(CONNECT)
            .idle_timeout(IDLE)
            .max_lifetime(LIFETIME)
            .test_before_acquire(false)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    connection.execute(statements::SETTLE_IN).await?;
                    Ok(())
                })
            })
            .before_acquire(|connection, about| {
                Box::pin(async move {
                    let rested = about.idle_for >= RESTED;
                    Ok(!rested || matches!(timeout(REASON, connection.ping()).await, Ok(Ok(()))))
                })
            })
            .connect_lazy_with(self.options.clone())
    }

    /// Most connections of the pool.
    pub(super) fn connections(&self) -> u32 {
        self.terms.connections
    }

    /// Longest wait for an answer: the server should have given up before.
    pub(super) fn patience(&self) -> Duration {
        self.terms.timeout + wire::GRACE
    }

    /// Why the pool got no connection: what the server says to one more, or that all are in use.
    pub(super) async fn why_not(&self) -> Fault {
        match within(REASON, self.options.connect()).await {
            Ok(connection) => {
                drop(connection);
                sqlx::Error::PoolTimedOut.into()
            }
            Err(fault) => fault,
        }
    }

    /// Ends what is left of this host before it was switched off: the server may not have noticed. Not being allowed to is no error.
    pub(super) async fn end_former_boot(&self, connection: &mut PgConnection) {
        let query = sqlx::query(statements::END_FORMER_BOOT)
            .bind(self.name.host.clone())
            .bind(self.name.boot.clone());
        match within(CONNECT, query.fetch_all(connection)).await {
            Ok(ended) if ended.is_empty() => {}
            Ok(ended) => tracing::info!(ended = ended.len(), "ended connections of this host's former boot"),
            Err(fault) => tracing::debug!(?fault, "connections of a former boot were not ended"),
        }
    }

    pub(super) fn failed(&self, fault: Fault) -> LedgerError {
        fault.failed(self.place.clone(), |error| fault::sentence(error, &self.terms))
    }

    /// The error while a ledger is opened: what a retry may cure is `Failed`, what somebody must mend is `Unusable`.
    pub(super) fn unopened(&self, fault: Fault) -> LedgerError {
        match fault::may_pass(&fault) {
            true => self.failed(fault),
            false => fault.unusable(self.place.clone(), |error| fault::sentence(error, &self.terms)),
        }
    }
}

async fn within<T>(time: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Fault> {
    match timeout(time, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into()),
    }
}

/// What is set for each session. Plans: every statement of a job's way has an index, and is to be looked up in it whatever the server believes
/// about sizes; with sequential scans frowned upon, costs look huge, which would start the compiler.
fn session(terms: &Terms) -> Vec<(&'static str, String)> {
    let ms = |time: Duration| time.as_millis().to_string();
    let set = |value: &str| value.to_owned();
    vec![
        ("search_path", set("lazaret")),
        ("statement_timeout", ms(terms.timeout)),
        ("lock_timeout", ms(terms.timeout / 2)),
        ("idle_in_transaction_session_timeout", ms(terms.timeout)),
        ("tcp_keepalives_idle", set("10")),
        ("tcp_keepalives_interval", set("5")),
        ("tcp_keepalives_count", set("3")),
        ("tcp_user_timeout", set("20000")),
        ("plan_cache_mode", set("force_generic_plan")),
        ("enable_seqscan", set("off")),
        ("jit", set("off")),
    ]
}

impl Name {
    fn of_this_boot() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self::new(
            &read("/proc/sys/kernel/hostname"),
            &read("/proc/sys/kernel/random/boot_id"),
        )
    }

    fn new(host: &str, boot: &str) -> Self {
        let plain = |text: &str, most: usize| -> String {
            let plain = text.trim().chars();
            plain
                .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
                .take(most)
                .collect()
        };
        let host = format!("lazaret {} ", plain(host, HOST));
        let boot = format!("{host}{}", plain(boot, 8));
        Self { host, boot }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_and_tells_hosts_and_boots_apart() {
        let boot = "6c3e4f4e-7e1a-4a57-b0a5-7d7f4c7d9a3e\n";
        let name = Name::new("web-1.example\n", boot);
        assert_eq!(name.host, "lazaret web-1.example ");
        assert_eq!(name.boot, "lazaret web-1.example 6c3e4f4e");
        assert!(
            !Name::new("web-12", boot)
                .boot
                .starts_with(&Name::new("web-1", boot).host)
        );
        assert!(Name::new(&"x".repeat(200), boot).boot.len() <= 63);
        assert_eq!(Name::new("a b%_", boot).host, "lazaret a-b-- ");
    }
}
