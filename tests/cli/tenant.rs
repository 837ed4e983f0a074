//! `lazaret tenant`: review, limit, block, purge.

use serde_json::{Value, json};

use super::world::*;

/// What a command prints; it must end well.
fn well(world: &World, arguments: &[&str]) -> String {
    let output = world.run(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn shown(world: &World, tenant: &str) -> Value {
    world.json(&["tenant", "show", tenant, "--json"]).remove(0)
}

#[test]
fn a_tenant_is_blocked_and_unblocked_and_the_audit_trail_tells() {
    let world = World::new();
    for (how, state) in [
        (None, "hold"),
        (Some("--refuse"), "refuse"),
        (Some("--drop"), "drop"),
        (Some("--hold"), "hold"),
    ] {
        let mut block = vec!["tenant", "block", "acme", "--why", "a flood", "--who", "ann"];
        block.extend(how);
        assert!(well(&world, &block).contains(&format!("blocked ({state})")));
        assert_eq!(shown(&world, "acme")["standing"]["block"], json!(state));
    }
    well(&world, &["tenant", "unblock", "acme", "--who", "bob"]);
    let tenant = shown(&world, "acme");
    assert_eq!(tenant["standing"]["block"], Value::Null);
    let audit = tenant["audit"].as_array().unwrap();
    assert_eq!(audit.len(), 5);
    assert_eq!((&audit[0]["who"], &audit[0]["why"]), (&json!("ann"), &json!("a flood")));
    assert_eq!(
        (&audit[4]["who"], &audit[4]["action"]),
        (&json!("bob"), &json!("unblock"))
    );
    let page = well(&world, &["tenant", "show", "acme"]);
    assert!(page.contains("unblock by bob: blocked (hold) → –"), "{page}");
    let both = world.run(&["tenant", "block", "acme", "--hold", "--drop"]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn limits_are_laid_over_and_cleared() {
    let world = World::new();
    well(
        &world,
        &["tenant", "limit", "acme", "--jobs-per-minute", "60", "--over", "refuse"],
    );
    let output = well(&world, &["tenant", "limit", "acme", "--bytes-per-day", "2GiB"]);
    assert!(
        output.contains("jobs/min 60, bytes/day 2.0 GiB, over refuse"),
        "{output}"
    );
    well(&world, &["tenant", "limit", "acme", "--clear", "--in-flight", "2"]);
    assert_eq!(shown(&world, "acme")["standing"]["limits"], json!({ "in_flight": 2 }));
    well(&world, &["tenant", "limit", "acme", "--clear"]);
    assert_eq!(shown(&world, "acme")["standing"]["limits"], json!({}));
    let nothing = world.run(&["tenant", "limit", "acme"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(stderr(&nothing).contains("--jobs-per-minute"), "{}", stderr(&nothing));
}

#[test]
fn a_purge_without_a_terminal_must_be_meant() {
    let world = World::new();
    let asked = world.run(&["tenant", "purge", "acme"]);
    assert_eq!(asked.status.code(), Some(2));
    assert!(stderr(&asked).contains("say --yes"), "{}", stderr(&asked));
    assert_eq!(shown(&world, "acme")["standing"]["purged_before_ms"], Value::Null);
    let output = well(&world, &["tenant", "purge", "acme", "--yes"]);
    assert!(output.contains("0 jobs of acme wait in the ledger"), "{output}");
    assert!(shown(&world, "acme")["standing"]["purged_before_ms"].is_u64());
}

#[test]
fn tenants_are_listed() {
    let world = World::new();
    assert_eq!(world.json(&["tenant", "list", "--json"]).len(), 0);
    well(&world, &["tenant", "block", "acme"]);
    well(&world, &["tenant", "end-probation", "other"]);
    let list = world.json(&["tenant", "list", "--json"]);
    let names: Vec<&Value> = list.iter().map(|tenant| &tenant["tenant"]).collect();
    assert_eq!(names, [&json!("acme"), &json!("other")]);
    let table = well(&world, &["tenant", "list"]);
    assert!(
        table.contains("SIDELINE") && table.contains("blocked (hold)"),
        "{table}"
    );
}

#[test]
fn names_that_no_job_can_bear_are_refused() {
    let world = World::new();
    for name in ["a b", "", "a/b", "caf\u{e9}"] {
        let output = world.run(&["tenant", "block", name]);
        assert_eq!(output.status.code(), Some(2), "{name:?}");
        assert!(stderr(&output).contains("tenant: "), "{}", stderr(&output));
    }
}
