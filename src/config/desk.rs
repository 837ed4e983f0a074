//! Who may reach the listener, and whether operators have a desk there. `[pure]`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Config, optional};

/// Who may reach the listener, and the operators' accounts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeskConfig {
    /// From where.
    pub exposure: Exposure,
    /// File of the operators' accounts; none: there are no pages.
    #[serde(with = "optional")]
    pub accounts: Option<PathBuf>,
}

/// From where the listener may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exposure {
    /// From this host.
    #[default]
    Loopback,
    /// From wherever `admin` can be reached, without encryption: health and metrics, no pages.
    Plain,
    /// From wherever `admin` can be reached, through a proxy with TLS that says whom it speaks for.
    Proxy,
}

/// The first contradiction, with the way out.
pub(super) fn contradiction(config: &Config) -> Option<String> {
    let admin = config.admin;
    match (config.desk.exposure, &config.desk.accounts) {
        (Exposure::Loopback, _) if admin.is_open_to_others() => Some(format!(
            "admin is {admin}, which other hosts may reach, and nothing there is encrypted; listen at 127.0.0.1, or set desk.exposure to \"plain\""
        )),
        (Exposure::Plain, Some(_)) if admin.is_open_to_others() => Some(format!(
            "desk.accounts is given, admin is {admin} and desk.exposure \"plain\": passwords would go over the network as they are; listen at 127.0.0.1, or put a proxy with TLS before it and set desk.exposure to \"proxy\""
        )),
        _ => None,
    }
}
