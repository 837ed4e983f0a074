//! RabbitMQ from the side of those who put jobs in, and of operators.
//!
//! In: jobs, orders. Out: the broker has them, confirmed. Absent on purpose: a connection that is kept up; one that fails is opened again
//! by the next order.

use std::sync::Arc;

use lapin::options::QueuePurgeOptions;

use super::dead::DeadQueue;
use super::dial::{ANSWER, Server};
use super::properties;
use super::publish::{Publisher, Routed};
use super::replies::Replies;
use crate::broker::{BrokerError, Envelope, Lane, ReplyTo, topology};
use crate::clock;

/// What is told on `lazaret.control`: nothing but that something changed. Workers read it from the ledger.
const CHANGED: &[u8] = b"{}";

/// A RabbitMQ that jobs are put into.
pub struct Client {
    server: Arc<Server>,
    publisher: Publisher,
}

/// A job to be put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Its id.
    pub job: String,
    /// The message's body.
    pub body: Vec<u8>,
    /// Where to.
    pub lane: Lane,
    /// A queue that wants the answer, by the job's id.
    pub reply_to: Option<String>,
}

impl Client {
    /// Connects when there is something to do.
    pub fn new(server: Server) -> Self {
        let server = Arc::new(server);
        Self {
            publisher: Publisher::new(Arc::clone(&server), "client"),
            server,
        }
    }

    /// Enqueues a job; returns when the broker keeps it. To do so again is harmless: the same id is the same job.
    pub async fn submit(&self, submission: &Submission) -> Result<(), BrokerError> {
        let reply_to = submission.reply_to.as_deref();
        let envelope = Envelope {
            lane: submission.lane,
            enqueued_ms: Some(clock::unix_ms()),
            reply_to: reply_to.and_then(|queue| ReplyTo::new(queue, Some(&submission.job))),
            ..Envelope::default()
        };
        let properties = properties::of_job(&envelope, Some(submission.job.as_str().into()));
        let key = topology::lane_key(submission.lane);
        self.publisher
            .hand_on(topology::JOBS, key, &submission.body, properties)
            .await
    }

    /// A queue for answers. The same name again is the same queue, once the connection before is gone.
    pub async fn replies(&self, queue: &str) -> Result<Replies, BrokerError> {
        Replies::open(&self.server, queue).await
    }

    /// Begins a round through the dead letters.
    pub async fn dead(&self) -> Result<DeadQueue<'_>, BrokerError> {
        DeadQueue::begin(&self.server, &self.publisher).await
    }

    /// Tells every worker that tenants or verdicts have changed. Where none runs, nobody needs to know.
    pub async fn tell(&self) -> Result<(), BrokerError> {
        let properties = lapin::BasicProperties::default();
        let told = self.publisher.publish(topology::CONTROL, "", CHANGED, properties);
        match told.await? {
            Routed::Somewhere | Routed::Nowhere => Ok(()),
        }
    }

    /// Drops every message that waits in a sideline; returns how many.
    pub async fn purge_sideline(&self, line: u8) -> Result<u64, BrokerError> {
        let channel = self.publisher.channel().await?;
        let purge = channel.queue_purge(topology::side_queue(line).into(), QueuePurgeOptions::default());
        let purged = self.server.within(ANSWER, purge).await?;
        let _ = self.server.within(ANSWER, channel.close(200, "done".into())).await;
        Ok(u64::from(purged))
    }
}
