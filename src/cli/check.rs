//! `lazaret check`: a configuration, before anything depends on it.

use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::Args;

use super::{Ending, Failure, place};
use crate::admission::Budget;
use crate::config::{Address, Config};

/// Check configuration files: unknown keys, sense across fields, this host, and what would run.
///
/// Takes the very path that a restart takes, without taking work: a setting that would fail then fails now. Exits with 78 on the first
/// file that is wrong.
#[derive(Debug, Args)]
pub struct Check {
    /// Files to check.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Check {
    pub(super) fn run(self) -> Result<Ending, Failure> {
        for file in &self.files {
            let config = Config::load(file)?;
            report(file, &config)?;
        }
        Ok(Ending::Well)
    }
}

fn report(file: &Path, config: &Config) -> Result<(), Failure> {
    let budget = Budget::of_this_host().total();
    place::fits_this_host(config, budget)?;
    let ceiling = config.limits.ceiling();
    println!("{}: good", file.display());
    println!("  broker      {}", config.broker);
    println!("  ledger      {}", config.ledger);
    for (name, address) in &config.stores {
        println!(
            "  store       {name} = {address}{}",
            if address.path().is_dir() { "" } else { " (will be made)" }
        );
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
    println!("  supervisor  {}", supervisor());
    Ok(())
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
