//! What a run measured, as it is kept for the next.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::manifest::verdict;

/// What became of one fixture: some fields of what `lazaret convert --json` says.
#[derive(Clone, Serialize, Deserialize)]
pub struct Measured {
    /// `converted`, `rejected`, …
    pub status: String,
    /// Why not.
    pub reason: Option<String>,
    /// Size of the file, where it was read to its end.
    pub bytes: Option<u64>,
    /// CPU time of the child, in milliseconds; none where no child was run.
    pub cpu_ms: Option<u64>,
    /// From spawn to its end, in milliseconds.
    pub wall_ms: Option<u64>,
    /// Largest resident memory of the child.
    pub peak_memory_bytes: Option<u64>,
}

impl Measured {
    /// Status and reason in a word or two.
    pub fn verdict(&self) -> String {
        verdict(&self.status, self.reason.as_deref())
    }

    /// Peak memory in MiB, rounded up.
    pub fn peak_mib(&self) -> u64 {
        self.peak_memory_bytes.unwrap_or(0).div_ceil(1 << 20)
    }
}

/// Reads a saved run.
pub fn read(path: &Path) -> BTreeMap<String, Measured> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Saves a run.
pub fn write(path: &Path, run: &BTreeMap<String, Measured>) {
    let text = serde_json::to_string_pretty(run).unwrap();
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
