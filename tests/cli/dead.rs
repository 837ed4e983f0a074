//! `lazaret dead` on the spool.

use std::fs;

use serde_json::json;

use super::world::*;

const NOISE: &str = "1-0000000000001-noise";

fn dead(world: &World, arguments: &[&str]) -> std::process::Output {
    world.config();
    let mut all = vec!["dead", "--config", "lazaret.toml"];
    all.extend(arguments);
    world.command(&all).env_remove("LAZARET_STATE").output().unwrap()
}

#[test]
fn dead_messages_are_listed_harmlessly_requeued_by_force_and_dropped() {
    let world = World::new();
    let _service = world.serve(&[]);
    world.write(&format!("spool/new/{NOISE}"), "\u{1b}[2J");
    wait_for("the noise to be dead", || world.count("spool/dead") == 2);
    let why = format!("spool/dead/{NOISE}.why");
    world.write(&why, "\u{1b}[2Jnot\nthis");
    let table = String::from_utf8(dead(&world, &["list"]).stdout).unwrap();
    assert!(
        table.contains("\u{fffd}[2Jnot this") && !table.contains('\u{1b}'),
        "{table}"
    );
    let letter = lines(&dead(&world, &["list", "--json"])).remove(0);
    assert_eq!(
        (&letter["why"], &letter["from"]),
        (&json!("\u{1b}[2Jnot\nthis"), &json!("interactive"))
    );
    let id = letter["id"].as_str().unwrap();

    let refused = dead(&world, &["requeue", id]);
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("--force"), "{}", stderr(&refused));
    let forced = dead(&world, &["requeue", "--all", "--force"]);
    assert_eq!(forced.status.code(), Some(0), "{}", stderr(&forced));
    wait_for("the noise to be dead again", || {
        let listed = lines(&dead(&world, &["list", "--json"]));
        listed.first().is_some_and(|letter| letter["requeued"] == 1)
    });
    assert!(!world.path(&why).exists());

    for (arguments, code, words) in [
        (&["drop", "--all"][..], 2, "--yes"),
        (&["drop"], 2, "<ID>"),
        (&["drop", "a", "--all", "--yes"], 2, "--all"),
        (&["drop", "+nobody"], 1, "no dead message is called +nobody"),
        (
            &["drop", "--all", "--yes", "--reason", "no such"],
            0,
            "found no dead message that tells of no such",
        ),
    ] {
        let done = dead(&world, arguments);
        assert_eq!(done.status.code(), Some(code), "{arguments:?}");
        assert!(stderr(&done).contains(words), "{arguments:?}: {}", stderr(&done));
        assert_eq!(world.count("spool/dead"), 2);
    }
    assert_eq!(dead(&world, &["drop", id]).status.code(), Some(0));
    assert_eq!(world.count("spool/dead"), 0);
    let none = dead(&world, &["requeue", "--all"]);
    assert!(stderr(&none).contains("found no dead message"), "{}", stderr(&none));
}

#[test]
fn a_dead_job_that_never_ended_is_requeued_and_answered() {
    let world = World::new();
    world.write("uploads/a.bmp", fs::read(fixture("valid/photos/rocket.bmp")).unwrap());
    let job =
        json!({ "job": "lost", "tenant": "acme", "source": { "store": "uploads", "key": "a.bmp" }, "preset": "web" });
    world.write("spool/dead/2-0000000000001-lost", job.to_string());
    let listed = lines(&dead(&world, &["list", "--json"]));
    assert_eq!(
        (&listed[0]["id"], &listed[0]["why"]),
        (&json!("lost"), &json!("nobody wrote why"))
    );
    let requeued = dead(&world, &["requeue", "lost"]);
    assert_eq!(requeued.status.code(), Some(0), "{}", stderr(&requeued));
    let _service = world.serve(&[]);
    wait_for("the result", || world.path("spool/results/lost.json").exists());
}
