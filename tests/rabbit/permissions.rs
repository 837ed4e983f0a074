//! What `docs/rabbitmq.md` lets a worker do is what it needs, and no more.

use lapin::options::*;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use lazaret::broker::topology::{CONTROL, DEAD, Topology};

use super::node::Node;

async fn channel(uri: &str) -> Channel {
    let connection = Connection::connect(uri, ConnectionProperties::default()).await.unwrap();
    connection.create_channel().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_may_look_work_and_listen() {
    let vhost = Node::shared().vhost("working");
    let channel = channel(&vhost.amqp()).await;
    let topology = Topology::wanted();
    for exchange in &topology.exchanges {
        let kind = match exchange.kind.as_str() {
            "direct" => ExchangeKind::Direct,
            "fanout" => ExchangeKind::Fanout,
            _ => ExchangeKind::Topic,
        };
        let look = ExchangeDeclareOptions {
            passive: true,
            ..ExchangeDeclareOptions::default()
        };
        let found = channel.exchange_declare(exchange.name.as_str().into(), kind, look, FieldTable::default());
        found.await.unwrap();
    }
    for queue in &topology.queues {
        let look = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let found = channel.queue_declare(queue.name.as_str().into(), look, FieldTable::default());
        found.await.unwrap();
    }
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let routes = topology
        .exchanges
        .iter()
        .map(|exchange| (exchange.name.as_str(), "bulk"));
    for (exchange, key) in routes.chain([("", "somebody.waits")]) {
        let published = channel
            .basic_publish(
                exchange.into(),
                key.into(),
                BasicPublishOptions::default(),
                b"x",
                BasicProperties::default(),
            )
            .await
            .unwrap();
        assert!(published.await.unwrap().is_ack(), "{exchange}");
    }
    let own = "lazaret.control.worker-1";
    let mine = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(own.into(), mine, FieldTable::default())
        .await
        .unwrap();
    let bound = channel.queue_bind(
        own.into(),
        CONTROL.into(),
        "".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bound.await.unwrap();
    let get = channel
        .basic_get(DEAD.into(), BasicGetOptions::default())
        .await
        .unwrap();
    get.unwrap().acker.ack(BasicAckOptions::default()).await.unwrap();
    let purged = channel
        .queue_purge("lazaret.jobs.bulk".into(), QueuePurgeOptions::default())
        .await
        .unwrap();
    // That of the first rung may be back by now.
    assert!((1..=2).contains(&purged), "{purged}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_may_not_change_the_topology() {
    let vhost = Node::shared().vhost("forbidden");
    let refused = |error: lapin::Error| assert!(error.to_string().contains("ACCESS_REFUSED"), "{error}");
    let delete = channel(&vhost.amqp()).await;
    let deleted = delete.queue_delete(DEAD.into(), QueueDeleteOptions::default()).await;
    refused(deleted.unwrap_err());
    let declare = channel(&vhost.amqp()).await;
    let other = declare.queue_declare(
        "lazaret.jobs.other".into(),
        QueueDeclareOptions::default(),
        FieldTable::default(),
    );
    refused(other.await.unwrap_err());
}
