//! What the ledger takes, on SQLite and on PostgreSQL: claims per second by several workers at once, and how large a million digests are.
//!
//! No broker and no child: a claimer claims an upload, has its attempt end, ends its job, and takes the next one. Both stores wait for the disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lazaret::blame::Control;
use lazaret::config::{PostgresAddress, PostgresConfig};
use lazaret::digest::Digest;
use lazaret::format::Format;
use lazaret::ledger::postgres::Postgres;
use lazaret::ledger::sqlite::Sqlite;
use lazaret::ledger::{Attempt, Claim, Claimed, Ending, Epoch, Ledger, Looks, WorkerId};
use lazaret::recipe::RecipeKey;
use lazaret::sandbox::outcome::{Outcome, Usage};
use lazaret::sandbox::protocol::Phase;
use lazaret::verdict::{Notes, Report, Status, Stored};
use serde_json::json;
use sqlx::Row;

use super::figures::{Figures, percentile};
use super::options::Options;
use super::postgres::{Database, Server};

/// Claimers at once in each worker, as a worker of so many slots has them.
const CLAIMERS: usize = 8;
/// Copies that all claim at the same time.
const COPIES: usize = 50;

/// Where a ledger lies.
enum Place {
    File(PathBuf),
    Database(PostgresAddress),
}

/// Numbers of uploads that nobody has claimed yet.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Runs it; how many promises are broken.
pub async fn run(options: &Options) -> usize {
    let workers = options.get("workers", "1,4".to_owned());
    let workers: Vec<usize> = workers.split(',').map(|count| count.parse().unwrap()).collect();
    let time = Duration::from_secs(options.get("seconds", 5));
    let digests = options.get("digests", 100_000);

    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = folder.path().join("ledger.sqlite");
    let mut broken = on("SQLite", &Place::File(file.clone()), &workers, time, digests).await;
    // Closed in order: nothing is left in its log.
    let bytes = file.metadata().unwrap().len();
    size("SQLite", bytes, NEXT.swap(0, Ordering::Relaxed));

    let server = Server::start(&["fsync = on", "autovacuum = on"]);
    let database = server.database().await;
    let place = Place::Database(database.address());
    broken += on("PostgreSQL", &place, &workers, time, digests).await;
    size("PostgreSQL", size_of(&database).await, NEXT.load(Ordering::Relaxed));
    broken
}

async fn on(store: &str, place: &Place, workers: &[usize], time: Duration, digests: usize) -> usize {
    let mut broken = 0;
    for &count in workers {
        let fleet = fleet(place, count).await;
        let mut figures = Figures::of(&format!("claims: {store}, {count} workers, {CLAIMERS} claimers each"));
        let mut claims = for_as_long(&fleet, Until::Time(time)).await;
        let pace = claims.len() as f64 / time.as_secs_f64();
        figures.show("claimed, run and ended per second", format!("{pace:.0}"));
        let median = percentile(&mut claims, 50);
        figures.show("a claim, median", format!("{median:.2?}"));
        figures.show(
            "a claim, 99 of 100 within",
            format!("{:.2?}", percentile(&mut claims, 99)),
        );
        figures.exactly(
            "attempts of one upload, for 50 copies at once",
            at_once(&fleet).await,
            1,
        );
        broken += figures.broken();
        part(fleet).await;
    }
    let fleet = fleet(place, *workers.last().unwrap()).await;
    let _ = for_as_long(&fleet, Until::Digests(digests)).await;
    part(fleet).await;
    broken
}

fn size(store: &str, bytes: u64, digests: usize) {
    let figures = Figures::of(&format!(
        "size: {store}, {digests} digests, each with an attempt, a result of one rendition and a job"
    ));
    figures.show("in all", format!("{} MiB", bytes >> 20));
    let million = bytes as f64 / digests as f64 * 1e6 / f64::from(1 << 20);
    figures.show("a million digests", format!("{million:.0} MiB"));
    let _ = figures.broken();
}

/// Tables and indexes, with what updates have left behind.
async fn size_of(database: &Database<'_>) -> u64 {
    let sql = "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class WHERE relnamespace = 'lazaret'::regnamespace AND relkind = 'r'";
    let row = sqlx::query(sql).fetch_one(&mut database.connect().await).await;
    row.unwrap().get::<i64, _>(0) as u64
}

/// Workers with connections of their own, as processes have them.
async fn fleet(place: &Place, workers: usize) -> Vec<Arc<dyn Ledger>> {
    let mut fleet: Vec<Arc<dyn Ledger>> = Vec::with_capacity(workers);
    for number in 0..workers {
        let ledger: Arc<dyn Ledger> = match place {
            Place::File(path) => Arc::new(Sqlite::open(path).await.unwrap()),
            Place::Database(address) => Arc::new(Postgres::open(address, &PostgresConfig::default()).await.unwrap()),
        };
        ledger.sign_on(&worker(number), "bench", "build-1", &[]).await.unwrap();
        fleet.push(ledger);
    }
    fleet
}

async fn part(fleet: Vec<Arc<dyn Ledger>>) {
    for (number, ledger) in fleet.iter().enumerate() {
        ledger.sign_off(&worker(number)).await.unwrap();
        ledger.close().await;
    }
}

#[derive(Clone, Copy)]
enum Until {
    Time(Duration),
    /// So many have been claimed since the beginning.
    Digests(usize),
}

/// All claimers at work, each with new uploads; how long each claim took.
async fn for_as_long(fleet: &[Arc<dyn Ledger>], until: Until) -> Vec<Duration> {
    let since = Instant::now();
    let claimers = fleet.iter().enumerate().flat_map(|(number, ledger)| {
        (0..CLAIMERS).map(move |_| {
            let ledger = Arc::clone(ledger);
            tokio::spawn(async move {
                let mut times = Vec::new();
                loop {
                    let upload = NEXT.fetch_add(1, Ordering::Relaxed);
                    let begun = Instant::now();
                    let Claimed::Run(attempt) = ledger.claim(&claim(number, upload)).await.unwrap() else {
                        panic!("a new upload may run");
                    };
                    times.push(begun.elapsed());
                    let _ = ledger.settle(&ending(attempt, upload)).await.unwrap();
                    ledger.end(&report(upload)).await.unwrap();
                    let over = match until {
                        Until::Time(time) => since.elapsed() >= time,
                        Until::Digests(digests) => upload >= digests,
                    };
                    if over {
                        return times;
                    }
                }
            })
        })
    });
    let times = join_all(claimers).await.into_iter();
    times.flat_map(|times| times.unwrap()).collect()
}

/// How many of the copies of an upload that are claimed at once may run.
async fn at_once(fleet: &[Arc<dyn Ledger>]) -> usize {
    let upload = NEXT.fetch_add(1, Ordering::Relaxed);
    let claims = (0..COPIES).map(|copy| {
        let number = copy % fleet.len();
        let ledger = Arc::clone(&fleet[number]);
        tokio::spawn(async move {
            match ledger.claim(&claim(number, upload)).await.unwrap() {
                Claimed::Run(attempt) => Some(attempt),
                _ => None,
            }
        })
    });
    let attempts: Vec<Attempt> = join_all(claims).await.into_iter().filter_map(Result::unwrap).collect();
    for attempt in &attempts {
        let _ = fleet[0].settle(&ending(*attempt, upload)).await.unwrap();
    }
    attempts.len()
}

fn worker(number: usize) -> WorkerId {
    WorkerId(format!("worker-{number}"))
}

fn job(upload: usize) -> String {
    format!("0193b2a4-7d0e-7cc1-9f6e-{upload:012x}")
}

fn digest(upload: usize) -> Digest {
    Digest::of(&upload.to_le_bytes())
}

fn claim(number: usize, upload: usize) -> Claim {
    Claim {
        digest: digest(upload),
        recipe: RecipeKey("8d969eef6ecad3c29a3a629280e686cf".to_owned()),
        epoch: Epoch {
            build: "0.1.0".to_owned(),
            limits: "00112233aabbccdd".to_owned(),
        },
        worker: worker(number),
        tenant: format!("tenant-{}", upload % 50),
        name: format!("2026/11/photo-{upload}.jpg"),
        job: job(upload),
        alone: false,
        most_in_flight: None,
        renewals: 2,
    }
}

fn usage() -> Usage {
    Usage {
        cpu_ms: 45,
        wall_ms: 61,
        waited_ms: 1,
        peak_memory_bytes: 24 << 20,
    }
}

fn renditions(upload: usize) -> Vec<Stored> {
    vec![Stored {
        name: "thumb".to_owned(),
        store: "renditions".to_owned(),
        key: format!("{0}/8d969eef6ecad3c29a3a629280e686cf/thumb.webp", digest(upload)),
        format: Format::Webp,
        width: 320,
        height: 320,
        bytes: 18_342,
        sha256: digest(upload + 1),
        quality: Some(80),
        frames: 1,
        url: None,
    }]
}

fn ending(attempt: Attempt, upload: usize) -> Ending {
    Ending {
        attempt,
        outcome: Outcome::Converted(Vec::new()),
        phase: Phase::Encode,
        usage: usage(),
        control: Control::NotRun,
        looks: Looks {
            bytes: 2_400_000,
            format: Some(Format::Jpeg),
            width: Some(4000),
            height: Some(3000),
            frames: Some(1),
            ..Looks::default()
        },
        renditions: renditions(upload),
        specimen: None,
        evidence: json!({}),
    }
}

fn report(upload: usize) -> Report {
    Report {
        job: job(upload),
        tenant: format!("tenant-{}", upload % 50),
        status: Status::Converted,
        reason: None,
        detail: None,
        repeat: false,
        sha256: Some(digest(upload)),
        bytes: Some(2_400_000),
        format: Some(Format::Jpeg),
        width: Some(4000),
        height: Some(3000),
        frames: Some(1),
        placeholder: None,
        info: None,
        renditions: renditions(upload),
        notes: Notes::NONE,
        cpu_ms: Some(45),
        wall_ms: Some(61),
        peak_memory_bytes: Some(24 << 20),
        queued_ms: Some(3),
        worker: "worker-0".to_owned(),
        metadata: json!({ "row": upload }),
    }
}
