//! The file: how it is made, and which files are refused, with which words, and without a trace.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use lazaret::ledger::sqlite::{Sqlite, Tuning};
use lazaret::ledger::{Ledger, LedgerError};
use sqlx::Connection;
use tempfile::TempDir;

use super::super::world::*;
use super::{connect, execute};

const IMPATIENT: Tuning = Tuning {
    busy_timeout: Duration::from_millis(200),
    max_pages: None,
};

async fn refusal(path: &Path) -> LedgerError {
    Sqlite::open_tuned(path, IMPATIENT).await.map(|_| ()).unwrap_err()
}

/// The file is refused in these words, and neither it nor its directory has changed.
async fn refused_untouched(path: &Path, words: &[&str]) {
    let before = (fs::read(path).unwrap(), names_in(path.parent().unwrap()));
    let error = refusal(path).await;
    assert!(matches!(error, LedgerError::Unusable { .. }), "{error:?}");
    for word in words.iter().chain([&path.to_str().unwrap()]) {
        assert!(error.to_string().contains(word), "{error} does not say {word:?}");
    }
    assert!(
        before == (fs::read(path).unwrap(), names_in(path.parent().unwrap())),
        "touched: {error}"
    );
}

fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = directory
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A ledger that nobody has open.
async fn closed_ledger() -> (TempDir, std::path::PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.sqlite");
    Sqlite::open(&path).await.unwrap().close().await;
    (directory, path)
}

#[tokio::test]
async fn a_new_ledger_is_its_owners_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("state/lazaret/ledger.sqlite");
    let ledger = Sqlite::open(&path).await.unwrap();
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    for name in ["ledger.sqlite", "ledger.sqlite-wal"] {
        let mode = fs::metadata(path.with_file_name(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(
        fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777,
        0o700
    );
    ledger.close().await;
    assert_eq!(names_in(path.parent().unwrap()), ["ledger.sqlite"]);
}

#[tokio::test]
async fn an_existing_ledger_is_asked_for_and_not_made() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.sqlite");
    let error = Sqlite::open_existing(&path).await.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("No such file"), "{error}");
    assert!(names_in(directory.path()).is_empty());
    Sqlite::open(&path).await.unwrap();
    Sqlite::open_existing(&path).await.unwrap();
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let (_directory, path) = closed_ledger().await;
    let ledger = Sqlite::open(&path).await.unwrap();
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    let sent = convict(&ledger, "bomb").await;
    ledger.close().await;
    let ledger = Sqlite::open(&path).await.unwrap();
    assert_eq!(entry(&ledger, "bomb").await, Some(sent));
}

/// As the first version of the program left it, with six uploads of one tenant that were convicted just now.
async fn ledger_of_schema_1(path: &Path) {
    let schema = include_str!("../../../src/ledger/sqlite/schema.sql");
    execute(path, schema).await.unwrap();
    let mut rows = "PRAGMA user_version = 1; PRAGMA application_id = 0x4c5a5254;".to_owned();
    for bomb in 0..6 {
        let digest = digest(&format!("bomb {bomb}"));
        rows += &format!(
            "INSERT INTO entries VALUES ('{digest}', 'quarantined', 'memory', 'upload', 'thumb', 'build-1', 'x', 'acme', 'n',
                '{{\"bytes\":1}}', 'd', NULL, unixepoch() * 1000, unixepoch() * 1000, NULL, 3, 0);
             INSERT INTO audit (digest, at, who, action, why, new_state)
                VALUES ('{digest}', unixepoch() * 1000, 'lazaret', 'convict', '', 'quarantined');"
        );
    }
    rows += "INSERT INTO jobs (job, tenant, message, tries, since, due) VALUES ('j', 'acme', '{}', 1, 1, 1)";
    execute(path, &rows).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_ledger_is_brought_up_to_date_with_all_that_is_in_it() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.sqlite");
    ledger_of_schema_1(&path).await;
    // However many open it at once.
    let opened = join_all((0..8).map(|_| Sqlite::open(&path))).await;
    let ledger = opened.into_iter().map(Result::unwrap).next_back().unwrap();
    let entry = entry(&ledger, "bomb 3").await.unwrap();
    assert_eq!((entry.repeats, entry.tenant.as_str()), (3, "acme"));
    let list = ledger.tenant_list().await.unwrap();
    assert_eq!((list.len(), list[0].waiting, list[0].convictions), (1, 1, 6));

    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    convict(&ledger, "one more").await;
    assert!(ledger.standing("acme").await.unwrap().probation_until_ms.is_some());
}

#[tokio::test]
async fn an_earlier_ledger_stays_as_it_was_where_it_cannot_be_brought_up_to_date() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.sqlite");
    ledger_of_schema_1(&path).await;
    // Somebody made a table of that name: the last statements of the step fail.
    execute(&path, "CREATE TABLE sidelines (x)").await.unwrap();
    let error = refusal(&path).await;
    assert!(error.to_string().contains("sidelines already exists"), "{error}");
    execute(&path, "DROP TABLE sidelines").await.unwrap();
    let ledger = Sqlite::open(&path).await.unwrap();
    assert_eq!(ledger.sidelines().await.unwrap(), []);
}

#[tokio::test]
async fn a_newer_ledger_is_refused() {
    let (_directory, path) = closed_ledger().await;
    execute(&path, "PRAGMA user_version = 7").await.unwrap();
    let words =
        "is from a newer Lazaret (schema 7, this program knows up to 6): upgrade the program or name another ledger";
    refused_untouched(&path, &[words]).await;
}

#[tokio::test]
async fn a_ledger_that_became_newer_only_in_its_log_is_refused() {
    let (_directory, path) = closed_ledger().await;
    let mut other = connect(&path).await;
    sqlx::raw_sql("PRAGMA user_version = 7")
        .execute(&mut other)
        .await
        .unwrap();
    let error = refusal(&path).await;
    assert!(error.to_string().contains("newer Lazaret"), "{error}");
    other.close().await.unwrap();
}

#[tokio::test]
async fn files_of_others_are_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("other.sqlite");
    execute(&path, "CREATE TABLE songs (title TEXT)").await.unwrap();
    refused_untouched(&path, &["another application"]).await;
    execute(&path, "PRAGMA application_id = 252006673; PRAGMA journal_mode = WAL")
        .await
        .unwrap();
    refused_untouched(&path, &["another application"]).await;

    for bytes in [&b"x"[..], &[b'#'; 99], &[0; 4096], &b"SQLite format 3".repeat(2000)] {
        fs::write(&path, bytes).unwrap();
        refused_untouched(&path, &["not a SQLite file"]).await;
    }
    fs::write(&path, b"").unwrap();
    refused_untouched(&path, &["empty file: remove it"]).await;
}

#[tokio::test]
async fn a_directory_and_a_path_through_a_file_are_refused() {
    let directory = TempDir::new().unwrap();
    let error = refusal(directory.path()).await;
    assert!(error.to_string().contains("is not a file"), "{error}");
    fs::write(directory.path().join("file"), b"x").unwrap();
    let error = refusal(&directory.path().join("file/ledger.sqlite")).await;
    assert!(error.to_string().contains("cannot be made"), "{error}");
}

#[tokio::test]
async fn a_damaged_ledger_is_refused() {
    for (at, what) in [(100, "the schema"), (4096, "a table")] {
        let (_directory, path) = closed_ledger().await;
        let mut bytes = fs::read(&path).unwrap();
        bytes[at..at + 2000].fill(0xff);
        fs::write(&path, bytes).unwrap();
        let error = refusal(&path).await;
        assert!(error.to_string().contains("is damaged"), "{what}: {error}");
        assert!(error.to_string().contains("restore a backup"), "{what}: {error}");
    }
    let (_directory, path) = closed_ledger().await;
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(refusal(&path).await.to_string().contains("is damaged"));
}

#[tokio::test]
async fn a_locked_ledger_is_named() {
    let (_directory, path) = closed_ledger().await;
    let mut holder = connect(&path).await;
    sqlx::raw_sql("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
        .execute(&mut holder)
        .await
        .unwrap();
    let error = refusal(&path).await;
    assert!(matches!(&error, LedgerError::Failed { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("locked by another process for more than 200ms"),
        "{error}"
    );
    holder.close().await.unwrap();
    Sqlite::open_tuned(&path, IMPATIENT).await.unwrap();
}

#[tokio::test]
async fn a_lock_that_lasts_fails_writes_and_not_reads() {
    let (_directory, path) = closed_ledger().await;
    let ledger = Sqlite::open_tuned(&path, IMPATIENT).await.unwrap();
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    let mut holder = connect(&path).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut holder).await.unwrap();
    let error = ledger.claim(&claim("cat")).await.unwrap_err();
    assert!(error.to_string().contains("locked by another process"), "{error}");
    assert_eq!(ledger.refused(&claim("cat")).await.unwrap(), None);
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    let _ = start(&ledger, &claim("cat")).await;
    holder.close().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_fails_and_is_survived() {
    let (_directory, path) = closed_ledger().await;
    let pages = fs::metadata(&path).unwrap().len() / 4096;
    let full = Tuning {
        max_pages: Some(pages as u32),
        ..IMPATIENT
    };
    let ledger = Sqlite::open_tuned(&path, full).await.unwrap();
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    let mut started = Vec::new();
    let error = loop {
        match ledger.claim(&claim(&format!("upload {}", started.len()))).await {
            Ok(answer) => started.push(answer),
            Err(error) => break error,
        }
        assert!(started.len() < 1000, "the disk never fills");
    };
    assert!(matches!(&error, LedgerError::Failed { .. }), "{error:?}");
    assert!(error.to_string().contains("free space"), "{error}");
    // The connection that saw it is replaced: reads go on, and small writes that need no page.
    ledger.heartbeat(&worker("w1")).await.unwrap();
    let roomy = Sqlite::open(&path).await.unwrap();
    let _ = start(&roomy, &claim(&format!("upload {}", started.len()))).await;
    assert_eq!(roomy.bury(&worker("w1")).await.unwrap().len(), started.len() + 1);
}

#[tokio::test]
async fn a_ledger_that_is_moved_away_is_noticed() {
    let (_directory, path) = closed_ledger().await;
    let ledger = Sqlite::open(&path).await.unwrap();
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    fs::rename(&path, path.with_extension("away")).unwrap();
    assert!(
        ledger
            .heartbeat(&worker("w1"))
            .await
            .unwrap_err()
            .to_string()
            .contains("was moved")
    );
    Sqlite::open(&path).await.unwrap();
    assert!(
        ledger
            .heartbeat(&worker("w1"))
            .await
            .unwrap_err()
            .to_string()
            .contains("was moved")
    );
}

#[test]
fn read_only_files_and_directories_are_refused() {
    // Rights do not bind root; the thread that opens, and those it starts, become another user for the file system.
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.sqlite");
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    runtime().block_on(async { Sqlite::open(&path).await.unwrap().close().await });
    let rights = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let refusal_of_a_nobody = |path: &Path| {
        let path = path.to_owned();
        let nobody = move || {
            // SAFETY: changes the file system identity of this thread alone; it ends below.
            #[allow(
                unsafe_code,
                reason = "rights do not bind root, and nothing safe changes a thread's identity"
            )]
            unsafe {
                libc::setfsuid(65534)
            };
            runtime().block_on(refusal(&path)).to_string()
        };
        std::thread::spawn(nobody).join().unwrap()
    };

    rights(directory.path(), 0o555);
    rights(&path, 0o444);
    let error = refusal_of_a_nobody(&path);
    assert!(error.contains("cannot be"), "{error}");
    let error = refusal_of_a_nobody(&directory.path().join("new.sqlite"));
    assert!(error.contains("cannot be made"), "{error}");
    rights(directory.path(), 0o777);
    let error = refusal_of_a_nobody(&path);
    assert!(error.contains("cannot be written: check the rights"), "{error}");
    rights(&path, 0o000);
    let error = refusal_of_a_nobody(&path);
    assert!(error.contains("check that it is a file, and the rights"), "{error}");
}
