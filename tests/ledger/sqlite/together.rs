//! Small writes that are committed together: what fails is its own caller's alone.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use lazaret::ledger::sqlite::{Sqlite, Tuning};
use lazaret::ledger::{Arrival, Entry, Ledger, LedgerError};
use lazaret::verdict::Report;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::super::world::*;
use super::{SqliteWorld, connect, execute};

type Ended = JoinHandle<Result<Report, LedgerError>>;

async fn lock(world: &SqliteWorld) -> SqliteConnection {
    let mut holder = connect(&world.path()).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut holder).await.unwrap();
    holder
}

async fn unlock(mut holder: SqliteConnection) {
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    holder.close().await.unwrap();
}

/// Tasks that end these jobs, all queued while somebody else has the write lock.
async fn queued(ledger: &Arc<Sqlite>, jobs: &[String]) -> Vec<Ended> {
    let tasks = jobs.iter().map(|job| {
        let (ledger, report) = (Arc::clone(ledger), report(job));
        tokio::spawn(async move { ledger.end(&report).await })
    });
    let tasks = tasks.collect();
    sleep(Duration::from_millis(50)).await;
    tasks
}

fn jobs() -> Vec<String> {
    (0..40).map(|job| format!("j{job}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_cannot_be_done_fails_alone() {
    let world = SqliteWorld::new().await;
    let ledger = Arc::new(world.ledger.clone());
    ledger.end(&report("j7")).await.unwrap();
    execute(&world.path(), "UPDATE jobs SET report = NULL").await.unwrap();
    let holder = lock(&world).await;
    let tasks = queued(&ledger, &jobs()).await;
    unlock(holder).await;
    for (job, ended) in jobs().iter().zip(join_all(tasks).await) {
        match ended.unwrap() {
            Ok(counts) => assert_eq!(counts, report(job)),
            Err(error) => {
                assert_eq!(job, "j7");
                assert!(error.to_string().contains("row j7, column report"), "{error}");
            }
        }
    }
    assert_eq!(
        ledger.arrival("j39").await.unwrap(),
        Arrival::Ended(Box::new(report("j39")))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_takes_nobody_along() {
    let world = SqliteWorld::new().await;
    let ledger = Arc::new(world.ledger.clone());
    let holder = lock(&world).await;
    let mut tasks = queued(&ledger, &jobs()).await;
    // The first one is the one that began to lead.
    tasks.remove(0).abort();
    unlock(holder).await;
    assert!(join_all(tasks).await.into_iter().all(|ended| ended.unwrap().is_ok()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_lasts_fails_all_and_not_those_that_come_later() {
    let world = SqliteWorld::new().await;
    let impatient = Tuning {
        busy_timeout: Duration::from_millis(200),
        ..Tuning::default()
    };
    let ledger = Arc::new(Sqlite::open_tuned(&world.path(), impatient).await.unwrap());
    let holder = lock(&world).await;
    for ended in join_all(queued(&ledger, &jobs()).await).await {
        let error = ended.unwrap().unwrap_err();
        assert!(error.to_string().contains("locked by another process"), "{error}");
    }
    unlock(holder).await;
    assert_eq!(ledger.arrival("j0").await.unwrap(), Arrival::New);
    assert_eq!(ledger.end(&report("j0")).await.unwrap(), report("j0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_panics_leaves_nothing_behind() {
    let world = SqliteWorld::new().await;
    let ledger = &world.ledger;
    convict(ledger, "bomb").await;
    let panics = Box::new(|_: &Entry| panic!("words fail"));
    let error = ledger
        .answer_by_claim(&claim_for("j", "bomb"), panics)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("was given up"), "{error}");
    assert_eq!(ledger.arrival("j").await.unwrap(), Arrival::New);
    assert_eq!(entry(ledger, "bomb").await.unwrap().repeats, 0);
    assert_eq!(ledger.end(&report("j")).await.unwrap(), report("j"));
}
