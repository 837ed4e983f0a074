//! The web app's side: publishes jobs with confirms, collects every result.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
    QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, PublisherConfirm};
use lazaret::broker::topology;
use lazaret::clock::{Stopwatch, unix_ms};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Confirms that are awaited at a time.
const BATCH: usize = 500;

/// A web app.
pub struct Client {
    connection: Connection,
    channel: Channel,
    /// Where results are collected.
    results: String,
    /// Time of all that it saw.
    pub clock: Stopwatch,
    /// What came.
    pub answers: Answers,
}

/// Results, by job.
#[derive(Debug, Clone, Default)]
pub struct Answers(Arc<Mutex<HashMap<String, Answer>>>);

/// A job to publish.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Its id.
    pub job: String,
    /// Whose.
    pub tenant: String,
    /// Where its upload is.
    pub store: &'static str,
    /// Of which upload.
    pub key: String,
    /// Claimed digest.
    pub claim: Option<String>,
    /// Of its one rendition, a JPEG.
    pub width: usize,
}

/// All events of one job.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// When the first one came.
    pub first: Duration,
    /// How many came.
    pub events: usize,
    /// Their ids.
    pub ids: BTreeSet<String>,
    /// Their statuses and reasons.
    pub verdicts: BTreeSet<String>,
}

impl Wish {
    /// A thumbnail of an upload.
    pub fn new(job: String, tenant: &str, key: &str) -> Self {
        Self {
            job,
            tenant: tenant.to_owned(),
            store: "uploads",
            key: key.to_owned(),
            claim: None,
            width: 128,
        }
    }

    /// Its message.
    pub fn body(&self) -> Vec<u8> {
        let mut source = json!({ "store": self.store, "key": self.key });
        if let Some(claim) = &self.claim {
            source["sha256"] = json!(claim);
        }
        let renditions = json!([{ "name": "thumb", "format": "jpeg", "width": self.width }]);
        let body = json!({ "job": self.job, "tenant": self.tenant, "source": source, "renditions": renditions });
        body.to_string().into_bytes()
    }

    /// Sends it; the broker's word on that is still to come.
    pub async fn publish(&self, channel: &Channel) -> lapin::Result<PublisherConfirm> {
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_message_id(self.job.as_str().into())
            .with_timestamp(unix_ms() / 1000);
        let (jobs, options, body) = (topology::JOBS.into(), BasicPublishOptions::default(), self.body());
        let publish = channel.basic_publish(jobs, "interactive".into(), options, &body, properties);
        publish.await
    }
}

impl Answers {
    /// Those that came so far.
    pub fn so_far(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        self.0.lock().unwrap()
    }

    /// Waits until so many jobs are answered; whether they were in time.
    pub async fn reach(&self, count: usize, patience: Duration) -> bool {
        let waited = Stopwatch::start();
        while self.so_far().len() < count {
            if waited.elapsed() > patience {
                return false;
            }
            sleep(Duration::from_millis(10)).await;
        }
        true
    }
}

impl Client {
    /// Connects, and has results go into a queue that nobody reads.
    pub async fn new(uri: &str) -> Self {
        let connection = Connection::connect(uri, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let none = FieldTable::default;
        // Never the same twice: that of a client before this one may be there for a while yet.
        let results = format!("lazaret.fleet.{:08x}", fastrand::u32(..));
        let exclusive = QueueDeclareOptions::exclusive();
        let declare = channel.queue_declare(results.as_str().into(), exclusive, none());
        declare.await.unwrap();
        let (exchange, bind) = (topology::RESULTS.into(), QueueBindOptions::default());
        let bound = channel.queue_bind(results.as_str().into(), exchange, "#".into(), bind, none());
        bound.await.unwrap();
        Self {
            connection,
            channel,
            results,
            clock: Stopwatch::start(),
            answers: Answers::default(),
        }
    }

    /// The same, and reads them.
    pub async fn collecting(uri: &str) -> Self {
        let client = Self::new(uri).await;
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let consume = client.channel.basic_consume(
            client.results.as_str().into(),
            "".into(),
            options,
            FieldTable::default(),
        );
        let mut consumer = consume.await.unwrap();
        let (answers, clock) = (client.answers.clone(), client.clock);
        tokio::spawn(async move {
            while let Some(Ok(delivery)) = consumer.next().await {
                note(&mut answers.so_far(), &delivery.data, clock.elapsed());
            }
        });
        client
    }

    /// Publishes jobs, and returns when the broker has them all: when each was sent.
    pub async fn publish(&self, wishes: &[Wish]) -> Vec<Duration> {
        let mut times = Vec::with_capacity(wishes.len());
        for batch in wishes.chunks(BATCH) {
            let mut confirms = Vec::with_capacity(batch.len());
            for wish in batch {
                times.push(self.clock.elapsed());
                confirms.push(wish.publish(&self.channel).await.unwrap());
            }
            for confirm in confirms {
                assert!(confirm.await.unwrap().is_ack(), "a job was not taken");
            }
        }
        times
    }

    /// Hangs up: results are collected no more.
    pub async fn close(self) {
        self.connection.close(200, "done".into()).await.unwrap();
    }

    /// Messages ready in a queue.
    pub async fn depth(&self, queue: &str) -> u32 {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let declare = self.channel.queue_declare(queue.into(), passive, FieldTable::default());
        declare.await.unwrap().message_count()
    }

    /// Results that nobody has read.
    pub async fn unread(&self) -> u32 {
        self.depth(&self.results).await
    }

    /// Empties a queue.
    pub async fn purge(&self, queue: &str) {
        let purge = self.channel.queue_purge(queue.into(), QueuePurgeOptions::default());
        purge.await.unwrap();
    }

    /// Forgets the results that nobody has read.
    pub async fn purge_unread(&self) {
        self.purge(&self.results).await;
    }
}

/// Takes down a result.
pub fn note(answers: &mut HashMap<String, Answer>, body: &[u8], now: Duration) {
    let event: Value = serde_json::from_slice(body).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let answer = answers.entry(text(&event["subject"])).or_insert_with(|| Answer {
        first: now,
        ..Answer::default()
    });
    answer.events += 1;
    answer.ids.insert(text(&event["id"]));
    let data = &event["data"];
    let verdict = format!("{} {}", text(&data["status"]), text(&data["reason"]));
    answer.verdicts.insert(verdict.trim().to_owned());
}
