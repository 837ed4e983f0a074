//! The ledger in one SQLite file: the default, for one host and as many processes as it bears.
//!
//! The file is in write-ahead mode, so it must lie on a local disk: network file systems do not keep its locks. Every writing
//! transaction takes the write lock when it begins; a process waits for it up to a minute. A commit is on the disk when it
//! returns. Dropping the future of a writing method may leave its transaction done or undone: await it.

mod fault;
mod file;
pub(super) mod statements;
mod wire;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Transaction;

use self::file::{Identity, Pools};
use self::wire::Connection;
use super::LedgerError;
use super::books::Books;
use super::engine::{Engine, Fault, Lock, Session, Statements, Wire, Writers};
use super::inventory::Inventory;

/// A ledger in a SQLite file.
pub type Sqlite = Books<Database>;

/// The file, and connections to it. Clones share them.
#[derive(Clone)]
pub struct Database {
    path: PathBuf,
    writer: sqlx::SqlitePool,
    readers: sqlx::SqlitePool,
    identity: Identity,
    patience: Duration,
    clock_offset_ms: i64,
}

/// What to do where there is no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Create,
    Refuse,
}

/// What tests set.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// How long a lock of another process is waited for.
    pub busy_timeout: Duration,
    /// Pages of 4 KiB after which the disk counts as full.
    pub max_pages: Option<u32>,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(60),
            max_pages: None,
        }
    }
}

impl Sqlite {
    /// Opens the ledger at `path`. Makes it where there is none: mode 0600, and its directories 0700.
    ///
    /// Refuses, without writing a byte, what is not a ledger of this schema or an earlier one.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        Self::open_tuned(path, Tuning::default()).await
    }

    /// Opens the ledger at `path`, which must exist: for commands that would only ever show an empty one.
    pub async fn open_existing(path: &Path) -> Result<Self, LedgerError> {
        Self::open_with(path, Missing::Refuse, Tuning::default()).await
    }

    /// [`Sqlite::open`], for tests.
    #[doc(hidden)]
    pub async fn open_tuned(path: &Path, tuning: Tuning) -> Result<Self, LedgerError> {
        Self::open_with(path, Missing::Create, tuning).await
    }

    /// A transaction that keeps all others from writing.
    pub(super) async fn begin_alone(&self) -> Result<Transaction<'static, sqlx::Sqlite>, LedgerError> {
        let begun = self.engine().writer.begin_with("BEGIN IMMEDIATE").await;
        begun.map_err(|error| self.failed(error.into()))
    }

    /// What is in it, in numbers.
    pub async fn inventory(&self) -> Result<Inventory, LedgerError> {
        let counted = async {
            let mut connection = self.engine().readers.acquire().await?;
            file::inventory(&mut connection).await
        };
        let (schema, bytes, tables) = counted.await.map_err(|fault| self.failed(fault))?;
        Ok(Inventory {
            place: format!("sqlite:{}", self.engine().path.display()),
            schema,
            known: file::STEPS.len() as i64,
            bytes,
            tables,
        })
    }

    async fn open_with(path: &Path, missing: Missing, tuning: Tuning) -> Result<Self, LedgerError> {
        let path = file::absolute(path)?;
        let Pools {
            writer,
            readers,
            identity,
        } = file::open(&path, missing, &tuning).await?;
        Ok(Self::on(Database {
            path,
            writer,
            readers,
            identity,
            patience: tuning.busy_timeout,
            clock_offset_ms: 0,
        }))
    }
}

#[async_trait]
impl Engine for Database {
    const WRITERS: Writers = Writers::One;

    async fn read(&self) -> Result<Session, Fault> {
        wire::reading(&self.readers, self.clock_offset_ms).await
    }

    async fn write(&self, _: &[Lock]) -> Result<Session, Fault> {
        wire::writing(&self.writer, self.clock_offset_ms).await
    }

    async fn single(&self) -> Result<Box<dyn Wire>, Fault> {
        Ok(Box::new(Connection::Single(self.readers.acquire().await?)))
    }

    fn sql(&self) -> &'static Statements {
        &statements::SQL
    }

    /// Somebody may move the file away under its users: they would go on, each in its own world, and run an upload twice.
    fn in_place(&self) -> Result<(), Fault> {
        match Identity::of(&self.path) {
            Ok(identity) if identity == self.identity => Ok(()),
            _ => Err(Fault::Request(
                "was moved or replaced while in use: start the workers again".to_owned(),
            )),
        }
    }

    fn failed(&self, fault: Fault) -> LedgerError {
        fault::failed(fault, &self.path, self.patience)
    }

    /// Nobody comes between: there is one writer.
    fn may_succeed_again(&self, _: &Fault) -> bool {
        false
    }

    /// The last process to do so tidies the file's -wal away.
    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    fn ahead(self, offset_ms: i64) -> Self {
        Self {
            clock_offset_ms: offset_ms,
            ..self
        }
    }
}
