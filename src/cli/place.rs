//! Where a command works: on a configuration's stores and ledger, or in a state folder of its own.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytesize::ByteSize;
use clap::Args;

use super::Failure;
use crate::admission::Budget;
use crate::config::{Config, ConfigError, LedgerAddress, StoreAddress};
use crate::ledger::Ledger;
use crate::ledger::postgres::Postgres;
use crate::ledger::sqlite::Sqlite;
use crate::notices::Notices;
use crate::pipeline::{Setup, Sources, Stores, Worker};
use crate::sandbox::Sandbox;
use crate::sandbox::doctor::{self, Examination};
use crate::sandbox::layers::LayerReport;
use crate::specimens::Specimens;
use crate::store::{Access, Store};
use crate::vitals::Vitals;

/// Where verdicts are remembered.
#[derive(Debug, Args)]
pub struct PlaceArguments {
    /// Use this configuration: its ledger, its limits, its presets.
    ///
    /// LAZARET_CONFIG stands in for it where neither --config nor --state is given.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep ledger, renditions and specimens in this folder [default: $XDG_STATE_HOME/lazaret].
    ///
    /// LAZARET_STATE stands in for it where neither --config nor --state is given.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub state: Option<PathBuf>,
}

impl PlaceArguments {
    /// The configuration to work with.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        let state = match self.chosen(variable)? {
            Chosen::Config(file) => return Ok(Config::load(&file)?),
            Chosen::State(state) => std::path::absolute(state).map_err(Failure::other)?,
            Chosen::Neither => default_state()?,
        };
        // The environment may set limits here too; the places are those of the state folder.
        let mut config = Config::of_environment()?;
        config.ledger = LedgerAddress::Sqlite(state.join("ledger.sqlite"));
        for name in Config::default().stores.into_keys() {
            let folder = state.join(&name);
            config.stores.insert(name, StoreAddress::File(folder));
        }
        Ok(config)
    }

    /// Either flag wins over both variables, which clap would take for a conflict.
    fn chosen(&self, variable: impl Fn(&str) -> Option<PathBuf>) -> Result<Chosen, Failure> {
        let (config, state) = match (&self.config, &self.state) {
            (None, None) => (variable("LAZARET_CONFIG"), variable("LAZARET_STATE")),
            given => (given.0.clone(), given.1.clone()),
        };
        match (config, state) {
            (Some(_), Some(_)) => Err(Failure::Usage(
                "LAZARET_CONFIG and LAZARET_STATE are both set; give --config or --state".to_owned(),
            )),
            (Some(config), None) => Ok(Chosen::Config(config)),
            (None, Some(state)) => Ok(Chosen::State(state)),
            (None, None) => Ok(Chosen::Neither),
        }
    }
}

/// Which of both was named.
#[derive(Debug, PartialEq, Eq)]
enum Chosen {
    Config(PathBuf),
    State(PathBuf),
    Neither,
}

/// A variable that names a path; an empty one names none.
pub(super) fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn default_state() -> Result<PathBuf, Failure> {
    variable("XDG_STATE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/state")))
        .map(|base| base.join("lazaret"))
        .ok_or_else(|| Failure::Usage("neither XDG_STATE_HOME nor HOME is set; name a folder with --state".to_owned()))
}

/// Opens the ledger of a configuration, and makes it where it is missing.
pub(super) async fn open_ledger(config: &Config) -> Result<Arc<dyn Ledger>, Failure> {
    Ok(match &config.ledger {
        LedgerAddress::Sqlite(file) => Arc::new(Sqlite::open(file).await.map_err(Failure::other)?),
        LedgerAddress::Postgres(address) => {
            let ledger = Postgres::open(address, &config.postgres).await;
            Arc::new(ledger.map_err(Failure::other)?)
        }
    })
}

/// The stores that jobs may read from: all but those that are written. They must exist.
pub(super) fn open_sources(config: &Config) -> Result<BTreeMap<String, Arc<Store>>, Failure> {
    let readable = config.stores.iter().filter(|(name, _)| is_source(name));
    readable
        .map(|(name, address)| {
            let store = match address {
                StoreAddress::File(folder) => Store::open_source(name, folder),
                StoreAddress::Bucket(bucket) => Store::bucket(name, bucket, &config.buckets.terms()),
            };
            Ok((name.clone(), Arc::new(store.map_err(Failure::other)?)))
        })
        .collect()
}

/// Whether a store is read from, and never written by a worker.
pub(super) fn is_source(name: &str) -> bool {
    !matches!(name, "renditions" | "specimens")
}

/// The sandbox of a configuration on this host, within a memory budget; none: that of the host now.
pub(super) fn sandbox(config: &Config, budget: Option<Budget>) -> Result<Sandbox, Failure> {
    // Makes its folder, where it has one.
    open_store(config, "renditions", Access::Shared)?;
    let staging = config.staging();
    make_staging(&staging).map_err(|error| Failure::Other(format!("{}: {error}", staging.display())))?;
    let mut sandbox = Sandbox::new(config.sandbox.clone(), config.limits.clone(), staging);
    if let Some(budget) = budget {
        sandbox.budget = budget;
    }
    fits_this_host(config, sandbox.budget.total())?;
    Ok(sandbox)
}

/// Proves a sandbox; a worker that cannot do so takes no work. `consequence` begins the error.
pub(super) async fn prove(sandbox: &Sandbox, consequence: &str) -> Result<Examination, Failure> {
    let examination = doctor::examine(sandbox).await.map_err(Failure::other)?;
    let Some(check) = examination.failure() else {
        return Ok(examination);
    };
    let remedy = check.remedy.as_deref().unwrap_or("see `lazaret doctor`");
    Err(Failure::Other(format!(
        "{consequence}: {}: {}; {remedy}",
        check.guard, check.evidence
    )))
}

/// An attempt that may be granted more than the whole budget would wait for ever: an error now rather than then.
pub(super) fn fits_this_host(config: &Config, budget: u64) -> Result<(), ConfigError> {
    if config.limits.memory.as_u64() <= budget {
        return Ok(());
    }
    let problem = format!(
        "{} is more than the memory budget of this host, {} (what is available, less the reserve); lower it or free memory",
        config.limits.memory,
        ByteSize(budget)
    );
    Err(ConfigError {
        place: "limits.memory".to_owned(),
        problem,
    })
}

/// Signs a worker on; `layers` are those of its sandbox, where they were proven.
pub(super) async fn sign_on(
    config: &Config,
    sources: Sources,
    sandbox: Sandbox,
    layers: Vec<LayerReport>,
    vitals: Arc<Vitals>,
    notices: Notices,
) -> Result<Arc<Worker>, Failure> {
    let stores = Stores {
        sources,
        renditions: Arc::new(open_store(config, "renditions", Access::Shared)?),
        specimens: Arc::new(open_specimens(config)?),
    };
    let ledger = open_ledger(config).await?;
    let flights = config.flights();
    let setup = Setup {
        ledger,
        sandbox,
        layers,
        stores,
        flights: &flights,
        slots: config.slots(),
        dedupe: config.dedupe,
        renewals: config.worker.renewals,
        vitals,
        notices,
    };
    let worker = Worker::sign_on(setup).await.map_err(Failure::other)?;
    worker.bury_the_dead().await.map_err(Failure::other)?;
    Ok(worker)
}

/// Where the bytes of what was held are kept.
pub(super) fn open_specimens(config: &Config) -> Result<Specimens, Failure> {
    let store = open_store(config, "specimens", Access::Private)?;
    Ok(Specimens::of(store, config.specimens.clone()))
}

/// Opens a store to write to; a folder is made where it is missing.
pub(super) fn open_store(config: &Config, name: &str, access: Access) -> Result<Store, Failure> {
    let store = match &config.stores[name] {
        StoreAddress::File(folder) => Store::open(name, folder, access),
        StoreAddress::Bucket(bucket) => Store::bucket(name, bucket, &config.buckets.terms()),
    };
    store.map_err(Failure::other)
}

/// For this user alone: what lies there are uploads.
fn make_staging(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_others_variable() {
        let chosen = |flags: [Option<&str>; 2], set: &'static [&str]| {
            let [config, state] = flags.map(|flag| flag.map(PathBuf::from));
            let variable = |name: &str| set.contains(&name).then(|| PathBuf::from(name));
            PlaceArguments { config, state }.chosen(variable)
        };
        let both: &[&str] = &["LAZARET_CONFIG", "LAZARET_STATE"];
        assert_eq!(
            chosen([None, Some("s")], both).unwrap(),
            Chosen::State(PathBuf::from("s"))
        );
        assert_eq!(
            chosen([Some("c"), None], both).unwrap(),
            Chosen::Config(PathBuf::from("c"))
        );
        assert_eq!(
            chosen([None, None], &["LAZARET_STATE"]).unwrap(),
            Chosen::State(PathBuf::from("LAZARET_STATE"))
        );
        assert_eq!(chosen([None, None], &[]).unwrap(), Chosen::Neither);
        assert!(matches!(chosen([None, None], both), Err(Failure::Usage(_))));
    }
}
