//! The fixtures: folders and manifest are equal, the generator writes what is committed, and every file gets the verdict it is meant
//! to get, at once when it comes again.
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
    source: String,
    committed: bool,
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
        // The folder says the class, and the class the status.
        let status_of_class = match class.as_str() {
            "valid" => "converted",
            "malformed" | "preflight" => "rejected",
            "memory" | "cpu" | "wall" | "output" => "quarantined",
            other => panic!("{file}: class {other}"),
        };
        assert_eq!(status, status_of_class, "{file}");
        assert!(file.split('/').any(|part| part == class), "{file} is of class {class}");
        assert_eq!(reason.is_some(), status != "converted", "{file}");
        if status == "quarantined" {
            assert_eq!(reason.as_ref(), Some(class), "{file}");
        }
        let by_hand = source.starts_with("photo: ") || source.starts_with("drawing: ");
        assert!(by_hand == (class == "valid"), "{file}: {source}");
        assert!(by_hand || source.starts_with("generated: "), "{file}: {source}");
    }
}

/// The generated files, made once for all tests of this program.
fn generated() -> &'static BTreeMap<String, Vec<u8>> {
    use std::sync::OnceLock;
    static MADE: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    MADE.get_or_init(|| {
        generate::FIXTURES
            .iter()
            .map(|(file, make)| ((*file).to_owned(), make()))
            .collect()
    })
}

#[test]
fn the_generator_writes_what_is_committed() {
    let manifest = manifest();
    let from_it: BTreeSet<_> = manifest
        .iter()
        .filter(|fixture| fixture.class != "valid")
        .map(|fixture| &fixture.file)
        .collect();
    assert_eq!(from_it, generated().keys().collect::<BTreeSet<_>>());
    for fixture in manifest.iter().filter(|fixture| fixture.class != "valid") {
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
        // The second time nothing runs: quarantined ones are refused by hash, the others are remembered.
        let listed = (again["status"] == "quarantined" && again["reason"] == "listed") || is(again);
        if !listed || (fixture.status == "quarantined" && again["repeat"] != true) {
            wrong.push(format!("again: {}: {must:?}, but {again}", fixture.file));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
