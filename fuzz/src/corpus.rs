//! Inputs that are known: `fuzz/corpus/TARGET`, and for uploads all fixtures.

use std::fs;
use std::path::{Path, PathBuf};

use lazaret::format::Format;

use crate::Target;

/// Longer fixtures are left out: changes to them take long and show nothing that shorter ones do not.
const LONGEST: u64 = 64 << 10;

/// Paths and bytes, in the order of their paths.
pub fn of(target: Target) -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = match target {
        Target::Preflight(_) => files(&root.join("../fixtures")),
        // What is hostile to decoders is decoded behind the sandbox, not here.
        Target::Decode(_) => files(&root.join("../fixtures"))
            .into_iter()
            .filter(|path| !path.iter().any(|part| part == "hostile"))
            .collect(),
        _ => files(&root.join("corpus").join(target.name())),
    };
    paths.sort();
    let read = paths.into_iter().map(|path| {
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    });
    read.filter(|(_, bytes)| belongs(target, bytes)).collect()
}

fn belongs(target: Target, bytes: &[u8]) -> bool {
    match target {
        Target::Preflight(format) | Target::Decode(format) => {
            let head = bytes.get(..Format::MAGIC_BYTES).unwrap_or(bytes);
            Format::sniff(head) == Some(format)
        }
        _ => true,
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let about = entry.metadata().unwrap();
        if about.is_dir() {
            found.extend(files(&entry.path()));
        } else if about.len() <= LONGEST {
            found.push(entry.path());
        }
    }
    found
}
