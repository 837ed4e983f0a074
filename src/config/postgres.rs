//! `[postgres]`: how the ledger's server is spoken to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::amqp::{between, half_an_identity, optional};
use super::{Config, LedgerAddress, PostgresAddress};
use crate::ledger::postgres::Terms;

/// How PostgreSQL is spoken to. What `ledger` does not need is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresConfig {
    /// PEM file of the CA that signed the server's certificate; none: the system's.
    #[serde(with = "optional")]
    pub ca: Option<PathBuf>,
    /// PEM file of the client's certificate chain.
    #[serde(with = "optional")]
    pub certificate: Option<PathBuf>,
    /// PEM file of its private key.
    #[serde(with = "optional")]
    pub key: Option<PathBuf>,
    /// Most connections per worker, 2 to 100.
    pub connections: u32,
    /// Longest that one statement may take, 1 s to 60 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            ca: None,
            certificate: None,
            key: None,
            connections: 8,
            timeout: Duration::from_secs(10),
        }
    }
}

impl PostgresConfig {
    /// Connections and times.
    pub fn terms(&self) -> Terms {
        Terms {
            connections: self.connections,
            timeout: self.timeout,
        }
    }

    /// For connecting to an address. Where its `sslmode` is absent: `verify-full` with a CA, otherwise `prefer`, as PostgreSQL's own clients do.
    pub fn options(&self, address: &PostgresAddress) -> PgConnectOptions {
        let otherwise = match self.ca {
            Some(_) => PgSslMode::VerifyFull,
            None => PgSslMode::Prefer,
        };
        let mut options = address.options().ssl_mode(address.tls().unwrap_or(otherwise));
        if let Some(ca) = &self.ca {
            options = options.ssl_root_cert(ca);
        }
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            options = options.ssl_client_cert(certificate).ssl_client_key(key);
        }
        options
    }

    /// Files that are named, with their keys.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let all = [("ca", &self.ca), ("certificate", &self.certificate), ("key", &self.key)];
        all.into_iter().filter_map(|(key, file)| Some((key, file.as_deref()?)))
    }

    /// The same, to be changed.
    pub(super) fn files(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.ca, &mut self.certificate, &mut self.key]
            .into_iter()
            .flatten()
    }
}

/// The first contradiction, or value that is out of bounds, with the way out.
pub(super) fn contradiction(config: &Config) -> Option<String> {
    let postgres = &config.postgres;
    if !(2..=100).contains(&postgres.connections) {
        let connections = postgres.connections;
        return Some(format!("postgres.connections is {connections}, not between 2 and 100"));
    }
    let (least, most) = (Duration::from_secs(1), Duration::from_secs(60));
    between("postgres.timeout", postgres.timeout, least, most)
        .or_else(|| half_an_identity("postgres", postgres.certificate.as_deref(), postgres.key.as_deref()))
        .or_else(|| tls_without_tls(config))
}

/// A file that would not be used: whoever gave it believes that the server is checked.
fn tls_without_tls(config: &Config) -> Option<String> {
    let LedgerAddress::Postgres(address) = &config.ledger else {
        return None;
    };
    config.postgres.ca.as_ref()?;
    let checked = matches!(address.tls(), None | Some(PgSslMode::VerifyCa | PgSslMode::VerifyFull));
    (!checked).then(|| {
        "postgres.ca is given, but sslmode in `ledger` does not check it; write sslmode=verify-full, or drop postgres.ca".to_owned()
    })
}
