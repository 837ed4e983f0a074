//! A round through `lazaret.dead`: each message is got and held; what was not dealt with is given back at the end, or when the channel is lost.

use async_trait::async_trait;
use lapin::message::Delivery as Incoming;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions};
use lapin::types::ShortString;
use lapin::{Acker, Channel};

use super::dial::{ANSWER, Server};
use super::properties;
use super::publish::Publisher;
use crate::broker::dead::{DeadLetter, DeadLetters, Hold, Name, reborn};
use crate::broker::{BrokerError, topology};
use crate::clock;

/// A round through the dead letters of a RabbitMQ.
pub struct DeadQueue<'a> {
    server: &'a Server,
    publisher: &'a Publisher,
    channel: Channel,
    /// The oldest, until it is asked for.
    first: Option<Incoming>,
    /// How many are left behind it of those that were there at the beginning.
    left: u64,
}

/// A dead message that is held.
#[derive(Debug)]
pub(in crate::broker) struct HeldLetter {
    acker: Acker,
    message_id: Option<ShortString>,
}

impl<'a> DeadQueue<'a> {
    /// Begins a round. One is got before the rest is counted: a quorum queue gives it behind what the round before gave back, while its count
    /// may be of the time before that, and a round that begins at once would miss what was just listed.
    pub(super) async fn begin(server: &'a Server, publisher: &'a Publisher) -> Result<Self, BrokerError> {
        let channel = publisher.channel().await?;
        let mut round = Self {
            first: got(server, &channel).await?,
            server,
            publisher,
            channel,
            left: 0,
        };
        if round.first.is_some() {
            match publisher.depth(topology::DEAD).await {
                Ok(left) => round.left = left,
                Err(error) => {
                    Box::new(round).end().await;
                    return Err(error);
                }
            }
        }
        Ok(round)
    }

    async fn acknowledge(&self, held: &HeldLetter) -> Result<(), BrokerError> {
        match self
            .server
            .within(ANSWER, held.acker.ack(BasicAckOptions::default()))
            .await?
        {
            true => Ok(()),
            false => Err(self.server.error("the connection was lost; the message is still there")),
        }
    }
}

#[async_trait]
impl DeadLetters for DeadQueue<'_> {
    async fn next(&mut self) -> Result<Option<DeadLetter>, BrokerError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(letter(first)));
        }
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        Ok(got(self.server, &self.channel).await?.map(letter))
    }

    async fn requeue(&mut self, letter: &DeadLetter) -> Result<(), BrokerError> {
        let (Hold::Message(held), Some(body)) = (&letter.hold, &letter.body) else {
            return Ok(());
        };
        let envelope = reborn(&letter.envelope, clock::unix_ms());
        let properties = properties::of_job(&envelope, held.message_id.clone());
        let key = topology::lane_key(envelope.lane);
        self.publisher.hand_on(topology::JOBS, key, body, properties).await?;
        self.acknowledge(held).await
    }

    async fn drop_letter(&mut self, letter: &DeadLetter) -> Result<(), BrokerError> {
        match &letter.hold {
            Hold::Message(held) => self.acknowledge(held).await,
            Hold::File(_) => Ok(()),
        }
    }

    async fn end(self: Box<Self>) {
        // Before the channel closes: the broker says that it is closed, and gives back what it held some time later. Whoever comes next,
        // and does not find a message that was just listed, takes it for gone.
        let held = BasicNackOptions {
            multiple: true,
            requeue: true,
        };
        let _ = self.server.within(ANSWER, self.channel.basic_nack(0, held)).await;
        let close = self.channel.close(200, "done".into());
        // A channel that does not close goes with its connection.
        let _ = self.server.within(ANSWER, close).await;
    }
}

/// The oldest message, held from now on.
async fn got(server: &Server, channel: &Channel) -> Result<Option<Incoming>, BrokerError> {
    let get = channel.basic_get(topology::DEAD.into(), BasicGetOptions::default());
    Ok(server.within(ANSWER, get).await?.map(|got| got.delivery))
}

fn letter(incoming: Incoming) -> DeadLetter {
    let Name { id, job, tenant } = Name::of(&incoming.data);
    let (why, since_ms) = properties::death(&incoming.properties);
    DeadLetter {
        id,
        job,
        tenant,
        why,
        since_ms,
        envelope: properties::envelope(&incoming.properties, incoming.routing_key.as_str(), None),
        bytes: incoming.data.len() as u64,
        body: Some(incoming.data),
        hold: Hold::Message(HeldLetter {
            acker: incoming.acker,
            message_id: incoming.properties.message_id().clone(),
        }),
    }
}
