//! Where operators' commands go: to a ledger, or to a worker's desk over its API. Commands are written once, over both.
//!
//! In: flags and variables, which name one of both. Out: what the ledger knows, in the ledger's own types, whichever way it came.
//! Absent on purpose: what the API has not is not imitated.
#![forbid(unsafe_code)]

mod address;
mod client;
mod errors;
mod link;
mod token;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::Failure;
use super::place::{PlaceArguments, open_ledger, variable};
use super::why::Why;
use crate::clock;
use crate::config::Config;
use crate::digest::Digest;
use crate::ledger::{
    Dossier, Entry, Exported, Filter, Ledger, Operator, TenantAction, TenantAuditRecord, TenantSummary,
};
use crate::pipeline::any_epoch;
use crate::quarantine::Action;
use crate::tenants::Standing;
use address::ServerAddress;
use token::Token;

pub(super) use client::Client;

/// Where verdicts are remembered, or who is asked for them.
#[derive(Debug, Args)]
pub struct OfficeArguments {
    #[command(flatten)]
    place: PlaceArguments,
    /// Ask the desk of a worker over its API: https://HOST, or http://127.0.0.1:8017 on its own host.
    ///
    /// The token is in LAZARET_TOKEN, or in the file that --token-file names. LAZARET_SERVER stands in for it where none of --server, --config
    /// and --state is given.
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "state"])]
    server: Option<String>,
    /// The file that holds the token for the server; its owner's alone.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "state"])]
    token_file: Option<PathBuf>,
    /// PEM file of the CA that signed the server's certificate [default: the system's CAs].
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "state"])]
    server_ca: Option<PathBuf>,
}

/// Where operators' commands go.
pub(super) enum Office {
    /// To the ledger of a configuration.
    Ledger {
        config: Box<Config>,
        ledger: Arc<dyn Ledger>,
    },
    /// To a worker's desk.
    Server(Client),
}

/// Tenants, as far as they are listed.
pub(super) struct Tenants {
    /// By name.
    pub(super) listed: Vec<TenantSummary>,
    /// How many there are in all.
    pub(super) count: usize,
}

impl OfficeArguments {
    /// Opens the ledger, or makes ready to ask the server. Nothing is sent yet.
    pub(super) async fn open(&self) -> Result<Office, Failure> {
        match self.server(variable)? {
            Some(address) => {
                let token = Token::find(self.token_file.as_deref())?;
                Ok(Office::Server(Client::new(
                    &address,
                    &token,
                    self.server_ca.as_deref(),
                )?))
            }
            None => {
                self.nothing_for_a_server()?;
                let config = Box::new(self.place.config()?);
                let ledger = open_ledger(&config).await?;
                Ok(Office::Ledger { config, ledger })
            }
        }
    }

    /// The server, where it is one. Any flag wins over all variables; of those, one may be set.
    fn server(&self, variable: impl Fn(&str) -> Option<PathBuf>) -> Result<Option<ServerAddress>, Failure> {
        let read = |name: &str, text: &str| {
            let wrong = |problem| Failure::Usage(format!("{name} {problem}"));
            ServerAddress::read(text).map(Some).map_err(wrong)
        };
        if let Some(text) = &self.server {
            return read("--server", text);
        }
        if self.place.config.is_some() || self.place.state.is_some() {
            return Ok(None);
        }
        let Some(named) = variable("LAZARET_SERVER") else {
            return Ok(None);
        };
        let others = ["LAZARET_CONFIG", "LAZARET_STATE"];
        match others.into_iter().find(|other| variable(other).is_some()) {
            Some(other) => Err(Failure::Usage(format!(
                "LAZARET_SERVER and {other} are both set; give --server, --config or --state"
            ))),
            None => read("LAZARET_SERVER", named.to_str().unwrap_or_default()),
        }
    }

    /// Whoever names a token and no server means another place than the ledger that would be opened.
    fn nothing_for_a_server(&self) -> Result<(), Failure> {
        let flags = [("--token-file", &self.token_file), ("--server-ca", &self.server_ca)];
        match flags.into_iter().find(|(_, file)| file.is_some()) {
            Some((flag, _)) => Err(Failure::Usage(format!(
                "{flag} is for a server; name it with --server or LAZARET_SERVER"
            ))),
            None => Ok(()),
        }
    }
}

impl Office {
    /// Who decides, and why.
    pub(super) fn operator(&self, reason: Why) -> Result<Operator, Failure> {
        match self {
            Self::Ledger { .. } => Ok(reason.operator()),
            Self::Server(_) => reason.by_token(),
        }
    }

    pub(super) async fn entries(&self, filter: &Filter) -> Result<Vec<Entry>, Failure> {
        match self {
            Self::Ledger { ledger, .. } => ledger.entries(filter).await.map_err(Failure::other),
            Self::Server(client) => client.entries(filter).await,
        }
    }

    /// Digests of entries that start with these digits, at most 2.
    pub(super) async fn resolve(&self, digits: &str) -> Result<Vec<Digest>, Failure> {
        match self {
            Self::Ledger { ledger, .. } => ledger.resolve(digits).await.map_err(Failure::other),
            Self::Server(client) => client.resolve(digits).await,
        }
    }

    pub(super) async fn dossier(&self, digest: &Digest) -> Result<Option<Dossier>, Failure> {
        match self {
            Self::Ledger { ledger, .. } => ledger.dossier(digest).await.map_err(Failure::other),
            Self::Server(client) => client.dossier(digest).await,
        }
    }

    pub(super) async fn act(&self, digest: &Digest, action: Action, operator: &Operator) -> Result<Entry, Failure> {
        match self {
            Self::Ledger { ledger, .. } => ledger.act(digest, action, operator).await.map_err(Failure::other),
            Self::Server(client) => client.act(digest, action, &operator.why).await,
        }
    }

    /// Puts digests on the list by hand: all or none. Returns how many.
    pub(super) async fn add(&self, digests: &[Digest], operator: &Operator) -> Result<u64, Failure> {
        match self {
            Self::Ledger { ledger, .. } => {
                let listed = |digest: &Digest| Entry::listed(*digest, any_epoch(), &operator.why, clock::now());
                let entries: Vec<_> = digests.iter().map(|digest| (listed(digest), Vec::new())).collect();
                let added = ledger.import(&entries, Action::Add, operator).await;
                added.map_err(Failure::other)
            }
            Self::Server(client) => client.add(digests, &operator.why).await,
        }
    }

    /// Takes over entries with their strikes: all or none. Returns how many changed anything.
    pub(super) async fn import(&self, entries: Vec<Exported>, operator: &Operator) -> Result<u64, Failure> {
        match self {
            Self::Ledger { ledger, .. } => {
                let entries: Vec<_> = entries.into_iter().map(|one| (one.entry, one.strikes)).collect();
                let changed = ledger.import(&entries, Action::Import, operator).await;
                changed.map_err(Failure::other)
            }
            Self::Server(client) => client.import(&entries, &operator.why).await,
        }
    }

    pub(super) async fn tenants(&self) -> Result<Tenants, Failure> {
        match self {
            Self::Ledger { ledger, .. } => {
                let listed = ledger.tenant_list().await.map_err(Failure::other)?;
                let count = listed.len();
                Ok(Tenants { listed, count })
            }
            Self::Server(client) => client.tenants().await,
        }
    }

    /// A tenant at a glance, also where there is nothing to see, and its audit trail.
    pub(super) async fn tenant(&self, tenant: &str) -> Result<(TenantSummary, Vec<TenantAuditRecord>), Failure> {
        match self {
            Self::Ledger { ledger, .. } => {
                let list = ledger.tenant_list().await.map_err(Failure::other)?;
                let audit = ledger.tenant_audit(tenant).await.map_err(Failure::other)?;
                let known = list.into_iter().find(|summary| summary.tenant == tenant);
                Ok((known.unwrap_or_else(|| TenantSummary::quiet(tenant)), audit))
            }
            Self::Server(client) => client.tenant(tenant).await,
        }
    }

    pub(super) async fn tenant_act(
        &self,
        tenant: &str,
        action: &TenantAction,
        operator: &Operator,
    ) -> Result<Standing, Failure> {
        match self {
            Self::Ledger { ledger, .. } => {
                let acted = ledger.tenant_act(tenant, action, operator).await;
                acted.map_err(Failure::other)
            }
            Self::Server(client) => client.tenant_act(tenant, action, &operator.why).await,
        }
    }

    /// Lets go of the ledger, in order.
    pub(super) async fn close(&self) {
        match self {
            Self::Ledger { ledger, .. } => ledger.close().await,
            Self::Server(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_every_variable_and_two_variables_are_one_too_many() {
        let at = |server: Option<&str>, config: Option<&str>, set: &'static [&str]| {
            let arguments = OfficeArguments {
                place: PlaceArguments {
                    config: config.map(PathBuf::from),
                    state: None,
                },
                server: server.map(str::to_owned),
                token_file: None,
                server_ca: None,
            };
            let variable = |name: &str| set.contains(&name).then(|| PathBuf::from("https://of.a.variable"));
            let found = arguments.server(variable).map_err(|failure| failure.to_string())?;
            Ok::<_, String>(found.map(|address| address.base().to_owned()))
        };
        let flag = Some("https://of.a.flag");
        assert_eq!(
            at(flag, None, &["LAZARET_SERVER", "LAZARET_STATE"]),
            Ok(flag.map(str::to_owned))
        );
        assert_eq!(at(None, Some("c"), &["LAZARET_SERVER"]), Ok(None));
        assert_eq!(at(None, None, &["LAZARET_CONFIG", "LAZARET_STATE"]), Ok(None));
        assert_eq!(
            at(None, None, &["LAZARET_SERVER"]),
            Ok(Some("https://of.a.variable".to_owned()))
        );
        let both = at(None, None, &["LAZARET_SERVER", "LAZARET_CONFIG"]).unwrap_err();
        assert!(both.contains("LAZARET_CONFIG are both set"), "{both}");
    }
}
