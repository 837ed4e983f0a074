//! Workers that are killed: what they ran is suspected, runs alone, and is cleared or convicted.

use serde_json::json;

use super::world::*;

/// Takes seconds, and converts where it is allowed to.
const GOOD: &str = "hostile/cpu/tiff_slow_tiles.tiff";
/// Takes seconds; its worker is killed each time.
const POISON: &str = "hostile/cpu/tiff_wide_tiles.tiff";

fn killed_while_running(world: &World, files: &[&str]) {
    let mut arguments = vec!["convert"];
    arguments.extend(files);
    let running = world.start(&arguments, &SLOW);
    world.wait_for_attempts(&running, files.len());
    running.kill();
}

#[test]
fn a_poison_is_convicted_after_two_solo_losses_and_its_company_is_not() {
    let world = World::new();
    let (good, poison) = (fixture(GOOD), fixture(POISON));
    killed_while_running(&world, &[&good, &poison]);

    // Both are suspected. The good one runs alone, and is cleared at once.
    let mut command = world.command(&["convert", "--json", &good]);
    let verdict = lines(&command.envs(SLOW).output().unwrap()).remove(0);
    assert_eq!(verdict["status"], json!("converted"), "{verdict}");
    let cleared = world.dossier(verdict["sha256"].as_str().unwrap());
    assert_eq!(cleared["entry"]["state"], json!("released"));
    let alone: Vec<_> = cleared["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| attempt["solo"].clone())
        .collect();
    assert_eq!(alone, [json!(true), json!(false)]);

    // The other one takes two more workers with it, alone; the fourth never starts it.
    killed_while_running(&world, &[&poison]);
    killed_while_running(&world, &[&poison]);
    let verdict = world.json(&["convert", "--json", &poison]).remove(0);
    assert_eq!(
        (&verdict["reason"], &verdict["repeat"]),
        (&json!("worker-loss"), &json!(true)),
        "{verdict}"
    );
    let convicted = world.json(&["quarantine", "list", "--state", "quarantined", "--json"]);
    assert_eq!(convicted.len(), 1);
}

#[test]
fn a_released_attempt_is_no_strike() {
    let world = World::new();
    let slow = fixture(POISON);
    let running = world.start(&["convert", "--json", &slow], &SLOW);
    world.wait_for_attempts(&running, 1);
    running.signal("-TERM");
    assert_eq!(running.code(), Some(1));
    assert_eq!(world.json(&["quarantine", "list", "--json"]).len(), 0);
}
