//! `lazaret submit` over RabbitMQ.

use std::process::Output;

use serde_json::json;

use super::node::{Node, Vhost};
use super::relay::{Mode, Relay};
use super::world::*;

/// A world that works on a virtual host.
fn world(vhost: &Vhost) -> World {
    let world = World::new();
    world.write("lazaret.toml", vhost.configuration());
    std::fs::create_dir(world.path("uploads")).unwrap();
    world
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn jobs_are_answered_good_and_bad_and_known_the_second_time() {
    let vhost = Node::shared().vhost("submit");
    let world = world(&vhost);
    let _service = world.serve(&[]);
    let good = fixture("valid/photos/rocket.bmp");
    let bad = fixture("malformed/text.jpg");
    for repeat in [false, true] {
        let output = world.submit(&["--wait", "--json", &good, &bad]);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let mut verdicts = lines(&output);
        verdicts.sort_by_key(|verdict| verdict["status"].to_string());
        let told = verdicts
            .iter()
            .map(|verdict| (&verdict["status"], &verdict["path"], &verdict["repeat"]));
        let expected = [
            (&json!("converted"), &json!(good), &json!(repeat)),
            (&json!("rejected"), &json!(bad), &json!(false)),
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
        assert!(verdicts[0]["queued_ms"].is_u64());
    }
    // A worker may look at the topology and not change it: that it is refused so is no end of its connection.
    let log = std::fs::read_dir(world.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let log = log.filter(|path| path.extension().is_some_and(|end| end == "log"));
    let log: String = log.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(log.contains("ready") && !log.contains("not consuming"), "{log}");
    let table = stdout(&world.submit(&["--wait", "--lane", "bulk", &good]));
    assert!(table.contains("converted") && table.contains("known"), "{table}");
    for queue in ["lazaret.jobs.interactive", "lazaret.jobs.bulk"] {
        wait_for("empty queues", || {
            vhost.call("GET", "queues", queue, None)["messages"] == 0
        });
    }
}

#[test]
fn a_job_that_would_be_lost_is_an_error_with_a_remedy() {
    let vhost = Node::shared().vhost("unroutable");
    let world = world(&vhost);
    vhost.call("DELETE", "queues", "lazaret.jobs.bulk", None);
    let output = world.submit(&["--lane", "bulk", &fixture("valid/photos/rocket.bmp")]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
    let error = stderr(&output);
    assert!(
        error.contains("no queue for \"bulk\"") && error.contains("topology check"),
        "{error}"
    );
}

#[test]
fn a_wrong_password_is_told_and_not_shown() {
    let vhost = Node::shared().vhost("locked");
    let world = world(&vhost);
    let wrong = vhost.amqp().replace(":secret@", ":not-the-one@");
    world.write("lazaret.toml", vhost.configuration_with(&wrong, &vhost.management()));
    let file = fixture("valid/photos/rocket.bmp");
    for arguments in [&[file.as_str()][..], &["--wait", &file]] {
        let output = world.submit(arguments);
        assert_eq!(output.status.code(), Some(1));
        let error = stderr(&output);
        assert!(error.contains("check user \"worker-locked\""), "{error}");
        assert!(!error.contains("not-the-one"), "{error}");
    }
}

#[test]
fn waiting_ends_by_time_or_signal_and_the_jobs_stay() {
    let vhost = Node::shared().vhost("patience");
    let world = world(&vhost);
    let file = fixture("valid/photos/rocket.bmp");
    let output = world.submit(&["--wait", "--timeout", "300ms", &file]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("no answer yet"), "{}", stdout(&output));
    let error = stderr(&output);
    assert!(error.contains("gave up after 300ms: 1 of 1 not answered"), "{error}");

    let waits = world.start(&["submit", "--config", "lazaret.toml", "--wait", &file], &[]);
    let waiting = || vhost.call("GET", "queues", "lazaret.jobs.interactive", None)["messages"] == 2;
    wait_for("both jobs", waiting);
    // It listens for signals once it waits.
    wait_for("SIGINT to be caught", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", waits.0.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).unwrap();
        u64::from_str_radix(caught, 16).unwrap() & 0b10 != 0
    });
    waits.signal("-INT");
    assert_eq!(waits.code(), Some(1));
    let error = std::fs::read_to_string(world.path("stderr")).unwrap();
    assert!(error.contains("interrupted: 1 of 1 not answered"), "{error}");
    assert!(waiting());
}

#[test]
fn an_answer_comes_after_a_lost_connection_too() {
    let vhost = Node::shared().vhost("lossy");
    let world = world(&vhost);
    let relay = Relay::to(vhost.node.amqp);
    let through = vhost.configuration_with(&vhost.amqp_through(relay.port()), &vhost.management());
    world.write("relay.toml", through);
    let file = fixture("valid/photos/rocket.bmp");
    let waits = world.start(&["submit", "--config", "relay.toml", "--wait", "--json", &file], &[]);
    let jobs = || vhost.call("GET", "queues", "lazaret.jobs.interactive", None)["messages"].clone();
    wait_for("the job", || jobs() == 1);
    // The answer is sent while nobody can hear it.
    relay.set(Mode::Refuse);
    assert!(relay.cut() > 0);
    let service = world.serve(&[]);
    wait_for("the job to be done", || jobs() == 0);
    service.signal("-TERM");
    assert_eq!(service.code(), Some(0));
    relay.set(Mode::Pass);
    wait_for("the job again", || jobs() == 1);
    let _service = world.serve(&[]);
    assert_eq!(waits.code(), Some(0));
    let error = std::fs::read_to_string(world.path("stderr")).unwrap();
    assert!(error.contains("trying again"), "{error}");
}
