//! Where a collector of traces is: `http://HOST:4318`, `https://…`. `[pure]`

use std::fmt;
use std::str::FromStr;

use super::http::{self, Words};
use super::{Tls, as_text};
use serde::{Deserialize, Serialize};

const WORDS: Words = Words {
    other: "is no address of a collector",
    credentials: "which go into OTEL_EXPORTER_OTLP_HEADERS, as authorization=Basic%20…",
    hint: "write http://HOST:4318 or https://HOST",
};
/// What traces are posted to, below an address.
const TRACES: &str = "/v1/traces";

/// Whoever takes traces by OTLP over HTTP: an address as in `OTEL_EXPORTER_OTLP_ENDPOINT`. It has no user and no password in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CollectorAddress {
    /// Without a slash at its end.
    base: String,
    tls: Tls,
    reach: Reach,
}

/// How far what is sent there goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It stays on this host.
    Loopback,
    /// Others may read it on its way, where it is not encrypted.
    Network,
}

impl CollectorAddress {
    /// What traces are posted to.
    pub fn traces(&self) -> String {
        format!("{}{TRACES}", self.base)
    }

    /// Whether it is spoken to over TLS.
    pub fn tls(&self) -> Tls {
        self.tls
    }

    /// How far what is sent there goes. A name may lead anywhere.
    pub fn reach(&self) -> Reach {
        self.reach
    }
}

impl FromStr for CollectorAddress {
    type Err = String;

    /// The errors tell nothing of the text, which may hold a password.
    fn from_str(text: &str) -> Result<Self, String> {
        let (url, tls) = http::read(text, &WORDS)?;
        let base = http::base(&url, &WORDS)?;
        if base.ends_with(TRACES) {
            return Err(format!("ends in {TRACES}, which is appended to it; leave that out"));
        }
        Ok(Self {
            base,
            tls,
            reach: match http::is_loopback(&url) {
                true => Reach::Loopback,
                false => Reach::Network,
            },
        })
    }
}

impl fmt::Display for CollectorAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

impl fmt::Debug for CollectorAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CollectorAddress({self})")
    }
}

as_text!(CollectorAddress);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_written_as_everywhere_else() {
        for (text, traces, tls, reach) in [
            (
                "http://127.0.0.1:4318",
                "http://127.0.0.1:4318/v1/traces",
                Tls::Off,
                Reach::Loopback,
            ),
            (
                "http://[::1]:4318/",
                "http://[::1]:4318/v1/traces",
                Tls::Off,
                Reach::Loopback,
            ),
            (
                "http://otel:4318",
                "http://otel:4318/v1/traces",
                Tls::Off,
                Reach::Network,
            ),
            (
                "HTTPS://api.example/otlp/",
                "https://api.example/otlp/v1/traces",
                Tls::On,
                Reach::Network,
            ),
        ] {
            let address: CollectorAddress = text.parse().unwrap();
            assert_eq!(
                (address.traces().as_str(), address.tls(), address.reach()),
                (traces, tls, reach),
                "{text}"
            );
            assert_eq!(address.to_string().parse(), Ok(address), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_without_it() {
        for (text, words) in [
            ("", "is no URL"),
            ("secret.example:4318", "is no address of a collector"),
            ("grpc://secret.example:4317", "is no address of a collector"),
            ("https://", "is no URL"),
            ("https://olga:secret@collector.example", "OTEL_EXPORTER_OTLP_HEADERS"),
            ("https://secret@collector.example", "OTEL_EXPORTER_OTLP_HEADERS"),
            ("https://collector.example/?key=secret", "goes on after its path"),
            ("https://collector.example/#secret", "goes on after its path"),
            ("https://collector.example /secret", "no spaces"),
            ("http://secret:4318/v1/traces", "leave that out"),
        ] {
            let problem = text.parse::<CollectorAddress>().unwrap_err();
            assert!(
                problem.contains(words) && !problem.contains("secret"),
                "{text}: {problem}"
            );
        }
    }
}
