//! A ledger that moves from SQLite to PostgreSQL: nothing is lost, and it goes on where it stopped.

use std::path::Path;
use std::time::Duration;

use lazaret::config::PostgresConfig;
use lazaret::desk::Role;
use lazaret::ledger::postgres::Postgres;
use lazaret::ledger::sqlite::Sqlite;
use lazaret::ledger::{
    Arrival, Claim, Epoch, KeptJob, Ledger, LedgerError, NewToken, Renews, Revision, TenantAction, TokenMade, copy,
};
use lazaret::sandbox::outcome::Outcome;
use lazaret::tenants::{Block, Use};
use lazaret::verdict::Status;
use serde_json::json;
use tempfile::TempDir;

use super::super::world::*;
use super::open;
use super::server::Server;

/// Something of everything, in a file.
async fn lived_in(path: &Path) -> Sqlite {
    let ledger = Sqlite::open(path).await.unwrap();
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    convict(&ledger, "bomb").await;
    let odd = Claim {
        tenant: "tab\tline\nback\\slash".to_owned(),
        ..claim("bomb")
    };
    let listed = ledger.refused(&odd).await;
    assert!(listed.unwrap().is_some());
    let _ = run(&ledger, &claim("cat"), Outcome::Converted(Vec::new())).await;
    let _ = run(&ledger, &claim("torn"), refused()).await;
    let other = Claim {
        epoch: Epoch {
            build: "build-2".to_owned(),
            ..epoch()
        },
        ..claim("bomb")
    };
    assert_eq!(start(&ledger, &other).await.renews, Some(Renews::Entry));
    ledger.disown(&worker("w1"), &digest("bomb")).await.unwrap();
    ledger.end(&report("ended")).await.unwrap();
    let kept = KeptJob {
        job: "waits".to_owned(),
        tenant: "acme".to_owned(),
        message: json!({ "text": "tab\tline\nback\\slash\u{0}é\\N" }),
        tries: 2,
    };
    ledger.park(&kept, Some(&digest("cat")), Duration::ZERO).await.unwrap();
    let used = Use {
        jobs: 1,
        cpu_ms: 2,
        bytes: 3,
    };
    let _ = ledger.charge(&[("acme".to_owned(), used)]).await.unwrap();
    ledger.count_verdicts(&[(Status::Converted, 1)]).await.unwrap();
    let block = TenantAction::Block(Block::Refuse);
    ledger.tenant_act("evil", &block, &operator()).await.unwrap();
    let _ = ledger.lease_sideline("noisy", 4).await.unwrap();
    let token = NewToken {
        name: "ci".to_owned(),
        hash: digest("a token"),
        role: Role::Viewer,
        made_by: "ann".to_owned(),
        lasts: None,
    };
    assert_eq!(ledger.add_token(&token).await.unwrap(), TokenMade::Made);
    ledger
}

fn words(error: LedgerError) -> String {
    error.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_moves_and_goes_on() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.sqlite");
    let before = lived_in(&path).await;
    let database = Server::shared().database().await;
    let after = open(&database.address()).await;
    assert!(words(copy(&path, &after).await.unwrap_err()).contains("is in use by w1: stop all workers"));

    let running = start(&before, &claim("flies")).await;
    let dossier = before.dossier(&digest("bomb")).await.unwrap();
    let audit = before.tenant_audit("evil").await.unwrap();
    let standings = before.tenants(Revision::default()).await.unwrap();
    let inventory = before.inventory().await.unwrap();
    before.sign_off(&worker("w1")).await.unwrap();
    before.close().await;

    let copied = copy(&path, &after).await.unwrap();
    let there = after.inventory().await.unwrap();
    let workers_and_runs = 2;
    for ((table, mine), its) in copied
        .iter()
        .zip(&inventory.tables)
        .zip(&there.tables)
        .skip(workers_and_runs)
    {
        assert_eq!((table.table, table.rows), (mine.name, mine.rows));
        assert_eq!((its.name, its.rows), (mine.name, mine.rows));
        assert!(mine.rows > 0, "{} is not tried", mine.name);
    }
    assert_eq!(after.dossier(&digest("bomb")).await.unwrap(), dossier);
    assert_eq!(after.tenant_audit("evil").await.unwrap(), audit);
    assert_eq!(after.tenants(Revision::default()).await.unwrap(), standings);
    assert_eq!(
        after.arrival("ended").await.unwrap(),
        Arrival::Ended(Box::new(report("ended")))
    );
    after.sign_on(&worker("w2"), "host", "build-1", &[]).await.unwrap();
    let adopted = after.adopt(&worker("w2"), 9, &[]).await.unwrap();
    assert_eq!(adopted[0].message["text"], "tab\tline\nback\\slash\u{0}é\\N");
    // Fencing tokens go on, also past those whose rows are gone.
    let next = start(
        &after,
        &lazaret::ledger::Claim {
            worker: worker("w2"),
            ..claim("new")
        },
    )
    .await;
    assert!(next.id > running.id, "{next:?} {running:?}");

    let error = words(copy(&path, &after).await.unwrap_err());
    assert!(
        error.contains("is not empty") && error.contains("@127.0.0.1"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_fails_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.sqlite");
    let before = lived_in(&path).await;
    before.sign_off(&worker("w1")).await.unwrap();
    before.close().await;
    let database = Server::shared().database().await;
    let after = Postgres::open(&database.address(), &PostgresConfig::default())
        .await
        .unwrap();
    // The last table is the one that fails.
    database
        .execute("ALTER TABLE lazaret.sidelines ADD CHECK (tenant <> 'noisy')")
        .await;
    assert!(copy(&path, &after).await.is_err());
    let rows: u64 = after
        .inventory()
        .await
        .unwrap()
        .tables
        .iter()
        .map(|table| table.rows)
        .sum();
    assert_eq!(rows, 0);
    database
        .execute("ALTER TABLE lazaret.sidelines DROP CONSTRAINT sidelines_tenant_check")
        .await;
    assert!(copy(&path, &after).await.is_ok());
}

/// `cargo test --test ledger size -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn size() {
    const DIGESTS: u64 = 100_000;
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("ledger.sqlite");
    let sqlite = Sqlite::open(&path).await.unwrap();
    let database = Server::shared().database().await;
    let postgres = open(&database.address()).await;
    let stores: [&dyn Ledger; 2] = [&sqlite, &postgres];
    for ledger in stores {
        ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
        let lanes = (0..16).map(|lane| async move {
            for number in (lane..DIGESTS).step_by(16) {
                let upload = number.to_string();
                let attempt = start(ledger, &claim(&upload)).await;
                let mut end = ending(attempt, Outcome::Converted(Vec::new()));
                end.renditions = vec![super::super::claims::rendition()];
                let _ = settle(ledger, &end).await;
                ledger
                    .end(&report(&format!("0193b2a4-7d0e-7cc1-9f6e-{number:012}")))
                    .await
                    .unwrap();
            }
        });
        futures_util::future::join_all(lanes).await;
    }
    for inventory in [sqlite.inventory().await.unwrap(), postgres.inventory().await.unwrap()] {
        println!(
            "{}: {} bytes, {} per digest",
            inventory.place,
            inventory.bytes,
            inventory.bytes / DIGESTS
        );
        for table in inventory.tables.iter().filter(|table| table.rows > 1) {
            println!("  {table:?}");
        }
    }
}
