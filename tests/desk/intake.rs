//! What programs put on the list: by hand, and from another ledger. All of it or none, whatever comes.

use serde_json::{Value, json};

use super::api::edit;
use super::browser::*;
use super::program::{Program, check_only};
use super::quarantine::with_an_entry;
use super::shell::{Shell, near};
use super::world::*;

/// What is sent where text is expected.
const ODD: &str = "\"><script>alert(1)</script>'; DROP TABLE entries; -- ../../etc/passwd";

fn numbered(number: usize) -> String {
    format!("{number:064x}")
}

/// As an export has it.
fn exported(desk: &Desk, digest: &str) -> Value {
    lines(&desk.quarantine(&["export", digest])).remove(0)
}

fn count(desk: &Desk) -> usize {
    lines(&desk.quarantine(&["list", "--json", "--limit", "0"])).len()
}

#[test]
fn digests_are_listed_all_or_none() {
    let desk = Desk::new();
    let mut ci = Program::new(&desk, "ci", "operator");
    let both = json!({ "digests": [numbered(1), numbered(2)], "why": ODD });
    let added = ci.post("/quarantine", &both);
    assert_eq!(
        (added.status, added.json()),
        (200, json!({ "added": 2 })),
        "{}",
        added.body
    );
    let dossier = desk.dossier(&numbered(1));
    assert_eq!(
        dossier["entry"]["detail"],
        json!(format!("listed by an operator: {ODD}"))
    );
    assert_eq!(
        (
            &dossier["audit"][0]["who"],
            &dossier["audit"][0]["action"],
            &dossier["audit"][0]["why"]
        ),
        (&json!("token:ci"), &json!("add"), &json!(ODD))
    );
    // One of them is there already.
    let some = ci.post("/quarantine", &json!({ "digests": [numbered(3), numbered(2)] }));
    assert_eq!((some.status, Program::refused(&some).as_str()), (409, "wrong-state"));
    assert!(
        some.body.contains(&numbered(2)) && some.body.contains("none was changed"),
        "{}",
        some.body
    );
    assert_eq!(count(&desk), 2);
    // Its time was over, or somebody let it go: it is listed again.
    edit(
        &desk,
        &format!("UPDATE entries SET expires = 1 WHERE digest = '{}'", numbered(2)),
    );
    assert!(desk.quarantine(&["release", &numbered(1)]).status.success());
    let again = ci.post("/quarantine", &both);
    assert_eq!(
        (again.status, again.json()),
        (200, json!({ "added": 2 })),
        "{}",
        again.body
    );
    let mut olga = desk.as_user("olga");
    let page = olga.get(&format!("/quarantine/{}", numbered(1))).body;
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");
    check_only(&desk, &ci.answers);
}

#[test]
fn entries_of_another_ledger_come_in_with_their_strikes() {
    let (desk, digest) = with_an_entry();
    let mut ci = Program::new(&desk, "ci", "operator");
    let mut one = exported(&desk, &digest);
    let same = ci.post("/quarantine/import", &json!({ "entries": [one] }));
    assert_eq!(
        (same.status, same.json()),
        (200, json!({ "imported": 0, "of": 1 })),
        "{}",
        same.body
    );
    one["entry"]["digest"] = json!(numbered(7));
    one["entry"]["name"] = json!(ODD);
    let other = ci.post(
        "/quarantine/import",
        &json!({ "entries": [one], "why": "from the other site" }),
    );
    assert_eq!(
        (other.status, other.json()),
        (200, json!({ "imported": 1, "of": 1 })),
        "{}",
        other.body
    );
    let dossier = desk.dossier(&numbered(7));
    assert_eq!(
        (&dossier["entry"]["name"], &dossier["entry"]["strikes"]),
        (&json!(ODD), &json!(1))
    );
    assert_eq!(dossier["strikes"][0]["evidence"], one["strikes"][0]["evidence"]);
    let record = &dossier["audit"][0];
    assert_eq!(
        (&record["who"], &record["action"], &record["why"]),
        (&json!("token:ci"), &json!("import"), &json!("from the other site"))
    );
    // An operator has let it go meanwhile; what comes in is stricter.
    assert!(desk.quarantine(&["release", &numbered(7)]).status.success());
    let back = ci.post("/quarantine/import", &json!({ "entries": [one] }));
    assert_eq!(back.json(), json!({ "imported": 1, "of": 1 }));
    assert_eq!(desk.dossier(&numbered(7))["entry"]["state"], json!("quarantined"));
    assert_eq!(
        desk.dossier(&numbered(7))["entry"]["strikes"],
        json!(1),
        "it is not taken twice"
    );
    let mut olga = desk.as_user("olga");
    let page = olga.get(&format!("/quarantine/{}", numbered(7))).body;
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");
    check_only(&desk, &ci.answers);
}

#[test]
fn nothing_comes_in_of_what_is_wrong_somewhere() {
    let (desk, digest) = with_an_entry();
    let mut ci = Program::new(&desk, "ci", "operator");
    let good = |number: usize| {
        let mut one = exported(&desk, &digest);
        one["entry"]["digest"] = json!(numbered(number));
        one
    };
    let first = good(1);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut second = good(2);
        change(&mut second);
        json!({ "entries": [first, second] })
    };
    let long = "ü".repeat(10_000);
    let (add, import) = ("/quarantine", "/quarantine/import");
    for (path, body, words) in [
        (add, json!({ "digests": [] }), "send 1 to 200"),
        (
            add,
            json!({ "digests": [numbered(1), ODD] }),
            "digests[1]: a digest is 64 hexadecimal digits",
        ),
        (
            add,
            json!({ "digests": [numbered(1), "a".repeat(10_000)] }),
            "digests[1]: ",
        ),
        (
            add,
            json!({ "digests": (0..201).map(numbered).collect::<Vec<_>>() }),
            "201, and 200 are taken at once",
        ),
        (
            add,
            json!({ "digests": [numbered(1)], "who": "root" }),
            "unknown field `who`",
        ),
        (
            add,
            json!({ "digests": [numbered(1)], "why": "a".repeat(10_000) }),
            "more than 500 characters",
        ),
        (add, json!({ "digests": { "0": numbered(1) } }), "invalid type: map"),
        (import, json!({ "entries": [] }), "send 1 to 2000"),
        (import, json!({ "entries": [first, 7] }), "entries[1]: "),
        (
            import,
            json!({ "entries": vec![json!({}); 2001] }),
            "2001, and 2000 are taken at once",
        ),
        (
            import,
            with(&|one| one["entry"]["name"] = json!(long)),
            "entries[1]: name: 10000 characters are more than 4096",
        ),
        (
            import,
            with(&|one| one["entry"]["tenant"] = json!("a\0b")),
            "entries[1]: tenant: it has a character that is none",
        ),
        (
            import,
            with(&|one| one["entry"]["repeats"] = json!(u64::MAX)),
            "entries[1]: repeats: ",
        ),
        (
            import,
            with(&|one| one["entry"]["repeats"] = json!(-1)),
            "entries[1]: invalid value",
        ),
        (
            import,
            with(&|one| one["entry"]["raised"] = json!(4_000_000)),
            "entries[1]: raised: ",
        ),
        (
            import,
            with(&|one| one["entry"]["state"] = json!(ODD)),
            "entries[1]: unknown variant",
        ),
        (
            import,
            with(&|one| one["entry"]["more"] = json!(1)),
            "entries[1]: unknown field `more`",
        ),
        (
            import,
            with(&|one| one["strikes"][0]["evidence"] = json!(long.repeat(4))),
            "strikes[0].evidence: ",
        ),
        (
            import,
            with(&|one| one["strikes"][0]["at"] = json!("yesterday")),
            "entries[1]: ",
        ),
    ] {
        let answer = ci.post(path, &body);
        assert_eq!(
            (answer.status, Program::refused(&answer).as_str()),
            (400, "bad-request"),
            "{words}: {}",
            answer.body
        );
        assert!(answer.body.contains(words), "{words}: {}", answer.body);
    }
    let kind = "Content-Type: application/json\r\n";
    let huge = format!("{{\"entries\": [\"{}\"]}}", "a".repeat(5 << 20));
    let deep = format!("{{\"entries\": {}", "[".repeat(100_000));
    for (path, headers, body, status, code) in [
        (add, kind, &huge[..20_000], 413, "too-long"),
        (import, kind, &huge, 413, "too-long"),
        (import, kind, &deep, 400, "bad-request"),
        (import, "", "{}", 415, "not-json"),
    ] {
        let answer = ci.send("POST", path, headers, body, None);
        assert_eq!(
            (answer.status, Program::refused(&answer).as_str()),
            (status, code),
            "{}",
            answer.body
        );
    }
    let mut viewer = Program::new(&desk, "dashboard", "viewer");
    for (path, body) in [
        (add, json!({ "digests": [numbered(1)] })),
        (import, json!({ "entries": [first] })),
    ] {
        let answer = viewer.post(path, &body);
        assert_eq!(
            (answer.status, Program::refused(&answer).as_str()),
            (403, "not-allowed")
        );
    }
    assert_eq!(count(&desk), 1);
}

#[test]
fn a_shell_lists_and_imports_with_a_server() {
    let (desk, digest) = with_an_entry();
    let shell = Shell::of(&desk, "ci", "operator");
    assert_eq!(
        shell.well(&[
            "quarantine",
            "add",
            &numbered(1),
            &numbered(2),
            "--why",
            "seen elsewhere"
        ]),
        "2 added\n"
    );
    let detail = desk.dossier(&numbered(2))["entry"]["detail"].clone();
    assert_eq!(detail, json!("listed by an operator: seen elsewhere"));
    let (code, said) = shell.refused(&["quarantine", "add", &numbered(3), &numbered(1)]);
    assert!(code == Some(1) && said.contains("cannot be changed by `add`"), "{said}");
    let here = near(&desk, &["quarantine", "add", &numbered(3), &numbered(1)]);
    assert_eq!(here.status.code(), Some(1));
    assert_eq!(count(&desk), 3);

    let (mut one, mut lines_of) = (exported(&desk, &digest[..8]), String::new());
    for number in 10..1010 {
        one["entry"]["digest"] = json!(numbered(number));
        lines_of.push_str(&format!("{one}\n"));
    }
    let file = shell.world.write("export.jsonl", &lines_of);
    let file = file.to_str().unwrap();
    assert_eq!(
        shell.well(&["quarantine", "import", file, "--why", "both sites"]),
        "1000 of 1000 imported\n"
    );
    assert_eq!(shell.well(&["quarantine", "import", file]), "0 of 1000 imported\n");
    assert_eq!(count(&desk), 1003);

    let broken = shell
        .world
        .write("broken.jsonl", format!("{lines_of}{{\"entry\": 1}}\n"));
    let (code, said) = shell.refused(&["quarantine", "import", broken.to_str().unwrap()]);
    assert!(code == Some(1) && said.contains("broken.jsonl:1001:"), "{said}");
    let many = shell.world.write("many.jsonl", lines_of.repeat(3));
    let (code, said) = shell.refused(&["quarantine", "import", many.to_str().unwrap()]);
    assert!(
        code == Some(1)
            && said.contains("at most 2000 entries at once, and these are 3000")
            && said.contains("--config"),
        "{said}"
    );
    let (code, said) = shell.refused(&["quarantine", "add", &numbered(5), "--who", "olga"]);
    assert!(code == Some(2) && said.contains("--who is for a ledger"), "{said}");
}
