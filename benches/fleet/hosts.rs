//! Four hosts with networks of their own, one PostgreSQL, one RabbitMQ, buckets, two epochs, and whatever befalls them: nothing is lost, nobody is
//! blamed, and nothing is left behind. As root; the networks are name spaces of the kernel, and end with this process.

mod app;
pub mod books;
mod faults;
mod host;
mod net;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::chaos::plan::{Mix, Plan};
use super::client::Wish;
use super::figures::{Figures, seconds};
use super::node::{Node, Vhost};
use super::options::Options;
use super::postgres::{Database, Server};
use super::s3::{BUCKET, S3};

use app::App;
use books::Books;
use faults::{Fault, Stores, Stroke};
use host::Host;
use net::CENTRE;

/// Longest wait for the last results: a job that a full disk or a database turned away more than once waits for ten minutes.
const PATIENCE: Duration = Duration::from_secs(1200);
/// Longest wait for connections of hosts that were cut off to be given up.
const GIVEN_UP: Duration = Duration::from_secs(60);
/// The store of uploads that is in a bucket, where others are in a folder.
const HARBOUR: &str = "harbour";
/// Who the workers are in PostgreSQL: nobody special.
const ROLE: &str = "host";

/// The servers, and the disk that the hosts share.
struct Site {
    node: Arc<Node>,
    server: Arc<Server>,
    buckets: Arc<Mutex<S3>>,
    stores: Stores,
    folder: PathBuf,
}

type Hosts = Arc<Vec<Mutex<Host>>>;
/// How often each fault befell.
type Tally = BTreeMap<Fault, usize>;

/// Runs it; how many promises are broken.
pub async fn run(options: &Options) -> usize {
    if !net::is_inside() {
        return net::enter();
    }
    let (jobs, minutes, seed) = (
        options.get("jobs", 20_000),
        options.get("minutes", 15),
        options.get("seed", 1),
    );
    let (hosts, tenants): (usize, usize) = (options.get("hosts", 4), options.get("tenants", 50));
    let stores = options.get("stores", Stores::Both);
    let whole = Duration::from_secs(minutes * 60);
    net::lay_out();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let site = Site::build(folder.path(), stores);
    let vhost = site.node.vhost("hosts");
    let database = site.database().await;
    let mix = Mix {
        jobs,
        tenants,
        bombs: 60,
    };
    let mut plan = Plan::new(&site.folder.join("uploads"), &mix);
    site.ship(&mut plan);
    // A tenth more makes an epoch.
    let configurations = ["300ms", "330ms"].map(|cpu| site.configuration(&vhost, &database, cpu));
    let clock = clock(&site.folder);
    let host = |number| Mutex::new(Host::new(&site.folder, number, &configurations, &clock));
    let hosts: Hosts = Arc::new((1..=hosts).map(host).collect());
    let app = App::open(&vhost.amqp().replacen("worker-", "operator-", 1)).await;
    println!("hosts: {jobs} jobs of {tenants} tenants, {minutes} minutes of trouble, stores {stores:?}, seed {seed}");

    let keeper = tokio::spawn(keep(Arc::clone(&hosts)));
    // The last jobs come in while something still befalls.
    let (on_hosts, on_servers) = (
        faults::of_hosts(seed, hosts.len(), whole),
        faults::of_servers(seed, hosts.len(), stores, whole),
    );
    let (_, of_hosts, of_servers) = tokio::join!(
        app.publish(&plan.wishes, whole.mul_f64(0.9)),
        befall_hosts(&hosts, &on_hosts),
        befall_servers(&site, &database, &on_servers),
    );
    let trouble = app.clock.elapsed();
    let answered = app.answers.reach(plan.ids.len(), PATIENCE).await;
    let took = app.clock.elapsed();
    keeper.abort();
    let _ = keeper.await;
    let hosts = Arc::into_inner(hosts)
        .unwrap()
        .into_iter()
        .map(|host| host.into_inner().unwrap());
    let (mut starts, mut logs) = (0, String::new());
    for host in hosts {
        starts += host.starts;
        logs += &host.log();
        host.stop().await;
    }

    let mut figures = Figures::of(&format!("hosts: {jobs} jobs, seed {seed}"));
    for (fault, count) in of_hosts.into_iter().chain(of_servers) {
        figures.show(&format!("{fault:?}"), count);
    }
    figures.show("workers started", starts);
    figures.show(
        "outcomes that came too late",
        logs.matches("taken for lost meanwhile").count(),
    );
    let put_off = |word: &str| {
        let lines = logs.lines().filter(|line| line.contains("tried again later"));
        lines.filter(|line| line.contains(word)).count()
    };
    for (what, word) in [
        ("jobs put off for a store", "store: "),
        ("for a bucket that was busy", "SlowDown"),
        ("for credentials that had expired", "ExpiredToken"),
    ] {
        figures.show(what, put_off(word));
    }
    figures.show("trouble", seconds(trouble));
    figures.show("until the last result", seconds(took));
    figures.promise("all answered", answered, "true", answered);
    plan.judge(&mut figures, &app.answers.so_far());
    judge(&mut figures, &plan, &database, &vhost).await;
    unmount(&site.folder);
    figures.broken()
}

impl Site {
    /// Starts the servers, and makes the hosts' shared disk: small, and in memory.
    fn build(folder: &Path, stores: Stores) -> Self {
        for shared in ["uploads", "disk", "buckets"] {
            fs::create_dir(folder.join(shared)).unwrap();
        }
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=512m", "lazaret"])
            .arg(folder.join("disk"));
        assert!(mount.status().unwrap().success(), "a file system in memory");
        Self {
            node: Arc::new(Node::start_at("0.0.0.0")),
            server: Arc::new(Server::start(&["listen_addresses = '*'", "fsync = on"])),
            buckets: Arc::new(Mutex::new(S3::start_as(
                &CENTRE.to_string(),
                &folder.join("buckets"),
                &[BUCKET],
            ))),
            stores,
            folder: folder.to_owned(),
        }
    }

    /// A database that the hosts may use.
    async fn database(&self) -> Database<'_> {
        let access = self.server.folder().join("data/pg_hba.conf");
        let mut access = fs::OpenOptions::new().append(true).open(access).unwrap();
        writeln!(access, "host all all {CENTRE}/24 scram-sha-256").unwrap();
        let database = self.server.database().await;
        let sql = format!(
            "CREATE ROLE {ROLE} LOGIN PASSWORD 'secret'; ALTER DATABASE {} OWNER TO {ROLE}; SELECT pg_reload_conf()",
            database.name
        );
        self.server.execute("postgres", &sql).await;
        database
    }

    /// Puts uploads where the stores have them: those of every other tenant into a bucket, or all.
    fn ship(&self, plan: &mut Plan) {
        let is_odd = |tenant: &str| tenant.ends_with(['1', '3', '5', '7', '9']);
        let mut keys = BTreeSet::new();
        for wish in &mut plan.wishes {
            match self.stores {
                Stores::Both if is_odd(&wish.tenant) => wish.store = HARBOUR,
                Stores::Buckets => {}
                Stores::Both | Stores::Folders => continue,
            }
            keys.insert(wish.key.clone());
        }
        let bucket = self.folder.join("buckets");
        for key in keys {
            let object = bucket.join(S3::kept(&format!("uploads/{key}")));
            fs::create_dir_all(object.parent().unwrap()).unwrap();
            fs::hard_link(self.folder.join("uploads").join(key), object).unwrap();
        }
    }

    /// All stores, as each host has them.
    fn stores(&self) -> String {
        let folder = |name: &str, path: &str| format!("{name} = \"file:../{path}\"\n");
        let buckets = self.buckets.lock().unwrap();
        let bucket = |name: &str, prefix: &str| format!("{name} = {}\n", buckets.store(prefix));
        let (renditions, specimens) = ("renditions", "specimens");
        match self.stores {
            Stores::Folders => [
                folder("uploads", "uploads"),
                folder(renditions, "disk/renditions"),
                folder(specimens, "disk/specimens"),
            ]
            .concat(),
            Stores::Buckets => ["uploads", renditions, specimens]
                .map(|name| bucket(name, name))
                .concat(),
            Stores::Both => [
                folder("uploads", "uploads"),
                bucket(HARBOUR, "uploads"),
                bucket(renditions, renditions),
                folder(specimens, "disk/specimens"),
            ]
            .concat(),
        }
    }

    /// Of each host, below the site's folder, with this much CPU time for an upload.
    fn configuration(&self, vhost: &Vhost<'_>, database: &Database<'_>, cpu: &str) -> String {
        let there = |address: String| address.replace("127.0.0.1", &CENTRE.to_string());
        format!(
            "broker = \"{}\"\nledger = \"{}\"\n\
             [stores]\n{}\
             [amqp]\nmanagement = \"{}\"\nheartbeat = \"5s\"\n\
             [limits]\ncpu_base = \"{cpu}\"\ncpu_per_megapixel = \"20ms\"\n\
             [worker]\nslots = 2\n[tenants.default]\njobs_per_minute = 0\n",
            there(vhost.amqp()),
            there(database.url_of(&format!("{ROLE}:secret"), "disable")),
            self.stores(),
            there(vhost.management()),
        )
    }
}

/// What supervisors do.
async fn keep(hosts: Hosts) {
    loop {
        sleep(Duration::from_secs(1)).await;
        for host in hosts.iter() {
            host.lock().unwrap().keep();
        }
    }
}

async fn befall_hosts(hosts: &Hosts, strokes: &[Stroke]) -> Tally {
    let mut tally = Tally::new();
    for stroke in strokes {
        sleep(stroke.after).await;
        *tally.entry(stroke.fault).or_default() += 1;
        let host = match stroke.fault {
            // The other epoch is that of the last two at most, so that the usual one goes on.
            Fault::WorkerUpgraded => hosts.len() - 1 - stroke.host % 2.min(hosts.len()),
            _ => stroke.host,
        };
        let with = |action: fn(&mut Host)| action(&mut hosts[host].lock().unwrap());
        let [begin, end]: [fn(&mut Host); 2] = match stroke.fault {
            Fault::WorkerKilled => [Host::kill, |_| ()],
            Fault::HostPoweredOff => [Host::power_off, Host::power_on],
            Fault::WorkerUpgraded => [Host::upgrade, Host::downgrade],
            Fault::ClockMoved if stroke.lasts.as_millis() % 2 == 0 => {
                [|host| host.move_clock(3600), |host| host.move_clock(0)]
            }
            Fault::ClockMoved => [|host| host.move_clock(-3600), |host| host.move_clock(0)],
            _ => [|host| host.cut(), |host| host.mend()],
        };
        with(begin);
        sleep(stroke.lasts).await;
        with(end);
    }
    tally
}

async fn befall_servers(site: &Site, database: &Database<'_>, strokes: &[Stroke]) -> Tally {
    let mut tally = Tally::new();
    for stroke in strokes {
        sleep(stroke.after).await;
        *tally.entry(stroke.fault).or_default() += 1;
        let order = |order: &'static str| {
            let server = Arc::clone(&site.server);
            spawn_blocking(move || server.order(order))
        };
        let up = || {
            let server = Arc::clone(&site.server);
            spawn_blocking(move || server.up())
        };
        let admin = |sql: String| async move { site.server.execute("postgres", &sql).await };
        match stroke.fault {
            Fault::DatabaseFrozen => {
                order("freeze").await.unwrap();
                sleep(stroke.lasts).await;
                order("thaw").await.unwrap();
            }
            Fault::DatabaseRestarted | Fault::DatabaseCrashed => {
                let end = if stroke.fault == Fault::DatabaseCrashed {
                    "kill"
                } else {
                    "stop"
                };
                order(end).await.unwrap();
                sleep(stroke.lasts).await;
                up().await.unwrap();
            }
            Fault::DatabaseReadOnly => {
                for value in ["on", "off"] {
                    admin(format!("ALTER SYSTEM SET default_transaction_read_only = {value}")).await;
                    admin("SELECT pg_reload_conf()".to_owned()).await;
                    sleep(if value == "on" { stroke.lasts } else { Duration::ZERO }).await;
                }
            }
            Fault::DatabaseFull => {
                admin(format!("ALTER ROLE {ROLE} CONNECTION LIMIT 0")).await;
                let name = &database.name;
                admin(format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}' AND datname = '{name}'"))
                    .await;
                sleep(stroke.lasts).await;
                admin(format!("ALTER ROLE {ROLE} CONNECTION LIMIT -1")).await;
            }
            Fault::BrokerRestarted => {
                let node = Arc::clone(&site.node);
                spawn_blocking(move || node.kill()).await.unwrap();
                sleep(stroke.lasts).await;
                let node = Arc::clone(&site.node);
                spawn_blocking(move || node.up()).await.unwrap();
            }
            Fault::BucketsFrozen => {
                site.buckets.lock().unwrap().signal("STOP");
                sleep(stroke.lasts).await;
                site.buckets.lock().unwrap().signal("CONT");
            }
            fault if fault.weather().is_some() => {
                for word in [fault.weather().unwrap(), "fair"] {
                    let buckets = Arc::clone(&site.buckets);
                    spawn_blocking(move || buckets.lock().unwrap().weather(word))
                        .await
                        .unwrap();
                    sleep(if word == "fair" { Duration::ZERO } else { stroke.lasts }).await;
                }
            }
            _ => {
                let filler = site.folder.join("disk/filler");
                let full =
                    fs::File::create(&filler).and_then(|mut file| std::io::copy(&mut std::io::repeat(0), &mut file));
                assert!(full.is_err(), "a disk without an end");
                sleep(stroke.lasts).await;
                fs::remove_file(filler).unwrap();
            }
        }
    }
    tally
}

/// Holds the ledger and the broker against what was sent.
async fn judge(figures: &mut Figures, plan: &Plan, database: &Database<'_>, vhost: &Vhost<'_>) {
    let mut books = Books::open(database).await;
    let (ended, waiting) = books.jobs().await;
    figures.exactly("jobs with a terminal state in the ledger", ended, plan.ids.len());
    figures.exactly("jobs without", waiting, 0);
    let convicted = books.in_states(&["quarantined", "confirmed"]).await;
    let blamed: BTreeSet<_> = convicted.intersection(&plan.innocents).collect();
    figures.exactly("innocents convicted", blamed.len(), 0);
    let sent = plan.wishes.iter().filter(|wish: &&Wish| wish.job.starts_with("bomb-"));
    let sent: BTreeSet<_> = sent.map(|wish| &wish.key).collect();
    figures.exactly(
        "bombs convicted",
        convicted.intersection(&plan.bombs).count(),
        sent.len(),
    );
    let (most, outcomes) = books.most_attempts(&plan.bombs).await;
    figures.promise("most attempts on one bomb in one epoch", most, "at most 3", most <= 3);
    figures.show("what became of them", outcomes);
    let (epochs, anew) = (books.epochs().await, books.tried_anew().await);
    figures.show(
        "epochs, attempts on the convicted of another",
        format!("{epochs}, {anew}"),
    );
    let (most, _) = books.most_attempts(&plan.innocents).await;
    figures.show("most attempts on one innocent", most);
    let lost = books
        .count("SELECT count(*) FROM lazaret.attempts WHERE outcome = 'lost'")
        .await;
    figures.show("attempts lost with a worker", lost);

    // A host that was cut off has left connections behind, which its own death cannot end.
    let mut waited = Duration::ZERO;
    let mut left = (usize::MAX, usize::MAX, u64::MAX);
    while left != (0, 0, 0) && waited < GIVEN_UP {
        sleep(Duration::from_secs(1)).await;
        waited += Duration::from_secs(1);
        left = (books.sessions().await, connections(vhost), messages(vhost));
    }
    figures.exactly("sessions of PostgreSQL left behind", left.0, 0);
    figures.exactly("connections to RabbitMQ left behind", left.1, 0);
    figures.exactly("messages left in lanes, retries, sidelines", left.2 as usize, 0);
}

/// Workers' connections.
fn connections(vhost: &Vhost<'_>) -> usize {
    let all = vhost.node.call("GET", "connections", None);
    let all = all.as_array().unwrap().iter();
    all.filter(|one| one["user"].as_str().is_some_and(|user| user.starts_with("worker-")))
        .count()
}

/// Messages of workers' queues, ready and unacknowledged.
fn messages(vhost: &Vhost<'_>) -> u64 {
    let queues = vhost.call("GET", "queues", "", None);
    let queues = queues.as_array().unwrap().iter();
    let parts = ["lazaret.jobs", "lazaret.retry", "lazaret.side"];
    let ours = queues.filter(|queue| {
        parts
            .iter()
            .any(|part| queue["name"].as_str().unwrap().starts_with(part))
    });
    ours.map(|queue| queue["messages"].as_u64().unwrap_or(0)).sum()
}

/// A library that moves a worker's time of day.
fn clock(folder: &Path) -> PathBuf {
    let library = folder.join("clock.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rabbit/clock.c");
    let mut compile = Command::new("cc");
    let compile = compile.args(["-shared", "-fPIC", source, "-o"]).arg(&library).status();
    assert!(compile.unwrap().success());
    library
}

/// So that the folder can be removed.
fn unmount(folder: &Path) {
    let status = Command::new("umount").arg("--lazy").arg(folder.join("disk")).status();
    assert!(status.unwrap().success());
}
