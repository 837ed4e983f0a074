//! What operators' commands order of RabbitMQ.

use std::time::Duration;

use lazaret::broker::amqp::{Client, Server};
use serde_json::{Value, json};

use super::node::{Node, Vhost};
use super::world::*;

fn client(vhost: &Vhost) -> Client {
    Client::new(Server {
        uri: vhost.amqp().parse().unwrap(),
        place: "the test's node".to_owned(),
        authority: None,
        identity: None,
        prefetch: 1,
        confirm: Duration::from_secs(10),
        name: "test".to_owned(),
    })
}

fn messages(vhost: &Vhost, queue: &str) -> Value {
    vhost.call("GET", "queues", queue, None)["messages"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sideline_is_purged_and_no_other() {
    let vhost = Node::shared().vhost("purge");
    for line in ["03", "03", "04"] {
        let message = json!({ "routing_key": line, "payload": "x", "payload_encoding": "string", "properties": {} });
        vhost.call("POST", "exchanges", "lazaret.side/publish", Some(message));
    }
    let client = client(&vhost);
    assert_eq!(client.purge_sideline(3).await.unwrap(), 2);
    assert_eq!(client.purge_sideline(3).await.unwrap(), 0);
    wait_for("the other one", || messages(&vhost, "lazaret.side.04") == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_listens_is_told_and_nobody_need_listen() {
    let vhost = Node::shared().vhost("tell");
    let client = client(&vhost);
    client.tell().await.unwrap();
    vhost.call("PUT", "queues", "listens", Some(json!({ "durable": true })));
    let bind = json!({ "routing_key": "" });
    vhost.call("POST", "bindings", "e/lazaret.control/q/listens", Some(bind));
    client.tell().await.unwrap();
    wait_for("the news", || messages(&vhost, "listens") == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_wait_is_told_which_right_is_missing() {
    let vhost = Node::shared().vhost("rights");
    let user = format!("permissions/{0}/worker-{0}", vhost.name);
    let rights = json!({ "configure": "^lazaret\\.control\\.", "write": ".*", "read": ".*" });
    vhost.node.call("PUT", &user, Some(rights));
    let error = client(&vhost)
        .replies("lazaret.replies.x")
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("needs the right to configure"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}
