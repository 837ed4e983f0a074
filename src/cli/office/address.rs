//! Where a server is: HTTPS anywhere, HTTP on this host alone, because a token goes along. `[pure]`
#![forbid(unsafe_code)]

use crate::config::Tls;
use crate::config::http::{self, Words};

const WORDS: Words = Words {
    other: "is no address of a server",
    credentials: "which anybody sees who lists processes; a server takes a token: LAZARET_TOKEN or --token-file",
    hint: "write https://HOST, or http://127.0.0.1:8017 on the worker's own host",
};

/// `https://HOST:PORT/PATH`, or `http://` to a loopback address. It has no user and no password in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerAddress {
    base: String,
    tls: Tls,
}

impl ServerAddress {
    /// Reads an address; the error goes on after what it is the address of, and tells nothing of the text, which may hold a password.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let (url, tls) = http::read(text, &WORDS)?;
        if tls == Tls::Off && !http::is_loopback(&url) {
            return Err(
                "would send the token over the network as it is: http is for 127.0.0.1 and [::1] alone; write https://, or go \
                 through `ssh -L 8017:127.0.0.1:8017 HOST` to http://127.0.0.1:8017"
                    .to_owned(),
            );
        }
        let base = http::base(&url, &WORDS)?;
        Ok(Self { base, tls })
    }

    /// What paths are appended to.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Whether it is spoken to over TLS.
    pub(super) fn tls(&self) -> Tls {
        self.tls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_goes_anywhere_and_http_stays_here() {
        for (text, base, tls) in [
            ("https://desk.example", "https://desk.example", Tls::On),
            ("https://desk.example:8443/", "https://desk.example:8443", Tls::On),
            ("HTTPS://desk.example/images/", "https://desk.example/images", Tls::On),
            ("http://127.0.0.1:8017", "http://127.0.0.1:8017", Tls::Off),
            ("http://127.9.9.9", "http://127.9.9.9", Tls::Off),
            ("http://[::1]:8017/", "http://[::1]:8017", Tls::Off),
        ] {
            let address = ServerAddress::read(text).unwrap();
            assert_eq!((address.base(), address.tls()), (base, tls), "{text}");
        }
        for text in [
            "http://10.0.0.7:8017",
            "http://0.0.0.0:8017",
            "http://[::]:8017",
            "http://localhost:8017",
            "http://127.0.0.1.example",
            "http://desk.example",
        ] {
            let problem = ServerAddress::read(text).unwrap_err();
            assert!(problem.contains("write https://"), "{text}: {problem}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_without_it() {
        for (text, words) in [
            ("", "is no URL"),
            ("desk.example", "is no URL"),
            ("127.0.0.1:8017", "is no URL"),
            ("localhost:8017", "is no address of a server"),
            ("ftp://desk.example", "is no address of a server"),
            ("https://", "is no URL"),
            ("https://olga:secret@desk.example", "a user or a password"),
            ("https://:secret@desk.example", "a user or a password"),
            ("http://olga@127.0.0.1:8017", "a user or a password"),
            ("http://127.0.0.1@desk.example", "a user or a password"),
            ("https://desk.example/?token=secret", "goes on after its path"),
            ("https://desk.example/#secret", "goes on after its path"),
        ] {
            let problem = ServerAddress::read(text).unwrap_err();
            assert!(
                problem.contains(words) && !problem.contains("secret"),
                "{text}: {problem}"
            );
        }
    }
}
