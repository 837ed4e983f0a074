//! RabbitMQ over TLS.

use serde_json::Value;

use super::node::Node;
use super::stage::*;
use super::world::wait_for;

/// A stage whose workers use TLS.
fn over_tls(name: &str, more: &str) -> Stage<'static> {
    let stage = Stage::new(name);
    stage.upload(&[PHOTO]);
    let port = stage.vhost.node.amqps;
    let address = format!("amqps://worker-{name}:secret@localhost:{port}/{name}");
    stage.through(&address, more);
    stage
}

#[test]
fn with_the_brokers_own_ca_jobs_are_answered() {
    let ca = Node::shared().ca();
    let stage = over_tls("tls-good", &format!("ca = {ca:?}\n"));
    let worker = stage.serve(&[]);
    stage.client.publish("interactive", &job("j", "acme", PHOTO));
    assert_eq!(stage.client.answer("j").verdict(), "converted: –");
    stage.ends_empty([worker]);
}

#[test]
fn without_the_ca_there_is_no_connection_and_the_log_says_why() {
    let stage = over_tls("tls-bad", "");
    let worker = stage.start(&[]);
    worker.wait_log_times("not consuming", 2);
    let log = worker.log();
    assert!(log.contains("amqp.ca") && !log.contains("secret"), "{log}");
}

#[test]
fn a_client_certificate_is_shown_to_the_broker() {
    let node = Node::shared();
    let [certificate, key] = node.identity();
    let more = format!("ca = {:?}\ncertificate = {certificate:?}\nkey = {key:?}\n", node.ca());
    let stage = over_tls("tls-known", &more);
    let worker = stage.serve(&[]);
    wait_for("the broker to know who it is", || {
        let all = node.call("GET", "vhosts/tls-known/connections", None);
        let of = |connection: &Value| connection["peer_cert_subject"].as_str().map(str::to_owned);
        let subjects: Vec<String> = all.as_array().unwrap().iter().filter_map(of).collect();
        subjects.iter().any(|subject| subject.contains("localhost"))
    });
    stage.ends_empty([worker]);
}
