//! Where notices are posted to. Whoever gives such addresses out often puts a secret into the path: shown is where they lead, and no more. `[pure]`

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use super::http::{self, Words};
use super::{Tls, as_text};

const WORDS: Words = Words {
    other: "is no address that notices can be posted to",
    credentials: "which are not sent; notices are signed, see docs/notices.md",
    hint: "write https://HOST/PATH, or http://127.0.0.1:PORT/PATH for a receiver on this host",
};

/// `https://HOST:PORT/PATH?QUERY`, or `http://…`. It has no user and no password in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookAddress {
    url: Url,
    tls: Tls,
}

impl WebhookAddress {
    /// For posting: the whole of it.
    pub fn whole(&self) -> &str {
        self.url.as_str()
    }

    /// Whether the connection is encrypted.
    pub fn tls(&self) -> Tls {
        self.tls
    }

    /// Whether it leads to this host: an address that says so, and no name.
    pub fn is_loopback(&self) -> bool {
        http::is_loopback(&self.url)
    }
}

impl FromStr for WebhookAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (url, tls) = http::read(text, &WORDS)?;
        Ok(Self { url, tls })
    }
}

impl fmt::Display for WebhookAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url.origin().ascii_serialization())?;
        let bare = self.url.path() == "/" && self.url.query().is_none();
        f.write_str(if bare { "" } else { "/…" })
    }
}

impl fmt::Debug for WebhookAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookAddress({self})")
    }
}

as_text!(WebhookAddress);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_leads_is_shown_and_no_more() {
        for (text, shown, tls) in [
            (
                "https://hooks.example/services/T0/secret",
                "https://hooks.example/…",
                Tls::On,
            ),
            ("https://hooks.example", "https://hooks.example", Tls::On),
            (
                "https://hooks.example:8443/?key=secret",
                "https://hooks.example:8443/…",
                Tls::On,
            ),
            ("http://127.0.0.1:9000/secret", "http://127.0.0.1:9000/…", Tls::Off),
        ] {
            let address: WebhookAddress = text.parse().unwrap();
            assert_eq!((address.to_string().as_str(), address.tls()), (shown, tls));
            assert_eq!(format!("{address:?}"), format!("WebhookAddress({shown})"));
            assert!(address.whole().starts_with(text), "{}", address.whole());
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_it() {
        for (text, words) in [
            ("hooks.example/secret", "is no URL"),
            ("ftp://hooks.example/secret", "no address that notices"),
            ("https://olga:secret@hooks.example/", "a user or a password"),
            ("https://secret@hooks.example/", "a user or a password"),
            ("https://hooks.example/#secret", "after #"),
            ("https://hooks.example/a secret", "no spaces"),
            ("https:///", "is no URL"),
        ] {
            let problem = text.parse::<WebhookAddress>().unwrap_err();
            assert!(
                problem.contains(words) && !problem.contains("secret"),
                "{text}: {problem}"
            );
        }
    }

    #[test]
    fn an_address_of_this_host_is_told_from_a_name_for_it() {
        for (text, loopback) in [
            ("http://127.0.0.1/", true),
            ("http://127.9.9.9:1/x", true),
            ("http://[::1]:9/", true),
            ("http://localhost/", false),
            ("http://0.0.0.0/", false),
            ("http://10.0.0.7/", false),
        ] {
            assert_eq!(
                text.parse::<WebhookAddress>().unwrap().is_loopback(),
                loopback,
                "{text}"
            );
        }
    }
}
