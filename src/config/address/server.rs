//! Addresses of servers, which may carry a password. `[pure]`
//!
//! In: a URL. Out: its parts; shown, logged, serialised and told in errors without the password. Query parameters are refused: what they
//! would set has keys of its own.

use std::fmt;
use std::str::FromStr;

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::as_text;

/// Who is spoken to where a URL names nobody: what RabbitMQ itself assumes.
const GUEST: &str = "guest";
/// What is encoded in a user's or vhost's name.
const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
/// What is most often wrong with a URL that cannot be read.
pub(super) const HINT: &str =
    "user, password and vhost must be percent-encoded: / is %2F, @ is %40, : is %3A, ? is %3F, # is %23, % is %25";

/// Whether a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Encrypted, and the server's certificate checked.
    On,
    /// Readable by anybody on the way.
    Off,
}

/// `amqp://USER:PASSWORD@HOST:PORT/VHOST`, or `amqps://…`. Without a user: guest; without a port: 5672, 5671; without a vhost: `/`.
#[derive(Clone, PartialEq, Eq)]
pub struct AmqpAddress(AMQPUri);

impl AmqpAddress {
    /// For connecting: with the password.
    pub fn uri(&self) -> AMQPUri {
        self.0.clone()
    }

    /// The virtual host.
    pub fn vhost(&self) -> &str {
        &self.0.vhost
    }

    /// Whether the connection is encrypted.
    pub fn tls(&self) -> Tls {
        match self.0.scheme {
            AMQPScheme::AMQP => Tls::Off,
            AMQPScheme::AMQPS => Tls::On,
        }
    }

    /// The management API of the same host, on its usual port, as the same user.
    pub fn management(&self) -> ManagementAddress {
        let AMQPAuthority { userinfo, host, .. } = self.0.authority.clone();
        let tls = self.tls();
        ManagementAddress {
            tls,
            user: Some(userinfo),
            host,
            port: ManagementAddress::usual_port(tls),
            path: String::new(),
        }
    }
}

impl FromStr for AmqpAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = parse(text)?;
        let scheme = match url.scheme() {
            "amqp" => AMQPScheme::AMQP,
            "amqps" => AMQPScheme::AMQPS,
            other => return Err(format!("{other}:// is no AMQP; write amqp:// or amqps://")),
        };
        let port = url.port().unwrap_or(scheme.default_port());
        let userinfo = user(&url)?.unwrap_or(AMQPUserInfo {
            username: GUEST.to_owned(),
            password: GUEST.to_owned(),
        });
        Ok(Self(AMQPUri {
            authority: AMQPAuthority {
                userinfo,
                host: host(&url)?,
                port,
            },
            scheme,
            vhost: vhost(url.path())?,
            query: AMQPQueryString::default(),
        }))
    }
}

impl fmt::Display for AmqpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPAuthority { userinfo, host, port } = &self.0.authority;
        let (user, host) = (encoded(&userinfo.username), bracketed(host));
        write!(f, "{}://{user}@{host}:{port}/{}", self.0.scheme, encoded(&self.0.vhost))
    }
}

impl fmt::Debug for AmqpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AmqpAddress({self})")
    }
}

/// `http://USER:PASSWORD@HOST:PORT/PREFIX`, or `https://…`: RabbitMQ's management API. Without a port: 15672, 15671.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ManagementAddress {
    tls: Tls,
    user: Option<AMQPUserInfo>,
    host: String,
    port: u16,
    /// Without a slash at its end.
    path: String,
}

impl ManagementAddress {
    /// Whether the connection is encrypted.
    pub fn tls(&self) -> Tls {
        self.tls
    }

    /// User and password, where the URL has them.
    pub fn credentials(&self) -> Option<(&str, &str)> {
        let user = self.user.as_ref()?;
        Some((&user.username, &user.password))
    }

    /// The same place, as the broker's user where it names nobody itself.
    #[must_use]
    pub fn or_user_of(mut self, broker: &AmqpAddress) -> Self {
        self.user.get_or_insert_with(|| broker.0.authority.userinfo.clone());
        self
    }

    /// For calling: without user and password.
    pub fn base(&self) -> String {
        let scheme = match self.tls {
            Tls::On => "https",
            Tls::Off => "http",
        };
        format!("{scheme}://{}:{}{}", bracketed(&self.host), self.port, self.path)
    }

    fn usual_port(tls: Tls) -> u16 {
        match tls {
            Tls::On => 15671,
            Tls::Off => 15672,
        }
    }
}

impl FromStr for ManagementAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = parse(text)?;
        let tls = match url.scheme() {
            "http" => Tls::Off,
            "https" => Tls::On,
            other => return Err(format!("{other}:// is no management API; write http:// or https://")),
        };
        let path = url.path().trim_end_matches('/');
        if path.contains('@') {
            return Err(format!("the path has an @ in it; {HINT}"));
        }
        // The parser forgets a port that is the scheme's own; here, no port means RabbitMQ's.
        let port = url.port().or_else(|| written_port(text));
        Ok(Self {
            tls,
            user: user(&url)?,
            host: host(&url)?,
            port: port.unwrap_or(Self::usual_port(tls)),
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for ManagementAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = self.base();
        match (&self.user, base.split_once("://")) {
            (Some(user), Some((scheme, rest))) => write!(f, "{scheme}://{}@{rest}", encoded(&user.username)),
            _ => f.write_str(&base),
        }
    }
}

impl fmt::Debug for ManagementAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManagementAddress({self})")
    }
}

as_text!(ManagementAddress);

/// Reads a URL. No error shows any of it: where the password begins and ends is what could not be read.
fn parse(text: &str) -> Result<Url, String> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("a URL has no spaces and no line breaks in it".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}; {HINT}"))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!(
            "nothing may follow ? or # in the URL: heartbeat and the like are set in [amqp]; {HINT}"
        ));
    }
    Ok(url)
}

pub(super) fn host(url: &Url) -> Result<String, String> {
    match url.host() {
        Some(Host::Domain("")) | None => Err("the URL names no host".to_owned()),
        Some(Host::Domain(name)) => decoded(name, "host"),
        Some(Host::Ipv4(address)) => Ok(address.to_string()),
        Some(Host::Ipv6(address)) => Ok(address.to_string()),
    }
}

fn user(url: &Url) -> Result<Option<AMQPUserInfo>, String> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    Ok(Some(AMQPUserInfo {
        username: decoded(url.username(), "user")?,
        password: decoded(url.password().unwrap_or(""), "password")?,
    }))
}

/// The path of a URL; none and `/` alone stand for the vhost `/`.
fn vhost(path: &str) -> Result<String, String> {
    match path.strip_prefix('/').unwrap_or(path) {
        "" | "/" => Ok("/".to_owned()),
        name if name.contains(['/', '@']) => Err(format!("the vhost has a / or @ in it; {HINT}")),
        name => decoded(name, "vhost"),
    }
}

pub(super) fn decoded(text: &str, what: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(|text| text.into_owned())
        .map_err(|_| format!("the {what} is not UTF-8 once decoded"))
}

pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, &ENCODED).to_string()
}

/// An IPv6 address in brackets, as URLs want it.
pub(super) fn bracketed(host: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    }
}

/// The port behind the host.
fn written_port(text: &str) -> Option<u16> {
    let authority = text.split_once("://")?.1.split('/').next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests;
