//! HUP: a configuration is read again, and refused where it would not start.

use std::fs;

use serde_json::{Value, json};

use super::world::*;

const BASE: &str = "broker = \"spool:./spool\"\nledger = \"sqlite:./state/ledger.sqlite\"\n";

/// A job that asks for a preset.
fn enqueue(world: &World, id: &str, preset: &str) {
    let body =
        json!({ "job": id, "tenant": "acme", "source": { "store": "uploads", "key": "a.bmp" }, "preset": preset });
    world.write(&format!("spool/new/1-0000000000001-{id}"), body.to_string());
}

fn answer(world: &World, id: &str) -> Value {
    let path = world.path(&format!("spool/results/{id}.json"));
    wait_for("an answer", || path.exists());
    let event: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    event["data"].clone()
}

fn log_of(world: &World) -> String {
    let entries = fs::read_dir(world.path(".")).unwrap();
    let logs = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "log"));
    logs.map(|log| fs::read_to_string(log).unwrap()).collect()
}

fn logged(world: &World, words: &str) -> bool {
    log_of(world).contains(words)
}

fn world() -> World {
    let world = World::new();
    world.write("lazaret.toml", BASE);
    world.write("uploads/a.bmp", fs::read(fixture("valid/photos/rocket.bmp")).unwrap());
    world
}

#[test]
fn a_new_configuration_takes_over_and_what_runs_ends_first() {
    let world = world();
    let service = world.serve(&SLOW);
    world.submit(&[&fixture("hostile/cpu/tiff_slow_tiles.tiff")]);
    world.wait_for_attempts(&service, 1);
    let preset = "[presets.tiny]\nrenditions = [{ name = \"t\", format = \"png\", width = 16 }]\n";
    world.write("lazaret.toml", format!("{BASE}{preset}"));
    service.signal("-HUP");
    wait_for("the new configuration", || {
        logged(&world, "goes on under the new configuration")
    });
    // Once: one signal is one reading.
    let log = log_of(&world);
    assert_eq!(log.matches("HUP: reading").count(), 1, "{log}");
    // The slow one was answered by the old one.
    assert_eq!(world.count("spool/results"), 1);
    enqueue(&world, "tiny", "tiny");
    let data = answer(&world, "tiny");
    assert_eq!(
        (&data["status"], &data["renditions"][0]["width"]),
        (&json!("converted"), &json!(16))
    );
    service.signal("-TERM");
    assert_eq!(service.code(), Some(0));
    let log = log_of(&world);
    assert_eq!(log.matches("HUP: reading").count(), 1, "{log}");
}

#[test]
fn a_configuration_that_would_not_start_is_refused_and_the_old_one_stays() {
    let world = world();
    let service = world.serve(&[]);
    for (wrong, words) in [
        (
            format!("{BASE}[limits]\nmemroy = \"1 GiB\"\n"),
            "did you mean `memory`?",
        ),
        (format!("{BASE}[stores]\nscans = \"file:./not-there\"\n"), "not-there"),
        (
            format!("{BASE}[limits]\nmemory = \"1000 GiB\"\n"),
            "memory budget of this host",
        ),
    ] {
        world.write("lazaret.toml", wrong);
        service.signal("-HUP");
        wait_for(words, || logged(&world, words));
    }
    assert!(logged(&world, "the old one stays"));
    enqueue(&world, "still", "web");
    assert_eq!(answer(&world, "still")["status"], json!("converted"));
    service.signal("-TERM");
    assert_eq!(service.code(), Some(0));
}
