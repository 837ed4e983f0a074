//! A web app that outlives its broker: publishes until each job is confirmed, and collects results from a queue that stays.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties};
use lazaret::broker::topology;
use lazaret::clock::Stopwatch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::super::client::{Answers, Wish, note};

/// Where results are collected.
const RESULTS: &str = "lazaret.fleet.results";
/// Longest wait for a broker's word.
const PATIENCE: Duration = Duration::from_secs(10);
/// Jobs that are published at a time.
const BATCH: usize = 25;

/// A web app.
pub struct App {
    uri: String,
    /// Time of all that it saw.
    pub clock: Stopwatch,
    /// What came.
    pub answers: Answers,
    collector: JoinHandle<()>,
}

impl App {
    /// Declares the queue and reads it, for ever.
    pub async fn open(uri: &str) -> Self {
        let uri = format!("{uri}?heartbeat=5");
        let clock = Stopwatch::start();
        let answers = Answers::default();
        declare(&uri).await.unwrap();
        let (to, from) = (answers.clone(), uri.clone());
        let collector = tokio::spawn(async move {
            loop {
                // Whatever ends a connection: the queue is there when the broker is.
                let _ = collect(&from, &to, clock).await;
                sleep(Duration::from_millis(200)).await;
            }
        });
        Self {
            uri,
            clock,
            answers,
            collector,
        }
    }

    /// Publishes jobs, evenly over a time; each batch again until all of it is confirmed, so that some jobs come twice.
    pub async fn publish(&self, wishes: &[Wish], over: Duration) {
        let since = Stopwatch::start();
        let mut channel = None;
        for (number, batch) in wishes.chunks(BATCH).enumerate() {
            let due = over.mul_f64((number * BATCH) as f64 / wishes.len() as f64);
            sleep(due.saturating_sub(since.elapsed())).await;
            while !matches!(
                timeout(PATIENCE, send(&self.uri, &mut channel, batch)).await,
                Ok(Ok(true))
            ) {
                channel = None;
                sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.collector.abort();
    }
}

async fn open(uri: &str) -> lapin::Result<(Connection, Channel)> {
    let connection = Connection::connect(uri, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    Ok((connection, channel))
}

async fn declare(uri: &str) -> lapin::Result<()> {
    let (connection, channel) = open(uri).await?;
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let durable = QueueDeclareOptions::durable();
    channel.queue_declare(RESULTS.into(), durable, quorum).await?;
    let (exchange, bind) = (topology::RESULTS.into(), QueueBindOptions::default());
    channel
        .queue_bind(RESULTS.into(), exchange, "#".into(), bind, FieldTable::default())
        .await?;
    connection.close(200, "done".into()).await
}

/// Takes down results until the connection ends.
async fn collect(uri: &str, answers: &Answers, clock: Stopwatch) -> lapin::Result<()> {
    let (_connection, channel) = open(uri).await?;
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer = channel.basic_consume(RESULTS.into(), "".into(), options, none).await?;
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        note(&mut answers.so_far(), &delivery.data, clock.elapsed());
        delivery.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}

/// Publishes a batch, on a new connection where there is none; whether all of it was confirmed.
async fn send(uri: &str, link: &mut Option<(Connection, Channel)>, batch: &[Wish]) -> lapin::Result<bool> {
    let (_, channel) = match link {
        Some(link) => link,
        None => {
            let (connection, channel) = open(uri).await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            link.insert((connection, channel))
        }
    };
    let mut confirms = Vec::with_capacity(batch.len());
    for wish in batch {
        confirms.push(wish.publish(channel).await?);
    }
    let mut all = true;
    for confirm in confirms {
        all &= confirm.await?.is_ack();
    }
    Ok(all)
}
