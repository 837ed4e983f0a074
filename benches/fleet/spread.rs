//! How long a conviction takes to hold elsewhere: an upload is convicted on one worker, and the next one of it is refused by its digest on another.
//!
//! The worker that convicts takes its jobs from a spool of its own. The other one does too, beside SQLite; beside PostgreSQL it takes them from
//! RabbitMQ. A digest that is claimed is refused with nothing fetched: the key that such a job names is nobody's.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use lazaret::broker::Lane;
use lazaret::broker::spool::Spool;
use lazaret::clock::Stopwatch;
use tokio::time::sleep;

use super::client::{Client, Wish, note};
use super::field::Field;
use super::figures::{Figures, percentile};
use super::hosts::books::Books as Rows;
use super::ledger::Ledger;
use super::options::Options;
use super::postgres::{Database, Server};
use super::uploads::{BOMB, digest, fixture, variant};

/// Under these an upload is convicted in a third of a second.
const LIMITS: &str = "[limits]\ncpu_base = \"300ms\"\ncpu_per_megapixel = \"20ms\"\n\
    [worker]\nslots = 2\n[tenants.default]\njobs_per_minute = 0";
/// What was promised: from the event of the one to the event of the other.
const SOON: Duration = Duration::from_secs(1);
/// After so long it does not come any more.
const PATIENCE: Duration = Duration::from_secs(60);
/// What both workers say.
const VERDICT: &str = "quarantined cpu";

/// Runs it; how many promises are broken.
pub async fn run(options: &Options) -> usize {
    let rounds = options.get("rounds", 30);
    let broken = on("sqlite", None, rounds).await;
    let server = Server::start(&["fsync = on"]);
    let database = server.database().await;
    broken + on("postgres", Some(&database), rounds).await
}

/// How the upload comes to the other worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comes {
    /// After the verdict, with its digest.
    Claimed,
    /// After the verdict, to be fetched and hashed.
    Unclaimed,
    /// While it runs: it waits in the ledger.
    Meanwhile,
}

async fn on(name: &str, database: Option<&Database<'_>>, rounds: usize) -> usize {
    let mut field = Field::new(&format!("spread-{name}"), None, "", LIMITS);
    if let Some(database) = database {
        field.environment("LAZARET_LEDGER", &database.url());
    }
    let first = Door::spool(&field, "first");
    let convicts = field.serve_with(&[first.setting()]).await;
    let (second, refuses, books) = match database {
        Some(database) => {
            let refuses = field.serve().await;
            let client = Client::collecting(&field.clients()).await;
            (
                Door::Rabbit(Box::new(client)),
                refuses,
                Books::Postgres(Rows::open(database).await),
            )
        }
        None => {
            let door = Door::spool(&field, "second");
            let refuses = field.serve_with(&[door.setting()]).await;
            let ledger = Ledger::open(&field.path("state/ledger.sqlite")).await;
            (door, refuses, Books::Sqlite(ledger))
        }
    };
    let mut spread = Spread {
        field,
        first,
        second,
        books,
        clock: Stopwatch::start(),
        uploads: 0,
        otherwise: 0,
    };
    let mut times = [Comes::Claimed, Comes::Unclaimed, Comes::Meanwhile].map(|comes| (comes, Vec::new()));
    for _ in 0..rounds {
        for (comes, times) in &mut times {
            times.push(spread.once(*comes).await);
        }
    }
    convicts.stop().await;
    refuses.stop().await;

    let place = match database {
        Some(_) => "PostgreSQL, RabbitMQ",
        None => "SQLite, a spool",
    };
    let mut figures = Figures::of(&format!(
        "spread: {place}, {rounds} rounds, from the verdict on one worker to the refusal on another"
    ));
    for (comes, times) in &mut times {
        let shown = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1e3);
        let what = match comes {
            Comes::Claimed => "sent then, digest claimed",
            Comes::Unclaimed => "sent then, not claimed",
            Comes::Meanwhile => "sent while it ran, and waited",
        };
        figures.show(&format!("{what}, median"), shown(percentile(times, 50)));
        let (worst, name) = (percentile(times, 99), format!("{what}, p99"));
        match comes {
            Comes::Claimed | Comes::Unclaimed => figures.promise(&name, shown(worst), "at most 1 s", worst <= SOON),
            // What waits in the ledger is looked at again every two seconds.
            Comes::Meanwhile => figures.show(&name, shown(worst)),
        }
    }
    figures.exactly("verdicts that were not of its digest", spread.otherwise, 0);
    let attempts = spread.books.attempts().await;
    figures.exactly("attempts on them in all", attempts, spread.uploads);
    figures.broken()
}

struct Spread {
    field: Field,
    first: Door,
    second: Door,
    books: Books,
    clock: Stopwatch,
    uploads: usize,
    /// Jobs that ended otherwise than they should.
    otherwise: usize,
}

impl Spread {
    /// One upload: from its verdict on the one worker to that on the other.
    async fn once(&mut self, comes: Comes) -> Duration {
        let number = self.uploads;
        self.uploads += 1;
        let bomb = variant(&fixture(BOMB), number);
        let key = format!("{number}.tiff");
        self.field.upload(&key, &bomb);
        // A tenant of its own: nobody is on probation.
        let wish = |which: &str, key: &str| Wish::new(format!("{which}-{number}"), &format!("t{number}"), key);
        let copy = match comes {
            Comes::Claimed => Wish {
                claim: Some(digest(&bomb)),
                ..wish("second", "nowhere.tiff")
            },
            Comes::Unclaimed | Comes::Meanwhile => wish("second", &key),
        };
        self.first.put(&wish("first", &key)).await;
        if comes == Comes::Meanwhile {
            while self.books.running().await == 0 {
                sleep(Duration::from_millis(2)).await;
            }
            self.second.put(&copy).await;
        }
        let convicted = self.ends(&format!("first-{number}")).await;
        if comes != Comes::Meanwhile {
            self.second.put(&copy).await;
        }
        let refused = self.ends(&copy.job).await;
        self.otherwise += [&convicted, &refused].iter().filter(|end| end.0 != VERDICT).count();
        refused.1.saturating_sub(convicted.1)
    }

    /// A job's verdict, and when it came. What waited in the ledger is told by whoever adopts it.
    async fn ends(&self, job: &str) -> (String, Duration) {
        let since = self.clock.elapsed();
        loop {
            if let Some(verdict) = self.first.verdict(job).or_else(|| self.second.verdict(job)) {
                return (verdict, self.clock.elapsed());
            }
            assert!(self.clock.elapsed() - since < PATIENCE, "{job} is not answered");
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A way to one worker.
enum Door {
    /// A spool of its own.
    Spool {
        spool: Spool,
        address: String,
        results: PathBuf,
    },
    /// The virtual host's lanes.
    Rabbit(Box<Client>),
}

impl Door {
    fn spool(field: &Field, name: &str) -> Self {
        let folder = field.path(name);
        Self::Spool {
            spool: Spool::open(&folder).unwrap(),
            address: format!("spool:{}", folder.display()),
            results: folder.join("results"),
        }
    }

    /// What a worker at this door is told.
    fn setting(&self) -> (&str, &str) {
        match self {
            Self::Spool { address, .. } => ("LAZARET_BROKER", address),
            Self::Rabbit(_) => panic!("its configuration names it"),
        }
    }

    async fn put(&self, wish: &Wish) {
        match self {
            Self::Spool { spool, .. } => spool.submit(&wish.body(), Lane::Interactive).unwrap(),
            Self::Rabbit(client) => {
                client.publish(std::slice::from_ref(wish)).await;
            }
        }
    }

    /// What was told of a job so far.
    fn verdict(&self, job: &str) -> Option<String> {
        let answer = match self {
            Self::Spool { results, .. } => {
                let mut answers = HashMap::new();
                let event = fs::read(results.join(format!("{job}.json"))).ok()?;
                note(&mut answers, &event, Duration::ZERO);
                answers.remove(job)?
            }
            Self::Rabbit(client) => client.answers.so_far().get(job)?.clone(),
        };
        Some(answer.verdicts.into_iter().collect::<Vec<_>>().join(", "))
    }
}

/// What the ledger says.
enum Books {
    Sqlite(Ledger),
    Postgres(Rows),
}

impl Books {
    async fn running(&mut self) -> usize {
        match self {
            Self::Sqlite(ledger) => ledger.running().await,
            Self::Postgres(rows) => {
                rows.count("SELECT count(*) FROM lazaret.attempts WHERE outcome = 'running'")
                    .await
            }
        }
    }

    async fn attempts(&mut self) -> usize {
        match self {
            Self::Sqlite(ledger) => ledger.attempts_in_all().await,
            Self::Postgres(rows) => rows.count("SELECT count(*) FROM lazaret.attempts").await,
        }
    }
}
