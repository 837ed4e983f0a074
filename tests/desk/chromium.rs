//! The desk in Chromium: an operator's way through it, what axe says of each page, and screenshots.
//!
//! `LAZARET_SHOTS=docs/desk cargo test --test desk chromium` writes the screenshots that docs/desk.md shows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::browser::*;
use super::world::*;

const BOMBS: [&str; 3] = [
    "hostile/cpu/tiff_wide_tiles.tiff",
    "hostile/cpu/octaves.svg",
    "hostile/memory/numbers.svg",
];

/// The script and what it needs, installed once for each target folder.
fn walk() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("desk-chromium");
    fs::create_dir_all(&folder).unwrap();
    for file in ["package.json", "package-lock.json", "walk.mjs"] {
        fs::copy(root.join("tests/desk/chromium").join(file), folder.join(file)).unwrap();
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--silent", "--no-fund", "--no-audit", "--ignore-scripts"]);
    assert!(npm.current_dir(&folder).status().unwrap().success(), "npm");
    folder.join("walk.mjs")
}

/// An entry whose name and detail are longer and stranger than those of any honest one.
fn odd_entry(desk: &Desk) {
    let output = desk.quarantine(&["export"]);
    let line = String::from_utf8(output.stdout).unwrap();
    let mut entry: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    entry["entry"]["digest"] = json!("ab".repeat(32));
    entry["entry"]["name"] = json!(format!("<script>alert(1)</script>{}", "long-name".repeat(50)));
    fs::write(desk.world.path("export"), format!("{entry}\n")).unwrap();
    let file = desk.world.path("export");
    assert!(desk.quarantine(&["import", file.to_str().unwrap()]).status.success());
}

#[test]
fn an_operator_finds_her_way_in_a_browser() {
    let desk = Desk::new();
    for bomb in BOMBS {
        let _ = desk.world.submit(&["--wait", &fixture(bomb)]);
    }
    odd_entry(&desk);
    let list = lines(&desk.quarantine(&["list", "--json"]));
    assert_eq!(list.len(), BOMBS.len() + 1, "{list:#?}");
    let digest = list.last().unwrap()["digest"].as_str().unwrap().to_owned();
    let mut node = Command::new("node");
    node.arg(walk())
        .arg(format!("http://{}", desk.asked.0))
        .args([&digest, PASSWORD]);
    if let Some(shots) = std::env::var_os("LAZARET_SHOTS") {
        node.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(shots));
    }
    let output = node.output().expect("node and chromium: `make need-tests`");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{said}");
    assert!(output.status.success(), "{said}{}", stderr(&output));
}
