//! Tenants, the audit trail of everything, and decisions about many entries at once.

use serde_json::json;

use super::browser::*;
use super::quarantine::with_an_entry;
use super::world::*;

fn send(browser: &mut Browser, tenant: &str, action: &str, fields: &[(&str, &str)]) -> super::asked::Answer {
    let page = browser.get(&format!("/tenants/{tenant}")).body;
    let csrf = field(&page, "csrf");
    let mut all = vec![("csrf", csrf.as_str()), ("why", "it sends <b>too much</b>")];
    all.extend(fields);
    browser.post(&format!("/tenants/{tenant}/{action}"), &all)
}

fn location(answer: &super::asked::Answer) -> String {
    let mut lines = answer.head_as_it_came.lines();
    lines
        .find_map(|line| line.strip_prefix("location: "))
        .unwrap()
        .trim()
        .to_owned()
}

fn standing(desk: &Desk, tenant: &str) -> serde_json::Value {
    let config = desk.world.config();
    let mut command = desk
        .world
        .command(&["tenant", "--config", config.to_str().unwrap(), "show", tenant, "--json"]);
    let output = command.env_remove("LAZARET_STATE").output().unwrap();
    lines(&output).remove(0)["standing"].clone()
}

#[test]
fn a_tenant_is_blocked_limited_and_let_go_and_the_trail_says_so() {
    let desk = Desk::new();
    let mut olga = desk.as_user("olga");
    assert_eq!(send(&mut olga, "acme", "refuse", &[]).status, 303);
    assert_eq!(standing(&desk, "acme")["block"], json!("refuse"));
    let limits = [
        ("jobs_per_minute", "60"),
        ("bytes_per_day", "10GiB"),
        ("over", "refuse"),
        ("queued", ""),
    ];
    assert_eq!(send(&mut olga, "acme", "limit", &limits).status, 303);
    let kept = standing(&desk, "acme")["limits"].clone();
    assert_eq!(
        kept,
        json!({ "jobs_per_minute": 60, "bytes_per_day": "10 GiB", "over": "refuse" })
    );
    let page = olga.get("/tenants/acme").body;
    assert!(
        page.contains("jobs/min 60") && page.contains("blocked (refuse)"),
        "{page}"
    );
    assert!(page.contains("it sends &lt;b&gt;too much&lt;/b&gt;"), "{page}");
    let list = olga.get("/tenants").body;
    assert!(
        list.contains("href=\"/tenants/acme\"") && list.contains("blocked (refuse)"),
        "{list}"
    );

    // A worker knows within a second what was decided.
    wait_for("the block to be known", || {
        let output = desk.world.submit(&[
            "--wait",
            "--json",
            "--tenant",
            "acme",
            &fixture("valid/photos/rocket.bmp"),
        ]);
        lines(&output)[0]["reason"] == json!("tenant-blocked")
    });
    assert_eq!(send(&mut olga, "acme", "unblock", &[]).status, 303);
    assert_eq!(send(&mut olga, "acme", "unlimit", &[]).status, 303);
    assert_eq!(
        standing(&desk, "acme"),
        json!({ "block": null, "limits": {}, "purged_before_ms": null, "probation_until_ms": null })
    );

    let trail = olga.get("/audit?of=tenants&who=olga").body;
    for word in ["refuse", "limit", "unblock", "unlimit", "href=\"/tenants/acme\""] {
        assert!(trail.contains(word), "{word}: {trail}");
    }
    assert!(trail.contains("it sends &lt;b&gt;too much&lt;/b&gt;"), "{trail}");
    let export = olga.get("/audit/export?of=tenants");
    assert!(
        export.head.contains("content-disposition: attachment"),
        "{}",
        export.head
    );
    let records: Vec<serde_json::Value> = export
        .body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let actions: Vec<_> = records
        .iter()
        .map(|record| record["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["unlimit", "unblock", "limit", "block"]);
    assert!(
        records
            .iter()
            .all(|record| record["about"] == json!("acme") && record["who"] == json!("olga"))
    );
}

/// Jobs that a purge would find in the ledger.
fn waiting(browser: &mut Browser) -> u64 {
    let page = browser.get("/tenants/acme/purge").body;
    let (_, rest) = page.split_once("wait in the ledger</th><td>").unwrap();
    rest.split('<').next().unwrap().parse().unwrap()
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a second passes")]
fn a_purge_is_shown_before_it_is_done() {
    let desk = Desk::new();
    let mut olga = desk.as_user("olga");
    assert_eq!(send(&mut olga, "acme", "hold", &[]).status, 303);
    wait_for("two jobs to be held", || {
        let _ = desk
            .world
            .submit(&["--tenant", "acme", &fixture("valid/photos/rocket.bmp")]);
        waiting(&mut olga) >= 2
    });
    // A message says when it was enqueued in whole seconds, and a purge takes nothing that may have come after it.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let mut vera = desk.as_user("vera");
    assert!(!vera.get("/tenants/acme/purge").body.contains("<button>Purge"));
    assert_eq!(send(&mut vera, "acme", "purge", &[]).status, 403);
    assert_eq!(standing(&desk, "acme")["purged_before_ms"], json!(null));
    assert_eq!(send(&mut olga, "acme", "purge", &[]).status, 303);
    assert!(standing(&desk, "acme")["purged_before_ms"].is_u64());
    wait_for("the jobs to be given up", || waiting(&mut olga) == 0);
}

#[test]
fn odd_tenants_and_forms_have_proper_answers() {
    let desk = Desk::new();
    let mut olga = desk.as_user("olga");
    let long = "a".repeat(10_000);
    olga.finds([
        ("/tenants/nobody".to_owned(), 200),
        ("/tenants?tenant=nobody".to_owned(), 303),
        ("/tenants?tenant=%27+OR+1%3D1".to_owned(), 400),
        ("/tenants?tenant=".to_owned(), 200),
        ("/tenants/%3Cscript%3E".to_owned(), 404),
        ("/tenants/..%2faudit".to_owned(), 404),
        (format!("/tenants/{long}"), 404),
        ("/tenants/nobody/block".to_owned(), 405),
        ("/audit?of=everything".to_owned(), 400),
        (format!("/audit?who={long}"), 400),
        ("/audit?who=%27%3B+DROP+TABLE+audit%3B--".to_owned(), 200),
        ("/audit?action=%3Cscript%3E".to_owned(), 200),
        ("/audit?behind=9-9".to_owned(), 200),
        ("/audit?behind=x".to_owned(), 400),
        ("/audit/export?who=%00".to_owned(), 400),
        ("/bulk/1".to_owned(), 404),
        ("/bulk/x".to_owned(), 404),
    ]);
    for (action, fields, status) in [
        ("explode", &[][..], 404),
        ("limit", &[], 400),
        ("limit", &[("in_flight", "-1")], 400),
        ("limit", &[("bytes_per_day", "<script>")], 400),
        ("limit", &[("over", "explode")], 400),
        ("hold", &[], 303),
    ] {
        assert_eq!(
            send(&mut olga, "nobody", action, fields).status,
            status,
            "{action} {fields:?}"
        );
    }
    let forged = [("csrf", "forged"), ("why", "")];
    assert_eq!(olga.post("/tenants/nobody/refuse", &forged).status, 403);
    assert_eq!(standing(&desk, "nobody")["block"], json!("hold"));
}

#[test]
fn many_are_decided_at_once_and_what_has_changed_is_left_alone() {
    let (desk, digest) = with_an_entry();
    let export = String::from_utf8(desk.quarantine(&["export"]).stdout).unwrap();
    let mut more = String::new();
    for number in 0..120 {
        let mut line: serde_json::Value = serde_json::from_str(&export).unwrap();
        line["entry"]["digest"] = json!(format!("{number:064x}"));
        line["entry"]["tenant"] = json!("acme");
        more.push_str(&format!("{line}\n"));
    }
    let file = desk.world.write("more", more);
    let output = desk.quarantine(&["import", file.to_str().unwrap(), "--why", "more of them"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));

    let mut olga = desk.as_user("olga");
    let mut run = |why: &str, fields: &[(&str, &str)]| {
        let page = olga.get("/quarantine?tenant=acme").body;
        let csrf = field(&page, "csrf");
        let mut all = vec![("csrf", csrf.as_str()), ("why", why)];
        all.extend(fields);
        let answer = olga.post("/quarantine", &all);
        if answer.status != 303 {
            return (answer.status, page);
        }
        let to = location(&answer);
        wait_for("the run to end", || olga.get(&to).body.contains("It has ended."));
        (answer.status, olga.get(&to).body)
    };
    let told = |page: &str, done: u32, left: u32| {
        assert!(page.contains(&format!("entries decided</th><td>{done}<")), "{page}");
        assert!(page.contains(&format!("left alone</th><td>{left}, ")), "{page}");
    };
    let (_, page) = run("a batch", &[("which", "ticked"), ("action", "confirm")]);
    let marks: Vec<String> = page
        .split("name=\"entry\" value=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    assert_eq!(marks.len(), 50, "a page of them");
    let ticked = [
        ("which", "ticked"),
        ("action", "confirm"),
        ("entry", &marks[0]),
        ("entry", &marks[1]),
    ];
    let (status, page) = run("a batch", &ticked);
    assert_eq!(status, 303);
    told(&page, 2, 0);
    let (_, page) = run("a batch", &ticked);
    told(&page, 0, 2);
    let all = [
        ("which", "all"),
        ("filter", "tenant=acme&state=quarantined"),
        ("action", "release"),
    ];
    let (_, page) = run("a batch", &all);
    told(&page, 118, 0);
    for (why, fields) in [
        (
            "a batch",
            &[("which", "all"), ("filter", "state=lost"), ("action", "release")][..],
        ),
        ("a batch", &[("which", "ticked"), ("entry", "x"), ("action", "release")]),
        ("a batch", &[("which", "all"), ("action", "expire")]),
        ("a batch", &[("which", "all"), ("action", "")]),
        ("", &[("which", "all"), ("action", "note")]),
        (" ", &[("which", "all"), ("action", "note")]),
    ] {
        let (status, page) = run(why, fields);
        assert_eq!(status, 400, "{why:?} {fields:?}: {page}");
    }
    let mut vera = desk.as_user("vera");
    let page = vera.get("/quarantine").body;
    assert!(!page.contains("Decide about many") && !page.contains("checkbox"));
    let csrf = field(&page, "csrf");
    let fields = [("csrf", csrf.as_str()), ("which", "all"), ("action", "release")];
    assert_eq!(vera.post("/quarantine", &fields).status, 403);
    let states = |state: &str| lines(&desk.quarantine(&["list", "--json", "--state", state, "--limit", "0"])).len();
    assert_eq!(
        (states("released"), states("confirmed"), states("quarantined")),
        (118, 2, 1)
    );
    assert_eq!(desk.dossier(&digest)["entry"]["state"], json!("quarantined"));
}
