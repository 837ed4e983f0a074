//! Many workers at once on the same uploads, jobs and tenants: nothing fails, nothing waits for each other in a circle, and one attempt of
//! an upload runs at a time. And what one reads, another may change before it writes.

use std::time::Duration;

use futures_util::future::join_all;
use lazaret::ledger::postgres::Postgres;
use lazaret::ledger::{Arrival, ByClaim, Claim, Claimed, Entry, Epoch, KeptJob, Ledger, TenantAction};
use lazaret::quarantine::Action;
use lazaret::sandbox::outcome::Outcome;
use lazaret::tenants::{Block, Use};
use lazaret::verdict::Reason;
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};

use super::super::world::*;
use super::open;
use super::server::{Database, Server};

/// What whoever begins a renewal holds until it is committed.
const HOLD_RENEWALS: &str = "BEGIN; SELECT pg_advisory_xact_lock(1280966664, 0)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_is_counted_before_the_next_one_begins_and_a_full_house_waits_for_nobody() {
    let database = Server::shared().database().await;
    let ledger = open(&database.address()).await;
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    let _ = run(&ledger, &claim("cat"), Outcome::Converted(Vec::new())).await;
    convict(&ledger, "bomb").await;
    let newer = |upload: &str| Claim {
        epoch: Epoch {
            build: "build-2".to_owned(),
            ..epoch()
        },
        renewals: 1,
        ..claim(upload)
    };

    // Another worker begins the only one that may run, and has not committed it yet.
    let mut other = database.connect().await;
    let begins =
        "INSERT INTO lazaret.attempts (digest, recipe, build, limits, worker, tenant, name, job, gate, started, renews)
        VALUES (sha256('other'), 'thumb', 'build-2', 'l', 'w9', 'acme', 'n', 'j', 'open', 1, 'result')";
    let begins = format!("{HOLD_RENEWALS}; {begins}");
    sqlx::raw_sql(AssertSqlSafe(begins)).execute(&mut other).await.unwrap();
    let claims = ["cat", "bomb"].map(|upload| {
        let (ledger, claim) = (ledger.clone(), newer(upload));
        tokio::spawn(async move { ledger.claim(&claim).await.unwrap() })
    });
    is_waited_for(&mut other, 2).await;
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    let [cat, bomb] = claims;
    assert!(matches!(cat.await.unwrap(), Claimed::Known(_)));
    assert!(matches!(bomb.await.unwrap(), Claimed::Listed(_)));

    sqlx::raw_sql(HOLD_RENEWALS).execute(&mut other).await.unwrap();
    for upload in ["cat", "bomb"] {
        let claimed = tokio::time::timeout(Duration::from_secs(5), async { ledger.claim(&newer(upload)).await });
        let claimed = claimed.await.expect("it waits for a lock").unwrap();
        assert!(matches!(claimed, Claimed::Known(_) | Claimed::Listed(_)), "{claimed:?}");
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
}

const WORKERS: usize = 6;
const ROUNDS: usize = 120;

/// Does something, on nouns that everybody uses.
async fn meddle(ledger: &Postgres, me: &str, round: usize) {
    let upload = format!("upload {}", fastrand::u8(..12));
    let job = |_| format!("job {}", fastrand::u8(..30));
    match round % 8 {
        0..=2 => {
            let mine = Claim {
                worker: worker(me),
                tenant: format!("t{}", fastrand::u8(..3)),
                most_in_flight: Some(3),
                recipe: recipe(&format!("r{}", fastrand::u8(..20))),
                epoch: Epoch {
                    build: format!("build-{}", fastrand::u8(..2)),
                    ..epoch()
                },
                ..claim(&upload)
            };
            if let Claimed::Run(attempt) = ledger.claim(&mine).await.unwrap() {
                let outcome = match fastrand::u8(..4) {
                    0 => tripped(Reason::Cpu),
                    1 => crashed(),
                    2 => refused(),
                    _ => Outcome::Converted(Vec::new()),
                };
                let _ = ledger.settle(&ending(attempt, outcome)).await.unwrap();
            }
        }
        3 => {
            let ends: Vec<String> = (0..10).map(job).collect();
            let ends: Vec<_> = ends.iter().map(|job| report(job)).collect();
            for ended in join_all(ends.iter().map(|report| ledger.end(report))).await {
                ended.unwrap();
            }
        }
        4 => {
            let kept = |job| KeptJob {
                job,
                tenant: "t1".to_owned(),
                message: json!({ "text": "a\u{0}b" }),
                tries: 1,
            };
            let jobs: Vec<KeptJob> = (0..10).map(job).map(kept).collect();
            let digest = digest(&upload);
            let parks = jobs.iter().map(|job| ledger.park(job, Some(&digest), Duration::ZERO));
            for parked in join_all(parks).await {
                parked.unwrap();
            }
        }
        5 => {
            let _ = ledger.adopt(&worker(me), 5, &["t2".to_owned()]).await.unwrap();
            ledger
                .hold(&worker(me), &(0..5).map(job).collect::<Vec<_>>())
                .await
                .unwrap();
        }
        6 => {
            let used = ["t1", "t0", "t2", "t0"].map(|tenant| {
                let used = Use {
                    jobs: 1,
                    cpu_ms: 2,
                    bytes: 3,
                };
                (tenant.to_owned(), used)
            });
            let _ = ledger.charge(&used).await.unwrap();
            let block = TenantAction::Block(Block::Hold);
            for action in [block, TenantAction::Unblock] {
                let _ = ledger.tenant_act("t1", &action, &operator()).await.unwrap();
            }
        }
        _ => {
            ledger.heartbeat(&worker(me)).await.unwrap();
            let _ = ledger.act(&digest(&upload), Action::Release, &operator()).await;
            let _ = ledger.tidy().await.unwrap();
            let other = format!("{me}-{round}");
            ledger.sign_on(&worker(&other), "host", "build-1", &[]).await.unwrap();
            let doomed = Claim {
                worker: worker(&other),
                ..claim(&upload)
            };
            let _ = ledger.claim(&doomed).await.unwrap();
            let _ = ledger.bury(&worker(&other)).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_on_the_same_nouns_do_not_get_stuck() {
    let database = Server::shared().database().await;
    let address = database.address();
    open(&address).await;
    let workers = (0..WORKERS).map(|number| {
        let address = address.clone();
        tokio::spawn(async move {
            let ledger = open(&address).await;
            let me = format!("w{number}");
            ledger.sign_on(&worker(&me), "host", "build-1", &[]).await.unwrap();
            for round in 0..ROUNDS {
                meddle(&ledger, &me, round + number).await;
            }
        })
    });
    for done in join_all(workers).await {
        done.unwrap();
    }
    let mut connection = database.connect().await;
    let row = sqlx::query(
        "SELECT deadlocks, (SELECT count(*) FROM lazaret.attempts WHERE outcome = 'running') AS running
         FROM pg_stat_database WHERE datname = current_database()",
    );
    let row = row.fetch_one(&mut connection).await.unwrap();
    assert_eq!((row.get::<i64, _>("deadlocks"), row.get::<i64, _>("running")), (0, 0));
}

/// Another worker, which has had these jobs kept, but has not committed it yet.
async fn about_to_keep(database: &Database<'_>, jobs: &[&str]) -> PgConnection {
    let mut other = database.connect().await;
    sqlx::raw_sql("BEGIN").execute(&mut other).await.unwrap();
    for job in jobs {
        let keep = format!(
            "INSERT INTO lazaret.jobs (job, tenant, message, tries, since, due) VALUES ('{job}', 'acme', '{{}}', 0, 0, 0)"
        );
        sqlx::raw_sql(AssertSqlSafe(keep)).execute(&mut other).await.unwrap();
    }
    other
}

/// Waits until so many wait for it.
async fn is_waited_for(other: &mut PgConnection, by: i64) {
    let waits =
        "SELECT count(*) AS waits FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))";
    for _ in 0..500 {
        if sqlx::query(waits)
            .fetch_one(&mut *other)
            .await
            .unwrap()
            .get::<i64, _>("waits")
            >= by
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("fewer than {by} wait");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_kept_while_somebody_ends_it_stays() {
    let database = Server::shared().database().await;
    let ledger = open(&database.address()).await;
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    convict(&ledger, "bomb").await;
    let mut other = about_to_keep(&database, &["ended", "claimed"]).await;
    let end = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.end_unless_kept(&report("ended")).await.unwrap() }
    });
    let claimed = tokio::spawn({
        let ledger = open(&database.address()).await;
        async move {
            let refusal = Box::new(|_: &Entry| report("claimed"));
            let claimed = claim_for("claimed", "bomb");
            ledger.answer_by_claim(&claimed, refusal).await.unwrap()
        }
    });
    is_waited_for(&mut other, 2).await;
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    assert_eq!(end.await.unwrap(), None);
    assert_eq!(claimed.await.unwrap(), ByClaim::Waiting("acme".to_owned()));
    for job in ["ended", "claimed"] {
        assert_eq!(ledger.arrival(job).await.unwrap(), Arrival::Waiting("acme".to_owned()));
    }
}
