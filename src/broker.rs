//! Brokers: where jobs come from and results go.
//!
//! In: messages. Out: events, confirmed. A message is acknowledged only after its result is safe, or after the ledger keeps the job.
//! A message that is neither acknowledged nor given back comes again when its worker is gone.

pub mod spool;

use async_trait::async_trait;

use crate::event::Event;

/// A message in hand.
#[derive(Debug)]
pub struct Delivery {
    /// Its body, as it came.
    pub body: Vec<u8>,
    /// When it was enqueued, in milliseconds since 1970, where the broker knows.
    pub enqueued_ms: Option<u64>,
    /// What the broker knows it by.
    token: String,
}

/// What went wrong with the broker.
#[derive(Debug, thiserror::Error)]
#[error("broker {place}: {problem}")]
pub struct BrokerError {
    /// Folder or server; no credentials.
    pub place: String,
    /// What is wrong.
    pub problem: String,
}

/// A broker.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Waits for the next message.
    async fn next(&self) -> Result<Delivery, BrokerError>;
    /// Publishes a result; returns when it is safe. Publishing the same event again is harmless.
    async fn publish(&self, event: &Event) -> Result<(), BrokerError>;
    /// The message is done with.
    async fn acknowledge(&self, delivery: &Delivery) -> Result<(), BrokerError>;
    /// The message shall be delivered again, to anybody.
    async fn give_back(&self, delivery: &Delivery) -> Result<(), BrokerError>;
    /// The message makes no sense, and nobody can be told: kept aside for the operator, with the reason.
    async fn set_aside(&self, delivery: &Delivery, why: &str) -> Result<(), BrokerError>;
    /// Takes back what lost workers had in hand, and drops what is too old.
    async fn tidy(&self) -> Result<(), BrokerError>;
}
