//! Bad days: the broker, the network or the worker fails, and nothing is lost, nothing is told twice with two verdicts.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::client::Client;
use super::node::Node;
use super::relay::{Mode, Relay};
use super::stage::*;
use super::world::*;

/// A stage whose workers reach the broker through a relay, and hold a silent one for gone after so long.
fn relayed(name: &str, heartbeat: &str) -> (Stage<'static>, Relay) {
    let stage = Stage::new(name);
    let relay = Relay::to(stage.vhost.node.amqp);
    let more = format!("heartbeat = \"{heartbeat}\"\nconfirm_timeout = \"1s\"\n");
    stage.through(&stage.vhost.amqp_through(relay.port()), &more);
    stage.upload(&[PHOTO]);
    (stage, relay)
}

/// That a job is answered, and gone from the broker.
fn works(stage: &Stage, worker: Worker) {
    stage.client.publish("interactive", &job("proof", "acme", PHOTO));
    assert_eq!(stage.client.answer("proof").verdict(), "converted: –");
    stage.ends_empty([worker]);
}

/// Every event of a job says the same.
fn told_alike(stage: &Stage, job: &str) {
    let answers = stage.client.answers_to(job);
    assert!(!answers.is_empty());
    for answer in &answers {
        assert_eq!(
            (&answer.event["id"], &answer.event["data"]),
            (&answers[0].event["id"], &answers[0].event["data"])
        );
    }
}

#[test]
fn a_broker_that_is_down_at_the_start_is_waited_for() {
    let (stage, relay) = relayed("down", "30s");
    relay.set(Mode::Refuse);
    let worker = stage.start(&[]);
    worker.wait_log_times("not consuming", 2);
    assert!(!worker.log().contains(" ready"));
    relay.set(Mode::Pass);
    worker.wait_log("ready");
    works(&stage, worker);
}

#[test]
fn a_wrong_password_is_named_by_its_user_and_never_shown() {
    let stage = Stage::new("password");
    stage.upload(&[PHOTO]);
    let wrong = stage.vhost.amqp().replace(":secret@", ":0penSesame@");
    stage.through(&wrong, "");
    let mut worker = stage.start(&[("LAZARET_LOG_LEVEL", "debug")]);
    worker.wait_log_times("not consuming", 2);
    let log = worker.log();
    assert!(log.contains("check user \"worker-password\" and its password"), "{log}");
    assert!(!log.contains("0penSesame"), "{log}");
    assert!(worker.process.is_running());
    // The operator sets it right at the broker.
    let user = json!({ "password": "0penSesame", "tags": "" });
    stage.vhost.node.call("PUT", "users/worker-password", Some(user));
    worker.wait_log("ready");
    assert!(!worker.log().contains("0penSesame"));
    works(&stage, worker);
}

#[test]
fn a_virtual_host_that_is_missing_is_named_and_waited_for() {
    let stage = Stage::new("vhost-there");
    stage.through(&stage.vhost.amqp().replace("/vhost-there", "/vhost-later"), "");
    let worker = stage.start(&[]);
    worker.wait_log("make the virtual host \"vhost-later\"");
    drop(worker);
}

#[test]
fn a_topology_that_is_missing_or_different_is_named_with_its_remedy() {
    let stage = Stage::new("half");
    stage.upload(&[PHOTO]);
    stage.vhost.call("DELETE", "queues", "lazaret.side.07", None);
    stage.vhost.call("DELETE", "queues", "lazaret.jobs.bulk", None);
    stage
        .vhost
        .call("PUT", "queues", "lazaret.jobs.bulk", Some(json!({ "durable": true })));
    // A worker that may declare compares, too; with no more rights than it needs, it only sees what is missing.
    let all = json!({ "configure": "^lazaret\\.", "write": ".*", "read": "^lazaret\\." });
    let node = stage.vhost.node;
    node.call("PUT", "permissions/half/worker-half", Some(all));
    let worker = stage.start(&[]);
    worker.wait_log_times("not consuming", 2);
    let log = worker.log();
    for part in [
        "queue lazaret.side.07 is missing",
        "queue lazaret.jobs.bulk is different",
        "`lazaret topology",
    ] {
        assert!(log.contains(part), "{part}: {log}");
    }
    assert!(!log.contains(" ready"));
    stage.vhost.call("DELETE", "queues", "lazaret.jobs.bulk", None);
    stage.well(&["topology", "apply"]);
    worker.wait_log("ready");
    works(&stage, worker);
}

#[test]
fn a_queue_that_is_deleted_and_made_again_is_consumed_again() {
    let stage = Stage::new("deleted");
    stage.upload(&[PHOTO]);
    let worker = stage.serve(&[]);
    stage.vhost.call("DELETE", "queues", "lazaret.jobs.interactive", None);
    worker.wait_log("queue lazaret.jobs.interactive");
    stage.well(&["topology", "apply"]);
    works(&stage, worker);
}

#[test]
fn a_queue_that_is_purged_loses_what_nobody_had_and_nothing_else() {
    let stage = Stage::new("purged");
    stage.upload(&[PHOTO, SLOW_FILE]);
    let worker = stage.serve(&SLOW);
    stage.client.publish("interactive", &job("in-hand", "acme", SLOW_FILE));
    stage.world.wait_for_attempts(&worker.process, 1);
    stage
        .vhost
        .call("DELETE", "queues", "lazaret.jobs.interactive/contents", None);
    assert_eq!(stage.client.answer("in-hand").verdict(), "converted: –");
    works(&stage, worker);
}

#[test]
fn connections_that_the_broker_closes_are_opened_again_and_the_job_is_told_alike() {
    let (stage, relay) = relayed("closed", "30s");
    stage.upload(&[SLOW_FILE]);
    let worker = stage.serve(&SLOW);
    stage.client.publish("interactive", &job("slow", "acme", SLOW_FILE));
    let held = worker.process.hold();
    // As an operator does: by the management API, which needs some seconds until it knows both, that for consuming and that for publishing.
    wait_for("the broker to know the worker's connections", || {
        let all = stage.vhost.node.call("GET", "vhosts/closed/connections", None);
        let own = |connection: &&Value| connection["user"] == "worker-closed";
        let names: Vec<String> = all
            .as_array()
            .unwrap()
            .iter()
            .filter(own)
            .map(|connection| {
                connection["name"]
                    .as_str()
                    .unwrap()
                    .replace(' ', "%20")
                    .replace('>', "%3E")
            })
            .collect();
        if names.len() < 2 {
            return false;
        }
        for name in &names {
            let _ = stage.vhost.node.call("DELETE", &format!("connections/{name}"), None);
        }
        true
    });
    worker.wait_log("not consuming");
    drop(held);
    assert_eq!(stage.client.answer("slow").verdict(), "converted: –");
    works(&stage, worker);
    told_alike(&stage, "slow");
    assert!(relay.connections() >= 3);
}

#[test]
fn a_channel_that_the_broker_closes_is_opened_again() {
    let node = Node::start();
    // A message may be in hand for 2 s, which the broker looks at twice a second.
    let impatient = "application:set_env(rabbit, consumer_timeout, 2000), \
                     application:set_env(rabbit, channel_tick_interval, 500).";
    node.control(&["eval", impatient]);
    let stage = Stage::on(&node, "channel");
    stage.upload(&[PHOTO, SLOW_FILE]);
    let worker = stage.serve(&SLOW);
    stage.client.publish("interactive", &job("slow", "acme", SLOW_FILE));
    // However late the broker looks, and however fast this machine is.
    let held = worker.process.hold();
    worker.wait_log("not consuming");
    let patient = "application:set_env(rabbit, consumer_timeout, 1800000).";
    node.control(&["eval", patient]);
    drop(held);
    assert_eq!(stage.client.answer("slow").verdict(), "converted: –");
    works(&stage, worker);
    told_alike(&stage, "slow");
    assert_eq!(stage.count("SELECT count(*) FROM attempts WHERE tenant = 'acme'"), 2);
}

#[test]
fn a_clock_that_jumps_ends_no_lease_and_blames_nobody() {
    let stage = Stage::new("clock");
    stage.upload(&[PHOTO, SLOW_FILE]);
    let file = stage.world.write("clock", "0");
    let library = clock(&stage);
    let mut moved = SLOW.to_vec();
    moved.extend([
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("CLOCK_MOVED_BY", file.to_str().unwrap()),
    ]);
    let workers = [stage.serve(&moved), stage.serve(&SLOW)];
    stage.client.publish("interactive", &job("slow", "acme", SLOW_FILE));
    for seconds in [3600, -3600_i64] {
        stage.world.write("clock", seconds.to_string());
        // Until one of two workers answers whose clock has jumped.
        let jumped = (0..100).any(|number| {
            let id = format!("at{seconds}-{number}");
            stage.client.publish("interactive", &small(&id, "other", PHOTO));
            let event = stage.client.answer(&id).event;
            let told: chrono::DateTime<chrono::Utc> = event["time"].as_str().unwrap().parse().unwrap();
            let ahead = (told - lazaret::clock::now()).num_seconds();
            (ahead - seconds).abs() < 600
        });
        assert!(jumped, "no clock has jumped by {seconds} s");
    }
    assert_eq!(stage.client.answer("slow").verdict(), "converted: –");
    told_alike(&stage, "slow");
    assert_eq!(stage.count("SELECT count(*) FROM attempts WHERE tenant = 'acme'"), 1);
    assert_eq!(stage.quarantined().len(), 0);
    stage.ends_empty(workers);
}

/// A library that moves a worker's time of day.
fn clock(stage: &Stage) -> PathBuf {
    let library = stage.world.path("clock.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rabbit/clock.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(source)
        .status();
    assert!(compiled.unwrap().success());
    library
}

#[test]
fn a_connection_that_freezes_is_given_up_and_the_job_in_hand_has_one_verdict() {
    let (stage, relay) = relayed("frozen", "5s");
    stage.upload(&[SLOW_FILE]);
    let worker = stage.serve(&SLOW);
    stage.client.publish("interactive", &job("slow", "acme", SLOW_FILE));
    stage.world.wait_for_attempts(&worker.process, 1);
    relay.set(Mode::Freeze);
    worker.wait_log("not consuming");
    relay.cut();
    relay.set(Mode::Pass);
    assert_eq!(stage.client.answer("slow").verdict(), "converted: –");
    works(&stage, worker);
    told_alike(&stage, "slow");
}

#[test]
fn a_confirm_that_never_comes_is_not_taken_for_one() {
    let (stage, relay) = relayed("unconfirmed", "60s");
    stage.upload(&[SLOW_FILE]);
    let worker = stage.serve(&SLOW);
    stage.client.publish("interactive", &job("first", "acme", PHOTO));
    stage.client.answer("first");
    stage.client.publish("interactive", &job("slow", "acme", SLOW_FILE));
    stage.world.wait_for_attempts(&worker.process, 1);
    relay.set(Mode::FreezeAnswers);
    worker.wait_log("no confirm within 1 s");
    relay.cut();
    relay.set(Mode::Pass);
    stage.client.answer("slow");
    works(&stage, worker);
    told_alike(&stage, "slow");
}

#[test]
fn a_full_result_queue_holds_the_job_until_there_is_room() {
    let stage = Stage::new("full");
    stage.upload(&[PHOTO]);
    let app = Client::of(&stage.vhost);
    let full = app.queue("web-app", json!({ "x-max-length": 1, "x-overflow": "reject-publish" }));
    app.bind(&full, "acme.*");
    let worker = stage.serve(&[]);
    for id in ["a", "b", "c"] {
        stage.client.publish("interactive", &small(id, "acme", PHOTO));
    }
    worker.wait_log("a queue behind it is full");
    let held = |worker: &Worker| worker.log().matches("cannot be published yet").count();
    wait_for("two that try", || held(&worker) >= 2);
    let mut told: Vec<String> = Vec::new();
    wait_for("all three", || {
        told.extend(
            app.take(&full)
                .map(|answer| answer.event["subject"].as_str().unwrap().to_owned()),
        );
        told.sort();
        told.dedup();
        told == ["a", "b", "c"]
    });
    stage.ends_empty([worker]);
}

#[test]
fn a_disk_that_is_full_at_the_broker_blocks_and_loses_nothing() {
    let node = Node::start();
    let stage = Stage::on(&node, "disk");
    stage.upload(&[PHOTO, SLOW_FILE]);
    let worker = stage.serve(&SLOW);
    stage.client.publish("interactive", &job("first", "acme", PHOTO));
    stage.client.answer("first");
    stage.client.publish("interactive", &job("slow", "acme", SLOW_FILE));
    // The broker says so when something is published: its result.
    let held = worker.process.hold();
    node.control(&["set_disk_free_limit", "100000GB"]);
    drop(held);
    worker.wait_log("the broker takes no messages");
    assert_eq!(stage.client.answers_to("slow").len(), 0);
    node.control(&["set_disk_free_limit", "10MB"]);
    worker.wait_log("the broker takes messages again");
    assert_eq!(stage.client.answer("slow").verdict(), "converted: –");
    works(&stage, worker);
}

#[test]
fn a_broker_that_is_killed_keeps_its_jobs_and_is_waited_for() {
    let node = Node::start();
    let mut stage = Stage::on(&node, "cut");
    stage.upload(&[PHOTO]);
    stage.client.publish("bulk", &job("kept", "acme", PHOTO));
    let worker = stage.start(&[]);
    worker.wait_log("ready");
    stage.client.answer("kept");
    node.kill();
    worker.wait_log("not consuming");
    node.up();
    stage.client = Client::hearing(&stage.vhost);
    works(&stage, worker);
}

#[test]
fn a_worker_that_is_killed_leaves_its_jobs_to_others_with_one_end_each() {
    let stage = Stage::new("killed");
    stage.upload(&[PHOTO, SLOW_FILE]);
    let first = stage.serve(&SLOW);
    stage.client.publish("interactive", &job("slow", "acme", SLOW_FILE));
    stage.world.wait_for_attempts(&first.process, 1);
    for number in 0..5 {
        stage
            .client
            .publish("interactive", &job(&format!("behind-{number}"), "acme", SLOW_FILE));
    }
    first.kill();
    let second = stage.serve(&SLOW);
    for id in ["slow", "behind-0", "behind-1", "behind-2", "behind-3", "behind-4"] {
        assert_eq!(stage.client.answer(id).verdict(), "converted: –", "{id}");
        told_alike(&stage, id);
    }
    works(&stage, second);
}

#[test]
fn the_first_signal_gives_back_what_has_not_begun_and_ends_what_has() {
    let stage = Stage::new("drain");
    stage.upload(&[PHOTO, SLOW_FILE]);
    let mut environment = SLOW.to_vec();
    environment.push(("LAZARET_WORKER_SLOTS", "1"));
    let mut worker = stage.serve(&environment);
    stage.client.publish("interactive", &job("in-hand", "acme", SLOW_FILE));
    let held = worker.process.hold();
    // More than its hands hold, of another tenant.
    let jobs: Vec<Value> = (0..20)
        .map(|number| small(&format!("behind-{number}"), "other", PHOTO))
        .collect();
    stage.client.publish_jobs("bulk", &jobs);
    wait_for("all to be in hand", || stage.client.ready("lazaret.jobs.bulk") == 0);
    worker.process.signal("-TERM");
    wait_for("most to be back", || stage.client.ready("lazaret.jobs.bulk") >= 10);
    assert_eq!(
        stage.client.answers_to("in-hand").len(),
        0,
        "they are back before it has ended"
    );
    drop(held);
    assert_eq!(worker.code(), Some(0));
    assert_eq!(stage.client.answer("in-hand").verdict(), "converted: –");
    let next = stage.serve(&[]);
    for number in 0..20 {
        stage.client.answer(&format!("behind-{number}"));
    }
    stage.ends_empty([next]);
}

#[test]
fn the_second_signal_ends_at_once_and_the_job_comes_again() {
    let stage = Stage::new("twice");
    stage.upload(&[SLOW_FILE]);
    let mut worker = stage.serve(&SLOW);
    stage.client.publish("interactive", &job("slow", "acme", SLOW_FILE));
    let _held = worker.process.hold();
    worker.process.signal("-TERM");
    worker.wait_log("draining");
    assert!(worker.process.is_running());
    worker.process.signal("-TERM");
    assert_eq!(worker.code(), Some(0));
    assert_eq!(stage.client.answers().len(), 0);
    let next = stage.serve(&SLOW);
    assert_eq!(stage.client.answer("slow").verdict(), "converted: –");
    stage.ends_empty([next]);
    assert_eq!(stage.quarantined().len(), 0, "no strike");
}

#[test]
fn a_ledger_that_fails_takes_the_worker_out_and_the_queue_keeps_the_jobs() {
    let stage = Stage::new("ledger");
    stage.upload(&[PHOTO]);
    let worker = stage.serve(&[]);
    // Every question about a job fails.
    stage.sql("ALTER TABLE jobs RENAME TO away");
    stage.client.publish("interactive", &job("early", "acme", PHOTO));
    worker.wait_log("not ready");
    stage.client.wait_ready(1);
    assert_eq!(stage.client.answers().len(), 0);
    stage.sql("ALTER TABLE away RENAME TO jobs");
    worker.wait_log("ready again");
    assert_eq!(stage.client.answer("early").verdict(), "converted: –");
    works(&stage, worker);
}
