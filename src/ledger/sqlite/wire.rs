//! A connection to the ledger's file, in a transaction or not.

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqlitePool};
use sqlx::{Row as _, Sqlite, Transaction};

use super::statements;
use crate::ledger::engine::{Fault, Lock, Query, Row, Session, Value, Wire};

/// A transaction, or a connection whose statements are each one.
pub(super) enum Connection {
    InTransaction(Transaction<'static, Sqlite>),
    Single(PoolConnection<Sqlite>),
}

/// A transaction that only reads: it sees one state of the file and stands in nobody's way.
pub(super) async fn reading(pool: &SqlitePool, clock_offset_ms: i64) -> Result<Session, Fault> {
    begin(pool, "BEGIN DEFERRED", clock_offset_ms).await
}

/// A transaction that writes. It takes the write lock at once: one that began with reading could not wait for the lock
/// any more, and would fail under load.
pub(super) async fn writing(pool: &SqlitePool, clock_offset_ms: i64) -> Result<Session, Fault> {
    begin(pool, "BEGIN IMMEDIATE", clock_offset_ms).await
}

async fn begin(pool: &SqlitePool, statement: &'static str, clock_offset_ms: i64) -> Result<Session, Fault> {
    let mut transaction = pool.begin_with(statement).await?;
    let row = sqlx::query(statements::NOW).fetch_one(&mut *transaction).await?;
    let now: i64 = row.try_get("now")?;
    let wire = Box::new(Connection::InTransaction(transaction));
    Ok(Session::new(wire, &statements::SQL, now + clock_offset_ms))
}

impl Connection {
    fn inner(&mut self) -> &mut SqliteConnection {
        match self {
            Self::InTransaction(transaction) => transaction,
            Self::Single(connection) => connection,
        }
    }
}

#[async_trait]
impl Wire for Connection {
    async fn rows(&mut self, query: Query) -> Result<Vec<Row>, Fault> {
        let rows = bound(query).fetch_all(self.inner()).await?;
        Ok(rows.into_iter().map(Row::Sqlite).collect())
    }

    async fn change(&mut self, query: Query) -> Result<u64, Fault> {
        Ok(bound(query).execute(self.inner()).await?.rows_affected())
    }

    /// One writer holds the whole file.
    async fn lock(&mut self, _: &[Lock]) -> Result<(), Fault> {
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), Fault> {
        match *self {
            Self::InTransaction(transaction) => Ok(transaction.commit().await?),
            Self::Single(_) => Ok(()),
        }
    }

    async fn roll_back(self: Box<Self>) {
        drop(self);
    }
}

fn bound(query: Query) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
    let bind = |statement: sqlx::query::Query<'static, Sqlite, SqliteArguments>, value| match value {
        Value::Int(number) => statement.bind(number),
        Value::Text(text) => statement.bind(text),
        Value::Flag(flag) => statement.bind(flag),
    };
    query.values.into_iter().fold(sqlx::query(query.statement), bind)
}
