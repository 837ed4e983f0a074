//! What all addresses at `http://` and `https://` have in common. `[pure]`
//!
//! In: text. Out: a URL, or what is wrong with it, to go on after the name of the setting; nothing of the text is told, which may hold a password.

use url::{Host, Url};

use super::Tls;

/// What is said of an address that is none.
pub(crate) struct Words {
    /// It is a URL of another kind.
    pub other: &'static str,
    /// It has a user or a password in it: where these belong.
    pub credentials: &'static str,
    /// How to write one.
    pub hint: &'static str,
}

/// Reads a URL that has neither a user nor a password nor a fragment.
pub(crate) fn read(text: &str, words: &Words) -> Result<(Url, Tls), String> {
    let Words {
        other,
        credentials,
        hint,
    } = words;
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("is no URL: there are no spaces and no line breaks in one".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}; {hint}"))?;
    let tls = match url.scheme() {
        "https" => Tls::On,
        "http" => Tls::Off,
        _ => return Err(format!("{other}; {hint}")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("has a user or a password in it, {credentials}"));
    }
    if url.fragment().is_some() {
        return Err(format!("goes on after its path: what is after # is not sent; {hint}"));
    }
    Ok((url, tls))
}

/// What paths are appended to: without a slash at its end.
pub(crate) fn base(url: &Url, words: &Words) -> Result<String, String> {
    if url.query().is_some() {
        return Err(format!("goes on after its path; {}", words.hint));
    }
    let (origin, path) = (url.origin().ascii_serialization(), url.path().trim_end_matches('/'));
    Ok(format!("{origin}{path}"))
}

/// Whether it leads to this host: an address that says so, and no name, because what a name leads to is for others to say.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(_)) | None => false,
    }
}
