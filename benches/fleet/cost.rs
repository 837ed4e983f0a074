//! What a job costs beside its conversion: CPU time of worker, broker and database, statements, bytes of the database's log.
//!
//! Three kinds of jobs, each as many: uploads that are new, the same uploads again by other jobs, and one that is refused by its digest.

use std::fs;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};

use super::client::{Client, Wish};
use super::field::{Field, Worker};
use super::figures::Figures;
use super::node::Node;
use super::options::Options;
use super::postgres::{Database, Server};
use super::uploads::{BOMB, SLOW_PHOTO, digest, fixture, variant};

/// What the jobs of a kind may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Of PostgreSQL, so that it counts statements and looks after its tables as it does elsewhere.
const SETTINGS: [&str; 4] = [
    "fsync = on",
    "autovacuum = on",
    "shared_preload_libraries = 'pg_stat_statements'",
    "pg_stat_statements.track_utility = off",
];
/// The bomb trips early.
const TABLES: &str = "[limits]\ncpu_base = \"300ms\"\ncpu_per_megapixel = \"20ms\"\n[worker]\nslots = 2\n[tenants.default]\njobs_per_minute = 0";

/// What was used until a moment.
#[derive(Clone, Copy, Default)]
struct Used {
    worker: Duration,
    children: Duration,
    broker: Duration,
    database: Duration,
    statements: i64,
    transactions: i64,
    log: i64,
}

/// Runs it; how many promises are broken.
pub async fn run(options: &Options) -> usize {
    let jobs = options.get("jobs", 400);
    let server = Server::start(&SETTINGS);
    let database = server.database().await;
    let mut sql = database.connect().await;
    database.execute("CREATE EXTENSION pg_stat_statements").await;
    let field = Field::new("cost", None, "", TABLES);
    on_postgres(&field, &database);
    let wishes = |kind: &str, upload: &dyn Fn(usize) -> String| -> Vec<Wish> {
        let wish = |number| {
            Wish::new(
                format!("{kind}-{number}"),
                &format!("t{}", number % 20),
                &upload(number),
            )
        };
        (0..jobs).map(wish).collect()
    };
    let photo = fixture(SLOW_PHOTO);
    for number in 0..jobs {
        field.upload(&format!("{number}.jpg"), &variant(&photo, number));
    }
    field.upload("warm.jpg", &photo);
    let bomb = fixture(BOMB);
    field.upload("bomb.tiff", &bomb);
    let new = wishes("new", &|number| format!("{number}.jpg"));
    let again = wishes("again", &|number| format!("{number}.jpg"));
    let mut listed = wishes("listed", &|_| "bomb.tiff".to_owned());
    for wish in &mut listed {
        wish.claim = Some(digest(&bomb));
    }

    let worker = field.serve().await;
    let client = Client::collecting(&field.clients()).await;
    // Nothing is new any more when it is counted: connections, prepared statements, the bomb's entry.
    let warm = [
        Wish::new("warm".to_owned(), "t0", "warm.jpg"),
        Wish::new("bomb".to_owned(), "t0", "bomb.tiff"),
    ];
    client.publish(&warm).await;
    let mut answered = warm.len();
    assert!(client.answers.reach(answered, PATIENCE).await, "not warm");

    let mut broken = 0;
    for (title, wishes, verdict) in [
        ("new uploads", new, "converted"),
        ("the same again", again, "converted"),
        (
            "refused by the digest that the message claims",
            listed,
            "quarantined cpu",
        ),
    ] {
        let before = used(&server, &mut sql, &worker).await;
        let since = client.publish(&wishes).await[0];
        answered += wishes.len();
        client.answers.reach(answered, PATIENCE).await;
        let after = used(&server, &mut sql, &worker).await;
        let answers = client.answers.so_far().clone();
        let as_wanted = |wish: &&Wish| {
            answers
                .get(&wish.job)
                .is_some_and(|answer| answer.verdicts.iter().eq([verdict]))
        };
        let mut figures = Figures::of(&format!("cost: {jobs} jobs, {title}; of each job"));
        figures.exactly(
            &format!("told {verdict}"),
            wishes.iter().filter(as_wanted).count(),
            jobs,
        );
        let last = wishes
            .iter()
            .filter_map(|wish| Some(answers.get(&wish.job)?.first))
            .max();
        let took = last.unwrap_or_default().saturating_sub(since);
        figures.show("jobs per second", format!("{:.1}", jobs as f64 / took.as_secs_f64()));
        let time = |part: fn(&Used) -> Duration| {
            let time = (part(&after) - part(&before)).as_secs_f64() * 1e3 / jobs as f64;
            format!("{time:.2} ms")
        };
        let count = |part: fn(&Used) -> i64| (part(&after) - part(&before)) as f64 / jobs as f64;
        figures.show("CPU time of children", time(|used| used.children));
        figures.show("CPU time of the worker", time(|used| used.worker));
        figures.show("CPU time of PostgreSQL", time(|used| used.database));
        figures.show("CPU time of RabbitMQ, the web app's side too", time(|used| used.broker));
        figures.show("statements", format!("{:.1}", count(|used| used.statements)));
        figures.show("transactions", format!("{:.1}", count(|used| used.transactions)));
        figures.show(
            "PostgreSQL's log",
            format!("{:.1} KiB", count(|used| used.log) / 1024.0),
        );
        broken += figures.broken();
    }
    worker.stop().await;
    broken
}

/// Has the workers of a field keep their ledger there.
fn on_postgres(field: &Field, database: &Database<'_>) {
    let path = field.path("lazaret.toml");
    let text = fs::read_to_string(&path).unwrap();
    let sqlite = "sqlite:./state/ledger.sqlite";
    assert!(text.contains(sqlite), "{text}");
    fs::write(path, text.replace(sqlite, &database.url())).unwrap();
}

async fn used(server: &Server, sql: &mut PgConnection, worker: &Worker) -> Used {
    let number = "SELECT (SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements WHERE dbid = d.datid AND query NOT LIKE '%pg_stat_%'),
        xact_commit + xact_rollback, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint
        FROM pg_stat_database AS d WHERE datname = current_database()";
    // Its counters are a second old at most.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let row = sqlx::query(AssertSqlSafe(number)).fetch_one(sql).await.unwrap();
    let postmaster = fs::read_to_string(server.folder().join("data/postmaster.pid")).unwrap();
    let broker = times(broker().await).into_iter().sum();
    let [own, reaped] = times(worker.pid());
    Used {
        worker: own,
        children: reaped,
        broker,
        database: family(postmaster.lines().next().unwrap().parse().unwrap()),
        statements: row.get(0),
        transactions: row.get(1),
        log: row.get(2),
    }
}

/// The broker's process. It tells of itself once it has counted, which it does every five seconds.
async fn broker() -> u32 {
    for _ in 0..60 {
        let nodes = Node::shared().call("GET", "nodes", None);
        if let Some(pid) = nodes[0]["os_pid"].as_str() {
            return pid.parse().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("the broker does not tell its process");
}

/// CPU time of a process, and of those that it has reaped.
fn times(pid: u32) -> [Duration; 2] {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A name may hold anything: what follows the last parenthesis is read, from the third field on. A tick is ten milliseconds.
    let fields: Vec<u64> = stat
        .rsplit(") ")
        .next()
        .unwrap()
        .split(' ')
        .map(|field| field.trim().parse().unwrap_or(0))
        .collect();
    let sum = |from: usize| Duration::from_millis(fields.iter().skip(from).take(2).sum::<u64>() * 10);
    [sum(11), sum(13)]
}

/// CPU time of a process, its children that live, and those that it has reaped.
fn family(of: u32) -> Duration {
    let children = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    let children = children.split_whitespace().map(|pid| times(pid.parse().unwrap())[0]);
    times(of).into_iter().chain(children).sum()
}
