//! What is SQLite's own: its world, its file, rows that somebody edited, and many processes on one file.

mod course;
mod edited;
mod file;
mod processes;
mod together;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use lazaret::ledger::Ledger;
use lazaret::ledger::sqlite::Sqlite;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;

use super::world::{World, worker};

/// A ledger in a directory of its own.
pub struct SqliteWorld {
    directory: TempDir,
    ledger: Sqlite,
}

impl SqliteWorld {
    pub async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let ledger = Sqlite::open(&directory.path().join("ledger.sqlite")).await.unwrap();
        for name in ["w1", "w2", "w3"] {
            ledger.sign_on(&worker(name), "host", "build-1", &[]).await.unwrap();
        }
        Self { directory, ledger }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("ledger.sqlite")
    }
}

#[async_trait]
impl World for SqliteWorld {
    fn ledger(&self) -> &dyn Ledger {
        &self.ledger
    }

    async fn another(&self) -> Box<dyn Ledger> {
        Box::new(Sqlite::open(&self.path()).await.unwrap())
    }

    fn later(&self, by: Duration) -> Box<dyn Ledger> {
        Box::new(self.ledger.clone().with_clock_offset(by.as_millis() as i64))
    }
}

/// An operator's `sqlite3`.
async fn connect(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn execute(path: &Path, sql: &str) -> Result<(), sqlx::Error> {
    let mut connection = connect(path).await;
    let done = sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .map(|_| ());
    connection.close().await.unwrap();
    done
}
