//! The ledger in PostgreSQL (13 and later): for a fleet.
//!
//! Transactions run at READ COMMITTED. What SQLite's one writer gives for nothing is given by advisory locks on what a transaction decides about
//! ([`Lock`]), taken in one order, and by unique indexes behind them: at most one attempt of a digest runs in the fleet.
//! A server that does not answer fails a statement after [`Terms::timeout`] and a little; its connection is not used again.
//!
//! Absent on purpose: settings of the server, and roles. An operator makes the database and its user; the schema is made by whoever opens
//! the ledger first and may, or by `lazaret ledger migrate`.

mod fault;
mod schema;
mod server;
pub(super) mod statements;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgPool;

use self::wire::Connection;
use super::LedgerError;
use super::books::Books;
use super::engine::{Engine, Fault, Lock, Session, Statements, Wire, Writers};
use super::inventory::Inventory;
use crate::config::{PostgresAddress, PostgresConfig};

pub use schema::{KNOWN, Schema};
#[doc(hidden)]
pub use statements::ALL as STATEMENTS;

/// A ledger in a PostgreSQL database.
pub type Postgres = Books<Database>;

/// The database, and connections to it. Clones share them.
#[derive(Clone)]
pub struct Database {
    server: server::Server,
    pool: PgPool,
    clock_offset_ms: i64,
}

/// How a server is dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Most connections.
    pub connections: u32,
    /// Longest that one statement may take.
    pub timeout: Duration,
}

/// What to do where the schema is missing or older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Raise,
    Refuse,
}

impl Postgres {
    /// Opens the ledger. Makes it, or brings its schema up to this program's, where that is needed and this user may.
    ///
    /// Refuses a ledger that a newer program has changed so that this one cannot work with it.
    pub async fn open(address: &PostgresAddress, config: &PostgresConfig) -> Result<Self, LedgerError> {
        Self::open_with(address, config, Missing::Raise).await
    }

    /// Opens the ledger, which must be there, and changes nothing in its schema.
    pub async fn open_existing(address: &PostgresAddress, config: &PostgresConfig) -> Result<Self, LedgerError> {
        Self::open_with(address, config, Missing::Refuse).await
    }

    /// Looks at the schema of the ledger at an address, whatever it is.
    pub async fn look(address: &PostgresAddress, config: &PostgresConfig) -> Result<Schema, LedgerError> {
        let server = server::Server::new(address, config)?;
        let looked = async {
            let mut connection = server.connect().await?;
            schema::look(&mut connection).await
        };
        looked.await.map_err(|fault| server.failed(fault))
    }

    async fn open_with(
        address: &PostgresAddress,
        config: &PostgresConfig,
        missing: Missing,
    ) -> Result<Self, LedgerError> {
        let server = server::Server::new(address, config)?;
        let prepared = async {
            let mut connection = server.connect().await?;
            schema::prepare(&mut connection, missing).await?;
            server.end_former_boot(&mut connection).await;
            Ok(())
        };
        prepared.await.map_err(|fault: Fault| server.unopened(fault))?;
        let pool = server.pool();
        Ok(Self::on(Database {
            server,
            pool,
            clock_offset_ms: 0,
        }))
    }

    /// What is in it, in numbers.
    pub async fn inventory(&self) -> Result<Inventory, LedgerError> {
        let counted = async {
            let mut connection = self.engine().pool.acquire().await?;
            schema::inventory(&mut connection).await
        };
        let (schema, tables) = counted.await.map_err(|fault| self.failed(fault))?;
        Ok(Inventory {
            place: self.engine().server.place().to_owned(),
            schema,
            known: KNOWN,
            bytes: tables.iter().filter_map(|table| table.bytes).sum(),
            tables,
        })
    }

    /// The connections of this ledger: for copying into it, and for tests.
    #[doc(hidden)]
    pub fn pool(&self) -> &PgPool {
        &self.engine().pool
    }
}

#[async_trait]
impl Engine for Database {
    const WRITERS: Writers = Writers::Many;

    async fn read(&self) -> Result<Session, Fault> {
        wire::begin(self, statements::READ.to_owned()).await
    }

    async fn write(&self, locks: &[Lock]) -> Result<Session, Fault> {
        wire::begin(self, statements::write(locks)).await
    }

    async fn single(&self) -> Result<Box<dyn Wire>, Fault> {
        Ok(Box::new(Connection::single(self).await?))
    }

    fn sql(&self) -> &'static Statements {
        &statements::SQL
    }

    /// Whoever is connected to another database is told so when it connects: its schema is looked at then.
    fn in_place(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn failed(&self, fault: Fault) -> LedgerError {
        self.server.failed(fault)
    }

    fn may_succeed_again(&self, fault: &Fault) -> bool {
        fault::came_between(fault)
    }

    async fn close(&self) {
        self.pool.close().await;
    }

    fn ahead(self, offset_ms: i64) -> Self {
        Self {
            clock_offset_ms: offset_ms,
            ..self
        }
    }
}
