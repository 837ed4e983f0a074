//! Whoever puts jobs in and hears the results: a web app, as far as RabbitMQ sees it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::node::Vhost;
use super::world::wait_for;

/// A connection as somebody who may do everything.
pub struct Client {
    runtime: Runtime,
    connection: Connection,
    channel: Channel,
    answers: Arc<Mutex<Vec<Answer>>>,
}

/// A message that came to a queue that is listened to, or that was taken out of one.
#[derive(Debug, Clone)]
pub struct Answer {
    pub routing_key: String,
    /// The event; null where the body is no JSON.
    pub event: Value,
    pub body: Vec<u8>,
    pub correlation_id: Option<String>,
    headers: FieldTable,
}

impl Client {
    /// Connects, and hears every result from now on.
    pub fn hearing(vhost: &Vhost) -> Self {
        let client = Self::of(vhost);
        let queue = client.queue("", json!({}));
        client.bind(&queue, "#");
        client.listen(&queue);
        client
    }

    /// Connects.
    pub fn of(vhost: &Vhost) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let address = format!("amqp://root:root@127.0.0.1:{}/{}", vhost.node.amqp, vhost.name);
        let (connection, channel) = runtime.block_on(async {
            let connection = Connection::connect(&address, ConnectionProperties::default())
                .await
                .unwrap();
            let channel = connection.create_channel().await.unwrap();
            let select = ConfirmSelectOptions::default();
            channel.confirm_select(select).await.unwrap();
            (connection, channel)
        });
        Self {
            runtime,
            connection,
            channel,
            answers: Arc::default(),
        }
    }

    /// A queue of this connection's own; the broker names it where no name is given.
    pub fn queue(&self, name: &str, arguments: Value) -> String {
        let mut table = FieldTable::default();
        for (key, value) in arguments.as_object().unwrap() {
            let value = match value {
                Value::Number(number) => AMQPValue::LongLongInt(number.as_i64().unwrap()),
                value => AMQPValue::LongString(value.as_str().unwrap().into()),
            };
            table.insert(key.as_str().into(), value);
        }
        let options = QueueDeclareOptions::exclusive();
        let declare = self.channel.queue_declare(name.into(), options, table);
        let queue = self.runtime.block_on(declare).unwrap();
        queue.name().to_string()
    }

    /// Binds a queue to the results.
    pub fn bind(&self, queue: &str, key: &str) {
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        let bind = self
            .channel
            .queue_bind(queue.into(), "lazaret.results".into(), key.into(), options, none);
        self.runtime.block_on(bind).unwrap();
    }

    /// Collects what comes to a queue.
    pub fn listen(&self, queue: &str) {
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let consume = self
            .channel
            .basic_consume(queue.into(), "".into(), options, FieldTable::default());
        let mut consumer = self.runtime.block_on(consume).unwrap();
        let answers = Arc::clone(&self.answers);
        self.runtime.spawn(async move {
            while let Some(Ok(delivery)) = consumer.next().await {
                answers.lock().unwrap().push(Answer::of(&delivery));
            }
        });
    }

    /// Puts a job into a lane; returns when the broker has confirmed it.
    pub fn publish(&self, lane: &str, job: &Value) {
        let id = job["job"].as_str().unwrap_or_default();
        let properties = BasicProperties::default().with_message_id(id.into());
        self.publish_with(lane, job.to_string().as_bytes(), properties);
    }

    /// The same, with properties of one's own.
    pub fn publish_with(&self, lane: &str, body: &[u8], properties: BasicProperties) {
        self.publish_all(lane, &[(body.to_vec(), properties)]);
    }

    /// Puts many jobs in at once.
    pub fn publish_jobs(&self, lane: &str, jobs: &[Value]) {
        let jobs: Vec<_> = jobs
            .iter()
            .map(|job| (job.to_string().into_bytes(), BasicProperties::default()))
            .collect();
        self.publish_all(lane, &jobs);
    }

    /// Puts many jobs in with the time at which they were enqueued: so many seconds ago.
    pub fn publish_stamped(&self, lane: &str, jobs: &[Value], ago_s: u64) {
        let now_s = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let stamped = BasicProperties::default().with_timestamp(now_s - ago_s);
        let jobs: Vec<_> = jobs
            .iter()
            .map(|job| (job.to_string().into_bytes(), stamped.clone()))
            .collect();
        self.publish_all(lane, &jobs);
    }

    fn publish_all(&self, lane: &str, messages: &[(Vec<u8>, BasicProperties)]) {
        self.runtime.block_on(async {
            let mut confirms = Vec::new();
            for (body, properties) in messages {
                let properties = properties.clone().with_delivery_mode(2);
                let options = BasicPublishOptions {
                    mandatory: true,
                    ..BasicPublishOptions::default()
                };
                let publish = self
                    .channel
                    .basic_publish("lazaret.jobs".into(), lane.into(), options, body, properties);
                confirms.push(publish.await.unwrap());
            }
            for confirm in confirms {
                let confirmation = confirm.await.unwrap();
                assert!(confirmation.is_ack() && confirmation.take_message().is_none());
            }
        });
    }

    /// All that has been heard so far.
    pub fn answers(&self) -> Vec<Answer> {
        self.answers.lock().unwrap().clone()
    }

    /// Waits until so many answers have been heard.
    pub fn wait_answers(&self, count: usize) -> Vec<Answer> {
        wait_for(&format!("{count} answers"), || {
            self.answers.lock().unwrap().len() >= count
        });
        self.answers()
    }

    /// Waits for the first answer to a job.
    pub fn answer(&self, job: &str) -> Answer {
        let mut found = None;
        wait_for(&format!("the answer to {job}"), || {
            found = self.answers_to(job).into_iter().next();
            found.is_some()
        });
        found.unwrap()
    }

    /// What has been heard of a job.
    pub fn answers_to(&self, job: &str) -> Vec<Answer> {
        let mut answers = self.answers();
        answers.retain(|answer| answer.event["subject"] == job);
        answers
    }

    /// Takes the first message out of a queue.
    pub fn take(&self, queue: &str) -> Option<Answer> {
        self.runtime.block_on(async {
            let get = self.channel.basic_get(queue.into(), BasicGetOptions::default());
            let message = get.await.unwrap()?;
            message.delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
            Some(Answer::of(&message.delivery))
        })
    }

    /// Waits for a message in a queue, and takes it out.
    pub fn await_in(&self, queue: &str) -> Answer {
        let mut taken = None;
        wait_for(&format!("a message in {queue}"), || {
            taken = self.take(queue);
            taken.is_some()
        });
        taken.unwrap()
    }

    /// Messages of a queue that nobody has in hand.
    pub fn ready(&self, queue: &str) -> u32 {
        self.runtime.block_on(async {
            let options = QueueDeclareOptions {
                passive: true,
                ..QueueDeclareOptions::default()
            };
            let declare = self.channel.queue_declare(queue.into(), options, FieldTable::default());
            declare.await.unwrap().message_count()
        })
    }

    /// Waits until all queues of jobs together have so many messages that nobody has in hand.
    pub fn wait_ready(&self, count: u32) {
        wait_for(&format!("{count} messages in the queues"), || {
            self.ready_in_all() == count
        });
    }

    /// Messages that nobody has in hand, in all queues of jobs together.
    pub fn ready_in_all(&self) -> u32 {
        let lanes = ["interactive", "bulk", "suspect"].map(|lane| format!("lazaret.jobs.{lane}"));
        let rungs = ["5s", "30s", "2m", "10m", "1h"].map(|rung| format!("lazaret.retry.{rung}"));
        let sides = (0..16).map(|line| format!("lazaret.side.{line:02}"));
        let queues = lanes.into_iter().chain(rungs).chain(sides);
        queues.map(|queue| self.ready(&queue)).sum()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let close = self.connection.close(200, "done".into());
        let _ = self
            .runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(1), close).await });
    }
}

impl Answer {
    fn of(delivery: &Delivery) -> Self {
        let properties = &delivery.properties;
        Self {
            routing_key: delivery.routing_key.to_string(),
            event: serde_json::from_slice(&delivery.data).unwrap_or_default(),
            body: delivery.data.clone(),
            correlation_id: properties.correlation_id().as_ref().map(ToString::to_string),
            headers: properties.headers().clone().unwrap_or_default(),
        }
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<String> {
        match self.headers.inner().get(name)? {
            AMQPValue::LongString(text) => Some(text.to_string()),
            other => Some(format!("{other:?}")),
        }
    }

    /// Status and reason.
    pub fn verdict(&self) -> String {
        let data = &self.event["data"];
        let word = |field: &str| data[field].as_str().unwrap_or("–").to_owned();
        format!("{}: {}", word("status"), word("reason"))
    }
}
