//! Rows that somebody edited: named, never a panic; and tables that cannot be edited.

use std::time::Duration;

use lazaret::ledger::{KeptJob, Ledger, LedgerError, TenantAction};
use lazaret::quarantine::Action;
use lazaret::sandbox::outcome::Outcome;
use serde_json::{Value, json};

use super::super::world::*;
use super::{SqliteWorld, execute};

/// After `sql`, `reading` must fail and name `words`.
async fn broken<T: std::fmt::Debug>(
    world: &SqliteWorld,
    sql: &str,
    reading: impl Future<Output = Result<T, LedgerError>>,
    words: &[&str],
) {
    execute(&world.path(), sql).await.unwrap();
    let error = reading.await.unwrap_err();
    assert!(matches!(error, LedgerError::Failed { .. }), "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{error} does not name {word}");
    }
}

#[tokio::test]
async fn edited_entries_are_named() {
    for (edit, column) in [
        ("state = 'quarantine'", "column state"),
        ("reason = ''", "column reason"),
        ("scope = 'Upload'", "column scope"),
        ("looks = '{'", "column looks"),
        ("looks = '{\"bytes\":-1}'", "column looks"),
        ("changed = 9223372036854775807", "column changed"),
        ("expires = -9223372036854775808", "column expires"),
        ("repeats = -1", "column repeats"),
    ] {
        let world = SqliteWorld::new().await;
        convict(&world.ledger, "x").await;
        let key = digest("x").to_string();
        let claim = claim("x");
        let reading = world.ledger.claim(&claim);
        broken(
            &world,
            &format!("UPDATE entries SET {edit}"),
            reading,
            &["table entries", &key, column],
        )
        .await;
        let acting = world.ledger.act(&digest("x"), Action::Release, &operator()).await;
        assert!(acting.is_err(), "{edit}");
    }
}

#[tokio::test]
async fn a_short_digest_is_named() {
    let world = SqliteWorld::new().await;
    convict(&world.ledger, "x").await;
    let edit = "PRAGMA foreign_keys = OFF; UPDATE entries SET digest = 'abc'";
    broken(
        &world,
        edit,
        world.ledger.entries(&Default::default()),
        &["table entries", "row abc", "column digest"],
    )
    .await;
    assert!(world.ledger.resolve("ab").await.is_err());
}

#[tokio::test]
async fn edited_results_and_attempts_are_named() {
    let world = SqliteWorld::new().await;
    let _ = run(&world.ledger, &claim("x"), Outcome::Converted(Vec::new())).await;
    let again = claim("x");
    let reading = world.ledger.claim(&again);
    let edit = "UPDATE results SET renditions = '[{}]'";
    broken(
        &world,
        edit,
        reading,
        &["table results", &digest("x").to_string(), "column renditions"],
    )
    .await;
    let reading = world.ledger.claim(&again);
    broken(
        &world,
        "UPDATE results SET status = 'failed'",
        reading,
        &["column status"],
    )
    .await;

    let attempt = start(&world.ledger, &claim("y")).await;
    let end = ending(attempt, Outcome::Starved);
    let settling = world.ledger.settle(&end);
    broken(
        &world,
        "UPDATE attempts SET gate = 'ajar'",
        settling,
        &["table attempts", "column gate", "ajar"],
    )
    .await;
}

#[tokio::test]
async fn edited_jobs_are_named() {
    let world = SqliteWorld::new().await;
    world.ledger.end(&report("j")).await.unwrap();
    let edit = "UPDATE jobs SET report = NULL";
    broken(
        &world,
        edit,
        world.ledger.arrival("j"),
        &["table jobs", "row j", "column report"],
    )
    .await;
    let edit = "UPDATE jobs SET report = '{\"job\":1}'";
    broken(&world, edit, world.ledger.end(&report("j")), &["column report"]).await;
}

/// Its job is told of when it is handled; those behind it do not wait for it.
#[tokio::test]
async fn a_damaged_message_does_not_keep_others_waiting() {
    let world = SqliteWorld::new().await;
    for job in ["damaged", "good"] {
        let kept = KeptJob {
            job: job.to_owned(),
            tenant: "acme".to_owned(),
            message: json!({ "job": job }),
            tries: 0,
        };
        world.ledger.park(&kept, None, Duration::ZERO).await.unwrap();
    }
    let edit = "UPDATE jobs SET message = 'x' WHERE job = 'damaged'";
    execute(&world.path(), edit).await.unwrap();
    let adopted = world.ledger.adopt(&worker("w1"), 10, &[]).await.unwrap();
    let mut messages: Vec<_> = adopted.into_iter().map(|kept| (kept.job, kept.message)).collect();
    messages.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [("damaged", Value::Null), ("good", json!({ "job": "good" }))];
    assert_eq!(messages, expected.map(|(job, message)| (job.to_owned(), message)));
}

#[tokio::test]
async fn strikes_and_audit_are_append_only() {
    let world = SqliteWorld::new().await;
    convict(&world.ledger, "x").await;
    let (ledger, purge) = (&world.ledger, TenantAction::Purge);
    ledger.tenant_act("acme", &purge, &operator()).await.unwrap();
    for table in ["strikes", "audit", "tenant_audit"] {
        for edit in [format!("DELETE FROM {table}"), format!("UPDATE {table} SET at = 0")] {
            let error = execute(&world.path(), &edit).await.unwrap_err();
            assert!(error.to_string().contains("append-only"), "{error}");
        }
    }
    let error = execute(&world.path(), "DELETE FROM entries").await.unwrap_err();
    assert!(error.to_string().contains("FOREIGN KEY"), "{error}");
}

#[tokio::test]
async fn a_worker_whose_layers_make_no_sense_is_listed_all_the_same() {
    for layers in [
        "'{'",
        "'[{\"layer\":\"moat\",\"mode\":\"required\",\"held\":{\"is\":\"off\"}}]'",
        "''",
        "NULL",
    ] {
        let world = SqliteWorld::new().await;
        let edit = format!("UPDATE workers SET layers = {layers} WHERE worker = 'w1'");
        execute(&world.path(), &edit).await.unwrap();
        let workers = world.ledger.workers().await.unwrap();
        assert_eq!(workers.len(), 3, "{layers}");
        assert!(workers[0].layers.is_empty(), "{layers}");
    }
}
