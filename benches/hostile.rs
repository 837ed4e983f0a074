//! Every fixture through `lazaret convert`, in the real sandbox: its verdict, CPU and wall time to it, and peak memory, against the ceilings
//! of `fixtures/manifest.toml`, and against a run that was saved.
//!
//! `cargo bench --bench hostile -- [--all true] [--json FILE] [--against FILE] [--files DIR]`. Exits 1 where a verdict is not the one of the
//! manifest or of the saved run, or a ceiling was exceeded, and says which. `benches/hostile/peers.py` sets other programs beside it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot go on stops"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

#[allow(
    dead_code,
    unreachable_pub,
    reason = "the example as a module: its main is not called here"
)]
#[path = "../fixtures/generate.rs"]
mod generate;
mod hostile {
    pub mod manifest;
    pub mod saved;
    pub mod table;
}
#[allow(dead_code, reason = "made for the fleet's scenarios, which have names")]
#[path = "fleet/options.rs"]
mod options;

use hostile::manifest::{self, Fixture};
use hostile::saved::{self, Measured};
use hostile::table;
use options::Options;

fn main() -> ExitCode {
    let options = Options::of(std::env::args().skip(1));
    let place = tempfile::tempdir().unwrap();
    let files = options.get("files", place.path().join("files").display().to_string());
    let fixtures = manifest::read();
    write(&fixtures, Path::new(&files));
    let before = Instant::now();
    let measured = measure(&fixtures, Path::new(&files), &place.path().join("state"));
    let took = before.elapsed();

    let mut wrong = table::fixtures(&fixtures, &measured, options.get("all", false));
    table::classes(&fixtures, &measured);
    let against: String = options.get("against", String::new());
    if !against.is_empty() {
        wrong.extend(table::changes(&saved::read(Path::new(&against)), &measured));
    }
    let json: String = options.get("json", String::new());
    if !json.is_empty() {
        saved::write(Path::new(&json), &measured);
    }
    println!("\n{} fixtures in {:.1} s", fixtures.len(), took.as_secs_f64());
    for line in &wrong {
        println!("WRONG {line}");
    }
    u8::from(!wrong.is_empty()).into()
}

/// Writes all files, the large ones too.
fn write(fixtures: &[Fixture], folder: &Path) {
    let made: BTreeMap<String, Vec<u8>> = generate::fixtures().collect();
    for fixture in fixtures {
        let path = folder.join(&fixture.file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match made.get(&fixture.file) {
            Some(bytes) => fs::write(path, bytes).unwrap(),
            None => drop(fs::copy(manifest::folder().join(&fixture.file), path).unwrap()),
        }
    }
}

/// Converts all files once, one after another, with nothing known of any.
fn measure(fixtures: &[Fixture], folder: &Path, state: &Path) -> BTreeMap<String, Measured> {
    let output = Command::new(env!("CARGO_BIN_EXE_lazaret"))
        .args(["convert", "--json", "--state"])
        .arg(state)
        .args(["--rendition", "name=full,format=png"])
        .args(["--rendition", "name=thumb,format=webp,width=320,height=320,fit=cover"])
        .args(fixtures.iter().map(|fixture| folder.join(&fixture.file)))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Measured> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(lines.len(), fixtures.len(), "{errors}");
    let names = fixtures.iter().map(|fixture| fixture.file.clone());
    names.zip(lines).collect()
}
