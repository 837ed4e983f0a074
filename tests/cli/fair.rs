//! Tenants on the spool: one that may have few attempts at once does not stop the others.

use std::fs;

use serde_json::{Value, json};

use super::world::*;

const CONFIG: &str = "broker = \"spool:./spool\"\nledger = \"sqlite:./state/ledger.sqlite\"\n\
    [worker]\nslots = 2\n[tenants.slow]\nin_flight = 1\n[limits]\ncpu_base = \"10s\"\ncpu = \"20s\"\n";

fn enqueue(world: &World, number: u32, tenant: &str, key: &str) {
    let body = json!({ "job": format!("{tenant}-{number}"), "tenant": tenant,
        "source": { "store": "uploads", "key": key }, "renditions": [{ "name": "t", "width": 8 }] });
    world.write(&format!("spool/new/1-{number:013}-{tenant}"), body.to_string());
}

#[test]
fn a_tenant_with_one_attempt_at_once_leaves_the_others_their_turn() {
    let world = World::new();
    world.write("lazaret.toml", CONFIG);
    let slow = fs::read(fixture("hostile/cpu/tiff_slow_tiles.tiff")).unwrap();
    for number in 0..120 {
        // Bytes behind the image make each another upload.
        world.write(
            &format!("uploads/slow-{number}.tiff"),
            [&slow[..], &[number as u8]].concat(),
        );
        enqueue(&world, number, "slow", &format!("slow-{number}.tiff"));
    }
    world.write(
        "uploads/quiet.bmp",
        fs::read(fixture("valid/photos/rocket.bmp")).unwrap(),
    );
    enqueue(&world, 500, "quiet", "quiet.bmp");
    let _service = world.serve(&[]);
    let answer = world.path("spool/results/quiet-500.json");
    wait_for("the quiet tenant's answer", || answer.exists());
    let event: Value = serde_json::from_slice(&fs::read(answer).unwrap()).unwrap();
    assert_eq!(event["data"]["status"], "converted");
    // Each of the others takes seconds: hardly any has had its one attempt by now.
    assert!(world.count("spool/results") < 30, "{}", world.count("spool/results"));
}
