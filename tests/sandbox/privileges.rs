//! The same proof as root, as a plain user, and where name spaces are refused: `doctor` is what operators and workers ask.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::bench::{NO_NAME_SPACES, PLAIN_USER, is_root, must_succeed, open_to_all, skip};

/// What `doctor` finds when it is started behind `prefix`.
async fn doctor(prefix: &[&str], program: &Path, state: &Path) -> Vec<Value> {
    let mut words = prefix.iter().map(AsRef::as_ref).chain([program.as_os_str()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["doctor", "--json", "--state"]).arg(state);
    let output = must_succeed(command).await;
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn finding<'a>(checks: &'a [Value], guard: &str) -> &'a str {
    let check = checks.iter().find(|check| check["guard"] == guard);
    check.unwrap_or_else(|| panic!("no check of {guard}"))["finding"]
        .as_str()
        .unwrap()
}

#[track_caller]
fn all_required_held(checks: &[Value]) {
    assert!(checks.len() > 30);
    for check in checks.iter().filter(|check| check["required"] == true) {
        let fine = check["finding"] == "held" || check["finding"] == "not-applicable";
        assert!(fine, "{check}");
    }
    assert_eq!(finding(checks, "layer: priority"), "held");
}

/// Whether the host lets `prefix` be set up at all.
fn possible(prefix: &[&str]) -> bool {
    let ran = Command::new(prefix[0]).args(&prefix[1..]).arg("true").output();
    ran.is_ok_and(|output| output.status.success())
}

#[tokio::test]
async fn as_root() {
    if !is_root() {
        return skip("not started as root");
    }
    let (folder, program) = open_to_all();
    let checks = doctor(&[], &program, &folder.path().join("state")).await;
    all_required_held(&checks);
    assert_eq!(finding(&checks, "layer: user"), "held");
}

#[tokio::test]
async fn as_a_plain_user() {
    let prefix: &[&str] = if is_root() { &PLAIN_USER } else { &[] };
    if !prefix.is_empty() && !possible(prefix) {
        return skip("setpriv cannot change the user here");
    }
    let (folder, program) = open_to_all();
    let checks = doctor(prefix, &program, &folder.path().join("state")).await;
    all_required_held(&checks);
    assert_eq!(finding(&checks, "layer: user"), "not-applicable");
}

#[tokio::test]
async fn where_name_spaces_are_refused() {
    let plain_user: &[&str] = if is_root() { &PLAIN_USER } else { &[] };
    let prefix = [plain_user, &NO_NAME_SPACES, &["sh"]].concat();
    if !possible(&prefix) {
        return skip("this host lets nobody make a name space that refuses others");
    }
    let (folder, program) = open_to_all();
    let checks = doctor(&prefix, &program, &folder.path().join("state")).await;
    all_required_held(&checks);
    assert_eq!(finding(&checks, "layer: namespaces"), "off");
    assert_eq!(finding(&checks, "connect: namespace"), "off");
}
