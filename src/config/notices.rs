//! Who is told when something goes wrong, and how. `[pure]`

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::amqp::between;
use super::{Config, Tls, WebhookAddress, optional};
use crate::notices::Kind;

/// Notices to a URL. Empty paths and addresses are none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoticesConfig {
    /// Where they are posted to; none: nobody is told.
    #[serde(with = "optional")]
    pub url: Option<WebhookAddress>,
    /// How far `http://` may lead.
    pub plain: Plain,
    /// File of the signing secret; none: `LAZARET_NOTICES_SECRET`.
    #[serde(with = "optional")]
    pub secret_file: Option<PathBuf>,
    /// PEM file of the CA that signed the receiver's certificate; none: the system's.
    #[serde(with = "optional")]
    pub ca: Option<PathBuf>,
    /// What is told.
    pub on: BTreeSet<Kind>,
    /// Shortest time between two deliveries, 1 s to 1 h.
    #[serde(with = "humantime_serde")]
    pub digest: Duration,
    /// Longest that one try may take, 1 s to 30 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

/// How far notices may go without encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plain {
    /// They stay on this host.
    #[default]
    Loopback,
    /// Wherever the URL leads, readable by anybody on the way.
    Anywhere,
}

impl Default for NoticesConfig {
    fn default() -> Self {
        Self {
            url: None,
            plain: Plain::default(),
            secret_file: None,
            ca: None,
            on: Kind::ALL.into(),
            digest: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
        }
    }
}

impl NoticesConfig {
    /// Files that are named.
    pub(super) fn files(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.secret_file, &mut self.ca].into_iter().flatten()
    }
}

/// The first contradiction, or value that is out of bounds, with the way out.
pub(super) fn contradiction(config: &Config) -> Option<String> {
    let notices = &config.notices;
    let seconds = Duration::from_secs;
    between("notices.digest", notices.digest, seconds(1), seconds(3600))
        .or_else(|| between("notices.timeout", notices.timeout, seconds(1), seconds(30)))
        .or_else(|| match &notices.url {
            Some(url) => of_address(notices, url),
            None => without_address(notices),
        })
}

fn of_address(notices: &NoticesConfig, url: &WebhookAddress) -> Option<String> {
    if notices.on.is_empty() {
        return Some("notices.on is empty: nothing would be told; name what is, or drop notices.url".to_owned());
    }
    let open = url.tls() == Tls::Off;
    if open && !url.is_loopback() && notices.plain == Plain::Loopback {
        return Some(format!(
            "notices.url is {url}, and notices would go there readable by anybody on the way; write https://, or set notices.plain to \
             \"anywhere\" (127.0.0.1 and [::1] need neither)"
        ));
    }
    // Whoever gave it believes that the receiver is checked.
    (open && notices.ca.is_some())
        .then(|| format!("notices.ca is given, but {url} is not encrypted; write https://, or drop notices.ca"))
}

/// Whoever gave a secret believes that notices are sent.
fn without_address(notices: &NoticesConfig) -> Option<String> {
    let files = [("secret_file", &notices.secret_file), ("ca", &notices.ca)];
    let (key, _) = files.into_iter().find(|(_, file)| file.is_some())?;
    Some(format!(
        "notices.{key} is given without notices.url: nobody would be told; give both or neither"
    ))
}
