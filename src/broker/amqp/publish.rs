//! Publishing: a connection of its own, so that a broker that blocks publishers still takes acknowledgements.
//!
//! In: a message for an exchange. Out: it is safe in every queue it was routed to, or an error. A connection that fails is given up,
//! and the next message opens another.

use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::StreamExt;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, Event};
use tokio::sync::watch;
use tokio::time::sleep;

use super::dial::{ANSWER, Server, hang_up};
use crate::broker::BrokerError;

/// Publishes with confirms.
pub(super) struct Publisher {
    server: Arc<Server>,
    /// What the connection is for, as the broker's operators see it.
    purpose: &'static str,
    live: RwLock<Option<Arc<Live>>>,
    /// One connection is opened at a time.
    opening: tokio::sync::Mutex<()>,
}

/// Where a confirmed message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Routed {
    /// Into at least one queue.
    Somewhere,
    /// Into none: it is gone.
    Nowhere,
}

struct Live {
    connection: Option<Connection>,
    channel: Channel,
    /// Why the broker takes no messages now, where it said so.
    blocked: watch::Receiver<Option<String>>,
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            hang_up(connection);
        }
    }
}

impl Publisher {
    pub(super) fn new(server: Arc<Server>, purpose: &'static str) -> Self {
        Self {
            server,
            purpose,
            live: RwLock::default(),
            opening: tokio::sync::Mutex::default(),
        }
    }

    /// Publishes a message; returns when the broker has confirmed it. A broker that blocks publishers is waited for.
    pub(super) async fn publish(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<Routed, BrokerError> {
        let live = self.live().await?;
        match self.confirmed(&live, exchange, key, body, properties).await {
            Ok(Confirmation::Ack(None)) => Ok(Routed::Somewhere),
            Ok(Confirmation::Ack(Some(_))) => Ok(Routed::Nowhere),
            Ok(Confirmation::Nack(_)) => {
                let place = if exchange.is_empty() { key } else { exchange };
                Err(self
                    .server
                    .error(format!("{place} takes no messages: a queue behind it is full")))
            }
            Ok(Confirmation::NotRequested) => Err(self.server.error("publishes without confirming")),
            Err(error) => {
                self.give_up(&live);
                Err(error)
            }
        }
    }

    /// Publishes where a queue must be: a message that would be lost is an error.
    pub(super) async fn hand_on(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), BrokerError> {
        match self.publish(exchange, key, body, properties).await? {
            Routed::Somewhere => Ok(()),
            Routed::Nowhere => Err(self.server.error(format!(
                "exchange {exchange} has no queue for {key:?}; `lazaret topology check` tells what is missing"
            ))),
        }
    }

    async fn confirmed(
        &self,
        live: &Live,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<Confirmation, BrokerError> {
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let mut confirm = pin!(async {
            let publish = live
                .channel
                .basic_publish(exchange.into(), key.into(), options, body, properties);
            publish.await?.await
        });
        let mut blocked = live.blocked.clone();
        loop {
            let is_blocked = blocked.borrow_and_update().is_some();
            tokio::select! {
                confirmation = &mut confirm => return confirmation.map_err(|error| self.server.error(error)),
                changed = blocked.changed() => {
                    if changed.is_err() {
                        return Err(self.server.error("the connection for publishing is lost"));
                    }
                }
                // Who says that it is blocked is waited for; the clock starts when it is unblocked.
                () = sleep(self.server.confirm), if !is_blocked => {
                    let seconds = self.server.confirm.as_secs();
                    return Err(self.server.error(format!("no confirm within {seconds} s")));
                }
            }
        }
    }

    fn current(&self) -> Option<Arc<Live>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.clone()
            .filter(|live| live.channel.status().connected() && live.blocked.has_changed().is_ok())
    }

    async fn live(&self) -> Result<Arc<Live>, BrokerError> {
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let _opening = self.opening.lock().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let live = Arc::new(self.open().await?);
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&live));
        Ok(live)
    }

    async fn open(&self) -> Result<Live, BrokerError> {
        let connection = self.server.dial(self.purpose).await?;
        let (say, blocked) = watch::channel(None);
        let mut events = connection.events_listener();
        let place = self.server.place.clone();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                match event {
                    Event::ConnectionBlocked(reason) => {
                        tracing::warn!(broker = place, reason, "the broker takes no messages; results wait");
                        say.send_replace(Some(reason));
                    }
                    Event::ConnectionUnblocked => {
                        tracing::info!(broker = place, "the broker takes messages again");
                        say.send_replace(None);
                    }
                    // Dropping the sender tells everybody who waits for a confirm.
                    // What ends one channel is told to those who wait on it.
                    Event::Error(error) if !error.is_amqp_soft_error() => return,
                    _ => {}
                }
            }
        });
        let channel = self.server.channel(&connection).await?;
        let select = channel.confirm_select(ConfirmSelectOptions::default());
        self.server.within(ANSWER, select).await?;
        Ok(Live {
            connection: Some(connection),
            channel,
            blocked,
        })
    }

    /// A channel of its own on the connection that stands.
    pub(super) async fn channel(&self) -> Result<Channel, BrokerError> {
        let live = self.live().await?;
        match &live.connection {
            Some(connection) => self.server.channel(connection).await,
            None => Err(self.server.error("the connection is closed")),
        }
    }

    /// How many messages are ready in a queue.
    pub(super) async fn depth(&self, queue: &str) -> Result<u64, BrokerError> {
        let channel = self.channel().await?;
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let declare = channel.queue_declare(queue.into(), passive, FieldTable::default());
        let queue = self.server.within(ANSWER, declare).await?;
        let _ = self.server.within(ANSWER, channel.close(200, "done".into())).await;
        Ok(u64::from(queue.message_count()))
    }

    /// Gives a connection up that failed, unless somebody did already.
    fn give_up(&self, failed: &Arc<Live>) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if live.as_ref().is_some_and(|live| Arc::ptr_eq(live, failed)) {
            *live = None;
        }
    }

    /// Closes the connection.
    pub(super) fn close(&self) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
