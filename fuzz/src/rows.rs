//! Rows of the ledger that somebody edited: each reads as an error or as something that makes sense, and the ledger goes on.

use std::cell::RefCell;
use std::path::Path;

use lazaret::digest::Digest;
use lazaret::ledger::sqlite::Sqlite;
use lazaret::ledger::{Arrival, Claim, Epoch, Filter, Ledger, Operator, WorkerId};
use lazaret::quarantine::Action;
use lazaret::recipe::RecipeKey;
use lazaret::verdict::Reason;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Columns that hold words or JSON.
const EDITED: [(&str, &str); 10] = [
    ("entries", "state"),
    ("entries", "reason"),
    ("entries", "scope"),
    ("entries", "recipe"),
    ("entries", "looks"),
    ("entries", "detail"),
    ("tenants", "limits"),
    ("tenants", "block"),
    ("jobs", "message"),
    ("jobs", "report"),
];

/// One ledger for all inputs of a thread.
struct Edited {
    runtime: Runtime,
    ledger: Sqlite,
    connection: SqliteConnection,
    digest: Digest,
    _folder: TempDir,
}

thread_local! {
    static LEDGER: RefCell<Option<Edited>> = const { RefCell::new(None) };
}

/// The first byte says which column, the rest is what is put there.
pub fn edited(bytes: &[u8]) -> bool {
    let Some((&column, value)) = bytes.split_first() else {
        return false;
    };
    let Ok(value) = std::str::from_utf8(value) else {
        return false;
    };
    LEDGER.with_borrow_mut(|ledger| {
        let Edited {
            runtime,
            ledger,
            connection,
            digest,
            ..
        } = ledger.get_or_insert_with(make);
        let (table, column) = EDITED[usize::from(column) % EDITED.len()];
        runtime.block_on(async {
            let edit = format!("UPDATE {table} SET {column} = ?1");
            // A column may refuse what is no word of its own: then nothing is edited.
            let _ = sqlx::query(AssertSqlSafe(edit))
                .bind(value)
                .execute(&mut *connection)
                .await;
            read(ledger, digest).await;
            mend(connection).await;
        });
    });
    true
}

fn make() -> Edited {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (ledger, connection) = runtime.block_on(open(&folder.path().join("ledger.sqlite")));
    Edited {
        runtime,
        ledger,
        connection,
        digest: Digest::of(b"an upload"),
        _folder: folder,
    }
}

async fn open(path: &Path) -> (Sqlite, SqliteConnection) {
    let ledger = Sqlite::open(path).await.unwrap();
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    mend(&mut connection).await;
    (ledger, connection)
}

/// Puts the rows back as the program writes them.
async fn mend(connection: &mut SqliteConnection) {
    let digest = Digest::of(b"an upload");
    let rows = format!(
        "BEGIN;
         INSERT OR REPLACE INTO entries (digest, state, reason, scope, recipe, build, limits, tenant, name, looks, detail, since, changed, repeats)
            VALUES ('{digest}', 'quarantined', 'memory', 'upload', 'thumb', 'build-1', 'x', 'acme', 'n',
            '{{\"bytes\":1}}', 'd', 1700000000000, 1700000000000, 3);
         INSERT OR REPLACE INTO tenants VALUES ('acme', NULL, '{{}}', NULL, NULL, 1);
         INSERT OR REPLACE INTO jobs (job, tenant, message, tries, since, due) VALUES ('waits', 'acme', '{{}}', 1, 1, 1);
         INSERT OR REPLACE INTO jobs (job, tenant, tries, since, due, ended, report) VALUES ('ended', 'acme', 1, 1, 1, 1700000000000, '{{}}');
         COMMIT"
    );
    sqlx::raw_sql(AssertSqlSafe(rows)).execute(connection).await.unwrap();
}

/// A claim of another build than the one that made the entry.
fn claim(digest: &Digest) -> Claim {
    Claim {
        digest: *digest,
        recipe: RecipeKey("thumb".to_owned()),
        epoch: Epoch {
            build: "build-2".to_owned(),
            limits: "x".to_owned(),
        },
        worker: WorkerId("w1".to_owned()),
        tenant: "acme".to_owned(),
        name: "n".to_owned(),
        job: "claims".to_owned(),
        alone: false,
        most_in_flight: None,
        renewals: 2,
    }
}

/// Everything that reads those rows, as a worker and an operator do.
async fn read(ledger: &Sqlite, digest: &Digest) {
    let filter = Filter {
        reason: Some(Reason::Memory),
        ..Filter::default()
    };
    let _ = ledger.entries(&filter).await;
    let _ = ledger.entries(&Filter::default()).await;
    let _ = ledger.dossier(digest).await;
    let _ = ledger.refused(&claim(digest)).await;
    let _ = ledger.standing("acme").await;
    let _ = ledger.tenant_list().await;
    let _ = ledger.arrival("waits").await;
    let _ = ledger.arrival("ended").await;
    let operator = Operator {
        who: "fuzz".to_owned(),
        why: String::new(),
    };
    let _ = ledger.act(digest, Action::Confirm, &operator).await;
    // Whatever was in those rows, others are read and written.
    assert!(
        matches!(ledger.arrival("another").await, Ok(Arrival::New)),
        "a bad row stops the ledger"
    );
}
