//! Where a scenario takes place: a virtual host, a folder, and workers.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::node::{Node, Vhost};

/// Longest wait for a worker to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// A virtual host and a folder of its own.
pub struct Field {
    /// The broker's.
    pub vhost: Vhost<'static>,
    folder: tempfile::TempDir,
    workers: std::sync::atomic::AtomicUsize,
    /// Settings of all its commands, over those of its configuration.
    environment: Vec<(String, String)>,
}

/// A worker; killed with its value.
pub struct Worker {
    process: Child,
    /// What it writes.
    pub log: PathBuf,
}

impl Field {
    /// Where jobs are put in and results collected: by somebody who may make queues.
    pub fn clients(&self) -> String {
        self.vhost.amqp().replacen("worker-", "operator-", 1)
    }

    /// A field with this configuration: `amqp` is what goes into `[amqp]`, `tables` follow. Workers connect to `port`.
    pub fn new(name: &str, port: Option<u16>, amqp: &str, tables: &str) -> Self {
        let node = Node::shared();
        let vhost = node.vhost(name);
        let folder = tempfile::Builder::new().prefix("lazaret-fleet-").tempdir().unwrap();
        let broker = vhost.amqp_through(port.unwrap_or(node.amqp));
        let start = vhost.configuration_with(&broker, &vhost.management());
        fs::write(folder.path().join("lazaret.toml"), format!("{start}{amqp}\n{tables}\n")).unwrap();
        fs::create_dir(folder.path().join("uploads")).unwrap();
        Self {
            vhost,
            folder,
            workers: std::sync::atomic::AtomicUsize::new(0),
            environment: Vec::new(),
        }
    }

    /// Lays a setting over the configuration, for all commands from now on.
    pub fn environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// A path below its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts an upload into the store.
    pub fn upload(&self, key: &str, bytes: &[u8]) {
        fs::write(self.path("uploads").join(key), bytes).unwrap();
    }

    /// Starts a worker; returns when it takes jobs.
    pub async fn serve(&self) -> Worker {
        self.serve_with(&[]).await
    }

    /// The same, with settings of its own.
    pub async fn serve_with(&self, settings: &[(&str, &str)]) -> Worker {
        let worker = self.start_with(settings);
        let mut waited = Duration::ZERO;
        while !fs::read_to_string(&worker.log).unwrap().contains("ready") {
            assert!(
                waited < PATIENCE,
                "not ready:\n{}",
                fs::read_to_string(&worker.log).unwrap()
            );
            sleep(Duration::from_millis(20)).await;
            waited += Duration::from_millis(20);
        }
        worker
    }

    /// Starts a worker, and does not wait for it.
    pub fn start(&self) -> Worker {
        self.start_with(&[])
    }

    fn start_with(&self, settings: &[(&str, &str)]) -> Worker {
        let number = self.workers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let log = self.path(&format!("worker-{number}.log"));
        let mut command = self.command(&["serve"]);
        command.envs(settings.iter().copied());
        command.stderr(fs::File::create(&log).unwrap());
        Worker {
            process: command.spawn().unwrap(),
            log,
        }
    }

    /// Runs a command of the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).stderr(Stdio::piped()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        output
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lazaret"));
        let (first, rest) = arguments.split_first().unwrap();
        command
            .arg(first)
            .arg("--config")
            .arg(self.path("lazaret.toml"))
            .args(rest);
        self.surroundings(&mut command);
        command
    }

    /// Environment and folder of all commands.
    pub fn surroundings<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            // Many workers on one host, and nobody asks them.
            .env("LAZARET_ADMIN", "off")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
    }

    /// Messages of all queues whose name has this in it, ready and unacknowledged, and how often any was delivered again.
    pub fn messages(&self, part: &str) -> (u64, u64) {
        let queues = self.vhost.call("GET", "queues", "", None);
        let queues = queues.as_array().unwrap().iter();
        let counts = queues.filter(|queue| queue["name"].as_str().unwrap().contains(part));
        counts.fold((0, 0), |(messages, again), queue| {
            let number = |value: &Value| value.as_u64().unwrap_or(0);
            (
                messages + number(&queue["messages"]),
                again + number(&queue["message_stats"]["redeliver"]),
            )
        })
    }
}

impl Worker {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// SIGTERM, and waits for its end.
    pub async fn stop(mut self) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        while self.process.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Resident memory, in kibibytes.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(0)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}
