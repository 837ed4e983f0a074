//! What must happen to each fixture, as `fixtures/manifest.toml` says.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Deserialize)]
struct Manifest {
    fixture: Vec<Fixture>,
}

/// One file. What else the manifest says of it is held by `tests/fixtures.rs`.
#[derive(Deserialize)]
pub struct Fixture {
    /// Below `fixtures`.
    pub file: String,
    /// What kind of attack, or none.
    pub class: String,
    /// The verdict.
    pub status: String,
    /// And its reason.
    pub reason: Option<String>,
    /// CPU time of the child that it may cost, in milliseconds.
    pub cpu_ms: u64,
    /// Peak memory of the child that it may cost, in MiB.
    pub memory_mib: u64,
}

impl Fixture {
    /// Status and reason in a word or two.
    pub fn verdict(&self) -> String {
        verdict(&self.status, self.reason.as_deref())
    }
}

/// Status and reason in a word or two.
pub fn verdict(status: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{status}: {reason}"),
        None => status.to_owned(),
    }
}

/// Where the fixtures are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// All of them.
pub fn read() -> Vec<Fixture> {
    let text = fs::read_to_string(folder().join("manifest.toml")).unwrap();
    toml::from_str::<Manifest>(&text).unwrap().fixture
}
