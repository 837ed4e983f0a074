//! Addresses: `scheme:place`, one type per use, so that a ledger cannot be given where a store belongs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A place with a scheme.
pub trait Address {
    /// The schemes that are understood, for errors.
    const SCHEMES: &'static str;
    /// The path behind it.
    fn path(&self) -> &Path;
}

macro_rules! address {
    ($(#[$doc:meta])* $name:ident, $variant:ident, $scheme:literal, $place:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum $name {
            #[doc = concat!("`", $scheme, ":", $place, "`")]
            $variant(PathBuf),
        }

        impl Address for $name {
            const SCHEMES: &'static str = concat!($scheme, ":", $place);

            fn path(&self) -> &Path {
                let Self::$variant(path) = self;
                path
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text.strip_prefix(concat!($scheme, ":")) {
                    Some("") => Err(format!("{text:?} names no path; write {}", Self::SCHEMES)),
                    Some(path) => Ok(Self::$variant(PathBuf::from(path))),
                    None => Err(format!("{:?} is not an address of this version; write {}", hide(text), Self::SCHEMES)),
                }
            }
        }

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

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}:{}", $scheme, self.path().display())
            }
        }
    };
}

address!(
    /// Where jobs come from and results go.
    BrokerAddress, Spool, "spool", "DIR"
);
address!(
    /// The fleet's memory.
    LedgerAddress, Sqlite, "sqlite", "FILE"
);
address!(
    /// A store of uploads, renditions or specimens.
    StoreAddress, File, "file", "DIR"
);

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
        for text in ["spool:./spool", "spool:/var/spool/lazaret"] {
            assert_eq!(text.parse::<BrokerAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_understood_is_said_without_its_password() {
        for text in [
            "amqp://guest:secret@host/",
            "amqp:guest:secret@host",
            "amqp://guest:se@cret@host",
            "secret@host",
        ] {
            let error = text.parse::<BrokerAddress>().unwrap_err();
            assert!(error.contains("spool:DIR") && error.contains("@host"), "{error}");
            assert!(!error.contains("secret") && !error.contains("cret@"), "{error}");
        }
        assert!("file:".parse::<StoreAddress>().unwrap_err().contains("names no path"));
    }
}
