//! Who may reach the listener. `[pure]`

use serde::{Deserialize, Serialize};

use super::Config;

/// Who may reach the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeskConfig {
    /// From where.
    pub exposure: Exposure,
}

/// From where the listener may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exposure {
    /// From this host.
    #[default]
    Loopback,
    /// From wherever `admin` can be reached, without encryption.
    Plain,
}

/// An address that others can reach, where nobody said that they may.
pub(super) fn contradiction(config: &Config) -> Option<String> {
    let open = config.admin.is_open_to_others() && config.desk.exposure == Exposure::Loopback;
    open.then(|| {
        format!(
            "admin is {}, which other hosts may reach, and nothing there is encrypted; listen at 127.0.0.1, or set desk.exposure to \"plain\"",
            config.admin
        )
    })
}
