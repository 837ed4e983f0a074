//! `lazaret check`: a configuration, before anything depends on it.

mod ground;
mod keeper;

use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::Args;

use super::{Ending, Failure, broker, place};
use crate::admission::Budget;
use crate::config::{Config, LedgerAddress, NoticesConfig};
use crate::ledger::Ledger;
use crate::ledger::postgres::{Postgres, Schema};
use crate::ledger::sqlite::Sqlite;
use crate::sandbox::Sandbox;
use crate::sandbox::doctor::Examination;
use crate::sandbox::layers::Held;
use crate::supervisor::{Given, Misfit, Weight};

/// Check configuration files: unknown keys, sense across fields, this host, and what would run.
///
/// Takes the path that a restart takes, without taking work and without making anything: looks at every place, at RabbitMQ and what it
/// must have, opens the ledger where there is one, proves the sandbox, and holds the supervisor's settings against those of the worker. What
/// would fail then fails now: with 78 on the first file that is wrong, with 1 where the broker, the ledger, the sandbox or the supervisor is.
#[derive(Debug, Args)]
pub struct Check {
    /// Files to check.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Ask systemd what it gives this unit. Within the unit it is asked anyway.
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
}

impl Check {
    pub(super) async fn run(self) -> Result<Ending, Failure> {
        let mut ending = Ending::Well;
        for file in &self.files {
            let checked = examine(file, None).await?;
            let given = keeper::of(self.unit.as_deref(), &checked.config)?;
            let misfits = given.misfits(&checked.config);
            report(file, &checked, &given, &misfits);
            if misfits.iter().any(|misfit| misfit.weight() == Weight::Wrong) {
                ending = Ending::NotAll;
            }
        }
        Ok(ending)
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
    let mut sandbox = sandbox(&config);
    if let Some(budget) = budget {
        sandbox.budget = budget;
    }
    let budget = sandbox.budget.total();
    place::fits_this_host(&config, budget)?;
    ground::look(&config)?;
    ground::look_at_buckets(&config).await?;
    broker::look(&config).await?;
    open_ledger(&config).await?;
    let examination = place::prove(&sandbox, "would not consume").await?;
    Ok(Checked {
        config,
        budget,
        examination,
    })
}

/// The sandbox as `serve` would have it; its files have no names, so where the staging folder is still to be made, the one above it will do.
fn sandbox(config: &Config) -> Sandbox {
    let staging = config.staging();
    let there = staging.ancestors().find(|folder| folder.is_dir());
    let staging = there.unwrap_or(&staging).to_owned();
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

fn report(file: &Path, checked: &Checked, given: &Given, misfits: &[Misfit]) {
    let Checked { config, budget, .. } = checked;
    let made = |path: &Path| if path.exists() { "" } else { " (will be made)" };
    let ceiling = config.limits.ceiling();
    let wrong = misfits.iter().any(|misfit| misfit.weight() == Weight::Wrong);
    let word = if wrong { "does not fit its supervisor" } else { "good" };
    println!("{}: {word}", file.display());
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
        println!("  store       {name} = {address}{}", address.folder().map_or("", made));
    }
    println!(
        "  presets     {}",
        config.presets.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    );
    println!(
        "  attempts    {} at once, in {} of memory",
        config.slots(),
        ByteSize(*budget)
    );
    println!(
        "  ceiling     {} memory, {} ms CPU, {} ms wall, {} output",
        ByteSize(ceiling.memory_bytes),
        ceiling.cpu_ms,
        ceiling.wall_ms,
        config.limits.output
    );
    println!("  notices     {}", notices(&config.notices));
    println!("  layers      {}", layers(&checked.examination));
    if let Some(collector) = &config.traces.endpoint {
        println!("  traces      to {collector}");
    }
    println!("  supervisor  {given}");
    for misfit in misfits {
        let word = match misfit.weight() {
            Weight::Wrong => "WRONG",
            Weight::Remark => "note",
        };
        println!("    {word}: {misfit}");
    }
}

/// What is told, and where.
fn notices(config: &NoticesConfig) -> String {
    let Some(url) = &config.url else {
        return "off".to_owned();
    };
    let kinds: Vec<_> = config.on.iter().map(|kind| kind.word()).collect();
    format!("{url}, on {}", kinds.join(", "))
}

/// Which layers hold, and which do not.
fn layers(examination: &Examination) -> String {
    let named = |is: fn(&Held) -> bool| {
        let reports = examination.layers.iter().filter(|report| is(&report.held));
        let names: Vec<_> = reports.map(|report| report.layer.name()).collect();
        names.join(", ")
    };
    let mut text = format!("{} hold", named(Held::is_up));
    for (names, word) in [
        (named(Held::is_missing), "off"),
        (named(Held::is_idle), "nothing to guard"),
    ] {
        if !names.is_empty() {
            text.push_str(&format!("; {word}: {names}"));
        }
    }
    text
}
