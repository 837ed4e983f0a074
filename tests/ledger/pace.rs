//! How many small writes per second one process gets through: `cargo test --test ledger pace -- --ignored --nocapture`.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lazaret::config::PostgresConfig;
use lazaret::ledger::postgres::Postgres;
use lazaret::ledger::sqlite::Sqlite;
use lazaret::ledger::{ByClaim, Claim, Claimed, Entry, Epoch, KeptJob, Ledger};
use lazaret::sandbox::outcome::Outcome;
use serde_json::json;

use super::postgres::server::Server;
use super::world::*;

const CALLERS: usize = 64;
const EACH: usize = 100;

/// Runs `write` for `EACH` jobs of each of so many callers at once; prints writes per second and the time that one takes.
#[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
async fn measure<F, W>(what: &str, callers: usize, write: W)
where
    F: Future<Output = ()> + Send,
    W: Fn(String) -> F + Send + Sync + Copy + 'static,
{
    let begun = Instant::now();
    let tasks = (0..callers).map(|caller| {
        tokio::spawn(async move {
            for job in 0..EACH {
                write(format!("{caller}-{job}")).await;
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let (took, writes) = (begun.elapsed(), callers * EACH);
    let pace = writes as f64 / took.as_secs_f64();
    println!(
        "{what:<18} {callers:>3} callers: {pace:>8.0}/s, {:>8.2?} each",
        took / EACH as u32
    );
}

/// A ledger in a file, beside this program's own: what is measured is the disk.
async fn on_sqlite(folder: &Path) -> &'static dyn Ledger {
    let ledger = Sqlite::open(&folder.join("ledger.sqlite")).await.unwrap();
    Box::leak(Box::new(ledger))
}

/// A ledger on a server of its own, which waits for the disk.
async fn on_postgres(server: &Server) -> &'static dyn Ledger {
    let database = server.database().await;
    let ledger = Postgres::open(&database.address(), &PostgresConfig::default()).await;
    Box::leak(Box::new(ledger.unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn pace() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let server = Server::start(&["fsync = on"]);
    for callers in [1, CALLERS] {
        let place = folder.path().join(callers.to_string());
        println!("SQLite");
        small_writes(on_sqlite(&place).await, callers).await;
        println!("PostgreSQL");
        small_writes(on_postgres(&server).await, callers).await;
    }
}

async fn small_writes(ledger: &'static dyn Ledger, callers: usize) {
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    convict(ledger, "bomb").await;
    let _ = start(ledger, &claim("busy")).await;
    measure("claim and settle", callers, move |job| async move {
        let _ = run(ledger, &claim(&job), Outcome::Converted(Vec::new())).await;
    })
    .await;
    measure("claim, in flight", callers, move |_| async move {
        assert_eq!(ledger.claim(&claim("busy")).await.unwrap(), Claimed::Busy);
    })
    .await;
    measure("ask, known", callers, move |job| async move {
        let answer = ledger.ask(&claim(&job)).await.unwrap();
        assert!(matches!(answer, Some(Claimed::Known(_))));
    })
    .await;
    // As many renewals as may run: what another build made is the answer.
    for upload in ["one", "another"] {
        let _ = run(ledger, &claim(upload), Outcome::Converted(Vec::new())).await;
        let _ = start(ledger, &of_another_build(claim(upload))).await;
    }
    measure("ask, known, old", callers, move |job| async move {
        let answer = ledger.ask(&of_another_build(claim(&job))).await.unwrap();
        assert!(matches!(answer, Some(Claimed::Known(_))));
    })
    .await;
    measure("end", callers, move |job| async move {
        ledger.end(&report(&job)).await.unwrap();
    })
    .await;
    measure("park", callers, move |job| async move {
        let kept = KeptJob {
            job: format!("parked {job}"),
            tenant: "acme".to_owned(),
            message: json!({ "body": job }),
            tries: 0,
        };
        ledger.park(&kept, None, Duration::ZERO).await.unwrap();
    })
    .await;
    measure("refused, in steps", callers, move |job| async move {
        let job = format!("refused {job}");
        let _ = ledger.arrival(&job).await.unwrap();
        let listed = ledger.refused(&claim("bomb")).await.unwrap();
        assert!(listed.is_some());
        ledger.end(&report(&job)).await.unwrap();
    })
    .await;
    measure("refused, by claim", callers, move |job| async move {
        is_refused(ledger, claim_for(&format!("claimed {job}"), "bomb")).await;
    })
    .await;
    measure("by claim, old", callers, move |job| async move {
        is_refused(ledger, of_another_build(claim_for(&format!("old {job}"), "bomb"))).await;
    })
    .await;
    ledger.close().await;
}

fn of_another_build(claim: Claim) -> Claim {
    Claim {
        epoch: Epoch {
            build: "build-2".to_owned(),
            ..claim.epoch
        },
        ..claim
    }
}

async fn is_refused(ledger: &dyn Ledger, claim: Claim) {
    let word = report(&claim.job);
    let refusal = Box::new(move |_: &Entry| word.clone());
    let answer = ledger.answer_by_claim(&claim, refusal).await.unwrap();
    assert!(matches!(answer, ByClaim::Refused(_)));
}
