//! `lazaret topology` against a real node.

use std::process::Output;

use serde_json::json;

use super::node::{Node, Vhost};
use super::relay::{Mode, Relay};
use super::world::*;

/// Runs `lazaret topology` with this configuration.
fn topology(configuration: &str, arguments: &[&str]) -> Output {
    let world = World::new();
    let config = world.write("lazaret.toml", configuration);
    let mut all = vec!["topology"];
    all.extend(arguments);
    all.extend(["--config", config.to_str().unwrap()]);
    world.command(&all).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// That `check` fails and prints exactly these lines.
fn differs(vhost: &Vhost, lines: &[&str]) {
    let check = topology(&vhost.configuration(), &["check"]);
    assert_eq!(check.status.code(), Some(1), "{}", stderr(&check));
    let printed = stdout(&check);
    assert_eq!(printed.lines().collect::<Vec<_>>(), lines, "{printed}");
}

/// Runs a command that must end well, and gives what it printed last.
fn well(vhost: &Vhost, command: &str) -> String {
    let output = topology(&vhost.configuration(), &[command]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{command}: {}{}",
        stdout(&output),
        stderr(&output)
    );
    stdout(&output).lines().last().unwrap().to_owned()
}

/// What a command that fails says; never a password.
fn error(configuration: &str, command: &str, code: i32) -> String {
    let output = topology(configuration, &[command]);
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(
        !error.contains("secret") && !stdout(&output).contains("secret"),
        "{error}"
    );
    error
}

#[test]
fn plan_lists_all_of_it_apply_makes_it_and_check_agrees() {
    let vhost = Node::shared().empty_vhost("empty");
    let plan = topology(&vhost.configuration(), &["plan", "--json"]);
    assert_eq!(plan.status.code(), Some(0), "{}", stderr(&plan));
    let plan = lines(&plan);
    assert_eq!(plan.len(), 68);
    assert!(
        plan.iter()
            .all(|line| line["finding"] == "missing" && line["by"] == "apply")
    );
    assert!(plan.iter().any(|line| line["subject"] == "queue lazaret.side.15"));
    assert_eq!(
        well(&vhost, "plan"),
        "to apply: binding lazaret.dead → lazaret.dead: is missing"
    );
    assert_eq!(vhost.call("GET", "queues", "", None), json!([]), "plan changes nothing");

    assert_eq!(well(&vhost, "apply"), "as it should be");
    assert_eq!(well(&vhost, "check"), "as it should be");
    assert_eq!(well(&vhost, "plan"), "nothing to do");
    assert_eq!(well(&vhost, "apply"), "as it should be");
}

#[test]
fn what_went_missing_is_named_and_made_again() {
    let vhost = Node::shared().vhost("missing");
    assert_eq!(well(&vhost, "check"), "as it should be");
    vhost.call("DELETE", "queues", "lazaret.side.07", None);
    vhost.call("DELETE", "bindings", "e/lazaret.jobs/q/lazaret.jobs.bulk/bulk", None);
    vhost.call("DELETE", "policies", "lazaret.dead", None);
    vhost.call("DELETE", "exchanges", "lazaret.results", None);
    differs(
        &vhost,
        &[
            "exchange lazaret.results: is missing",
            "policy lazaret.dead: is missing",
            "queue lazaret.side.07: is missing",
            "binding lazaret.jobs → lazaret.jobs.bulk by bulk: is missing",
            "binding lazaret.side → lazaret.side.07 by 07: is missing",
        ],
    );
    assert_eq!(well(&vhost, "apply"), "as it should be");
}

#[test]
fn a_policy_that_somebody_changed_is_put_right() {
    let vhost = Node::shared().vhost("policy");
    let policy = json!({ "pattern": "^lazaret\\.jobs\\.", "definition": { "max-length": 3 }, "apply-to": "queues", "priority": 10 });
    vhost.call("PUT", "policies", "lazaret.jobs", Some(policy));
    differs(
        &vhost,
        &[
            "policy lazaret.jobs: dead-letter-exchange none, wanted lazaret.dead, dead-letter-strategy none, wanted at-least-once, \
           delivery-limit none, wanted 50, max-length 3, wanted 1000000, overflow none, wanted reject-publish",
        ],
    );
    assert_eq!(well(&vhost, "apply"), "as it should be");
}

#[test]
fn what_only_an_operator_can_change_is_left_to_him() {
    let vhost = Node::shared().vhost("by-hand");
    vhost.call("DELETE", "queues", "lazaret.dead", None);
    vhost.call("PUT", "queues", "lazaret.dead", Some(json!({ "durable": true })));
    vhost.call("POST", "bindings", "e/lazaret.dead/q/lazaret.dead", Some(json!({})));
    vhost.call(
        "POST",
        "bindings",
        "e/amq.topic/q/lazaret.jobs.bulk",
        Some(json!({ "routing_key": "#" })),
    );
    let all = json!({ "pattern": "suspect$", "definition": { "max-length": 3 }, "priority": 11 });
    vhost.call("PUT", "policies", "stray", Some(all));
    let left = [
        "queue lazaret.jobs.suspect: policy stray applies instead of ours; remedy: give stray a pattern that does not match lazaret.*, \
         or a priority below 10",
        "queue lazaret.dead: type classic, wanted quorum; remedy: a queue cannot be changed: let workers drain it, delete it, \
         `lazaret topology apply`",
        "binding amq.topic → lazaret.jobs.bulk by #: is none of ours; remedy: find out who made it, and delete it",
    ];
    differs(&vhost, &left);
    let apply = topology(&vhost.configuration(), &["apply"]);
    assert_eq!(apply.status.code(), Some(1), "{}", stderr(&apply));
    assert_eq!(stdout(&apply).lines().collect::<Vec<_>>(), left, "{}", stderr(&apply));
}

#[test]
fn definitions_do_what_apply_does() {
    let vhost = Node::shared().empty_vhost("imported");
    let definitions = topology(&vhost.configuration(), &["definitions", "--json"]);
    assert_eq!(definitions.status.code(), Some(0), "{}", stderr(&definitions));
    vhost
        .node
        .call("POST", "definitions", Some(lines(&definitions).remove(0)));
    assert_eq!(well(&vhost, "check"), "as it should be");
}

#[test]
fn a_job_that_waited_comes_back_by_its_own_route() {
    let vhost = Node::shared().vhost("ladder");
    // The rung's own policy with less patience.
    let mut policy = vhost.call("GET", "policies", "lazaret.retry.5s", None);
    policy["definition"]["message-ttl"] = json!(200);
    vhost.call("PUT", "policies", "lazaret.retry.5s", Some(policy));
    let message = json!({ "properties": { "delivery_mode": 2 }, "routing_key": "bulk", "payload": "x", "payload_encoding": "string" });
    wait_for("the policy to apply and the message to come back", || {
        vhost.call("POST", "exchanges", "lazaret.retry.5s/publish", Some(message.clone()));
        let get = json!({ "count": 1, "ackmode": "ack_requeue_false", "encoding": "auto" });
        let got = vhost.call("POST", "queues", "lazaret.jobs.bulk/get", Some(get));
        got[0]["routing_key"] == "bulk" && got[0]["properties"]["headers"]["x-death"][0]["reason"] == "expired"
    });
}

#[test]
fn users_who_may_not_are_told_what_they_need() {
    let vhost = Node::shared().vhost("rights");
    let node = vhost.node;
    let as_user = |user: &str| {
        let management = format!("http://{user}@127.0.0.1:{}", node.management);
        vhost.configuration_with(&vhost.amqp(), &management)
    };
    let told = error(&as_user("operator-rights:secret1"), "check", 1);
    assert!(
        told.contains("Login failed: wrong name or password of user operator-rights"),
        "{told}"
    );
    let told = error(&as_user("worker-rights:secret"), "check", 1);
    assert!(
        told.contains("rabbitmqctl set_user_tags worker-rights policymaker"),
        "{told}"
    );
    // A user that may look, and nothing more.
    let user = json!({ "password": "secret", "tags": "management" });
    node.call("PUT", "users/viewer", Some(user));
    let none = json!({ "configure": "^$", "write": "^$", "read": "^$" });
    node.call("PUT", "permissions/rights/viewer", Some(none));
    let viewer = as_user("viewer:secret");
    assert_eq!(topology(&viewer, &["check"]).status.code(), Some(0));
    vhost.call("DELETE", "policies", "lazaret.dead", None);
    let told = error(&viewer, "apply", 1);
    assert!(told.contains("user viewer needs the tag policymaker"), "{told}");
    let stranger = Node::shared().empty_vhost("stranger");
    let told = error(
        &vhost.configuration_with(&vhost.amqp(), &stranger.management()),
        "check",
        1,
    );
    assert!(
        told.contains("operator-stranger has no permissions in virtual host rights"),
        "{told}"
    );
}

#[test]
fn a_virtual_host_that_is_missing_is_named() {
    let vhost = Node::shared().empty_vhost("there");
    let elsewhere = vhost.amqp().replace("/there", "/nowhere");
    let told = error(&vhost.configuration_with(&elsewhere, &vhost.management()), "plan", 1);
    assert!(
        told.contains("there is no virtual host nowhere; `rabbitmqctl add_vhost nowhere`"),
        "{told}"
    );
}

#[test]
fn what_does_not_answer_as_the_management_api_is_named() {
    let vhost = Node::shared().empty_vhost("answers");
    let at = |port: u16| {
        vhost.configuration_with(
            &vhost.amqp(),
            &format!("http://operator-answers:secret@127.0.0.1:{port}"),
        )
    };
    let told = error(&at(1), "check", 1);
    assert!(
        told.contains("http://127.0.0.1:1: the management API refuses connections"),
        "{told}"
    );
    assert!(told.contains("rabbitmq-plugins enable rabbitmq_management"), "{told}");
    let told = error(&at(vhost.node.amqp), "check", 1);
    assert!(told.contains("usually at port 15672"), "{told}");
    let relay = Relay::to(vhost.node.management);
    relay.set(Mode::FreezeAnswers);
    let told = error(&at(relay.port()), "check", 1);
    assert!(told.contains("does not answer in time"), "{told}");
}

#[test]
fn tls_needs_the_ca_that_signed() {
    let vhost = Node::shared().vhost("tls");
    let node = vhost.node;
    let management = format!("https://operator-tls:secret@localhost:{}", node.management_tls);
    let plain = vhost.configuration_with(&vhost.amqp(), &management);
    let told = error(&plain, "check", 1);
    assert!(told.contains("TLS failed") && told.contains("amqp.ca"), "{told}");
    let check = topology(&format!("{plain}ca = {:?}\n", node.ca()), &["check"]);
    assert_eq!(check.status.code(), Some(0), "{}", stderr(&check));
    let [certificate, key] = node.identity();
    let shown = format!("{plain}ca = {:?}\ncertificate = {certificate:?}\n", node.ca());
    let check = topology(&format!("{shown}key = {key:?}\n"), &["check"]);
    assert_eq!(check.status.code(), Some(0), "{}", stderr(&check));
    let told = error(
        &format!("{shown}key = {:?}\n", key.with_file_name("ca.key")),
        "check",
        78,
    );
    assert!(
        told.contains("amqp.key: ") && told.contains("does not go with amqp.certificate"),
        "{told}"
    );
    let told = error(&format!("{plain}ca = \"nowhere.pem\"\n"), "check", 78);
    assert!(told.contains("amqp.ca: ") && told.contains("nowhere.pem"), "{told}");
}

#[test]
fn a_spool_has_no_topology() {
    let told = error("broker = \"spool:./spool\"\n", "plan", 2);
    assert!(told.contains("a spool is a folder and has no topology"), "{told}");
}

#[test]
fn the_help_teaches() {
    let world = World::new();
    let help = stdout(&world.run(&["topology", "--help"]));
    for part in [
        "Workers declare none of it",
        "rabbitmqctl import_definitions",
        "plan ",
        "apply ",
        "check ",
        "definitions ",
        "Deletes nothing",
    ] {
        assert!(help.contains(part), "{part}: {help}");
    }
}
