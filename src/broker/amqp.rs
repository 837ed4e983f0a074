//! RabbitMQ: 3.10 and later, by AMQP 0-9-1.
//!
//! Two connections: one consumes and acknowledges ([`link`]), one publishes with confirms ([`publish`]); a broker that blocks publishers
//! blocks whole connections. Those who put jobs in and operators have a part of their own ([`client`]). Absent on purpose: making queues ([`super::topology`] and the operator do), and the client's auto-recovery.

mod client;
mod dead;
mod dial;
mod link;
mod properties;
mod publish;
mod replies;
mod verify;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use lapin::Acker;
use lapin::options::BasicAckOptions;
use lapin::types::ShortString;
use tokio::task::JoinHandle;

pub use client::{Client, Submission};
pub use dead::DeadQueue;
pub(in crate::broker) use dead::HeldLetter;
pub use dial::Server;
pub use replies::Replies;

use dial::ANSWER;
use link::Link;
use publish::{Publisher, Routed};

use super::{Attention, Broker, BrokerError, Delivery, Envelope, Moved, QUEUES, Token, topology};
use crate::clock;
use crate::event::Event;

/// A worker's part in a RabbitMQ.
pub struct Amqp {
    server: Arc<Server>,
    link: Arc<Link>,
    keeps_up: JoinHandle<()>,
    /// Results, and jobs that move between queues.
    publisher: Publisher,
    /// Replies: a queue that this worker may not write to closes the channel, which must not be that of the results.
    replies: Publisher,
    /// Results that nobody has a queue for.
    unroutable: AtomicU64,
}

/// A message that was delivered and not acknowledged.
#[derive(Debug)]
pub(super) struct Unacknowledged {
    epoch: u64,
    acker: Acker,
    message_id: Option<ShortString>,
}

fn delivery(body: Vec<u8>, envelope: Envelope, unacknowledged: Unacknowledged) -> Delivery {
    Delivery {
        body,
        envelope,
        token: Token::Delivery(unacknowledged),
    }
}

impl Delivery {
    fn unacknowledged(&self) -> Option<&Unacknowledged> {
        match &self.token {
            Token::Delivery(unacknowledged) => Some(unacknowledged),
            Token::File(_) => None,
        }
    }

    fn message_id(&self) -> Option<ShortString> {
        self.unacknowledged()?.message_id.clone()
    }
}

impl Amqp {
    /// Takes part. Returns at once: the connections are opened, and opened again, in the background.
    pub fn start(server: Server) -> Self {
        let server = Arc::new(server);
        let link = Link::new(Arc::clone(&server));
        Self {
            keeps_up: tokio::spawn(Arc::clone(&link).keep_up()),
            link,
            publisher: Publisher::new(Arc::clone(&server), "publisher"),
            replies: Publisher::new(Arc::clone(&server), "replies"),
            server,
            unroutable: AtomicU64::new(0),
        }
    }

    /// Looks once whether a worker could consume: the broker answers, and has what is needed.
    pub async fn look(server: Server) -> Result<(), BrokerError> {
        let connection = server.dial("check").await?;
        let looked = verify::verify(&server, &connection).await;
        dial::hang_up(connection);
        looked
    }

    /// A reply is a courtesy: the result itself is safe already.
    async fn reply(&self, event: &Event, envelope: &Envelope, json: &[u8]) {
        let Some(reply_to) = &envelope.reply_to else { return };
        let properties = properties::of_result(&event.id, envelope, clock::unix_ms() / 1000);
        let published = self.replies.publish("", &reply_to.queue, json, properties).await;
        match published {
            Ok(Routed::Somewhere) => {}
            Ok(Routed::Nowhere) => self.count_unroutable(&event.subject, &reply_to.queue),
            Err(error) => tracing::warn!(job = event.subject, %error, "no reply could be sent"),
        }
    }

    fn count_unroutable(&self, job: &str, place: &str) {
        let so_far = self.unroutable.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::debug!(job, place, so_far, "a result has no queue to go to");
        // Each one in the log would drown it.
        if so_far.is_power_of_two() {
            tracing::warn!(place, so_far, "results have no queue to go to: nobody is told of them");
        }
    }
}

#[async_trait]
impl Broker for Amqp {
    fn system(&self) -> &'static str {
        "rabbitmq"
    }

    async fn reached(&self) {
        self.link.reached().await;
    }

    async fn up(&self) {
        self.link.up().await;
    }

    async fn look(&self) -> Result<Vec<(&'static str, u64)>, BrokerError> {
        if let Some(why) = self.link.why_not() {
            return Err(self.server.error(why));
        }
        let queue = |name| match topology::lane(name) {
            Some(lane) => topology::lane_queue(lane),
            None => topology::DEAD.to_owned(),
        };
        let mut depths = Vec::with_capacity(QUEUES.len());
        for name in QUEUES {
            depths.push((name, self.publisher.depth(&queue(name)).await?));
        }
        Ok(depths)
    }

    async fn next(&self) -> Result<Delivery, BrokerError> {
        match self.link.next().await {
            Some(delivery) => Ok(delivery),
            // The link holds a sender itself.
            None => std::future::pending().await,
        }
    }

    fn most_held(&self) -> u32 {
        // The broker bounds them.
        link::most_held(self.server.prefetch)
    }

    async fn rest(&self) {
        self.link.rest().await;
    }

    fn holds(&self, delivery: &Delivery) -> bool {
        delivery.unacknowledged().is_some_and(|it| self.link.holds(it))
    }

    async fn publish(&self, event: &Event, envelope: &Envelope) -> Result<(), BrokerError> {
        let json = serde_json::to_vec(event).map_err(|error| self.server.error(error))?;
        let properties = properties::of_result(&event.id, envelope, clock::unix_ms() / 1000);
        let key = event.routing_key();
        let routed = self
            .publisher
            .publish(topology::RESULTS, &key, &json, properties)
            .await?;
        if routed == Routed::Nowhere && envelope.reply_to.is_none() {
            self.count_unroutable(&event.subject, topology::RESULTS);
        }
        self.reply(event, envelope, &json).await;
        Ok(())
    }

    async fn acknowledge(&self, delivery: &Delivery) -> Result<(), BrokerError> {
        let Some(unacknowledged) = delivery.unacknowledged().filter(|it| self.link.holds(it)) else {
            // It comes again, and is answered again from the ledger.
            tracing::debug!("a message was taken away before it was acknowledged");
            return Ok(());
        };
        let ack = unacknowledged.acker.ack(BasicAckOptions::default());
        self.server.within(ANSWER, ack).await.map(drop)
    }

    async fn give_back(&self, delivery: &Delivery) -> Result<(), BrokerError> {
        match delivery.unacknowledged() {
            Some(unacknowledged) => self.link.give_back(unacknowledged).await,
            None => Ok(()),
        }
    }

    async fn set_aside(&self, delivery: &Delivery, why: &str) -> Result<(), BrokerError> {
        let properties = properties::of_dead(&delivery.envelope, delivery.message_id(), why, clock::unix_ms());
        let key = topology::lane_key(delivery.envelope.lane);
        self.publisher
            .hand_on(topology::DEAD, key, &delivery.body, properties)
            .await?;
        self.acknowledge(delivery).await
    }

    async fn keep_failed(&self, body: &[u8], envelope: &Envelope, why: &str) -> Result<(), BrokerError> {
        let properties = properties::of_dead(envelope, None, why, clock::unix_ms());
        let key = topology::lane_key(envelope.lane);
        self.publisher.hand_on(topology::DEAD, key, body, properties).await
    }

    async fn put_off(&self, delivery: &Delivery, rung: usize, tries: u32) -> Result<Moved, BrokerError> {
        let Some(exchange) = topology::retry_exchange(rung) else {
            return Ok(Moved::NoSuchPlace);
        };
        let envelope = Envelope {
            tries,
            ..delivery.envelope.clone()
        };
        let properties = properties::of_job(&envelope, delivery.message_id());
        let key = topology::lane_key(envelope.lane);
        self.publisher
            .hand_on(&exchange, key, &delivery.body, properties)
            .await?;
        self.acknowledge(delivery).await?;
        Ok(Moved::There)
    }

    async fn put_aside(&self, delivery: &Delivery, line: u8) -> Result<Moved, BrokerError> {
        let properties = properties::of_job(&delivery.envelope, delivery.message_id());
        let key = topology::side_key(line);
        self.publisher
            .hand_on(topology::SIDE, &key, &delivery.body, properties)
            .await?;
        self.acknowledge(delivery).await?;
        Ok(Moved::There)
    }

    fn sidelines(&self) -> u8 {
        topology::SIDELINES
    }

    fn attend(&self, attention: Attention) {
        self.link.attend(attention);
    }

    async fn depth(&self, line: u8) -> Result<u64, BrokerError> {
        self.publisher.depth(&topology::side_queue(line)).await
    }

    async fn told(&self) {
        self.link.told().await;
    }

    async fn tidy(&self) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn close(&self) {
        self.link.rest().await;
        self.link.close();
        self.publisher.close();
        self.replies.close();
    }
}

impl Drop for Amqp {
    fn drop(&mut self) {
        self.keeps_up.abort();
    }
}
