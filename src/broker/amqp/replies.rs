//! Answers to one's own jobs, live: a queue that only this connection reads, and that goes with it.
//!
//! In: a queue's name. Out: events, as they come. A connection that fails is an error: whoever waits opens the queue again under the same
//! name, and puts the jobs in again that are not answered.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use lapin::options::{BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};
use tokio::time::{Interval, interval};

use super::dial::{ANSWER, Server, hang_up};
use crate::broker::BrokerError;
use crate::event::Event;

/// How often the channel is looked at: after the broker closed one, its consumers may wait for ever.
const LOOK: Duration = Duration::from_secs(1);

/// A queue for answers, while its connection stands.
pub struct Replies {
    server: Arc<Server>,
    connection: Option<Connection>,
    channel: Channel,
    consumer: Consumer,
    events: Pin<Box<dyn Stream<Item = lapin::Event> + Send>>,
    look: Interval,
}

impl Replies {
    pub(super) async fn open(server: &Arc<Server>, queue: &str) -> Result<Self, BrokerError> {
        let connection = server.dial("replies").await?;
        match Self::consume(server, &connection, queue).await {
            Ok((channel, consumer)) => Ok(Self {
                server: Arc::clone(server),
                events: Box::pin(connection.events_listener()),
                connection: Some(connection),
                channel,
                consumer,
                look: interval(LOOK),
            }),
            Err(error) => {
                hang_up(connection);
                Err(error)
            }
        }
    }

    async fn consume(
        server: &Server,
        connection: &Connection,
        queue: &str,
    ) -> Result<(Channel, Consumer), BrokerError> {
        let channel = server.channel(connection).await?;
        let options = QueueDeclareOptions::exclusive().auto_delete();
        let declare = channel.queue_declare(queue.into(), options, FieldTable::default());
        server.within(ANSWER, declare).await?;
        // What is lost with the connection is asked for again.
        let options = BasicConsumeOptions {
            no_ack: true,
            exclusive: true,
            ..BasicConsumeOptions::default()
        };
        let consume = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
        let consumer = server.within(ANSWER, consume).await?;
        Ok((channel, consumer))
    }

    /// Waits for the next answer. What is none is passed over. Not to wait to the end loses nothing.
    pub async fn next(&mut self) -> Result<Event, BrokerError> {
        loop {
            tokio::select! {
                incoming = self.consumer.next() => match incoming {
                    Some(Ok(incoming)) => match serde_json::from_slice(&incoming.data) {
                        Ok(event) => return Ok(event),
                        Err(error) => tracing::warn!(%error, "an answer is no event"),
                    },
                    Some(Err(error)) => return Err(self.server.error(error)),
                    None => return Err(self.server.error("the broker cancelled the consumer of answers")),
                },
                event = self.events.next() => match event {
                    Some(lapin::Event::Error(error)) if !error.is_amqp_soft_error() => return Err(self.server.error(error)),
                    None => return Err(self.server.error("the connection for answers is lost")),
                    Some(_) => {}
                },
                _ = self.look.tick() => {
                    if !self.channel.status().connected() {
                        return Err(self.server.error("the broker closed the channel of answers"));
                    }
                }
            }
        }
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            hang_up(connection);
        }
    }
}
