//! Brokers: where jobs come from and results go.
//!
//! In: messages. Out: events, confirmed. A message is acknowledged only after its result is safe, or after the ledger or another queue
//! keeps the job. A message that is neither acknowledged nor given back comes again when its worker is gone.

pub mod amqp;
pub mod dead;
pub mod envelope;
pub mod management;
pub mod pem;
pub mod spool;
pub mod topology;

use std::collections::BTreeSet;

use async_trait::async_trait;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub use envelope::{Envelope, ReplyTo};

use crate::event::Event;

/// A job queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Somebody waits for it.
    #[default]
    Interactive,
    /// Nobody does.
    Bulk,
    /// Runs alone: its worker was lost, or its first strike was not exact. Not for publishers.
    #[value(skip)]
    Suspect,
}

/// Queues whose depth is told: the lanes, and what nobody could make sense of or finish.
pub const QUEUES: [&str; 4] = ["interactive", "bulk", "suspect", "dead"];

/// A message in hand.
#[derive(Debug)]
pub struct Delivery {
    /// Its body, as it came.
    pub body: Vec<u8>,
    /// What is written around the body.
    pub envelope: Envelope,
    /// What the broker knows it by.
    token: Token,
}

#[derive(Debug)]
enum Token {
    /// A file's name.
    File(String),
    /// An unacknowledged delivery of a connection.
    Delivery(amqp::Unacknowledged),
}

/// Whether a broker has the place that a message was to be moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Moved {
    /// It is safe there, and acknowledged here.
    There,
    /// There is no such place; the message is still in hand.
    NoSuchPlace,
}

/// What to consume.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attention {
    /// Sidelines that are leased to a tenant whose jobs may run.
    pub sidelines: BTreeSet<u8>,
    /// How much of the lanes.
    pub lanes: Intake,
}

/// How many messages of a lane are in hand at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Intake {
    /// As many as are worked on.
    #[default]
    Usual,
    /// Many more: most of what comes moves aside at once, and others stand behind it.
    Wide,
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
    /// Of which kind it is, as traces name it.
    fn system(&self) -> &'static str;
    /// Waits until the broker answers and has what a worker needs.
    async fn reached(&self);
    /// Waits until messages can come.
    async fn up(&self);
    /// Whether it answers, and if so, how many messages wait in each of [`QUEUES`].
    async fn look(&self) -> Result<Vec<(&'static str, u64)>, BrokerError>;
    /// Waits for the next message. Not to wait to the end loses nothing.
    async fn next(&self) -> Result<Delivery, BrokerError>;
    /// Most messages that may be in hand at once.
    fn most_held(&self) -> u32;
    /// Stops delivering, and gives back what nobody has taken yet; until `next` is called again.
    async fn rest(&self);
    /// Whether a message is still this worker's: a lost connection takes all its messages away, and they come again.
    fn holds(&self, delivery: &Delivery) -> bool;
    /// Publishes a result, and to whom the envelope says; returns when it is safe. Publishing the same event again is harmless.
    async fn publish(&self, event: &Event, envelope: &Envelope) -> Result<(), BrokerError>;
    /// The message is done with.
    async fn acknowledge(&self, delivery: &Delivery) -> Result<(), BrokerError>;
    /// The message shall be delivered again, to anybody.
    async fn give_back(&self, delivery: &Delivery) -> Result<(), BrokerError>;
    /// The message makes no sense, and nobody can be told: kept aside for the operator, with the reason.
    async fn set_aside(&self, delivery: &Delivery, why: &str) -> Result<(), BrokerError>;
    /// Keeps a copy of a job that failed for the operator, with the reason.
    async fn keep_failed(&self, body: &[u8], envelope: &Envelope, why: &str) -> Result<(), BrokerError>;
    /// Moves a message to a rung of the retry ladder; it comes back, with so many tries, when its time is over.
    async fn put_off(&self, delivery: &Delivery, rung: usize, tries: u32) -> Result<Moved, BrokerError>;
    /// Moves a message to a sideline.
    async fn put_aside(&self, delivery: &Delivery, line: u8) -> Result<Moved, BrokerError>;
    /// How many sidelines there are.
    fn sidelines(&self) -> u8;
    /// Consumes this and no other sidelines.
    fn attend(&self, attention: Attention);
    /// How many messages wait in a sideline.
    async fn depth(&self, line: u8) -> Result<u64, BrokerError>;
    /// Waits until somebody tells the fleet that tenants or verdicts have changed.
    async fn told(&self);
    /// Takes back what lost workers had in hand, and drops what is too old.
    async fn tidy(&self) -> Result<(), BrokerError>;
    /// Ends in order: everything that is in hand is given back.
    async fn close(&self);
}
