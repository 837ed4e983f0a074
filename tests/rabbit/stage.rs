//! Workers, uploads and a virtual host of one test.

use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

use super::client::Client;
use super::node::{Node, Vhost};
use super::world::*;

/// A small photo that converts.
pub const PHOTO: &str = "valid/photos/retina_alpha.png";
/// An upload that trips its CPU limit within a second.
pub const BOMB: &str = "hostile/cpu/tiff_wide_tiles.tiff";
/// An upload that trips it later; under [`SLOW`] it runs for seconds, and converts.
pub const SLOW_FILE: &str = "hostile/cpu/tiff_slow_tiles.tiff";

/// A virtual host with the topology, stores, and a ledger that all workers started here share.
pub struct Stage<'a> {
    pub world: World,
    pub vhost: Vhost<'a>,
    pub client: Client,
}

/// An upload that changes whenever it is read, which is its store's fault; until this is dropped.
pub struct Restless {
    over: Arc<AtomicBool>,
    changes: Option<thread::JoinHandle<()>>,
}

impl Drop for Restless {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        self.changes.take().unwrap().join().unwrap();
    }
}

/// A worker.
pub struct Worker {
    pub process: Running,
    log: PathBuf,
}

impl Stage<'static> {
    /// A stage on the shared node.
    pub fn new(name: &str) -> Self {
        Self::on(Node::shared(), name)
    }
}

impl<'a> Stage<'a> {
    /// A stage on a node.
    pub fn on(node: &'a Node, name: &str) -> Self {
        let vhost = node.vhost(name);
        let world = World::new();
        world.write("lazaret.toml", vhost.configuration());
        fs::create_dir_all(world.path("uploads")).unwrap();
        let client = Client::hearing(&vhost);
        Self { world, vhost, client }
    }

    /// Has all workers started from now on reach the broker through this address.
    pub fn through(&self, broker: &str, more: &str) {
        let configuration = self.vhost.configuration_with(broker, &self.vhost.management());
        self.world.write("lazaret.toml", format!("{configuration}{more}"));
    }

    /// Puts a fixture into the store, under its own name.
    pub fn upload(&self, fixtures: &[&str]) {
        for name in fixtures {
            self.put(name, &fs::read(fixture(name)).unwrap());
        }
    }

    /// Puts bytes into the store.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        self.world.write(&format!("uploads/{key}"), bytes);
    }

    /// Puts an upload into the store that changes whenever it is read.
    pub fn restless(&self, key: &str) -> Restless {
        self.put(key, &vec![0; 16 << 20]);
        let file = fs::File::open(self.world.path("uploads").join(key)).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let changes = thread::spawn(move || {
            let mut time = SystemTime::UNIX_EPOCH;
            while !told.load(Ordering::SeqCst) {
                time += Duration::from_millis(1);
                file.set_modified(time).unwrap();
                thread::sleep(Duration::from_micros(200));
            }
        });
        Restless {
            over,
            changes: Some(changes),
        }
    }

    /// Changes the ledger behind everybody's back.
    pub fn sql(&self, statement: &'static str) {
        self.on_ledger(async |connection| sqlx::raw_sql(statement).execute(connection).await.map(drop));
    }

    /// A number from the ledger.
    pub fn count(&self, query: &'static str) -> i64 {
        self.on_ledger(async |connection| sqlx::query_scalar(query).fetch_one(connection).await)
    }

    fn on_ledger<T>(&self, work: impl AsyncFnOnce(&mut SqliteConnection) -> sqlx::Result<T>) -> T {
        let ledger = format!("sqlite:{}", self.world.path("state/ledger.sqlite").display());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut connection = SqliteConnection::connect(&ledger).await.unwrap();
            let done = work(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            done
        })
    }

    /// A worker; returns when it takes work.
    pub fn serve(&self, environment: &[(&str, &str)]) -> Worker {
        let worker = self.start(environment);
        worker.wait_log("ready");
        worker
    }

    /// A worker, whatever becomes of it.
    pub fn start(&self, environment: &[(&str, &str)]) -> Worker {
        let config = self.world.config();
        let mut command = self.world.command(&["serve", "--config", config.to_str().unwrap()]);
        command.env_remove("LAZARET_STATE").envs(environment.iter().copied());
        let number = fs::read_dir(self.world.path(".")).unwrap().count();
        let log = self.world.path(&format!("serve-{number}.log"));
        command.stderr(fs::File::create(&log).unwrap());
        Worker {
            process: Running(command.spawn().unwrap()),
            log,
        }
    }

    /// `lazaret tenant …`, or another command that takes a configuration; must end well.
    pub fn well(&self, arguments: &[&str]) -> Output {
        let config = self.world.config();
        let mut command = self.world.command(arguments);
        command.env_remove("LAZARET_STATE").env("LAZARET_CONFIG", config);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        output
    }

    /// What `lazaret tenant show` says.
    pub fn tenant(&self, name: &str) -> Value {
        lines(&self.well(&["tenant", "show", name, "--json"])).remove(0)
    }

    /// Every entry of the quarantine list, with its attempts.
    pub fn quarantined(&self) -> Vec<Value> {
        let entries = lines(&self.well(&["quarantine", "list", "--json"]));
        let show = |entry: Value| {
            let digest = entry["digest"].as_str().unwrap().to_owned();
            lines(&self.well(&["quarantine", "show", &digest, "--json"])).remove(0)
        };
        entries.into_iter().map(show).collect()
    }

    /// Waits until copies that were put off have come back too, ends workers in order, and asserts that no queue of jobs has anything
    /// left: all was acknowledged. A drain gives back what has not begun, a second delivery of an answered job too: the next worker
    /// has it then.
    pub fn ends_empty(&self, workers: impl IntoIterator<Item = Worker>) {
        self.client.wait_ready(0);
        for worker in workers {
            worker.drain();
        }
        for round in 0..3 {
            if self.client.ready_in_all() == 0 {
                return;
            }
            let next = self.serve(&[]);
            self.client.wait_ready(0);
            // It comes after all that was there, and is answered after most of it.
            let last = format!("after-all-{round}");
            self.client.publish("bulk", &job(&last, "nobody", "no-such-file"));
            self.client.answer(&last);
            next.drain();
        }
        assert_eq!(self.client.ready_in_all(), 0, "messages that no worker acknowledges");
    }
}

impl Worker {
    /// Waits until it has ended, and gives its exit code.
    pub fn code(&mut self) -> Option<i32> {
        self.process.0.wait().unwrap().code()
    }

    /// Ends it in order.
    fn drain(mut self) {
        self.process.signal("-TERM");
        assert_eq!(self.code(), Some(0));
    }

    /// As a power cut would.
    pub fn kill(mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has written something.
    pub fn wait_log(&self, text: &str) {
        let log = &self.log;
        wait_for(&format!("{text:?} in {}", log.display()), || self.log().contains(text));
    }

    /// Waits until it has written something so many times.
    pub fn wait_log_times(&self, text: &str, times: usize) {
        wait_for(&format!("{times} × {text:?}"), || {
            self.log().matches(text).count() >= times
        });
    }
}

/// A job for an upload, with the preset `web`.
pub fn job(id: &str, tenant: &str, key: &str) -> Value {
    json!({ "job": id, "tenant": tenant, "source": { "store": "uploads", "key": key }, "preset": "web",
            "metadata": { "row": 7 } })
}

/// The same with one small rendition, for many jobs.
pub fn small(id: &str, tenant: &str, key: &str) -> Value {
    json!({ "job": id, "tenant": tenant, "source": { "store": "uploads", "key": key },
            "renditions": [{ "name": "t", "format": "jpeg", "width": 16 }] })
}

impl Drop for Worker {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}:\n{}", self.log.display(), self.log());
        }
    }
}
