//! Retests over the API and from a shell: begun, waited for, told in fields; refused where they make no sense.

use serde_json::{Value, json};

use super::browser::Desk;
use super::program::{Program, check_only};
use super::quarantine::{with_an_entry, with_an_entry_on};
use super::shell::{Shell, near};
use super::world::*;

const NOBODYS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn last_note(desk: &Desk, digest: &str) -> Value {
    let audit = desk.dossier(digest)["audit"].clone();
    audit.as_array().unwrap().last().unwrap().clone()
}

#[test]
fn a_retest_over_the_api_is_begun_and_looked_up() {
    let desk = Desk::with(World::new(), "", &[("LAZARET_LIMITS_CPU_BASE", "5s")]);
    let (desk, digest) = with_an_entry_on(desk);
    let mut ci = Program::new(&desk, "ci", "operator");
    let path = format!("/quarantine/{digest}/retest");
    let before = ci.get(&format!("/quarantine/{digest}")).json();
    let none = ci.get(&path);
    assert_eq!((none.status, Program::refused(&none).as_str()), (404, "not-found"));

    let begun = ci.post(&path, &json!({ "why": "<b>after</b> the upgrade" }));
    assert_eq!(begun.status, 202, "{}", begun.body);
    assert!(
        begun.head.contains(&format!("location: /api/v1{path}\r\n")),
        "{}",
        begun.head
    );
    assert_eq!(
        (&begun.json()["state"], &begun.json()["who"], &begun.json()["result"]),
        (&json!("running"), &json!("token:ci"), &Value::Null)
    );
    // One at a time.
    let held = desk.service.hold();
    let busy = ci.post(&path, &json!({}));
    assert_eq!((busy.status, Program::refused(&busy).as_str()), (429, "busy"));
    drop(held);
    wait_for("the retest to end", || {
        Program::with(&desk, ci.says.trim().rsplit(' ').next().unwrap())
            .get(&path)
            .json()["state"]
            != json!("running")
    });
    let ended = ci.get(&path).json();
    assert_eq!(ended["state"], json!("ended"), "{ended}");
    let result = &ended["result"];
    assert_eq!(
        (&result["outcome"], &result["reason"], &result["exceeded"]["limit"]),
        (&json!("tripped"), &json!("cpu"), &json!("cpu_ms"))
    );
    assert!(result["exceeded"]["seen"].as_u64() > result["exceeded"]["allowed"].as_u64());
    assert!(result["usage"]["cpu_ms"].as_u64() > Some(0));

    let note = last_note(&desk, &digest);
    let why = note["why"].as_str().unwrap();
    assert!(
        note["who"] == "token:ci"
            && why.starts_with("retest: tripped: ")
            && why.ends_with("; <b>after</b> the upgrade"),
        "{note}"
    );
    let after = ci.get(&format!("/quarantine/{digest}")).json();
    for same in ["strikes", "attempts", "seen"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    check_only(&desk, &ci.answers);
}

#[test]
fn a_retest_that_makes_no_sense_is_refused() {
    let (desk, digest) = with_an_entry();
    let mut ci = Program::new(&desk, "ci", "operator");
    let path = format!("/quarantine/{digest}/retest");
    let long = "a".repeat(10_000);
    for (at, body, status, code) in [
        (format!("/quarantine/{NOBODYS}/retest"), json!({}), 404, "not-found"),
        (
            "/quarantine/%3Cscript%3E/retest".to_owned(),
            json!({}),
            404,
            "not-found",
        ),
        (format!("/quarantine/{long}/retest"), json!({}), 404, "not-found"),
        (format!("{path}?again=1"), json!({}), 400, "bad-request"),
        (path.clone(), json!({ "why": long }), 400, "bad-request"),
        (path.clone(), json!({ "why": "a\0b" }), 400, "bad-request"),
        (path.clone(), json!({ "seen": "x" }), 400, "bad-request"),
        (path.clone(), json!([]), 400, "bad-request"),
    ] {
        let answer = ci.post(&at, &body);
        let told = Program::refused(&answer);
        assert_eq!((answer.status, told.as_str()), (status, code), "{}", answer.body);
    }
    let mut viewer = Program::new(&desk, "dashboard", "viewer");
    let answer = viewer.post(&path, &json!({}));
    assert_eq!(
        (answer.status, Program::refused(&answer).as_str()),
        (403, "not-allowed")
    );
    assert_eq!(viewer.get(&path).status, 404, "nothing was begun");
    // Somebody has listed it by hand meanwhile, and nobody has its bytes.
    let listed = ci.post("/quarantine", &json!({ "digests": [NOBODYS] }));
    assert_eq!(listed.status, 200, "{}", listed.body);
    let answer = ci.post(&format!("/quarantine/{NOBODYS}/retest"), &json!({}));
    assert!(
        answer.status == 404 && answer.body.contains("were not kept"),
        "{}",
        answer.body
    );
    // They were kept, and are gone.
    let key = desk.dossier(&digest)["entry"]["specimen"].as_str().unwrap().to_owned();
    std::fs::remove_file(desk.world.path("specimens").join(key)).unwrap();
    let answer = ci.post(&path, &json!({}));
    assert!(
        answer.status == 404 && answer.body.contains("not in this worker's store"),
        "{}",
        answer.body
    );
    assert_eq!(last_note(&desk, &digest)["who"], json!("lazaret"));
}

#[test]
fn a_shell_retests_with_a_server_and_with_a_ledger() {
    let (desk, digest) = with_an_entry();
    let shell = Shell::of(&desk, "ci", "operator");
    let arguments = ["quarantine", "retest", &digest[..8], "--json", "--why", "from a shell"];
    let output = shell.run(&arguments);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let there = lines(&output).remove(0);
    assert_eq!(
        (&there["digest"], &there["outcome"], &there["exceeded"]["limit"]),
        (&json!(digest), &json!("tripped"), &json!("cpu_ms"))
    );
    let note = last_note(&desk, &digest);
    assert_eq!(note["who"], json!("token:ci"));
    assert!(note["why"].as_str().unwrap().ends_with("; from a shell"), "{note}");

    let output = near(&desk, &["quarantine", "retest", &digest, "--json", "--who", "ann"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let here = lines(&output).remove(0);
    let keys = |line: &Value| line.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((keys(&here), &here["outcome"]), (keys(&there), &there["outcome"]));
    assert_eq!(last_note(&desk, &digest)["who"], json!("ann"));
    assert_eq!(desk.dossier(&digest)["attempts"].as_array().unwrap().len(), 1);

    let output = shell.run(&["quarantine", "retest", NOBODYS, &digest]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.starts_with(&format!("{digest}  tripped: cpu_ms: ")) && said.contains(" ms of CPU"),
        "{said}"
    );
    assert!(stderr(&output).contains("There is no entry"), "{}", stderr(&output));
    let viewer = Shell::of(&desk, "dashboard", "viewer");
    let (code, said) = viewer.refused(&["quarantine", "retest", &digest]);
    assert!(code == Some(1) && said.contains("Viewers look"), "{said}");
}
