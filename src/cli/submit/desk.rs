//! Where jobs are handed in and answers come out: the spool, or RabbitMQ.
//!
//! In: jobs. Out: one answer for each that is waited for. A job is handed in again after a lost connection: the same id is the same job, and
//! it is answered again with the same event.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;

use crate::broker::amqp::{Client, Replies, Submission};
use crate::broker::envelope::REPLIES;
use crate::broker::spool::Spool;
use crate::broker::{BrokerError, Lane};
use crate::cli::{Failure, broker};
use crate::config::{BrokerAddress, Config};
use crate::event::Event;

/// How often a spool's results are looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// First pause before a lost connection is opened again; doubled each time it fails.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Whether somebody waits for answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    Wanted,
    Unwanted,
}

/// Where jobs are handed in.
pub(super) struct Desk {
    office: Office,
    /// Jobs that are not answered yet, where answers are wanted.
    open: BTreeMap<String, Submission>,
    answers: Answers,
}

enum Office {
    Spool(Spool),
    Amqp(Box<Counter>),
}

/// A RabbitMQ, and the queue that answers come to.
struct Counter {
    client: Client,
    queue: String,
    replies: Option<Replies>,
}

impl Desk {
    /// Opens the desk of the configured broker.
    pub(super) async fn open(config: &Config, answers: Answers) -> Result<Self, Failure> {
        let office = match &config.broker {
            BrokerAddress::Spool(folder) => Office::Spool(Spool::open(folder).map_err(Failure::other)?),
            BrokerAddress::Amqp(address) => {
                let client = Client::new(broker::server(config, address, "submit")?);
                let queue = format!("{REPLIES}{}", uuid::Uuid::now_v7().simple());
                let replies = match answers {
                    Answers::Wanted => Some(client.replies(&queue).await.map_err(Failure::other)?),
                    Answers::Unwanted => None,
                };
                Office::Amqp(Box::new(Counter { client, queue, replies }))
            }
        };
        Ok(Self {
            office,
            open: BTreeMap::new(),
            answers,
        })
    }

    /// Hands a job in; returns when the broker keeps it.
    pub(super) async fn hand_in(&mut self, job: &str, body: Vec<u8>, lane: Lane) -> Result<(), BrokerError> {
        let mut submission = Submission {
            job: job.to_owned(),
            body,
            lane,
            reply_to: None,
        };
        match &self.office {
            Office::Spool(spool) => spool.submit(&submission.body, lane)?,
            Office::Amqp(counter) => {
                submission.reply_to = counter.replies.is_some().then(|| counter.queue.clone());
                counter.client.submit(&submission).await?;
            }
        }
        if self.answers == Answers::Wanted {
            self.open.insert(submission.job.clone(), submission);
        }
        Ok(())
    }

    /// How many jobs are not answered yet.
    pub(super) fn open_jobs(&self) -> usize {
        self.open.len()
    }

    /// Waits for the answer to a job that has none yet.
    pub(super) async fn answer(&mut self) -> Result<Event, Failure> {
        loop {
            let event = match &mut self.office {
                Office::Spool(spool) => look(spool, &self.open).await.map_err(Failure::other)?,
                Office::Amqp(counter) => counter.next(&self.open).await,
            };
            // A copy of an answer, or somebody else's: not waited for.
            if self.open.remove(&event.subject).is_some() {
                return Ok(event);
            }
        }
    }
}

async fn look(spool: &Spool, open: &BTreeMap<String, Submission>) -> Result<Event, BrokerError> {
    loop {
        for job in open.keys() {
            if let Some(event) = spool.result(job)? {
                return Ok(event);
            }
        }
        sleep(LOOK_AGAIN).await;
    }
}

impl Counter {
    /// The next answer, however often the connection is lost.
    async fn next(&mut self, open: &BTreeMap<String, Submission>) -> Event {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match &mut self.replies {
                Some(replies) => match replies.next().await {
                    Ok(event) => return event,
                    Err(error) => error,
                },
                None => match self.begin_again(open).await {
                    Ok(()) => {
                        pause = FIRST_PAUSE;
                        continue;
                    }
                    Err(error) => error,
                },
            };
            self.replies = None;
            eprintln!("lazaret: {error}; trying again");
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Opens the queue again, and hands in again what is not answered: its answer may have been lost.
    async fn begin_again(&mut self, open: &BTreeMap<String, Submission>) -> Result<(), BrokerError> {
        let replies = self.client.replies(&self.queue).await?;
        for submission in open.values() {
            self.client.submit(submission).await?;
        }
        self.replies = Some(replies);
        Ok(())
    }
}
