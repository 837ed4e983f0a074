//! `lazaret dead` over RabbitMQ.

use std::collections::BTreeSet;
use std::process::Output;

use serde_json::{Value, json};

use super::node::{Node, Vhost};
use super::world::*;

fn world(vhost: &Vhost) -> World {
    let world = World::new();
    world.write("lazaret.toml", vhost.configuration());
    world.write(
        "uploads/a.bmp",
        std::fs::read(fixture("valid/photos/rocket.bmp")).unwrap(),
    );
    world
}

fn dead(world: &World, arguments: &[&str]) -> Output {
    let mut all = vec!["dead", "--config", "lazaret.toml"];
    all.extend(arguments);
    world.run(&all)
}

fn listed(world: &World) -> Vec<Value> {
    let output = dead(world, &["list", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    lines(&output)
}

fn publish(vhost: &Vhost, lane: &str, body: &str, headers: Value) {
    let message = json!({
        "routing_key": lane, "payload": body, "payload_encoding": "string",
        "properties": { "delivery_mode": 2, "headers": headers }
    });
    let published = vhost.call("POST", "exchanges", "lazaret.jobs/publish", Some(message));
    assert_eq!(published["routed"], true);
}

fn job(id: &str, tenant: &str) -> String {
    json!({ "job": id, "tenant": tenant, "source": { "store": "uploads", "key": "a.bmp" }, "preset": "web" })
        .to_string()
}

/// A queue that hears every result.
fn hear(vhost: &Vhost) {
    vhost.call("PUT", "queues", "heard", Some(json!({ "durable": true })));
    let everything = json!({ "routing_key": "#" });
    vhost.call("POST", "bindings", "e/lazaret.results/q/heard", Some(everything));
}

/// The next result.
fn heard(vhost: &Vhost) -> Value {
    let mut event = None;
    let get = json!({ "count": 1, "ackmode": "ack_requeue_false", "encoding": "auto" });
    wait_for("a result", || {
        let got = vhost.call("POST", "queues", "heard/get", Some(get.clone()));
        let payload = got[0]["payload"].as_str();
        event = payload.map(|payload| serde_json::from_str(payload).unwrap());
        event.is_some()
    });
    event.unwrap()
}

#[test]
fn what_cannot_be_read_is_listed_and_dropped_and_goes_back_by_force_only() {
    let vhost = Node::shared().vhost("unreadable");
    let world = world(&vhost);
    let _service = world.serve(&[]);
    let body = "\u{1b}[2J is no JSON";
    publish(&vhost, "bulk", body, json!({}));
    wait_for("the message to be dead", || listed(&world).len() == 1);
    let letter = listed(&world).remove(0);
    let id = letter["id"].as_str().unwrap();
    assert!(id.starts_with('+') && id.len() == 13, "{id}");
    assert!(letter["why"].as_str().unwrap().starts_with("body:"), "{letter}");
    assert_eq!(
        (&letter["job"], &letter["from"], &letter["bytes"]),
        (&json!(null), &json!("bulk"), &json!(body.len()))
    );
    assert!(letter["since"].is_string(), "{letter}");

    let refused = dead(&world, &["requeue", id]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("no job") && stderr(&refused).contains("--force"),
        "{}",
        stderr(&refused)
    );
    publish(&vhost, "bulk", "no JSON either", json!({}));
    wait_for("another one", || listed(&world).len() == 2);
    let both = listed(&world);
    // A round begins as soon as the one before has ended, and finds all of it.
    for round in 0..10 {
        assert_eq!(listed(&world), both, "round {round}: to look takes nothing away");
    }
    let other = both.iter().find(|other| other["id"] != id).unwrap()["id"]
        .as_str()
        .unwrap();
    assert_eq!(dead(&world, &["drop", other]).status.code(), Some(0));
    assert_eq!(dead(&world, &["requeue", id, "--force"]).status.code(), Some(0));
    // A worker sets it aside again.
    wait_for("the message to be dead again", || {
        listed(&world)
            .iter()
            .any(|letter| letter["id"] == id && letter["requeued"] == 1)
    });

    assert_eq!(dead(&world, &["drop", "--all"]).status.code(), Some(2));
    assert_eq!(dead(&world, &["drop", "+000000000000"]).status.code(), Some(1));
    let dropped = dead(&world, &["drop", id]);
    assert_eq!(dropped.status.code(), Some(0), "{}", stderr(&dropped));
    assert_eq!(listed(&world), Vec::<Value>::new());
}

#[test]
fn a_job_that_failed_is_requeued_and_converts_and_is_told_of_by_another_event() {
    let vhost = Node::shared().vhost("failed");
    let world = world(&vhost);
    hear(&vhost);
    // Its renditions cannot be stored: where their folder shall be is a file.
    let in_the_way = format!("renditions/{}", &digest_of_upload(&world)[..2]);
    world.write(&in_the_way, "");
    let _service = world.serve(&[]);
    publish(&vhost, "bulk", &job("unlucky", "acme"), json!({ "x-lazaret-tries": 5 }));
    let failed = heard(&vhost);
    assert_eq!(
        (&failed["data"]["status"], &failed["data"]["reason"]),
        (&json!("failed"), &json!("store"))
    );
    let letter = listed(&world).remove(0);
    assert_eq!(
        (&letter["id"], &letter["tenant"], &letter["from"]),
        (&json!("unlucky"), &json!("acme"), &json!("bulk"))
    );

    // Somebody else's message with the same id is not this job, and does not make it run again.
    publish(&vhost, "bulk", &job("unlucky", "mallory"), json!({}));
    wait_for("the impostor to be dead", || listed(&world).len() == 2);
    std::fs::remove_file(world.path(&in_the_way)).unwrap();
    let requeued = dead(&world, &["requeue", "--all", "--reason", "another tenant"]);
    assert_eq!(requeued.status.code(), Some(1));
    assert!(
        stderr(&requeued).contains("belongs to a job of another tenant"),
        "{}",
        stderr(&requeued)
    );

    let requeued = dead(&world, &["requeue", "--all", "--reason", "renditions"]);
    assert_eq!(requeued.status.code(), Some(0), "{}", stderr(&requeued));
    // An event may come twice; the next other one is the answer.
    let converted = std::iter::repeat_with(|| heard(&vhost))
        .find(|event| event["id"] != failed["id"])
        .unwrap();
    assert_eq!(
        (&converted["subject"], &converted["data"]["status"]),
        (&json!("unlucky"), &json!("converted"))
    );
    let left = listed(&world);
    assert_eq!((left.len(), &left[0]["tenant"]), (1, &json!("mallory")));
}

#[test]
fn a_job_with_a_verdict_stays_dead_and_what_the_broker_gave_up_goes_back() {
    let vhost = Node::shared().vhost("given-up");
    let world = world(&vhost);
    hear(&vhost);
    let full = json!({
        "pattern": "^lazaret\\.jobs\\.bulk$", "apply-to": "queues", "priority": 100,
        "definition": { "max-length": 1, "dead-letter-exchange": "lazaret.dead" }
    });
    vhost.call("PUT", "policies", "full", Some(full));
    publish(&vhost, "bulk", &job("first", "acme"), json!({}));
    wait_for("the policy to hold", || {
        publish(&vhost, "bulk", &job("second", "acme"), json!({}));
        !listed(&world).is_empty()
    });
    vhost.call("DELETE", "policies", "full", None);
    let letter = listed(&world).remove(0);
    assert_eq!((&letter["id"], &letter["from"]), (&json!("first"), &json!("bulk")));
    assert_eq!(letter["why"], "its queue was full (the broker, from lazaret.jobs.bulk)");
    let table = String::from_utf8(dead(&world, &["list", "--limit", "1"]).stdout).unwrap();
    assert!(
        table.contains("first") && table.contains("its queue was full"),
        "{table}"
    );
    assert_eq!(table.lines().count(), 2, "{table}");

    let requeued = dead(&world, &["requeue", "first"]);
    assert_eq!(requeued.status.code(), Some(0), "{}", stderr(&requeued));
    let _service = world.serve(&[]);
    // Copies of the second are answered each.
    let mut ended = BTreeSet::new();
    while ended.len() < 2 {
        ended.insert(heard(&vhost)["subject"].to_string());
    }
    assert!(ended.contains("\"first\""), "{ended:?}");
    for letter in listed(&world) {
        assert_eq!(letter["id"], "second", "copies of it were dropped too");
    }
    publish_dead(&vhost, &job("first", "acme"));
    let requeued = dead(&world, &["requeue", "first"]);
    assert_eq!(requeued.status.code(), Some(1));
    assert!(stderr(&requeued).contains("ended converted"), "{}", stderr(&requeued));
}

fn publish_dead(vhost: &Vhost, body: &str) {
    let message = json!({ "routing_key": "bulk", "payload": body, "payload_encoding": "string", "properties": {} });
    vhost.call("POST", "exchanges", "lazaret.dead/publish", Some(message));
}

fn digest_of_upload(world: &World) -> String {
    let output = std::process::Command::new("sha256sum")
        .arg(world.path("uploads/a.bmp"))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}
