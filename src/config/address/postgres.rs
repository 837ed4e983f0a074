//! The address of a ledger in PostgreSQL, which may carry a password. `[pure]`

use std::fmt;
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use super::server::{HINT, bracketed, decoded, encoded, host};

const PORT: u16 = 5432;

/// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with `?sslmode=…` where it matters. HOST may be a folder with a socket, percent-encoded.
/// Shown, logged, serialised and told in errors without the password.
#[derive(Clone)]
pub struct PostgresAddress {
    user: String,
    password: Option<String>,
    host: String,
    port: u16,
    database: String,
    tls: Option<PgSslMode>,
}

impl PostgresAddress {
    /// For connecting: with the password, without TLS settings.
    pub fn options(&self) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .database(&self.database);
        match &self.password {
            Some(password) => options.password(password),
            None => options,
        }
    }

    /// The `sslmode` that it names.
    pub fn tls(&self) -> Option<PgSslMode> {
        self.tls
    }

    /// The database.
    pub fn database(&self) -> &str {
        &self.database
    }
}

impl FromStr for PostgresAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("a URL has no spaces and no line breaks in it".to_owned());
        }
        let url = Url::parse(text).map_err(|error| format!("is no URL: {error}; {HINT}"))?;
        let database = decoded(url.path().trim_start_matches('/'), "database")?;
        if database.is_empty() || database.contains(['/', '@']) || url.fragment().is_some() {
            return Err(format!(
                "names no database; write postgres://USER:PASSWORD@HOST/DATABASE; {HINT}"
            ));
        }
        if url.username().is_empty() {
            return Err("names no user; write postgres://USER:PASSWORD@HOST/DATABASE".to_owned());
        }
        Ok(Self {
            user: decoded(url.username(), "user")?,
            password: url
                .password()
                .map(|password| decoded(password, "password"))
                .transpose()?,
            host: host(&url)?,
            port: url.port().unwrap_or(PORT),
            database,
            tls: tls(&url)?,
        })
    }
}

/// The only parameter that is understood.
fn tls(url: &Url) -> Result<Option<PgSslMode>, String> {
    let mut found = None;
    for (name, value) in url.query_pairs() {
        found = match (&*name, &*value) {
            ("sslmode", "disable") => Some(PgSslMode::Disable),
            ("sslmode", "prefer") => Some(PgSslMode::Prefer),
            ("sslmode", "require") => Some(PgSslMode::Require),
            ("sslmode", "verify-ca") => Some(PgSslMode::VerifyCa),
            ("sslmode", "verify-full") => Some(PgSslMode::VerifyFull),
            ("sslmode", _) => {
                return Err("sslmode is disable, prefer, require, verify-ca or verify-full".to_owned());
            }
            _ => {
                return Err(format!(
                    "only sslmode may follow ? in the URL: files and times are set in [postgres]; {HINT}"
                ));
            }
        };
    }
    Ok(found)
}

fn mode(tls: PgSslMode) -> &'static str {
    match tls {
        PgSslMode::Disable | PgSslMode::Allow => "disable",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    }
}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = match self.host.starts_with('/') {
            true => encoded(&self.host),
            false => bracketed(&self.host),
        };
        let (user, port, database) = (encoded(&self.user), self.port, encoded(&self.database));
        write!(f, "postgres://{user}@{host}:{port}/{database}")?;
        match self.tls {
            Some(tls) => write!(f, "?sslmode={}", mode(tls)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresAddress({self})")
    }
}

impl PartialEq for PostgresAddress {
    fn eq(&self, other: &Self) -> bool {
        self.password == other.password && self.to_string() == other.to_string()
    }
}

impl Eq for PostgresAddress {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PostgresAddress, String> {
        text.parse()
    }

    #[test]
    fn addresses_are_read_and_shown_without_a_password() {
        for (text, shown) in [
            (
                "postgres://worker:se%40cret@db/lazaret",
                "postgres://worker@db:5432/lazaret",
            ),
            ("postgresql://worker@[::1]:6432/l", "postgres://worker@[::1]:6432/l"),
            (
                "postgres://w@%2Frun%2Fpostgresql/l?sslmode=disable",
                "postgres://w@%2Frun%2Fpostgresql:5432/l?sslmode=disable",
            ),
        ] {
            let address = read(text).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), format!("PostgresAddress({shown})"));
            assert_eq!(read(shown).unwrap().to_string(), shown);
        }
        let options = read("postgres://w:p%40ss@%2Frun%2Fpg/l").unwrap().options();
        assert_eq!((options.get_host(), options.get_username()), ("/run/pg", "w"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (text, says) in [
            ("postgres://w:secret@db", "names no database"),
            ("postgres://db/lazaret", "names no user"),
            ("postgres://w:se/cret@db/l", "percent-encoded"),
            ("postgres://w:secret@db/l?sslmode=maybe", "verify-full"),
            ("postgres://w:secret@db/l?connect_timeout=3", "[postgres]"),
            ("postgres://w:secret@db/l m", "no spaces"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(says) && !error.contains("cret"), "{error}");
        }
    }
}
