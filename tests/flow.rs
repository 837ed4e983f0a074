//! The flow on its bad days: a ledger that fails at the end of an attempt, a host that cannot run one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

#[path = "servers/postgres.rs"]
#[allow(dead_code, reason = "the server serves several suites")]
mod postgres;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use lazaret::admission::Budget;
use lazaret::config::{Dedupe, PostgresConfig};
use lazaret::job::{Job, Source};
use lazaret::ledger::Ledger;
use lazaret::ledger::postgres::Postgres;
use lazaret::ledger::sqlite::{Sqlite, Tuning};
use lazaret::notices::Notices;
use lazaret::pipeline::{Retry, Setup, Sources, Step, Stores, Terms, Worker};
use lazaret::quarantine::State;
use lazaret::recipe::{Recipe, Rendition};
use lazaret::sandbox::Sandbox;
use lazaret::sandbox::layers::Policy;
use lazaret::sandbox::limits::{Ceiling, Limits};
use lazaret::specimens::{Keep, Specimens};
use lazaret::store::{Access, Store};
use lazaret::verdict::{Reason, Status};
use lazaret::vitals::Vitals;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use self::postgres::{STANDBY, Server};

/// A worker in `folder` whose ledger gives up on a lock after a moment.
async fn worker(folder: &Path, program: PathBuf) -> Arc<Worker> {
    worker_within(folder, program, Limits::default()).await
}

async fn worker_within(folder: &Path, program: PathBuf, limits: Limits) -> Arc<Worker> {
    let tuning = Tuning {
        busy_timeout: Duration::from_millis(200),
        ..Tuning::default()
    };
    let ledger = Sqlite::open_tuned(&folder.join("ledger.sqlite"), tuning).await.unwrap();
    worker_on(Arc::new(ledger), folder, program, limits).await
}

async fn worker_on(ledger: Arc<dyn Ledger>, folder: &Path, program: PathBuf, limits: Limits) -> Arc<Worker> {
    let renditions = Store::open("renditions", &folder.join("renditions"), Access::Shared).unwrap();
    let sandbox = Sandbox {
        program,
        policy: Policy::default(),
        limits,
        staging: renditions.staging().unwrap(),
        budget: Budget::new(2 << 30, 0),
        times: 1,
    };
    let stores = Stores {
        sources: Sources::Paths,
        renditions: Arc::new(renditions),
        specimens: Arc::new(Specimens::open(&folder.join("specimens"), Keep::default()).unwrap()),
    };
    let setup = Setup {
        ledger,
        sandbox,
        layers: Vec::new(),
        stores,
        flights: &folder.join("flights"),
        slots: 2,
        dedupe: Dedupe::Fleet,
        renewals: 2,
        vitals: Vitals::new(),
        notices: Notices::off(),
    };
    Worker::sign_on(setup).await.unwrap()
}

fn this_program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_lazaret"))
}

fn job(fixture: &str) -> Job {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
    let key = path.to_str().unwrap().to_owned();
    Job {
        job: "job".to_owned(),
        tenant: "acme".to_owned(),
        source: Source {
            store: "path".to_owned(),
            key,
            sha256: None,
            bytes: None,
        },
        recipe: Recipe::new(vec![Rendition::named("whole")]).unwrap(),
        metadata: serde_json::Value::Null,
    }
}

fn ended(step: Step) -> (Status, Option<Reason>, bool) {
    match step {
        Step::Ended(report) => (report.status, report.reason, report.repeat),
        other => panic!("not ended: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_that_the_ledger_cannot_take_is_written_later() {
    let folder = tempfile::tempdir().unwrap();
    let worker = worker(folder.path(), this_program()).await;
    let bomb = job("hostile/cpu/tiff_wide_tiles.tiff");
    let settling = tokio::spawn({
        let (worker, bomb) = (Arc::clone(&worker), bomb.clone());
        async move { worker.settle(&bomb, None).await }
    });
    while worker.in_the_air() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let address = format!("sqlite:{}", folder.path().join("ledger.sqlite").display());
    let mut other = SqliteConnection::connect(&address).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let step = settling.await.unwrap();
    assert!(matches!(step, Step::Retry(Retry::Ledger(_))), "{step:?}");
    assert!(worker.beat().await.is_err(), "the ledger is still locked");
    assert_eq!(worker.in_the_air(), 1, "the flight record still says so");

    lock.rollback().await.unwrap();
    worker.beat().await.unwrap();
    assert_eq!(worker.in_the_air(), 0);
    let entries = worker
        .ledger
        .entries(&lazaret::ledger::Filter::default())
        .await
        .unwrap();
    assert_eq!(
        (entries.len(), entries[0].state, entries[0].reason),
        (1, State::Quarantined, Reason::Cpu)
    );
    let again = ended(worker.settle(&bomb, None).await);
    assert_eq!(again, (Status::Quarantined, Some(Reason::Cpu), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_was_never_answered_does_not_block_its_upload() {
    let (server, folder) = (Server::start(&STANDBY), tempfile::tempdir().unwrap());
    let database = server.database().await;
    let ledger = Postgres::open(&database.address(), &PostgresConfig::default()).await;
    let worker = worker_on(
        Arc::new(ledger.unwrap()),
        folder.path(),
        this_program(),
        Limits::default(),
    )
    .await;
    database.hold_back_claims().await;
    let photo = job("valid/photos/rocket.bmp");
    let settling = tokio::spawn({
        let (worker, photo) = (Arc::clone(&worker), photo.clone());
        async move { worker.settle(&photo, None).await }
    });
    database.claim_is_held_back().await;
    database.lose_its_answer().await;
    let step = settling.await.unwrap();
    assert!(matches!(step, Step::Retry(Retry::Ledger(_))), "{step:?}");
    database.answer_claims().await;
    let running = "SELECT count(*) FROM lazaret.attempts WHERE outcome = 'running'";
    database.wait_for(running).await;

    let step = worker.settle(&photo, None).await;
    assert!(matches!(step, Step::Wait(_)), "{step:?}");
    worker.beat().await.unwrap();
    assert_eq!(
        ended(worker.settle(&photo, None).await),
        (Status::Converted, None, false)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_probation_declines_is_not_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let worker = worker(folder.path(), this_program()).await;
    let photo = job("valid/photos/rocket.bmp");
    let within = |ceiling| Terms {
        ceiling: Some(ceiling),
        most_in_flight: None,
    };
    let small = within(Ceiling {
        work: 1000,
        memory: ByteSize::mib(256),
    });
    let declined = (Status::Refused, Some(Reason::TenantOverLimit), false);
    assert_eq!(ended(worker.settle_within(small, &photo, None).await), declined);
    let entries = worker
        .ledger
        .entries(&lazaret::ledger::Filter::default())
        .await
        .unwrap();
    assert!(entries.is_empty(), "{entries:?}");
    let ample = within(lazaret::tenants::probation::CEILING);
    let converted = (Status::Converted, None, false);
    assert_eq!(ended(worker.settle_within(ample, &photo, None).await), converted);
    // What is made already costs nothing: nobody is kept from it.
    let again = (Status::Converted, None, true);
    assert_eq!(ended(worker.settle_within(small, &photo, None).await), again);
}

/// A worker of another build over the same ledger.
async fn worker_of(build: &str, folder: &Path, program: PathBuf) -> Arc<Worker> {
    let mut worker = worker(folder, program).await;
    build.clone_into(&mut Arc::get_mut(&mut worker).unwrap().epoch.build);
    worker
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_comes_to_nothing_is_answered_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let (photo, bomb) = (job("valid/photos/rocket.bmp"), job("hostile/cpu/tiff_wide_tiles.tiff"));
    let converted = |repeat| (Status::Converted, None, repeat);
    let quarantined = |repeat| (Status::Quarantined, Some(Reason::Cpu), repeat);
    let first = worker(folder.path(), this_program()).await;
    assert_eq!(ended(first.settle(&photo, None).await), converted(false));
    assert_eq!(ended(first.settle(&bomb, None).await), quarantined(false));

    let unable = worker_of("second", folder.path(), PathBuf::from("/nonexistent/lazaret")).await;
    assert_eq!(ended(unable.settle(&photo, None).await), converted(true));
    assert_eq!(ended(unable.settle(&bomb, None).await), quarantined(true));
    // What the tenant's probation declines was made before, and is there.
    let strict = worker_of("third", folder.path(), this_program()).await;
    let small = Terms {
        ceiling: Some(Ceiling {
            work: 1000,
            memory: ByteSize::mib(256),
        }),
        most_in_flight: None,
    };
    assert_eq!(ended(strict.settle_within(small, &photo, None).await), converted(true));

    let able = worker_of("second", folder.path(), this_program()).await;
    for repeat in [false, true] {
        assert_eq!(ended(able.settle(&photo, None).await), converted(repeat));
        assert_eq!(ended(able.settle(&bomb, None).await), quarantined(repeat));
    }
    let told = lazaret::metrics::text(&able.vitals);
    for (outcome, count) in [("converted", 1), ("tripped", 1), ("starved", 0)] {
        let line = format!("lazaret_renewals_total{{outcome=\"{outcome}\"}} {count}\n");
        assert!(told.contains(&line), "{line}{told}");
    }
    // It was convicted once.
    assert!(told.contains("lazaret_convictions_total{reason=\"cpu\"} 0\n"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_cannot_run_a_child_takes_no_more_work_and_blames_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let worker = worker(folder.path(), PathBuf::from("/nonexistent/lazaret")).await;
    let step = worker.settle(&job("valid/photos/rocket.bmp"), None).await;
    assert!(matches!(step, Step::Retry(Retry::Attempt(_))), "{step:?}");
    let why = worker.vitals.readiness.why_not().unwrap();
    assert!(why.contains("no sandbox"), "{why}");
    assert_eq!(
        worker
            .ledger
            .entries(&lazaret::ledger::Filter::default())
            .await
            .unwrap(),
        []
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_that_are_not_so_are_errors_and_open_no_door() {
    let folder = tempfile::tempdir().unwrap();
    let worker = worker(folder.path(), this_program()).await;
    let photo = job("valid/photos/rocket.bmp");
    let claiming = |sha256, bytes| Job {
        source: Source {
            sha256,
            bytes,
            ..photo.source.clone()
        },
        ..photo.clone()
    };
    let truth = lazaret::digest::Digest::of(&std::fs::read(&photo.source.key).unwrap());
    let mismatch = (Status::Rejected, Some(Reason::DigestMismatch), false);
    let other = lazaret::digest::Digest::of(b"something else");
    assert_eq!(ended(worker.settle(&claiming(Some(other), None), None).await), mismatch);
    assert_eq!(ended(worker.settle(&claiming(None, Some(1)), None).await), mismatch);
    let converted = (Status::Converted, None, false);
    assert_eq!(
        ended(worker.settle(&claiming(Some(truth), None), None).await),
        converted
    );
}

/// Seconds of work in 1,900 pixels.
const SLOW: &str = "hostile/cpu/tiff_slow_tiles.tiff";

fn little_time() -> Limits {
    Limits {
        cpu_base: Duration::from_millis(400),
        cpu_per_megapixel: Duration::from_millis(1),
        ..Limits::default()
    }
}

/// As many jobs as the breaker needs to see, of other tenants and uploads each, all alike.
fn rising(folder: &Path, fixture: &str) -> Vec<Job> {
    let one = job(fixture);
    let bytes = std::fs::read(&one.source.key).unwrap();
    let other = |number: usize| {
        let path = folder.join(format!("upload-{number}"));
        std::fs::write(&path, [bytes.clone(), vec![b'\n'; number + 1]].concat()).unwrap();
        let mut job = one.clone();
        job.job = format!("job-{number}");
        job.tenant = format!("tenant-{}", number % 5);
        job.source.key = path.to_str().unwrap().to_owned();
        job
    };
    (0..lazaret::breaker::LEAST).map(other).collect()
}

async fn states(worker: &Worker) -> Vec<State> {
    let entries = worker.ledger.entries(&lazaret::ledger::Filter::default()).await;
    entries.unwrap().iter().map(|entry| entry.state).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_what_is_known_to_be_good_fails_too_nobody_stays_convicted() {
    let folder = tempfile::tempdir().unwrap();
    // Limits that somebody set too low: fewer pixels than the control images have.
    let limits = Limits {
        pixels: 4000,
        ..little_time()
    };
    let worker = worker_within(folder.path(), this_program(), limits).await;
    // 81 pixels, whose headers cost more than headers may.
    let mut slow = rising(folder.path(), "hostile/cpu/namespaces.svg");
    let last = slow.pop().unwrap();
    for upload in &slow {
        let convicted = (Status::Quarantined, Some(Reason::Cpu), false);
        assert_eq!(ended(worker.settle(upload, None).await), convicted);
    }
    assert_eq!(worker.vitals.readiness.why_not(), None);
    let step = worker.settle(&last, None).await;
    assert!(matches!(step, Step::Retry(Retry::Attempt(_))), "{step:?}");
    assert!(worker.vitals.readiness.why_not().is_some(), "it takes no more work");
    let states = states(&worker).await;
    assert_eq!(
        states,
        vec![State::Released; slow.len()],
        "and the last one was never held"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_of_many_tenants_do_not_open_the_breaker() {
    let folder = tempfile::tempdir().unwrap();
    let worker = worker_within(folder.path(), this_program(), little_time()).await;
    for bomb in rising(folder.path(), SLOW) {
        let convicted = (Status::Quarantined, Some(Reason::Cpu), false);
        assert_eq!(ended(worker.settle(&bomb, None).await), convicted);
    }
    assert_eq!(worker.vitals.readiness.why_not(), None);
    assert_eq!(states(&worker).await, vec![State::Quarantined; lazaret::breaker::LEAST]);
}
