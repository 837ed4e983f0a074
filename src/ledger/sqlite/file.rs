//! The ledger's file: made whole or not at all, looked at before it is touched, refused with a reason.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row};

use super::fault::{self, unusable};
use super::{Missing, Tuning, statements};
use crate::clock::Stopwatch;
use crate::ledger::LedgerError;
use crate::ledger::engine::Fault;
use crate::ledger::inventory::{Count, TABLES, Table};

/// Marks a SQLite file as a ledger of ours: "LZRT".
const APPLICATION: i32 = 0x4c5a_5254;
/// What leads from each schema to the next; `STEPS[0]` makes the first one out of nothing. Steps that shipped never change.
pub(super) const STEPS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
    include_str!("schema_6.sql"),
];
/// A file up to this many pages of 4 KiB is read through when it is opened: about 30 ms.
const CHECKED_PAGES: i64 = 4096;

/// One connection that writes, a few that read.
pub(super) struct Pools {
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
    pub(super) identity: Identity,
}

/// Which file a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let file = path.metadata()?;
        Ok(Self {
            device: file.dev(),
            inode: file.ino(),
        })
    }
}

/// Opens the ledger at an absolute path.
pub(super) async fn open(path: &Path, missing: Missing, tuning: &Tuning) -> Result<Pools, LedgerError> {
    find(path, missing, tuning).await?;
    open_present(path, tuning)
        .await
        .map_err(|fault| fault::unopened(fault, path, tuning.busy_timeout))
}

/// Sees to it that there is a file.
async fn find(path: &Path, missing: Missing, tuning: &Tuning) -> Result<(), LedgerError> {
    let problem = match (path.metadata(), missing) {
        (Ok(file), _) if !file.is_file() => "is not a file: name another ledger".to_owned(),
        (Ok(file), _) if file.len() == 0 => "is an empty file: remove it, and a ledger is made in its place".to_owned(),
        (Ok(_), _) => return Ok(()),
        (Err(_), Missing::Create) => return create(path, tuning).await,
        (Err(error), Missing::Refuse) => format!("{error}: name the ledger that the workers use"),
    };
    Err(unusable(path, problem))
}

async fn open_present(path: &Path, tuning: &Tuning) -> Result<Pools, Fault> {
    match look(path).await {
        Ok(header) => header.acceptable(path)?,
        // A process that ended in the middle of a checkpoint leaves a file that is whole only together with its -wal.
        Err(fault) if fault::is_corrupt(&fault) && wal(path).exists() => {}
        Err(fault) => return Err(fault),
    }
    let pools = connect(path, tuning).await?;
    // What the file's header says may be older than its -wal file: ask again now that both are read.
    let mut connection = pools.writer.acquire().await?;
    Header::read(&mut connection).await?.acceptable(path)?;
    prove(&mut connection, tuning.busy_timeout).await?;
    drop(connection);
    Ok(pools)
}

/// Where SQLite keeps what is not in the file yet.
fn wal(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// What a file says it is.
struct Header {
    application: i32,
    schema: i64,
    pages: i64,
}

impl Header {
    async fn read(connection: &mut SqliteConnection) -> Result<Self, Fault> {
        Ok(Self {
            application: pragma(connection, "PRAGMA application_id").await?,
            schema: pragma(connection, "PRAGMA user_version").await?,
            pages: pragma(connection, "PRAGMA page_count").await?,
        })
    }

    fn acceptable(&self, path: &Path) -> Result<(), LedgerError> {
        let known = STEPS.len() as i64;
        let problem = match (self.pages, self.application, self.schema) {
            (0, _, _) => "is not a SQLite file: name another ledger".to_owned(),
            (_, APPLICATION, schema) if schema > known => format!(
                "is from a newer Lazaret (schema {schema}, this program knows up to {known}): \
                 upgrade the program or name another ledger"
            ),
            (_, APPLICATION, 1..) => return Ok(()),
            (_, APPLICATION, schema) => format!("has schema {schema}, which no Lazaret writes: restore a backup"),
            _ => "is a SQLite file of another application: name another ledger".to_owned(),
        };
        Err(unusable(path, problem))
    }
}

/// Looks at the header without a lock, a journal or any other trace beside the file: it may be somebody else's.
///
/// SQLite does this, not [`File`]: closing a file of one's own would drop the locks that this process has on it.
async fn look(path: &Path) -> Result<Header, Fault> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .immutable(true);
    let mut connection = options.disable_statement_logging().connect().await?;
    let header = Header::read(&mut connection).await;
    connection.close().await?;
    header
}

/// Proves that the file can be read and written: better now than when the first outcome is to be kept.
async fn prove(connection: &mut SqliteConnection, patience: Duration) -> Result<(), Fault> {
    write_ahead(connection, patience).await?;
    raise(connection, STEPS).await?;
    let pages: i64 = pragma(connection, "PRAGMA page_count").await?;
    if pages <= CHECKED_PAGES {
        let found: String = pragma(connection, "PRAGMA quick_check(1)").await?;
        if found != "ok" {
            let remedy = "stop all workers, move it away with its -wal and -shm files, and restore a backup";
            return Err(Fault::Request(format!("is damaged ({found}): {remedy}")));
        }
    }
    Ok(())
}

/// Copies made by `VACUUM INTO` come without the write-ahead log. The change takes a lock that SQLite does not wait for.
async fn write_ahead(connection: &mut SqliteConnection, patience: Duration) -> Result<(), Fault> {
    let begun = Stopwatch::start();
    loop {
        match pragma::<String>(connection, "PRAGMA journal_mode = WAL").await {
            Err(fault) if fault::is_busy(&fault) && begun.elapsed() < patience => {
                tokio::time::sleep(Duration::from_millis(fastrand::u64(5..50))).await;
            }
            other => return other.map(|_| ()),
        }
    }
}

/// Brings the schema up to the last of `steps`, in one transaction, once, however many processes try. Where nothing is missing,
/// it proves that a write would succeed (on a file that is read-only, SQLite fails at the first change, not at `BEGIN`).
async fn raise(connection: &mut SqliteConnection, steps: &'static [&'static str]) -> Result<(), Fault> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let schema: i64 = pragma(&mut transaction, "PRAGMA user_version").await?;
    let missing = usize::try_from(schema)
        .ok()
        .and_then(|taken| steps.get(taken..))
        .unwrap_or_default();
    for step in missing {
        sqlx::raw_sql(*step).execute(&mut *transaction).await?;
    }
    let marks = format!(
        "PRAGMA user_version = {}; PRAGMA application_id = {APPLICATION}",
        steps.len()
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(marks))
        .execute(&mut *transaction)
        .await?;
    match missing {
        [] => Ok(transaction.rollback().await?),
        _ => Ok(transaction.commit().await?),
    }
}

/// Makes a ledger beside `path` and moves it there whole: nobody ever sees half of one. Where another process was faster,
/// its ledger stays.
async fn create(path: &Path, tuning: &Tuning) -> Result<(), LedgerError> {
    let cannot = |error: io::Error| {
        unusable(
            path,
            format!("cannot be made: {error}; check its directory's rights and free space"),
        )
    };
    let directory = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(cannot)?;
    let draft = tempfile::Builder::new()
        .prefix(".ledger-")
        .suffix(".new")
        .tempfile_in(directory)
        .map_err(cannot)?;
    let draft = draft.into_temp_path();
    fill(&draft, tuning)
        .await
        .map_err(|fault| fault::unopened(fault, path, tuning.busy_timeout))?;
    match draft.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => return Err(cannot(error.error)),
        _ => {}
    }
    // The name must survive a power cut as well as the rows do.
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(cannot)
}

async fn fill(draft: &Path, tuning: &Tuning) -> Result<(), Fault> {
    let mut connection = options(draft, tuning).connect().await?;
    write_ahead(&mut connection, tuning.busy_timeout).await?;
    raise(&mut connection, STEPS).await?;
    Ok(connection.close().await?)
}

async fn connect(path: &Path, tuning: &Tuning) -> Result<Pools, Fault> {
    let options = options(path, tuning);
    // Tasks of one process queue here, in order, and not at the file's lock, where the luckiest wins.
    let writer = pool(1, tuning).connect_with(options.clone()).await?;
    let readers = pool(4, tuning).connect_lazy_with(options.pragma("query_only", "ON"));
    let identity = Identity::of(path).map_err(sqlx::Error::Io)?;
    Ok(Pools {
        writer,
        readers,
        identity,
    })
}

fn options(path: &Path, tuning: &Tuning) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(tuning.busy_timeout)
        .foreign_keys(true)
        // FULL: a commit is on the disk when it returns. Attempts must survive a power cut, or a poison input is forgotten.
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging();
    match tuning.max_pages {
        Some(pages) => options.pragma("max_page_count", pages.to_string()),
        None => options,
    }
}

fn pool(most: u32, tuning: &Tuning) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(most)
        .acquire_timeout(tuning.busy_timeout * 2)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        // SQLite may end a transaction by itself (disk full), of which sqlx keeps no account: such a connection is not used again.
        .after_release(|connection, _| {
            Box::pin(async move {
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        })
}

async fn pragma<T>(connection: &mut SqliteConnection, statement: &'static str) -> Result<T, Fault>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    Ok(sqlx::query(statement).fetch_one(connection).await?.try_get(0)?)
}

/// Schema, bytes and rows of every table.
pub(super) async fn inventory(connection: &mut SqliteConnection) -> Result<(i64, u64, Vec<Table>), Fault> {
    let schema = pragma(connection, "PRAGMA user_version").await?;
    let pages: i64 = pragma(connection, "PRAGMA page_count").await?;
    let size: i64 = pragma(connection, "PRAGMA page_size").await?;
    let mut tables = Vec::with_capacity(TABLES.len());
    for name in TABLES {
        let statement = sqlx::AssertSqlSafe(statements::count(name));
        let rows: i64 = sqlx::query(statement)
            .fetch_one(&mut *connection)
            .await?
            .try_get("rows")?;
        tables.push(Table {
            name,
            rows: rows.unsigned_abs(),
            count: Count::Exact,
            bytes: None,
        });
    }
    Ok((schema, (pages * size).unsigned_abs(), tables))
}

/// The path as SQLite must see it: never `:memory:`, never a `file:` address.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, LedgerError> {
    std::path::absolute(path).map_err(|error| unusable(path, format!("is no path: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "CREATE TABLE notes (text TEXT) STRICT; INSERT INTO notes VALUES ('kept')";
    const SECOND: &str = "ALTER TABLE notes ADD COLUMN at INTEGER; INSERT INTO notes VALUES ('new', 1)";

    async fn raised(path: PathBuf, steps: &'static [&'static str]) -> (i64, i64) {
        let mut connection = options(&path, &Tuning::default()).connect().await.unwrap();
        raise(&mut connection, steps).await.unwrap();
        let notes = pragma(&mut connection, "SELECT count(*) FROM notes").await.unwrap();
        (pragma(&mut connection, "PRAGMA user_version").await.unwrap(), notes)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_step_is_taken_once_however_many_try() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        File::create(&path).unwrap();
        let mut connection = options(&path, &Tuning::default()).connect().await.unwrap();
        write_ahead(&mut connection, Duration::ZERO).await.unwrap();
        assert_eq!(raised(path.clone(), &[FIRST]).await, (1, 1));
        let tasks: Vec<_> = (0..16)
            .map(|_| tokio::spawn(raised(path.clone(), &[FIRST, SECOND])))
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), (2, 2));
        }
    }

    /// What a process leaves that ends in the middle of a checkpoint: a file that makes sense only together with its -wal.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_checkpoint_that_was_cut_short_is_finished_when_the_ledger_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (busy, left) = (folder.path().join("busy.sqlite"), folder.path().join("left.sqlite"));
        File::create(&busy).unwrap();
        let mut connection = options(&busy, &Tuning::default())
            .pragma("wal_autocheckpoint", "0")
            .connect()
            .await
            .unwrap();
        write_ahead(&mut connection, Duration::ZERO).await.unwrap();
        raise(&mut connection, STEPS).await.unwrap();

        let mut page = std::fs::read(&busy).unwrap();
        page[100..].fill(0xff);
        std::fs::write(&left, page).unwrap();
        assert!(fault::is_corrupt(&look(&left).await.err().unwrap()));
        let alone = open(&left, Missing::Refuse, &Tuning::default()).await;
        assert!(alone.err().unwrap().to_string().contains("is damaged"));

        std::fs::copy(wal(&busy), wal(&left)).unwrap();
        open(&left, Missing::Refuse, &Tuning::default()).await.unwrap();
    }
}
