//! What a database must be able to do, for the ledger's transactions ([`super::books`]) to be written once: transactions with a time,
//! statements by name, rows, locks that every writer takes in one order.
//!
//! Absent on purpose: SQL, which each store has in its own file, and pooling, which is the store's business.

mod fault;
mod lock;
mod query;
mod statements;

use async_trait::async_trait;

pub(super) use fault::Fault;
pub(super) use lock::Lock;
pub(super) use query::{Cell, Query, Row, Value, query};
pub(super) use statements::{Statements, statements};

use super::LedgerError;

/// A database under the ledger. Clones share its connections.
#[async_trait]
pub(super) trait Engine: Clone + Send + Sync + 'static {
    /// How many transactions write at one time.
    const WRITERS: Writers;

    /// A transaction that only reads: it sees one state of the database and stands in nobody's way.
    async fn read(&self) -> Result<Session, Fault>;
    /// A transaction that writes, begun when it has these locks; where it has one writer, nobody else writes until it ends.
    async fn write(&self, locks: &[Lock]) -> Result<Session, Fault>;
    /// Statements that are transactions of their own; there is no time.
    async fn single(&self) -> Result<Box<dyn Wire>, Fault>;
    /// All its statements.
    fn sql(&self) -> &'static Statements;
    /// Whether this is still the database that was opened.
    fn in_place(&self) -> Result<(), Fault>;
    /// The sentence that an operator gets for a fault.
    fn failed(&self, fault: Fault) -> LedgerError;
    /// Whether the same transaction may succeed if it is done again at once: another one came between.
    fn may_succeed_again(&self, fault: &Fault) -> bool;
    /// Lets go of the database, in order.
    async fn close(&self);
    /// The same database, seen by a clock that is ahead: for tests.
    fn ahead(self, offset_ms: i64) -> Self;
}

/// How many transactions write at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writers {
    /// They stand in a queue: what is written together costs one wait.
    One,
    /// They wait for each other's rows: each keeps to one order, and touches jobs in one statement only.
    Many,
}

/// A transaction, with the time at which it began. Dropped without [`Session::commit`], it is rolled back.
pub(super) struct Session {
    wire: Box<dyn Wire>,
    /// The statements of its database.
    pub(super) sql: &'static Statements,
    /// The database's time when it had its locks, in milliseconds: all that one transaction writes bears one time.
    pub(super) now: i64,
}

/// A connection to a database, in a transaction or not.
#[async_trait]
pub(super) trait Wire: Send {
    /// Does a statement; returns its rows.
    async fn rows(&mut self, query: Query) -> Result<Vec<Row>, Fault>;
    /// Does a statement; returns how many rows it changed.
    async fn change(&mut self, query: Query) -> Result<u64, Fault>;
    /// Waits for further locks, which must come after those that it has.
    async fn lock(&mut self, locks: &[Lock]) -> Result<(), Fault>;
    /// Ends the transaction: what it wrote is on the disk.
    async fn commit(self: Box<Self>) -> Result<(), Fault>;
    /// Ends the transaction: it wrote nothing.
    async fn roll_back(self: Box<Self>);
}

impl Session {
    pub(super) fn new(wire: Box<dyn Wire>, sql: &'static Statements, now: i64) -> Self {
        Self { wire, sql, now }
    }

    pub(super) fn connection(&mut self) -> &mut dyn Wire {
        &mut *self.wire
    }

    /// Takes further locks; see [`Lock`] for their order.
    pub(super) async fn lock(&mut self, locks: &[Lock]) -> Result<(), Fault> {
        self.wire.lock(locks).await
    }

    /// Commits what went well, rolls back what did not.
    pub(super) async fn end_with<T>(self, result: Result<T, Fault>) -> Result<T, Fault> {
        match result {
            Ok(value) => self.wire.commit().await.map(|()| value),
            Err(fault) => {
                self.wire.roll_back().await;
                Err(fault)
            }
        }
    }
}
