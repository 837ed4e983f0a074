//! Where the listener of health and metrics is: an address and a port, or nowhere.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::as_text;

/// `ADDRESS:PORT`, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AdminAddress {
    /// There.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl Default for AdminAddress {
    fn default() -> Self {
        Self::At(SocketAddr::from(([127, 0, 0, 1], 8017)))
    }
}

impl AdminAddress {
    /// Whether others than this host could reach it.
    pub fn is_open_to_others(&self) -> bool {
        match self {
            Self::At(address) => !address.ip().is_loopback(),
            Self::Off => false,
        }
    }

    /// Where a program of this host reaches it.
    pub fn from_this_host(&self) -> Option<SocketAddr> {
        let Self::At(address) = self else { return None };
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Some(SocketAddr::new(ip, address.port()))
    }
}

impl FromStr for AdminAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            text => match text.parse() {
                Ok(address) => Ok(Self::At(address)),
                Err(_) => Err(format!(
                    "{text:?} is no address to listen at; write 127.0.0.1:8017, [::1]:8017 or off"
                )),
            },
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}

as_text!(AdminAddress);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for text in ["127.0.0.1:8017", "[::1]:1", "0.0.0.0:8017", "off"] {
            assert_eq!(text.parse::<AdminAddress>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "localhost:8017",
            "8017",
            "127.0.0.1",
            "http://127.0.0.1:8017",
            "Off",
        ] {
            let error = text.parse::<AdminAddress>().unwrap_err();
            assert!(error.contains("127.0.0.1:8017"), "{error}");
        }
    }

    #[test]
    fn who_can_reach_it_is_known() {
        let known = |text: &str| {
            let address: AdminAddress = text.parse().unwrap();
            let here = address.from_this_host().map(|here| here.to_string());
            (address.is_open_to_others(), here)
        };
        assert_eq!(known("127.8.0.1:1"), (false, Some("127.8.0.1:1".to_owned())));
        assert_eq!(known("0.0.0.0:1"), (true, Some("127.0.0.1:1".to_owned())));
        assert_eq!(known("[::]:1"), (true, Some("[::1]:1".to_owned())));
        assert_eq!(known("192.0.2.1:1"), (true, Some("192.0.2.1:1".to_owned())));
        assert_eq!(known("off"), (false, None));
    }
}
