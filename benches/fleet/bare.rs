//! The least that a worker could do: consume, publish confirmed, acknowledge. A process of its own, as a worker is.

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use lazaret::broker::Lane;
use lazaret::broker::topology::{RESULTS, lane_queue};

use super::options::Options;

/// Runs until it is killed.
pub async fn run(options: &Options) -> usize {
    let uri: String = options.get("uri", String::new());
    let (consuming, consumer) = connect(&uri).await;
    let (publishing, publisher) = connect(&uri).await;
    publisher.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let prefetch = options.get("prefetch", 64);
    consumer.basic_qos(prefetch, BasicQosOptions::default()).await.unwrap();
    let queue = lane_queue(Lane::Interactive);
    let consume = BasicConsumeOptions::default();
    let none = FieldTable::default();
    let mut messages = consumer
        .basic_consume(queue.as_str().into(), "".into(), consume, none)
        .await
        .unwrap();
    let body = vec![b'x'; options.get("bytes", 600)];
    while let Some(Ok(message)) = messages.next().await {
        let (publisher, body) = (publisher.clone(), body.clone());
        tokio::spawn(async move {
            let options = BasicPublishOptions {
                mandatory: true,
                ..BasicPublishOptions::default()
            };
            let properties = BasicProperties::default().with_delivery_mode(2);
            let publish = publisher.basic_publish(RESULTS.into(), "t.quarantined".into(), options, &body, properties);
            let confirmed = publish.await.unwrap().await.unwrap();
            assert!(confirmed.is_ack());
            message.acker.ack(BasicAckOptions::default()).await.unwrap();
        });
    }
    drop((consuming, publishing));
    0
}

async fn connect(uri: &str) -> (Connection, Channel) {
    let connection = Connection::connect(uri, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}
