//! The API as programs meet it: the whole way through, refusals, and texts that want to be something else.

use std::thread;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::browser::*;
use super::program::*;
use super::quarantine::with_an_entry;
use super::world::*;

const DOCUMENT: &str = include_str!("../../docs/openapi.json");
/// What is sent where text is expected.
const ODD: &str = "\"><script>alert(1)</script>'; DROP TABLE entries; -- ../../etc/passwd";

pub fn edit(desk: &Desk, statement: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let path = desk.world.path("state/ledger.sqlite");
        let mut ledger = SqliteConnection::connect(&format!("sqlite:{}", path.display()))
            .await
            .unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
            .execute(&mut ledger)
            .await
            .unwrap();
        ledger.close().await.unwrap();
    });
}

#[test]
fn a_program_does_what_the_pages_do_and_is_answered_as_documented() {
    let (desk, digest) = with_an_entry();
    let mut ci = Program::new(&desk, "ci", "operator");
    assert_eq!(
        ci.get("/openapi.json").json(),
        serde_json::from_str::<Value>(DOCUMENT).unwrap()
    );

    let list = ci.get("/quarantine?state=quarantined&reason=cpu&format=tiff").json();
    assert_eq!(
        (&list["entries"][0]["digest"], &list["next"]),
        (&json!(digest), &json!(null))
    );
    let entry = format!("/quarantine/{digest}");
    let whole = ci.get(&entry).json();
    assert_eq!(whole["seen"], list["entries"][0]["seen"]);
    assert_eq!(whole["strikes"][0]["reason"], json!("cpu"));

    wait_for("the fleet to be told of the verdict", || {
        let overview = ci.get("/overview").json();
        let steps = overview["course"]["steps"].as_array().unwrap();
        let sum = |of: fn(&Value) -> &Value| steps.iter().filter_map(|step| of(step).as_u64()).sum::<u64>();
        assert_eq!(steps.len(), 24);
        sum(|step| &step["jobs"]) == 1
            && sum(|step| &step["verdicts"]["quarantined"]) == 1
            && sum(|step| &step["convictions"]["cpu"]) == 1
    });
    let overview = ci.get("/overview?span=30d").json();
    assert_eq!(overview["course"]["steps"].as_array().unwrap().len(), 30);
    assert_eq!(overview["unreviewed"]["entries"], json!(1));
    assert_eq!(overview["worker"]["health"]["ready"], json!(true));
    assert_eq!(
        overview["worker"]["ended"]["quarantined"],
        json!({ "run": 1, "known_before": 0 })
    );
    let workers = ci.get("/workers").json();
    let worker = &workers["workers"][0];
    assert_eq!(
        (&worker["worker"], &worker["alive"]),
        (&overview["worker"]["worker"], &json!(true))
    );
    assert_eq!(worker["layers"], overview["worker"]["layers"]);
    let layers = worker["layers"].as_array().unwrap();
    let required = layers.iter().filter(|layer| layer["mode"] == "required");
    assert!(required.clone().count() >= 5 && layers.len() == 9, "{layers:#?}");
    for layer in required {
        assert!(
            ["yes", "not-applicable"].contains(&layer["held"]["is"].as_str().unwrap()),
            "{layer}"
        );
    }

    let alike = ci.get(&format!("/digests/{}", digest[..6].to_uppercase())).json();
    assert_eq!(alike, json!({ "digests": [digest] }));
    assert_eq!(ci.get("/digests/0000").json(), json!({ "digests": [] }));
    assert_eq!(ci.get("/digests/000").status, 400);

    let noted = ci.post(&format!("{entry}/notes"), &json!({ "why": ODD }));
    assert_eq!(noted.status, 200, "{}", noted.body);
    for (decision, state) in [
        ("confirm", "confirmed"),
        ("raise", "released"),
        ("allow", "allowed"),
        ("release", "released"),
    ] {
        let seen = ci.get(&entry).json()["seen"].clone();
        let wish = json!({ "decision": decision, "seen": seen, "why": format!("because of {decision}") });
        let decided = ci.post(&format!("{entry}/decisions"), &wish);
        assert_eq!(decided.status, 200, "{}", decided.body);
        assert_eq!(decided.json()["state"], json!(state), "{decision}");
        let raised = (decision == "raise").then_some(json!(4));
        assert_eq!(decided.json().get("raised"), raised.as_ref(), "{decision}");
        let last = desk.dossier(&digest)["audit"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .clone();
        assert_eq!((&last["who"], &last["action"]), (&json!("token:ci"), &json!(decision)));
    }
    let trail = ci.get("/audit?who=token:ci").json();
    let actions: Vec<&str> = trail["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["release", "allow", "raise", "confirm", "note"]);
    assert_eq!(trail["records"][4]["why"], json!(ODD));

    let tenant = "/tenants/acme/decisions";
    for (wish, field, value) in [
        (json!({ "decision": "refuse", "why": ODD }), "block", json!("refuse")),
        (
            json!({ "decision": "limit", "limits": { "queued": 5, "bytes_per_day": "10 GiB", "over": "refuse" } }),
            "limits",
            json!({ "queued": 5, "bytes_per_day": "10 GiB", "over": "refuse" }),
        ),
        (json!({ "decision": "unlimit" }), "limits", json!({})),
        (json!({ "decision": "unblock" }), "block", json!(null)),
        (
            json!({ "decision": "end-probation" }),
            "probation_until_ms",
            json!(null),
        ),
    ] {
        let decided = ci.post(tenant, &wish);
        assert_eq!(decided.status, 200, "{}", decided.body);
        assert_eq!(decided.json()["standing"][field], value, "{wish}");
    }
    let doomed = ci.get("/tenants/acme/purge").json();
    assert_eq!((&doomed["waiting"], &doomed["running"]), (&json!(0), &json!(0)));
    assert!(ci.post("/tenants/acme/purge", &json!({})).json()["standing"]["purged_before_ms"].is_u64());
    let tenants = ci.get("/tenants").json();
    assert!(
        tenants["tenants"]
            .as_array()
            .unwrap()
            .iter()
            .any(|tenant| tenant["tenant"] == "acme")
    );
    let acme = ci.get("/tenants/acme").json();
    assert_eq!(acme["audit"].as_array().unwrap().len(), 6);
    assert_eq!(
        ci.get("/audit?of=tenants&action=purge").json()["records"][0]["about"],
        json!("acme")
    );

    // Refusals are documented, too.
    assert_eq!(ci.get("/quarantine/nonsense").status, 404);
    assert_eq!(ci.get("/quarantine?sort=evil").status, 400);
    assert_eq!(
        ci.post(
            &format!("{entry}/decisions"),
            &json!({ "decision": "release", "seen": whole["seen"] })
        )
        .status,
        409
    );
    let listed = ci.post("/quarantine", &json!({ "digests": ["0".repeat(64)], "why": ODD }));
    assert_eq!(
        (listed.status, listed.json()["added"].clone()),
        (200, json!(1)),
        "{}",
        listed.body
    );
    let exported: Value = serde_json::from_slice(&desk.quarantine(&["export", &digest]).stdout).unwrap();
    let imported = ci.post("/quarantine/import", &json!({ "entries": [exported] }));
    assert_eq!(
        (imported.status, imported.json()["of"].clone()),
        (200, json!(1)),
        "{}",
        imported.body
    );
    let retest = ci.post(&format!("{entry}/retest"), &json!({ "why": "once more" }));
    assert_eq!(retest.status, 202, "{}", retest.body);
    wait_for("the retest to end", || {
        ci.get(&format!("{entry}/retest")).json()["state"] == json!("ended")
    });
    let copy = ci.download(&format!("{entry}/specimen"), "application/octet-stream");
    assert!(
        copy.body.starts_with("-----BEGIN LAZARET SPECIMEN-----\n"),
        "{}",
        copy.body
    );
    let exported = ci.download("/audit/export?who=token:ci&action=note", "application/jsonl");
    assert_eq!(exported.body.lines().count(), 2, "{}", exported.body);
    let erased = ci.post(&format!("{entry}/erase"), &json!({ "why": "no longer needed" }));
    assert_eq!(
        (erased.status, erased.json()["specimen"].clone()),
        (200, Value::Null),
        "{}",
        erased.body
    );
    assert_eq!(ci.get(&format!("{entry}/specimen")).status, 404);
    let many = ci.post("/decisions", &json!({ "decision": "note", "filter": {}, "why": ODD }));
    assert_eq!(many.status, 202, "{}", many.body);
    let at = format!("/decisions/{}", many.json()["number"]);
    wait_for("all to be decided", || ci.get(&at).json()["state"] == json!("ended"));
    assert_eq!(ci.get(&at).json()["done"], json!(2));

    let mut viewer = Program::new(&desk, "dashboard", "viewer");
    assert_eq!(viewer.get("/workers").status, 200);
    assert_eq!(viewer.post(tenant, &json!({ "decision": "hold" })).status, 403);
    let answers: Vec<Value> = ci.answers.iter().chain(&viewer.answers).cloned().collect();
    check(&desk, &answers);
}

#[test]
fn pages_of_the_list_follow_each_other() {
    let (desk, _) = with_an_entry();
    let export = String::from_utf8(desk.quarantine(&["export"]).stdout).unwrap();
    let mut more = String::new();
    for number in 0..120 {
        let mut line: Value = serde_json::from_str(&export).unwrap();
        line["entry"]["digest"] = json!(format!("{number:064x}"));
        line["entry"]["tenant"] = json!("acme");
        more.push_str(&format!("{line}\n"));
    }
    let file = desk.world.write("more", more);
    assert!(desk.quarantine(&["import", file.to_str().unwrap()]).status.success());
    let mut ci = Program::new(&desk, "ci", "viewer");
    let mut all_pages = |first: &str| {
        let (mut path, mut sizes, mut digests) = (first.to_owned(), Vec::new(), Vec::new());
        loop {
            let page = ci.get(&path).json();
            let entries = page["entries"].as_array().unwrap();
            digests.extend(entries.iter().map(|entry| entry["digest"].as_str().unwrap().to_owned()));
            sizes.push(entries.len());
            match page["next"].as_str() {
                Some(next) if sizes.len() < 10 => path = format!("{first}&behind={next}"),
                _ => break,
            }
        }
        assert_eq!(sizes, [50, 50, 20], "{first}");
        digests
    };
    let newest_first = all_pages("/quarantine?tenant=acme&sort=newest");
    assert_eq!(newest_first, all_pages("/quarantine?tenant=acme"));
    let mut oldest_first = all_pages("/quarantine?tenant=acme&sort=oldest");
    oldest_first.reverse();
    assert_eq!(oldest_first, newest_first);
    let distinct: std::collections::BTreeSet<_> = newest_first.into_iter().collect();
    assert_eq!(distinct.len(), 120);
}

#[test]
fn of_two_programs_that_decide_at_once_the_second_is_told_what_the_first_did() {
    let (desk, digest) = with_an_entry();
    let text = new_token(&desk, "ci", "operator");
    let seen = Program::with(&desk, &text).get(&format!("/quarantine/{digest}")).json()["seen"].clone();
    let answers: Vec<_> = thread::scope(|scope| {
        let decide = |decision: &'static str| {
            let mut program = Program::with(&desk, &text);
            let (path, seen) = (format!("/quarantine/{digest}/decisions"), seen.clone());
            scope.spawn(move || {
                let wish = json!({ "decision": decision, "seen": seen, "why": format!("one of two: {decision}") });
                (decision, program.post(&path, &wish))
            })
        };
        let both = [decide("confirm"), decide("allow")];
        both.map(|one| one.join().unwrap()).into()
    });
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|(_, answer)| answer.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 1));
    let late = &lost[0].1;
    assert_eq!(
        (late.status, Program::refused(late).as_str()),
        (409, "decided-meanwhile")
    );
    let last = late.json()["now"]["audit"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["action"], &last["why"]),
        (&json!(won[0].0), &json!(format!("one of two: {}", won[0].0)))
    );
    assert_eq!(desk.dossier(&digest)["entry"]["state"], won[0].1.json()["state"]);
}

#[test]
fn tokens_that_are_none_open_nothing_and_the_log_says_so() {
    let desk = Desk::new();
    let mut good = Program::new(&desk, "ci", "operator");
    assert_eq!(good.get("/workers").status, 200);

    let mut nobody = Program::with(&desk, "");
    nobody.says.clear();
    let answer = nobody.get("/quarantine");
    assert_eq!((answer.status, Program::refused(&answer).as_str()), (401, "no-token"));
    assert!(answer.head.contains("www-authenticate: bearer\r\n"), "{}", answer.head);
    // A person's session opens nothing here, neither to look nor to decide.
    let browser = desk.as_user("olga");
    nobody.says = format!("Cookie: lazaret_session={}\r\n", browser.cookies["lazaret_session"]);
    assert_eq!(nobody.get("/quarantine").status, 401);
    assert_eq!(
        nobody
            .post("/tenants/acme/decisions", &json!({ "decision": "hold" }))
            .status,
        401
    );
    assert_eq!(
        nobody.get("/openapi.json").status,
        200,
        "what can be read in the sources is no secret"
    );

    let expired = new_token(&desk, "old", "operator");
    edit(&desk, "UPDATE tokens SET expires = made WHERE name = 'old'");
    let revoked = new_token(&desk, "gone", "operator");
    assert_eq!(Program::with(&desk, &revoked).get("/workers").status, 200);
    assert_eq!(
        token(&desk, &["revoke", "gone", "--who", "vera"]).status.code(),
        Some(0)
    );
    for (text, standing) in [
        (expired.as_str(), "expired"),
        (&revoked, "revoked"),
        ("lzt_guessed", "unknown"),
    ] {
        let answer = Program::with(&desk, text).get("/workers");
        assert_eq!(
            (answer.status, Program::refused(&answer).as_str()),
            (401, "invalid-token"),
            "{standing}"
        );
        assert!(
            answer.body.contains(&format!("This token is {standing}.")),
            "{}",
            answer.body
        );
        assert!(
            answer.head.contains("www-authenticate: bearer error=\"invalid_token\""),
            "{}",
            answer.head
        );
    }
    let log = desk.log();
    for part in [
        "asks over the API",
        "token:gone",
        "refused over the API: token",
        "revoked",
        "expired",
    ] {
        assert!(log.contains(part), "{part}: {log}");
    }
    for text in [&expired, &revoked] {
        assert!(!log.contains(text.as_str()), "the log has no token");
    }
    let list = lines(&token(&desk, &["list", "--json"]));
    let told: Vec<_> = list
        .iter()
        .map(|token| (&token["name"], &token["standing"], &token["revoked_by"]))
        .collect();
    let (ci, gone, old) = (json!("ci"), json!("gone"), json!("old"));
    assert_eq!(
        told,
        [
            (&ci, &json!("good"), &json!(null)),
            (&old, &json!("expired"), &json!(null)),
            (&gone, &json!("revoked"), &json!("vera")),
        ]
    );
}

#[test]
fn whoever_goes_on_trying_tokens_waits_and_people_still_log_in() {
    let desk = Desk::new();
    let good = new_token(&desk, "ci", "viewer");
    let mut guesser = Program::with(&desk, "lzt_guessed");
    let mut tries = 0;
    let waits = loop {
        let answer = guesser.get("/workers");
        tries += 1;
        match answer.status {
            401 => assert!(tries < 30, "nobody ever waits"),
            429 => break answer,
            other => panic!("{other}: {}", answer.body),
        }
    };
    assert!(
        tries > 5 && waits.head.contains("retry-after: "),
        "{tries}: {}",
        waits.head
    );
    assert_eq!(Program::refused(&waits), "too-many-tries");
    assert_eq!(desk.browser().log_in("olga", PASSWORD).status, 303);
    // Whoever has a good one does not wait for others.
    assert_eq!(Program::with(&desk, &good).get("/workers").status, 200);
}

#[test]
fn a_token_is_shown_once_and_kept_nowhere() {
    let desk = Desk::new();
    let text = new_token(&desk, "ci", "viewer");
    assert!(text.starts_with("lzt_") && text.len() == 47, "{text}");
    assert_eq!(Program::with(&desk, &text).get("/workers").status, 200);
    let again = token(&desk, &["add", "ci"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        stderr(&again).contains("there is, or was, a token ci"),
        "{}",
        stderr(&again)
    );
    for name in ["", "a b", "token:x", "<b>"] {
        assert_eq!(token(&desk, &["add", name]).status.code(), Some(2), "{name}");
    }
    assert_eq!(token(&desk, &["revoke", "nobody"]).status.code(), Some(1));
    let list = token(&desk, &["list"]);
    let table = String::from_utf8(list.stdout).unwrap();
    assert!(
        table.contains("ci") && table.contains("olga") && !table.contains("lzt_"),
        "{table}"
    );
    let folder = std::fs::read_dir(desk.world.path("state")).unwrap();
    for file in folder.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        let secret = &text.as_bytes()[4..];
        assert!(
            !bytes.windows(secret.len()).any(|window| window == secret),
            "{}",
            file.display()
        );
    }
}

#[test]
fn every_documented_route_is_there_and_wants_a_token() {
    let desk = Desk::new();
    let mut nobody = Program::with(&desk, "");
    nobody.says.clear();
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let mut walked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let at = path
            .replace("{digest}", &"0".repeat(64))
            .replace("{tenant}", "acme")
            .replace("{number}", "1");
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let open = item[method]["security"] == json!([]);
            let answer = nobody.send(&method.to_uppercase(), &at, "", "", None);
            assert_eq!(answer.status, if open { 200 } else { 401 }, "{method} {path}");
            walked += 1;
        }
        let answer = nobody.send("DELETE", &at, "", "", None);
        assert_eq!(
            (answer.status, Program::refused(&answer).as_str()),
            (405, "method-not-allowed")
        );
    }
    assert_eq!(walked, 23);
}

#[test]
fn odd_paths_filters_and_bodies_have_proper_answers() {
    let (desk, digest) = with_an_entry();
    let mut ci = Program::new(&desk, "ci", "operator");
    let long = "a".repeat(10_000);
    let odd: String = url::form_urlencoded::byte_serialize(ODD.as_bytes()).collect();
    for (path, status) in [
        (format!("/quarantine?tenant={odd}"), 200),
        (format!("/quarantine?worker={odd}"), 200),
        (format!("/quarantine?state={odd}"), 400),
        (format!("/quarantine?reason={odd}"), 400),
        (format!("/quarantine?format={odd}"), 400),
        (format!("/quarantine?since={odd}"), 400),
        (format!("/quarantine?behind={odd}"), 400),
        (format!("/quarantine?{odd}=1"), 400),
        (format!("/quarantine?tenant={long}"), 400),
        (format!("/quarantine?{long}=1"), 400),
        ("/quarantine?tenant=%00".to_owned(), 400),
        (format!("/audit?who={odd}&action={odd}"), 200),
        (format!("/audit?of={odd}"), 400),
        (format!("/audit?who={long}"), 400),
        (format!("/workers?{odd}=1"), 400),
        (format!("/overview?span={odd}"), 400),
        (format!("/overview?span={long}"), 400),
        ("/overview?page=2".to_owned(), 400),
        (format!("/workers?x={long}"), 400),
        ("/tenants?tenant=acme".to_owned(), 400),
        (format!("/quarantine/{digest}?format=json"), 400),
        ("/quarantine/..%2f..%2fetc%2fpasswd".to_owned(), 404),
        ("/quarantine/%ff%fe".to_owned(), 404),
        (format!("/quarantine/{long}"), 404),
        (format!("/quarantine/{}", &digest[..12]), 404),
        (format!("/quarantine/{}", "0".repeat(64)), 404),
        (format!("/quarantine/{digest}/specimens"), 404),
        (format!("/quarantine/{digest}/specimen?raw=1"), 400),
        (format!("/decisions/{long}"), 404),
        ("/decisions/-1".to_owned(), 404),
        ("/decisions/%3Cscript%3E".to_owned(), 404),
        (format!("/audit/export?who={long}"), 400),
        (format!("/audit/export?of={odd}"), 400),
        (format!("/digests/{long}"), 400),
        ("/digests/%25%25%25%25".to_owned(), 400),
        (format!("/digests/{}?limit=7", &digest[..12]), 400),
        ("/tenants/..%2f..%2faccounts.toml".to_owned(), 404),
        ("/tenants/%3Cscript%3E".to_owned(), 404),
        (format!("/tenants/{long}/purge"), 404),
        ("/../../etc/passwd".to_owned(), 404),
        ("/".to_owned(), 404),
    ] {
        let answer = ci.get(&path);
        let beginning = &path[..path.len().min(80)];
        assert_eq!(answer.status, status, "{beginning}: {}", answer.body);
        if status != 200 {
            assert!(
                ["bad-request", "not-found"].contains(&Program::refused(&answer).as_str()),
                "{beginning}"
            );
        }
    }
    let seen = ci.get(&format!("/quarantine/{digest}")).json()["seen"].clone();
    let decisions = format!("/quarantine/{digest}/decisions");
    let notes = format!("/quarantine/{digest}/notes");
    let nobodys = format!("/quarantine/{}/decisions", "0".repeat(64));
    let tenant = "/tenants/acme/decisions";
    for (path, body, status, words) in [
        (
            decisions.as_str(),
            json!({ "decision": "explode", "seen": seen }),
            400,
            "unknown variant `explode`",
        ),
        (
            &decisions,
            json!({ "decision": "note", "seen": seen }),
            400,
            "unknown variant `note`",
        ),
        (
            &decisions,
            json!({ "decision": "release" }),
            400,
            "missing field `seen`",
        ),
        (
            &decisions,
            json!({ "decision": "release", "seen": ODD }),
            400,
            "`seen` is none",
        ),
        (
            &decisions,
            json!({ "decision": "release", "seen": seen, "who": "root" }),
            400,
            "unknown field `who`",
        ),
        (
            &decisions,
            json!({ "decision": "release", "seen": seen, "why": long }),
            400,
            "more than 500 characters",
        ),
        (
            &decisions,
            json!({ "decision": "release", "seen": seen, "why": "a\0b" }),
            400,
            "one that is none",
        ),
        (&decisions, json!([]), 400, "cannot be read"),
        (
            &nobodys,
            json!({ "decision": "release", "seen": seen }),
            404,
            "no quarantine entry",
        ),
        (&notes, json!({ "why": " " }), 400, "A note has words"),
        (&notes, json!({}), 400, "missing field `why`"),
        (tenant, json!({ "decision": ODD }), 400, "is one of hold"),
        (tenant, json!({ "decision": "purge" }), 400, "is one of hold"),
        (tenant, json!({ "decision": "limit" }), 400, "needs `limits`"),
        (
            tenant,
            json!({ "decision": "limit", "limits": {} }),
            400,
            "says anything",
        ),
        (
            tenant,
            json!({ "decision": "limit", "limits": { "queued": -1 } }),
            400,
            "invalid value",
        ),
        (
            tenant,
            json!({ "decision": "limit", "limits": { "queue": 1 } }),
            400,
            "unknown field `queue`",
        ),
        (
            tenant,
            json!({ "decision": "hold", "limits": { "queued": 1 } }),
            400,
            "`limit` alone",
        ),
        (
            "/tenants/..%2faudit/decisions",
            json!({ "decision": "hold" }),
            404,
            "No tenant",
        ),
        ("/tenants/acme/purge?yes=1", json!({}), 400, "there is no filter yes"),
        (
            "/tenants/acme/purge",
            json!({ "tenant": "other" }),
            400,
            "unknown field `tenant`",
        ),
    ] {
        let answer = ci.post(path, &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        assert!(answer.body.contains(words), "{words}: {}", answer.body);
    }
    let kind = "Content-Type: application/json\r\n";
    let huge = format!("{{\"why\": \"{}\"}}", "a".repeat(100_000));
    for (headers, body, status, code) in [
        (kind, "why=x", 400, "bad-request"),
        (kind, "", 400, "bad-request"),
        (kind, &"[".repeat(10_000), 400, "bad-request"),
        (kind, huge.as_str(), 413, "too-long"),
        ("", "{\"why\": \"x\"}", 415, "not-json"),
        ("Content-Type: text/plain\r\n", "{\"why\": \"x\"}", 415, "not-json"),
    ] {
        let answer = ci.send("POST", &notes, headers, body, None);
        assert_eq!(
            (answer.status, Program::refused(&answer).as_str()),
            (status, code),
            "{}",
            answer.body
        );
    }
    // Nothing of all that did anything.
    let audit = desk.dossier(&digest)["audit"].clone();
    assert!(
        audit
            .as_array()
            .unwrap()
            .iter()
            .all(|record| record["who"] == "lazaret"),
        "{audit}"
    );
    assert_eq!(ci.get("/audit?of=tenants").json()["records"], json!([]));
}

#[test]
fn a_viewers_token_looks_and_does_not_decide() {
    let (desk, digest) = with_an_entry();
    let mut viewer = Program::new(&desk, "dashboard", "viewer");
    let seen = viewer.get(&format!("/quarantine/{digest}")).json()["seen"].clone();
    for (path, body) in [
        (
            format!("/quarantine/{digest}/decisions"),
            json!({ "decision": "release", "seen": seen }),
        ),
        (format!("/quarantine/{digest}/notes"), json!({ "why": "let me" })),
        (format!("/quarantine/{digest}/retest"), json!({})),
        (format!("/quarantine/{digest}/erase"), json!({})),
        ("/decisions".to_owned(), json!({ "decision": "release", "filter": {} })),
        ("/tenants/acme/decisions".to_owned(), json!({ "decision": "hold" })),
        ("/tenants/acme/purge".to_owned(), json!({})),
    ] {
        let answer = viewer.post(&path, &body);
        assert_eq!(
            (answer.status, Program::refused(&answer).as_str()),
            (403, "not-allowed"),
            "{path}"
        );
    }
    let copy = viewer.get(&format!("/quarantine/{digest}/specimen"));
    assert_eq!((copy.status, Program::refused(&copy).as_str()), (403, "not-allowed"));
    assert_eq!(viewer.get("/tenants/acme/purge").status, 200);
    assert_eq!(desk.dossier(&digest)["entry"]["state"], json!("quarantined"));
}
