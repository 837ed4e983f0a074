//! How many small writes per second one process gets through: `cargo test --test ledger pace -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lazaret::ledger::sqlite::Sqlite;
use lazaret::ledger::{ByClaim, Entry, KeptJob, Ledger};
use serde_json::json;

use super::super::world::*;

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

/// A ledger that lives as long as the process.
async fn ledger() -> &'static Sqlite {
    // In this folder, not in memory: what is measured is the disk.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap().keep();
    let ledger = Sqlite::open(&folder.join("ledger.sqlite")).await.unwrap();
    ledger.sign_on(&worker("w1"), "host", "build-1").await.unwrap();
    Box::leak(Box::new(ledger))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn pace() {
    for callers in [1, CALLERS] {
        let ledger = ledger().await;
        convict(ledger, "bomb").await;
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
            ledger
                .refused(&digest("bomb"), &recipe("thumb"))
                .await
                .unwrap()
                .unwrap();
            ledger.end(&report(&job)).await.unwrap();
        })
        .await;
        measure("refused, by claim", callers, move |job| async move {
            let (job, word) = (format!("claimed {job}"), report(&job));
            let refusal = Box::new(move |_: &Entry| word.clone());
            let (bomb, thumb) = (digest("bomb"), recipe("thumb"));
            let answer = ledger.answer_by_claim(&job, &bomb, &thumb, refusal);
            assert!(matches!(answer.await.unwrap(), ByClaim::Refused(_)));
        })
        .await;
    }
}
