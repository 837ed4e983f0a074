//! A connection to the server, in a transaction or not.
//!
//! The beginning of a transaction, its locks and its time are one message, so that they cost one way to the server and back. Every answer is
//! waited for so long and no longer. A connection that was left in the middle of something is cut, not given back: the
//! server rolls back what it had begun.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Postgres};
use tokio::time::timeout;

use super::{Database, fault, statements};
use crate::ledger::engine::{Fault, Lock, Query, Row, Session, Value, Wire};

/// How long after the server should have given up its answer is waited for.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// A connection of the pool.
pub(super) struct Connection {
    inner: Option<PoolConnection<Postgres>>,
    state: State,
    patience: Duration,
}

/// What the server would make of the next message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A statement of its own.
    Idle,
    /// A part of a transaction, or of an answer that was not read.
    Open,
    /// Nothing: it is not to be used again.
    Spent,
}

/// Begins a transaction. Nothing is lost where a connection has died since it was used last: another one is tried, until all have been.
pub(super) async fn begin(database: &Database, statement: String) -> Result<Session, Fault> {
    let mut dead = 0;
    loop {
        let mut connection = Connection::single(database).await?;
        match connection.clock(statement.clone()).await {
            Ok(now) => {
                let wire = Box::new(connection);
                return Ok(Session::new(wire, &statements::SQL, now + database.clock_offset_ms));
            }
            Err(fault) if fault::is_dead(&fault) && dead < database.server.connections() => dead += 1,
            Err(fault) => {
                Box::new(connection).roll_back().await;
                return Err(fault);
            }
        }
    }
}

impl Connection {
    /// A connection on which every statement is a transaction.
    pub(super) async fn single(database: &Database) -> Result<Self, Fault> {
        let inner = match database.pool.acquire().await {
            Ok(inner) => inner,
            // The pool does not tell why it got no connection.
            Err(sqlx::Error::PoolTimedOut) => return Err(database.server.why_not().await),
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            inner: Some(inner),
            state: State::Idle,
            patience: database.server.patience(),
        })
    }

    /// Begins a transaction; returns its time.
    async fn clock(&mut self, statement: String) -> Result<i64, Fault> {
        let rows = self.raw(statement, self.patience).await;
        let rows = self.answered(State::Open, rows)?;
        let row = rows.last().ok_or(sqlx::Error::RowNotFound)?;
        Ok(sqlx::Row::try_get(row, "now")?)
    }

    async fn raw(&mut self, statement: String, patience: Duration) -> Result<Vec<PgRow>, Fault> {
        // Given up in the middle, it leaves the state open.
        self.state = State::Open;
        let answer = sqlx::raw_sql(AssertSqlSafe(statement)).fetch_all(self.inner()?);
        within(patience, answer).await
    }

    /// The state after a statement that was answered, well or not.
    fn answered<T>(&mut self, before: State, answer: Result<T, Fault>) -> Result<T, Fault> {
        self.state = match &answer {
            Err(fault) if fault::is_spent(fault) => State::Spent,
            Err(_) => State::Open,
            Ok(_) => before,
        };
        answer
    }

    fn inner(&mut self) -> Result<&mut PgConnection, Fault> {
        match &mut self.inner {
            Some(inner) => Ok(inner),
            None => Err(sqlx::Error::PoolClosed.into()),
        }
    }
}

async fn within<T>(patience: Duration, answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Fault> {
    match timeout(patience, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Fault::Sql(sqlx::Error::Io(io::ErrorKind::TimedOut.into()))),
    }
}

#[async_trait]
impl Wire for Connection {
    // A statement that is given up in the middle leaves the state open.
    async fn rows(&mut self, query: Query) -> Result<Vec<Row>, Fault> {
        let state = std::mem::replace(&mut self.state, State::Open);
        let patience = self.patience;
        let rows = within(patience, bound(query).fetch_all(self.inner()?)).await;
        let rows = self.answered(state, rows)?;
        Ok(rows.into_iter().map(Row::Postgres).collect())
    }

    async fn change(&mut self, query: Query) -> Result<u64, Fault> {
        let state = std::mem::replace(&mut self.state, State::Open);
        let patience = self.patience;
        let done = within(patience, bound(query).execute(self.inner()?)).await;
        let done = self.answered(state, done)?;
        Ok(done.rows_affected())
    }

    async fn lock(&mut self, locks: &[Lock]) -> Result<(), Fault> {
        if !locks.is_empty() {
            let taken = self.raw(statements::take(locks), self.patience).await;
            self.answered(State::Open, taken)?;
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), Fault> {
        let patience = self.patience;
        let done = self.raw(statements::COMMIT.to_owned(), patience).await;
        self.answered(State::Idle, done).map(drop)
    }

    async fn roll_back(mut self: Box<Self>) {
        if self.state != State::Spent && self.raw(statements::ROLL_BACK.to_owned(), GRACE).await.is_ok() {
            self.state = State::Idle;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.state != State::Idle
            && let Some(inner) = self.inner.take()
        {
            drop(inner.detach());
        }
    }
}

fn bound(query: Query) -> sqlx::query::Query<'static, Postgres, PgArguments> {
    let bind = |statement: sqlx::query::Query<'static, Postgres, PgArguments>, value| match value {
        Value::Int(number) => statement.bind(number),
        Value::Text(text) => statement.bind(text.map(without_nul)),
        Value::Flag(flag) => statement.bind(flag),
    };
    query.values.into_iter().fold(sqlx::query(query.statement), bind)
}

/// PostgreSQL keeps no NUL in a text.
fn without_nul(text: String) -> String {
    match text.contains('\0') {
        true => text.replace('\0', "\u{fffd}"),
        false => text,
    }
}
