//! Decisions about many over the API, specimens and the exported trail: what programs do beside people, and what they may not.

use serde_json::{Value, json};

use super::api::edit;
use super::browser::*;
use super::program::{Program, check_only};
use super::quarantine::with_an_entry;
use super::world::*;

/// What is sent where text is expected.
const ODD: &str = "\"><script>alert(1)</script>'; DROP TABLE entries; -- ../../etc/passwd";

/// A desk with so many entries that were listed by hand, by their numbers from 1 on.
fn with_listed(desk: &Desk, count: usize) -> Vec<String> {
    let digests: Vec<String> = (1..=count).map(|number| format!("{number:064x}")).collect();
    let mut arguments = vec!["add"];
    arguments.extend(digests.iter().map(String::as_str));
    assert!(desk.quarantine(&arguments).status.success());
    digests
}

fn state(desk: &Desk, digest: &str) -> Value {
    desk.dossier(digest)["entry"]["state"].clone()
}

/// Waits for a decision about many; how it ended.
fn ended(ci: &mut Program, begun: &Value) -> Value {
    let at = format!("/decisions/{}", begun["number"]);
    let mut last = Value::Null;
    wait_for("all to be decided", || {
        last = ci.get(&at).json();
        last["state"] != json!("running")
    });
    last
}

#[test]
fn many_are_decided_as_they_were_seen() {
    let desk = Desk::new();
    let digests = with_listed(&desk, 4);
    let mut ci = Program::new(&desk, "ci", "operator");
    let list = ci.get("/quarantine?reason=listed").json();
    let entries: Vec<Value> = list["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["digest"] != json!(digests[3]))
        .map(|entry| json!({ "digest": entry["digest"], "seen": entry["seen"] }))
        .collect();
    assert_eq!(entries.len(), 3);
    // Somebody is faster with one of them, and the time of another is over.
    assert!(desk.quarantine(&["allow", &digests[0]]).status.success());
    edit(
        &desk,
        &format!("UPDATE entries SET expires = 1 WHERE digest = '{}'", digests[1]),
    );
    let begun = ci.post(
        "/decisions",
        &json!({ "decision": "confirm", "entries": entries, "why": ODD }),
    );
    assert_eq!(begun.status, 202, "{}", begun.body);
    let number = begun.json()["number"].clone();
    assert!(
        begun
            .head
            .contains(&format!("location: /api/v1/decisions/{number}\r\n")),
        "{}",
        begun.head
    );
    let end = ended(&mut ci, &begun.json());
    assert_eq!(
        (&end["state"], &end["done"], &end["left"], &end["who"]),
        (&json!("ended"), &json!(1), &json!(2), &json!("token:ci"))
    );
    let states: Vec<Value> = digests.iter().map(|digest| state(&desk, digest)).collect();
    assert_eq!(
        states,
        [
            json!("allowed"),
            json!("expired"),
            json!("confirmed"),
            json!("quarantined")
        ]
    );
    // All that a filter shows.
    let begun = ci.post(
        "/decisions",
        &json!({ "decision": "release", "filter": { "state": "quarantined" } }),
    );
    let end = ended(&mut ci, &begun.json());
    assert_eq!((&end["done"], &end["left"]), (&json!(1), &json!(0)));
    assert_eq!(state(&desk, &digests[3]), json!("released"));
    let trail = ci.download("/audit/export?who=token:ci", "application/jsonl");
    let whys: Vec<Value> = trail
        .body
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["why"].clone())
        .collect();
    assert_eq!(whys, [json!(""), json!(ODD)]);
    check_only(&desk, &ci.answers);
}

#[test]
fn what_makes_no_sense_about_many_is_refused_before_anything_is_done() {
    let desk = Desk::new();
    let digests = with_listed(&desk, 2);
    let mut ci = Program::new(&desk, "ci", "operator");
    let seen = ci.get(&format!("/quarantine/{}", digests[0])).json()["seen"].clone();
    let one = json!({ "digest": digests[0], "seen": seen });
    let long = "a".repeat(10_000);
    for (body, words) in [
        (json!({ "decision": "release" }), "one of both"),
        (
            json!({ "decision": "release", "entries": [one], "filter": {} }),
            "one of both",
        ),
        (json!({ "decision": "release", "entries": [] }), "send 1 to 500"),
        (
            json!({ "decision": "release", "entries": vec![one.clone(); 501] }),
            "`entries` has 501",
        ),
        (
            json!({ "decision": "release", "entries": [one, { "digest": ODD, "seen": seen }] }),
            "entries[1] is none",
        ),
        (
            json!({ "decision": "release", "entries": [one, { "digest": digests[1], "seen": long }] }),
            "entries[1] is none",
        ),
        (json!({ "decision": "raise", "filter": {} }), "unknown variant `raise`"),
        (json!({ "decision": "note", "filter": {} }), "A note has words"),
        (
            json!({ "decision": "release", "filter": { "state": ODD } }),
            "no state of that name",
        ),
        (
            json!({ "decision": "release", "filter": { "tenant": long } }),
            "tenant is longer than 200",
        ),
        (
            json!({ "decision": "release", "filter": { "page": "2" } }),
            "no filter page",
        ),
        (
            json!({ "decision": "release", "filter": "state=quarantined" }),
            "invalid type: string",
        ),
        (
            json!({ "decision": "release", "filter": {}, "why": long }),
            "more than 500 characters",
        ),
        (
            json!({ "decision": "release", "filter": {}, "who": "root" }),
            "unknown field `who`",
        ),
    ] {
        let answer = ci.post("/decisions", &body);
        assert_eq!(
            (answer.status, Program::refused(&answer).as_str()),
            (400, "bad-request"),
            "{words}: {}",
            answer.body
        );
        assert!(answer.body.contains(words), "{words}: {}", answer.body);
    }
    let huge = json!({ "decision": "release", "filter": { "tenant": "a".repeat(200_000) } });
    assert_eq!(ci.post("/decisions", &huge).status, 413);
    assert!(
        digests
            .iter()
            .all(|digest| state(&desk, digest) == json!("quarantined"))
    );
}

#[test]
fn a_specimen_is_copied_and_erased_by_programs_of_operators_alone() {
    let (desk, digest) = with_an_entry();
    let mut ci = Program::new(&desk, "ci", "operator");
    let (copy, erase) = (
        format!("/quarantine/{digest}/specimen"),
        format!("/quarantine/{digest}/erase"),
    );
    let text = ci.download(&copy, "application/octet-stream").body;
    let inner: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, inner).unwrap();
    assert_eq!(lazaret::digest::Digest::of(&bytes).to_string(), digest);

    let long = "a".repeat(10_000);
    for body in [json!({ "why": long }), json!({ "seen": "x" }), json!("erase")] {
        assert_eq!(ci.post(&erase, &body).status, 400);
    }
    assert_eq!(
        ci.post(&format!("/quarantine/{}/erase", "0".repeat(64)), &json!({}))
            .status,
        404
    );
    let erased = ci.post(&erase, &json!({ "why": ODD }));
    assert_eq!(
        (erased.status, &erased.json()["specimen"]),
        (200, &Value::Null),
        "{}",
        erased.body
    );
    // Somebody was faster.
    for answer in [ci.get(&copy), ci.post(&erase, &json!({}))] {
        assert_eq!(
            (answer.status, Program::refused(&answer).as_str()),
            (404, "not-found"),
            "{}",
            answer.body
        );
    }
    let last = desk.dossier(&digest)["audit"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    assert_eq!(
        (&last["who"], &last["action"], &last["why"]),
        (&json!("token:ci"), &json!("erase"), &json!(ODD))
    );
    assert!(desk.log().contains("took a copy of a specimen"));
    check_only(&desk, &ci.answers);
}
