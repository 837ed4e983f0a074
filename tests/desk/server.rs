//! `lazaret quarantine` and `lazaret tenant` with a server in place of a ledger: they tell and do the same.

use std::sync::Arc;

use serde_json::{Value, json};

use super::browser::Desk;
use super::impostor::{Impostor, passed_on};
use super::private::certificates;
use super::program::new_token;
use super::quarantine::with_an_entry;
use super::shell::{Shell, near, told};
use super::world::*;

const NOBODYS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn shown(desk: &Desk, tenant: &str) -> Value {
    lines(&near(desk, &["tenant", "show", tenant, "--json"])).remove(0)
}

#[test]
fn a_server_tells_what_its_ledger_tells() {
    let (desk, digest) = with_an_entry();
    let shell = Shell::of(&desk, "dashboard", "viewer");
    let short = &digest[..8];
    let cpu = [
        "quarantine",
        "list",
        "--state",
        "quarantined",
        "--reason",
        "cpu",
        "--json",
    ];
    for arguments in [
        &["quarantine", "list"][..],
        &["quarantine", "list", "--json"],
        &cpu,
        &[
            "quarantine",
            "list",
            "--state",
            "released",
            "--state",
            "quarantined",
            "--limit",
            "0",
        ],
        &["quarantine", "list", "--newer-than", "1h", "--limit", "1", "--json"],
        &["quarantine", "show", short],
        &["quarantine", "show", &digest, "--json"],
        &["quarantine", "export"],
        &["quarantine", "export", short],
    ] {
        let here = told(&near(&desk, arguments));
        assert!(here.0 == Some(0) && here.1.contains(short), "{arguments:?}: {here:?}");
        assert_eq!(told(&shell.run(arguments)), here, "{arguments:?}");
    }
    // Nothing there, or no digest.
    for (arguments, code) in [
        (&["quarantine", "list", "--state", "released"][..], 0),
        (&["quarantine", "list", "--older-than", "1h", "--json"], 0),
        (&["quarantine", "list", "--tenant", "nobody", "--json"], 0),
        (&["quarantine", "show", "ffff0000"], 1),
        (&["quarantine", "show", NOBODYS], 1),
        (&["quarantine", "show", "xyz"], 2),
    ] {
        let here = told(&near(&desk, arguments));
        assert!(
            here.0 == Some(code) && !here.1.contains(short),
            "{arguments:?}: {here:?}"
        );
        assert_eq!(told(&shell.run(arguments)), here, "{arguments:?}");
    }
    assert_eq!(
        near(&desk, &["tenant", "block", "acme", "--who", "ann"]).status.code(),
        Some(0)
    );
    for arguments in [
        &["tenant", "list"][..],
        &["tenant", "list", "--json"],
        &["tenant", "show", "acme"],
        &["tenant", "show", "acme", "--json"],
        &["tenant", "show", "quiet", "--json"],
    ] {
        // Use is written a moment after it was, and counted by the minute.
        wait_for("both to tell the same", || {
            let here = told(&near(&desk, arguments));
            assert_eq!(here.0, Some(0), "{arguments:?}: {here:?}");
            told(&shell.run(arguments)) == here
        });
    }
}

#[test]
fn a_long_list_comes_page_by_page() {
    let (desk, _) = with_an_entry();
    let export = String::from_utf8(desk.quarantine(&["export"]).stdout).unwrap();
    let mut more = String::new();
    for number in 0..120 {
        let mut line: Value = serde_json::from_str(&export).unwrap();
        line["entry"]["digest"] = json!(format!("{number:064x}"));
        more.push_str(&format!("{line}\n"));
    }
    let file = desk.world.write("more", more);
    assert!(desk.quarantine(&["import", file.to_str().unwrap()]).status.success());
    let shell = Shell::of(&desk, "dashboard", "viewer");
    for (limit, count) in [("0", 121), ("60", 60)] {
        let arguments = ["quarantine", "list", "--json", "--limit", limit];
        let listed = lines(&shell.run(&arguments));
        assert_eq!(listed.len(), count);
        if limit == "0" {
            assert_eq!(listed, lines(&near(&desk, &arguments)));
        }
    }
    // Of several that begin alike none is meant.
    let arguments = ["quarantine", "show", "0000"];
    let here = told(&near(&desk, &arguments));
    assert!(here.2.contains("more than one entry starts with 0000"), "{here:?}");
    assert_eq!(told(&shell.run(&arguments)), here);
}

#[test]
fn decisions_over_a_server_are_made_and_are_those_of_the_token() {
    let (desk, digest) = with_an_entry();
    let shell = Shell::of(&desk, "ci", "operator");
    for (action, state) in [
        ("note", "quarantined"),
        ("confirm", "confirmed"),
        ("raise", "released"),
        ("allow", "allowed"),
        ("release", "released"),
    ] {
        let why = format!("because of {action}");
        let said = shell.well(&["quarantine", action, &digest[..8], "--why", &why]);
        assert_eq!(said, format!("{digest}  {state}\n"));
        let dossier = desk.dossier(&digest);
        assert_eq!(dossier["entry"]["state"], json!(state));
        let last = dossier["audit"].as_array().unwrap().last().unwrap().clone();
        let expected = (&json!("token:ci"), &json!(action), &json!(why));
        assert_eq!((&last["who"], &last["action"], &last["why"]), expected);
    }
    for (arguments, code) in [
        (&["quarantine", "release", &digest][..], 1),
        (&["quarantine", "confirm", NOBODYS], 1),
        (&["quarantine", "note", &digest], 2),
    ] {
        let here = told(&near(&desk, arguments));
        assert_eq!(here.0, Some(code), "{here:?}");
        assert_eq!(told(&shell.run(arguments)), here, "{arguments:?}");
    }
    // One that cannot be decided about does not keep the others from it.
    let some = shell.run(&["quarantine", "confirm", NOBODYS, &digest]);
    assert_eq!(some.status.code(), Some(1));
    assert_eq!(desk.dossier(&digest)["entry"]["state"], json!("confirmed"));
    for (arguments, words) in [
        (
            &["quarantine", "release", &digest, "--who", "olga"][..],
            "--who is for a ledger",
        ),
        (&["tenant", "unblock", "acme", "--who", "olga"], "--who is for a ledger"),
    ] {
        let (code, said) = shell.refused(arguments);
        assert!(code == Some(2) && said.contains(words), "{said}");
    }
    assert_eq!(desk.dossier(&digest)["entry"]["state"], json!("confirmed"));
    let log = desk.log();
    assert!(log.contains("asks over the API") && !log.contains(&shell.token));
}

#[test]
fn tenants_are_blocked_limited_and_purged_over_a_server() {
    let desk = Desk::new();
    let shell = Shell::of(&desk, "ci", "operator");
    let of = |field: &str| shown(&desk, "acme")["standing"][field].clone();
    let blocked = shell.well(&["tenant", "block", "acme", "--refuse", "--why", "a flood"]);
    assert_eq!(blocked, "acme  block: blocked (refuse)\n");
    assert_eq!(of("block"), json!("refuse"));
    let limit = [
        "tenant",
        "limit",
        "acme",
        "--queued",
        "5",
        "--bytes-per-day",
        "10GiB",
        "--over",
        "refuse",
    ];
    shell.well(&limit);
    assert_eq!(
        of("limits"),
        json!({ "queued": 5, "bytes_per_day": "10 GiB", "over": "refuse" })
    );
    shell.well(&["tenant", "limit", "acme", "--clear", "--in-flight", "2"]);
    assert_eq!(of("limits"), json!({ "in_flight": 2 }));
    shell.well(&["tenant", "unblock", "acme"]);
    assert_eq!(of("block"), Value::Null);
    shell.well(&["tenant", "end-probation", "acme"]);
    let (code, said) = shell.refused(&["tenant", "purge", "acme"]);
    assert!(
        code == Some(2) && said.contains("0 jobs of acme wait") && said.contains("say --yes"),
        "{said}"
    );
    assert_eq!(of("purged_before_ms"), Value::Null);
    let purged = shell.well(&["tenant", "purge", "acme", "--yes"]);
    assert!(purged.contains("0 jobs of acme wait in the ledger"), "{purged}");
    assert!(of("purged_before_ms").is_u64());
    let tenant = shown(&desk, "acme");
    let audit = tenant["audit"].as_array().unwrap();
    let actions: Vec<&str> = audit.iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "block",
            "limit",
            "unlimit",
            "limit",
            "unblock",
            "end-probation",
            "purge"
        ]
    );
    assert!(audit.iter().all(|row| row["who"] == "token:ci"), "{audit:?}");
}

#[test]
fn of_two_who_decide_the_second_is_told_who_came_first() {
    let (desk, digest) = with_an_entry();
    let (asked, about) = (desk.asked, digest.clone());
    // An impostor has no end, and would keep what is the shell's.
    let fast = Arc::new(Shell::of(&desk, "fast", "operator"));
    let first = Arc::downgrade(&fast);
    // Between the second one's look and its decision the first one decides.
    let between = Impostor::doing(move |request| {
        if request.contains("/decisions ") {
            let first = first.upgrade().unwrap();
            first.well(&["quarantine", "confirm", &about, "--why", "an attack"]);
        }
        passed_on(asked, request)
    });
    let slow = Shell::at(&between.url, &new_token(&desk, "slow", "operator"));
    let (code, said) = slow.refused(&["quarantine", "release", &digest]);
    let words = format!("{digest} is confirmed by now: `confirm` by token:fast came first");
    assert!(code == Some(1) && said.contains(&words), "{said}");
    assert_eq!(desk.dossier(&digest)["entry"]["state"], json!("confirmed"));
}

#[test]
fn over_https_the_certificate_is_checked_before_the_token_is_sent() {
    let desk = Desk::new();
    let (asked, world) = (desk.asked, World::new());
    certificates(&world.path("."));
    let relay = Impostor::behind_tls(&world.path("."), move |request| passed_on(asked, request));
    let shell = Shell::at(&relay.url, &new_token(&desk, "ci", "operator"));
    let (code, said) = shell.refused(&["tenant", "block", "acme"]);
    assert!(code == Some(1) && said.contains("--server-ca"), "{said}");
    assert_eq!(
        (relay.heard(), &shown(&desk, "acme")["standing"]["block"]),
        (vec![], &Value::Null)
    );

    let (ca, none) = (world.path("ca.pem"), world.write("none.pem", "nothing"));
    let block = |ca: &str| shell.run(&["tenant", "--server-ca", ca, "block", "acme"]);
    let empty = block(none.to_str().unwrap());
    assert_eq!(empty.status.code(), Some(1));
    assert!(
        stderr(&empty).contains("holds no certificate in PEM"),
        "{}",
        stderr(&empty)
    );
    let output = block(ca.to_str().unwrap());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(shown(&desk, "acme")["standing"]["block"], json!("hold"));
    assert!(relay.heard()[0].contains(&shell.token), "it is sent where it belongs");
}
