//! One transaction on the ledger's file, with the time at which it began.

use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Row, Sqlite, Transaction};

use super::fault::Fault;
use super::statements;

/// A transaction. Dropped without [`Session::commit`], it is rolled back.
pub(super) struct Session {
    transaction: Transaction<'static, Sqlite>,
    /// The database's time when it began, in milliseconds: all that one transaction writes bears one time.
    pub(super) now: i64,
}

impl Session {
    /// A transaction that only reads: it sees one state of the file and stands in nobody's way.
    pub(super) async fn reading(pool: &SqlitePool, clock_offset_ms: i64) -> Result<Self, Fault> {
        Self::begin(pool, "BEGIN DEFERRED", clock_offset_ms).await
    }

    /// A transaction that writes. It takes the write lock at once: one that began with reading could not wait for the lock
    /// any more, and would fail under load.
    pub(super) async fn writing(pool: &SqlitePool, clock_offset_ms: i64) -> Result<Self, Fault> {
        Self::begin(pool, "BEGIN IMMEDIATE", clock_offset_ms).await
    }

    async fn begin(pool: &SqlitePool, statement: &'static str, clock_offset_ms: i64) -> Result<Self, Fault> {
        let mut transaction = pool.begin_with(statement).await?;
        let row = sqlx::query(statements::NOW)
            .bind(clock_offset_ms)
            .fetch_one(&mut *transaction)
            .await?;
        Ok(Self {
            now: row.try_get("now")?,
            transaction,
        })
    }

    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    pub(super) async fn commit(self) -> Result<(), Fault> {
        Ok(self.transaction.commit().await?)
    }
}
