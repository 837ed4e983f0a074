//! What a server's silence and refusals mean, and what to do. `[pure]`
//!
//! What a server says is text of a stranger: on one line, shortened, and harmless to a terminal.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io::ErrorKind;

use crate::cli::show::harmless;

/// What to look at where nobody answers, or somebody else does.
const WHERE: &str = "a worker's desk is where `admin` of its configuration says, see docs/desk.md";
/// Longest text of a server's that is shown, in characters.
const SAID: usize = 500;

/// No answer, or not all of it.
pub(super) fn unreachable(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(io) if io.kind() == ErrorKind::ConnectionRefused => {
            format!("nobody listens there: is the worker started? {WHERE}")
        }
        ureq::Error::Timeout(_) => format!("does not answer in time ({error}); {WHERE}"),
        ureq::Error::BodyExceedsLimit(most) => {
            format!("answers with more than {most} bytes, which are not read; {WHERE}")
        }
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => tls(error),
        ureq::Error::Io(io) if io.to_string().contains("certificate") => tls(io),
        ureq::Error::HostNotFound => "there is no such host".to_owned(),
        error => format!("does not answer: {}; {WHERE}", harmless(&error.to_string(), SAID)),
    }
}

fn tls(error: &impl Display) -> String {
    let error = harmless(&error.to_string(), SAID);
    format!("TLS failed: {error}; see --server-ca, and whether the certificate is for this host")
}

/// An answer, but not one of a desk of this version.
pub(super) fn not_the_api(error: &serde_json::Error) -> String {
    let error = harmless(&error.to_string(), SAID);
    format!("answers, but not as a desk of this version does ({error}); {WHERE}")
}

/// A refusal that is none of a desk's.
pub(super) fn odd(status: u16) -> String {
    format!("answers with HTTP status {status}, not as a desk does; {WHERE}")
}

/// A redirect.
pub(super) fn redirected(status: u16, to: &str) -> String {
    let to = harmless(to, SAID);
    format!("leads elsewhere (HTTP status {status}, {to:?}), where the token is not sent; name the right address")
}

/// A refusal in the server's own words.
pub(super) fn refused(message: &str) -> String {
    format!("refused: {}", harmless(message, SAID))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_cannot_drive_a_terminal() {
        let said = refused("a\u{1b}[2J\nb");
        assert_eq!(said, "refused: a\u{fffd}[2J b");
        assert!(redirected(302, "\u{1b}]0;x\u{7}").chars().all(|c| !c.is_control()));
        assert!(refused(&"a".repeat(10_000)).chars().count() < 600);
    }
}
