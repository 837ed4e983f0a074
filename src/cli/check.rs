//! `lazaret check`: a configuration, before anything depends on it.

mod ground;

use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::Args;

use super::{Ending, Failure, broker, place};
use crate::admission::Budget;
use crate::config::{Address, Config, LedgerAddress};
use crate::job::STAGING;
use crate::ledger::Ledger;
use crate::ledger::postgres::{Postgres, Schema};
use crate::ledger::sqlite::Sqlite;
use crate::sandbox::Sandbox;
use crate::sandbox::doctor::{Examination, Finding};

/// Check configuration files: unknown keys, sense across fields, this host, and what would run.
///
/// Takes the path that a restart takes, without taking work and without making anything: looks at every place, at RabbitMQ and what it
/// must have, opens the ledger where there is one, and proves the sandbox. What would fail then fails now: with 78 on the first file that
/// is wrong, with 1 where the broker, the ledger or the sandbox is.
#[derive(Debug, Args)]
pub struct Check {
    /// Files to check.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Check {
    pub(super) async fn run(self) -> Result<Ending, Failure> {
        for file in &self.files {
            let checked = examine(file, None).await?;
            report(file, &checked.config, checked.budget, &checked.examination);
        }
        Ok(Ending::Well)
    }
}

/// A configuration that would run here.
pub(super) struct Checked {
    pub(super) config: Config,
    /// Memory budget of this host, in bytes.
    budget: u64,
    examination: Examination,
}

/// Takes the path that a start takes, and makes nothing; within a memory budget, or else that of the host now.
pub(super) async fn examine(file: &Path, budget: Option<Budget>) -> Result<Checked, Failure> {
    let config = Config::load(file)?;
    let staging = tempfile::tempdir().map_err(Failure::other)?;
    let mut sandbox = sandbox(&config, staging.path());
    if let Some(budget) = budget {
        sandbox.budget = budget;
    }
    let budget = sandbox.budget.total();
    place::fits_this_host(&config, budget)?;
    ground::look(&config)?;
    broker::look(&config).await?;
    open_ledger(&config).await?;
    let examination = place::prove(&sandbox, "would not consume").await?;
    Ok(Checked {
        config,
        budget,
        examination,
    })
}

/// The sandbox as `serve` would have it; with a folder of its own, where the store of renditions is still to be made.
fn sandbox(config: &Config, otherwise: &Path) -> Sandbox {
    let staging = config.stores["renditions"].path().join(STAGING);
    let staging = if staging.is_dir() {
        staging
    } else {
        otherwise.to_owned()
    };
    Sandbox::new(config.sandbox.clone(), config.limits.clone(), staging)
}

/// Opens and closes the ledger. One that is missing would be made.
async fn open_ledger(config: &Config) -> Result<(), Failure> {
    match &config.ledger {
        LedgerAddress::Sqlite(path) if path.symlink_metadata().is_ok() => {
            let ledger = Sqlite::open_existing(path).await.map_err(Failure::other)?;
            ledger.close().await;
        }
        LedgerAddress::Sqlite(_) => {}
        LedgerAddress::Postgres(address) => {
            let Schema { version, .. } = Postgres::look(address, &config.postgres)
                .await
                .map_err(Failure::other)?;
            if version > 0 {
                let ledger = Postgres::open_existing(address, &config.postgres).await;
                ledger.map_err(Failure::other)?.close().await;
            }
        }
    }
    Ok(())
}

fn report(file: &Path, config: &Config, budget: u64, examination: &Examination) {
    let made = |path: &Path| if path.exists() { "" } else { " (will be made)" };
    let ceiling = config.limits.ceiling();
    println!("{}: good", file.display());
    println!(
        "  broker      {}{}",
        config.broker,
        config.broker.folder().map_or("", made)
    );
    println!(
        "  ledger      {}{}",
        config.ledger,
        config.ledger.file().map_or("", made)
    );
    for (name, address) in &config.stores {
        println!("  store       {name} = {address}{}", made(address.path()));
    }
    println!(
        "  presets     {}",
        config.presets.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    );
    println!(
        "  attempts    {} at once, in {} of memory",
        config.slots(),
        ByteSize(budget)
    );
    println!(
        "  ceiling     {} memory, {} ms CPU, {} ms wall, {} output",
        ByteSize(ceiling.memory_bytes),
        ceiling.cpu_ms,
        ceiling.wall_ms,
        config.limits.output
    );
    println!("  layers      {}", layers(examination));
    println!("  supervisor  {}", supervisor());
}

/// Which layers hold, and which do not.
fn layers(examination: &Examination) -> String {
    let found = |finding: Finding| {
        let checks = examination.checks.iter().filter(|check| check.finding == finding);
        let names: Vec<_> = checks.filter_map(|check| check.guard.strip_prefix("layer: ")).collect();
        names.join(", ")
    };
    let mut text = format!("{} hold", found(Finding::Held));
    for (finding, word) in [(Finding::Off, "off"), (Finding::NotApplicable, "nothing to guard")] {
        let names = found(finding);
        if !names.is_empty() {
            text.push_str(&format!("; {word}: {names}"));
        }
    }
    text
}

/// Who would restart this process, as far as the environment tells.
fn supervisor() -> String {
    let set = |name: &str| std::env::var_os(name).is_some();
    if set("KUBERNETES_SERVICE_HOST") {
        return "Kubernetes".to_owned();
    }
    if set("INVOCATION_ID") || set("NOTIFY_SOCKET") {
        return "systemd".to_owned();
    }
    if Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists() {
        return "a container engine".to_owned();
    }
    let parent = std::os::unix::process::parent_id();
    let name = std::fs::read_to_string(format!("/proc/{parent}/comm")).unwrap_or_default();
    format!(
        "none known; started by {}",
        if name.trim().is_empty() {
            "process 1"
        } else {
            name.trim()
        }
    )
}
