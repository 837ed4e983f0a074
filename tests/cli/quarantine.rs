//! `lazaret quarantine`: review, decide, carry over.

use serde_json::json;

use super::world::*;

const ANY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn listed(world: &World) {
    let output = world.run(&["quarantine", "add", ANY, "--why", "seen elsewhere", "--who", "ann"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn an_operator_decides_and_the_audit_trail_tells() {
    let world = World::new();
    listed(&world);
    for (action, state) in [("confirm", "confirmed"), ("release", "released"), ("allow", "allowed")] {
        let output = world.run(&["quarantine", action, &ANY[..8], "--why", "reviewed", "--who", "bob"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(world.dossier(ANY)["entry"]["state"], json!(state));
    }
    let audit = world.dossier(ANY)["audit"].clone();
    let told: Vec<_> = audit
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["who"].clone(), row["action"].clone()))
        .collect();
    let expected = [("ann", "add"), ("bob", "confirm"), ("bob", "release"), ("bob", "allow")];
    assert_eq!(told, expected.map(|(who, action)| (json!(who), json!(action))));
    let again = world.run(&["quarantine", "allow", ANY]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        stderr(&again).contains("is allowed, which cannot be changed by `allow`"),
        "{}",
        stderr(&again)
    );
}

#[test]
fn what_is_listed_is_refused_and_what_is_released_runs() {
    let world = World::new();
    let photo = fixture("valid/photos/rocket.bmp");
    let digest = lazaret::digest::Digest::of(&std::fs::read(&photo).unwrap()).to_string();
    assert_eq!(world.run(&["quarantine", "add", &digest]).status.code(), Some(0));
    let verdict = world.json(&["convert", "--json", &photo]).remove(0);
    assert_eq!(
        (&verdict["reason"], &verdict["repeat"]),
        (&json!("listed"), &json!(true))
    );
    assert_eq!(
        world.run(&["quarantine", "release", &digest[..6]]).status.code(),
        Some(0)
    );
    assert_eq!(
        world.json(&["convert", "--json", &photo])[0]["status"],
        json!("converted")
    );
}

#[test]
fn lists_are_filtered() {
    let world = World::new();
    listed(&world);
    let count = |arguments: &[&str]| {
        let mut all = vec!["quarantine", "list", "--json"];
        all.extend(arguments);
        world.json(&all).len()
    };
    assert_eq!(
        count(&["--state", "quarantined", "--reason", "listed", "--newer-than", "1h"]),
        1
    );
    assert_eq!(count(&["--state", "released"]), 0);
    assert_eq!(count(&["--reason", "memory"]), 0);
    assert_eq!(count(&["--older-than", "1h"]), 0);
    assert_eq!(count(&["--tenant", "nobody"]), 0);
    let table = String::from_utf8(world.run(&["quarantine", "list"]).stdout).unwrap();
    assert!(table.contains(&ANY[..12]) && table.contains("listed"), "{table}");
}

#[test]
fn an_export_is_imported_elsewhere_all_or_none() {
    let (here, there) = (World::new(), World::new());
    listed(&here);
    let export = here.run(&["quarantine", "export"]).stdout;
    let good = there.write("good.jsonl", &export);
    let broken = there.write("broken.jsonl", [export.as_slice(), b"{\"entry\": 1}\n"].concat());
    let output = there.run(&["quarantine", "import", broken.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("broken.jsonl:2:"), "{}", stderr(&output));
    assert_eq!(there.json(&["quarantine", "list", "--json"]).len(), 0);
    assert_eq!(
        there
            .run(&["quarantine", "import", good.to_str().unwrap()])
            .status
            .code(),
        Some(0)
    );
    assert_eq!(there.dossier(ANY)["entry"]["reason"], json!("listed"));
}

#[test]
fn wrong_digests_are_named() {
    let world = World::new();
    listed(&world);
    for (digest, code) in [("xyz", 2), ("00", 2), ("ffff", 1)] {
        let output = world.run(&["quarantine", "show", digest]);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(stderr(&output).contains(digest));
    }
}

/// Enough for the control image, and not for a photo.
const TIGHT: (&str, &str) = ("LAZARET_LIMITS_OUTPUT", "16KiB");

/// A photo that was convicted under tighter limits than there are by now.
fn convicted(world: &World) -> String {
    let photo = fixture("valid/photos/hubble_progressive.jpg");
    let mut convert = world.command(&["convert", "--json", &photo]);
    convert.env(TIGHT.0, TIGHT.1);
    let verdict = lines(&convert.output().unwrap()).remove(0);
    assert_eq!(verdict["reason"], json!("output"), "{verdict}");
    verdict["sha256"].as_str().unwrap().to_owned()
}

#[test]
fn a_specimen_is_tried_again_and_nothing_else_changes() {
    let world = World::new();
    let digest = convicted(&world);
    let before = world.dossier(&digest);
    let well = world.run(&[
        "quarantine",
        "retest",
        &digest[..8],
        "--json",
        "--who",
        "ann",
        "--why",
        "new limits",
    ]);
    assert_eq!(well.status.code(), Some(0), "{}", stderr(&well));
    let came = lines(&well).remove(0);
    assert_eq!(
        (&came["digest"], &came["outcome"], &came["exceeded"], &came["raised"]),
        (&json!(digest), &json!("converted"), &json!(null), &json!(null))
    );
    assert!(came["usage"]["cpu_ms"].is_u64(), "{came}");
    let after = world.dossier(&digest);
    for same in ["strikes", "attempts", "senders"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert_eq!(after["entry"]["state"], json!("quarantined"));
    let note = after["audit"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&note["who"], &note["action"]), (&json!("ann"), &json!("note")));
    let why = note["why"].as_str().unwrap();
    assert!(
        why.starts_with("retest: converted") && why.ends_with("; new limits"),
        "{why}"
    );

    // Still too much under the limits of then; and where nothing was kept, nothing is tried.
    listed(&world);
    let mut again = world.command(&["quarantine", "retest", ANY, &digest]);
    again.env(TIGHT.0, TIGHT.1);
    let output = again.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with(&format!("{digest}  tripped: output: ")), "{said}");
    assert!(
        stderr(&output).contains(&format!("{ANY}: the bytes of this upload were not kept")),
        "{}",
        stderr(&output)
    );
    let key = before["entry"]["specimen"].as_str().unwrap();
    std::fs::remove_file(world.path("state/specimens").join(key)).unwrap();
    let gone = world.run(&["quarantine", "retest", &digest]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(stderr(&gone).contains("it may be on another host"), "{}", stderr(&gone));
}
