//! Where notices are posted to. Whoever gives such addresses out often puts a secret into the path: shown is where they lead, and no more. `[pure]`

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::as_text;
use super::server::Tls;

/// How to write one.
const HINT: &str = "write https://HOST/PATH, or http://127.0.0.1:PORT/PATH for a receiver on this host";

/// `https://HOST:PORT/PATH?QUERY`, or `http://…`. It has no user and no password in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookAddress(Url);

impl WebhookAddress {
    /// For posting: the whole of it.
    pub fn whole(&self) -> &str {
        self.0.as_str()
    }

    /// Whether the connection is encrypted.
    pub fn tls(&self) -> Tls {
        match self.0.scheme() {
            "https" => Tls::On,
            _ => Tls::Off,
        }
    }

    /// Whether it leads to this host: an address that says so, and no name.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }
}

impl FromStr for WebhookAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("a URL has no spaces and no line breaks in it".to_owned());
        }
        let url = Url::parse(text).map_err(|error| format!("is no URL: {error}; {HINT}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("is no address that notices can be posted to; {HINT}"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "the URL has a user or a password in it, which is not sent; notices are signed, see docs/notices.md"
                    .to_owned(),
            );
        }
        if url.fragment().is_some() {
            return Err(format!("the URL goes on after #, which is not sent; {HINT}"));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for WebhookAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())?;
        let bare = self.0.path() == "/" && self.0.query().is_none();
        f.write_str(if bare { "" } else { "/…" })
    }
}

impl fmt::Debug for WebhookAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookAddress({self})")
    }
}

as_text!(WebhookAddress);

/// An address, and no name: what a name leads to is for others to say.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(_)) | None => false,
    }
}

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
