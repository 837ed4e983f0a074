//! The fixtures: folders and manifest are equal, the generator writes what is committed, and every file gets the verdict it is meant
//! to get, within its ceilings, and at once when it comes again. With `--nocapture`, what each class costs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

#[allow(
    dead_code,
    unreachable_pub,
    reason = "the example as a module: its main is not called here"
)]
#[path = "../fixtures/generate.rs"]
mod generate;
#[path = "fixtures/odd.rs"]
mod odd;
#[path = "fixtures/polyglots.rs"]
mod polyglots;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    fixture: Vec<Fixture>,
}

/// What must happen to one file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    file: String,
    class: String,
    exploits: String,
    status: String,
    reason: Option<String>,
    /// Ceilings: CPU time and memory it may cost until its verdict, and a wall time that nothing but a hang exceeds.
    cpu_ms: u64,
    memory_mib: u64,
    wall_ms: u64,
    source: String,
    committed: bool,
}

impl Fixture {
    /// The folder it lies in, which says how it ends.
    fn folder(&self) -> &str {
        let parts: Vec<&str> = self.file.split('/').collect();
        match parts[..] {
            ["hostile", folder, _] => folder,
            [folder, ..] => folder,
            [] => "",
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn manifest() -> Vec<Fixture> {
    let text = fs::read_to_string(folder().join("manifest.toml")).unwrap();
    toml::from_str::<Manifest>(&text).unwrap().fixture
}

/// All files below a folder, named from `base`.
fn files(base: &Path, below: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(base.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{below}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            files(base, &name, found);
        } else {
            found.insert(name);
        }
    }
}

#[test]
fn the_manifest_lists_what_is_there_and_nothing_else() {
    let mut found = BTreeSet::new();
    for below in ["valid", "malformed", "hostile"] {
        files(&folder(), below, &mut found);
    }
    let manifest = manifest();
    let committed = manifest.iter().filter(|fixture| fixture.committed);
    let listed: BTreeSet<_> = committed.map(|fixture| fixture.file.clone()).collect();
    assert_eq!(found, listed);
    let names: BTreeSet<_> = manifest.iter().map(|fixture| &fixture.file).collect();
    assert_eq!(names.len(), manifest.len(), "a file is listed twice");
}

#[test]
fn the_manifest_makes_sense() {
    for fixture in manifest() {
        let Fixture {
            file,
            class,
            status,
            reason,
            source,
            exploits,
            ..
        } = &fixture;
        assert!(!exploits.is_empty(), "{file}");
        let folder = fixture.folder();
        let status_of_folder = match folder {
            "valid" | "within" => "converted",
            "malformed" | "preflight" => "rejected",
            "memory" | "cpu" | "wall" | "output" => "quarantined",
            other => panic!("{file}: folder {other}"),
        };
        assert_eq!(status, status_of_folder, "{file}");
        assert!(!class.is_empty(), "{file}");
        assert_eq!(reason.is_some(), status != "converted", "{file}");
        if status == "quarantined" {
            assert_eq!(reason.as_deref(), Some(folder), "{file}");
        }
        let by_hand = source.starts_with("photo: ") || source.starts_with("drawing: ");
        assert!(by_hand == (folder == "valid"), "{file}: {source}");
        assert!(by_hand || source.starts_with("generated: "), "{file}: {source}");
    }
}

#[test]
fn there_are_as_many_hostile_files_and_classes_as_are_promised() {
    let manifest = manifest();
    let hostile: Vec<&Fixture> = manifest.iter().filter(|fixture| fixture.folder() != "valid").collect();
    let classes: BTreeSet<&str> = hostile.iter().map(|fixture| fixture.class.as_str()).collect();
    assert!(hostile.len() >= 120, "{} hostile files", hostile.len());
    assert!(classes.len() >= 25, "{} classes: {classes:?}", classes.len());
}

/// The generated files, made once for all tests of this program.
fn generated() -> &'static BTreeMap<String, Vec<u8>> {
    use std::sync::OnceLock;
    static MADE: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    MADE.get_or_init(|| {
        let files: Vec<_> = generate::fixtures().collect();
        let count = files.len();
        let files: BTreeMap<_, _> = files.into_iter().collect();
        assert_eq!(files.len(), count, "two files have one name");
        files
    })
}

#[test]
fn the_generator_writes_what_is_committed() {
    let manifest = manifest();
    let from_it: BTreeSet<_> = manifest
        .iter()
        .filter(|fixture| fixture.folder() != "valid")
        .map(|fixture| &fixture.file)
        .collect();
    assert_eq!(from_it, generated().keys().collect::<BTreeSet<_>>());
    for fixture in manifest.iter().filter(|fixture| fixture.folder() != "valid") {
        let made = &generated()[&fixture.file];
        assert_eq!(
            fixture.committed,
            made.len() <= generate::COMMITTED_BYTES,
            "{}",
            fixture.file
        );
        if fixture.committed {
            assert!(
                fs::read(folder().join(&fixture.file)).unwrap() == *made,
                "{} differs",
                fixture.file
            );
        }
    }
}

/// What of a line is over the ceilings of its fixture.
fn over(fixture: &Fixture, line: &Value) -> Option<String> {
    // What is refused before there is a child costs nothing.
    let cost = |key: &str| line[key].as_u64().unwrap_or(0);
    let costs = [
        ("cpu_ms", cost("cpu_ms"), fixture.cpu_ms),
        ("memory_mib", cost("peak_memory_bytes") >> 20, fixture.memory_mib),
        ("wall_ms", cost("wall_ms"), fixture.wall_ms),
    ];
    let over = costs.into_iter().find(|(_, seen, allowed)| seen > allowed);
    over.map(|(what, seen, allowed)| format!("{}: {what} {seen}, {allowed} allowed", fixture.file))
}

/// One line for each class: how many, and the most that one of them cost.
fn print_classes(lines: &BTreeMap<String, Value>) {
    let mut classes: BTreeMap<String, (usize, u64, u64)> = BTreeMap::new();
    for fixture in manifest() {
        let line = &lines[&fixture.file];
        let cost = |key: &str| line[key].as_u64().unwrap_or(0);
        let known = classes.entry(fixture.class).or_default();
        *known = (
            known.0 + 1,
            known.1.max(cost("cpu_ms")),
            known.2.max(cost("peak_memory_bytes") >> 20),
        );
    }
    for (class, (count, cpu_ms, memory_mib)) in classes {
        eprintln!("{class:<24} {count:>4} files, at most {cpu_ms:>6} ms CPU, {memory_mib:>4} MiB");
    }
}

/// Runs `lazaret convert` over all fixtures; each file's line.
fn convert(large: &Path, state: &Path) -> BTreeMap<String, Value> {
    let manifest = manifest();
    let paths = manifest.iter().map(|fixture| match fixture.committed {
        true => folder().join(&fixture.file),
        false => large.join(&fixture.file),
    });
    let output = Command::new(env!("CARGO_BIN_EXE_lazaret"))
        .args(["convert", "--json", "--state"])
        .arg(state)
        .args(["--rendition", "name=full,format=png"])
        .args(["--rendition", "name=thumb,format=webp,width=320,height=320,fit=cover"])
        .args(paths)
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8_lossy(&output.stderr),
    );
    // Some were not converted, and that is all.
    assert_eq!(output.status.code(), Some(1), "{err}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), manifest.len(), "{err}");
    manifest.into_iter().map(|fixture| fixture.file).zip(lines).collect()
}

#[test]
fn every_fixture_gets_its_verdict_and_again() {
    let place = tempfile::tempdir().unwrap();
    for fixture in manifest().iter().filter(|fixture| !fixture.committed) {
        let path = place.path().join(&fixture.file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &generated()[&fixture.file]).unwrap();
    }
    let state = place.path().join("state");

    let first = convert(place.path(), &state);
    let again = convert(place.path(), &state);
    print_classes(&first);
    let mut wrong = Vec::new();
    for fixture in manifest() {
        let must = (fixture.status.as_str(), fixture.reason.as_deref());
        let verdict = |line: &'_ Value| {
            (
                line["status"].as_str().unwrap().to_owned(),
                line["reason"].as_str().map(str::to_owned),
            )
        };
        let is = |line: &Value| {
            let (status, reason) = verdict(line);
            (status.as_str(), reason.as_deref()) == must
        };
        let (first, again) = (&first[&fixture.file], &again[&fixture.file]);
        if !is(first) || first["repeat"] == true {
            wrong.push(format!("{}: {must:?}, but {first}", fixture.file));
        }
        wrong.extend(over(&fixture, first));
        // The second time nothing runs: quarantined ones are refused by hash, the others are remembered.
        let listed = (again["status"] == "quarantined" && again["reason"] == "listed") || is(again);
        if !listed || (fixture.status == "quarantined" && again["repeat"] != true) {
            wrong.push(format!("again: {}: {must:?}, but {again}", fixture.file));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
