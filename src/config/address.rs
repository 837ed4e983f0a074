//! Addresses: `scheme:place`, one type per use, so that a ledger cannot be given where a store belongs.

mod admin;
mod collector;
pub(crate) mod http;
mod postgres;
mod server;
mod store;
mod webhook;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use admin::AdminAddress;
pub use collector::{CollectorAddress, Reach};
pub use postgres::PostgresAddress;
pub use server::{AmqpAddress, ManagementAddress, Tls};
pub use store::{BucketAddress, PlainHttp, Provider, StoreAddress, Style};
pub use webhook::WebhookAddress;

/// What serde needs to read and write an address as text.
macro_rules! as_text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(address: $name) -> Self {
                address.to_string()
            }
        }
    };
}
use as_text;

/// Where jobs come from and results go. Neither shown nor written with a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum BrokerAddress {
    /// `spool:DIR`
    Spool(PathBuf),
    /// `amqp://USER:PASSWORD@HOST/VHOST`, `amqps://…`
    Amqp(AmqpAddress),
}

impl BrokerAddress {
    /// The schemes that are understood, for errors.
    const SCHEMES: &'static str = "spool:DIR, amqp://USER:PASSWORD@HOST/VHOST or amqps://…";

    /// The folder, where the broker is one.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Spool(folder) => Some(folder),
            Self::Amqp(_) => None,
        }
    }
}

impl FromStr for BrokerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("amqp://") || text.starts_with("amqps://") {
            return text.parse().map(Self::Amqp);
        }
        match text.strip_prefix("spool:") {
            Some("") => Err(format!("{text:?} names no path; write {}", Self::SCHEMES)),
            Some(path) => Ok(Self::Spool(PathBuf::from(path))),
            None => Err(format!(
                "{:?} is not an address of this version; write {}",
                hide(text),
                Self::SCHEMES
            )),
        }
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spool(folder) => write!(f, "spool:{}", folder.display()),
            Self::Amqp(address) => address.fmt(f),
        }
    }
}

as_text!(BrokerAddress);

/// The fleet's memory. Neither shown nor written with a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LedgerAddress {
    /// `sqlite:FILE`
    Sqlite(PathBuf),
    /// `postgres://USER:PASSWORD@HOST/DATABASE`
    Postgres(PostgresAddress),
}

impl LedgerAddress {
    /// The schemes that are understood, for errors.
    const SCHEMES: &'static str = "sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE";

    /// The file, where the ledger is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(file) => Some(file),
            Self::Postgres(_) => None,
        }
    }
}

impl FromStr for LedgerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return text.parse().map(Self::Postgres);
        }
        match text.strip_prefix("sqlite:") {
            Some("") => Err(format!("{text:?} names no path; write {}", Self::SCHEMES)),
            Some(path) => Ok(Self::Sqlite(PathBuf::from(path))),
            None => Err(format!(
                "{:?} is not an address of this version; write {}",
                hide(text),
                Self::SCHEMES
            )),
        }
    }
}

impl fmt::Display for LedgerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
            Self::Postgres(address) => address.fmt(f),
        }
    }
}

as_text!(LedgerAddress);

/// An address may carry a password, and errors go to logs: nothing between the scheme's colon and the last `@` is shown.
fn hide(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((hidden, host)) => {
            let scheme = hidden
                .split_once(':')
                .map_or(String::new(), |(scheme, _)| format!("{scheme}:"));
            format!("{scheme}…@{host}")
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_being_written() {
        for text in [
            "spool:./spool",
            "spool:/var/spool/lazaret",
            "amqp://worker@rabbit:5672/%2F",
            "amqps://worker@rabbit:5671/images",
        ] {
            assert_eq!(text.parse::<BrokerAddress>().unwrap().to_string(), text);
        }
        for text in [
            "sqlite:./ledger.sqlite",
            "postgres://worker@db:5432/lazaret?sslmode=require",
        ] {
            assert_eq!(text.parse::<LedgerAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_understood_is_said_without_its_password() {
        for text in [
            "amqp:guest:secret@host",
            "redis://guest:se@cret@host",
            "secret@host",
            "AMQP//guest:secret@host",
        ] {
            let error = text.parse::<BrokerAddress>().unwrap_err();
            assert!(error.contains("spool:DIR") && error.contains("@host"), "{error}");
            assert!(!error.contains("secret") && !error.contains("cret@"), "{error}");
        }
        let error = "postgres:worker:secret@db/lazaret"
            .parse::<LedgerAddress>()
            .unwrap_err();
        assert!(error.contains("sqlite:FILE") && !error.contains("secret"), "{error}");
        assert!("file:".parse::<StoreAddress>().unwrap_err().contains("names no path"));
        assert!("spool:".parse::<BrokerAddress>().unwrap_err().contains("names no path"));
    }
}
