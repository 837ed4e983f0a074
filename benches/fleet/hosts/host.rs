//! A host: a worker in a network of its own, and a supervisor that starts it again, with the limits of one epoch or those of another.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::sleep;

use super::super::s3;
use super::net::Cable;

/// What a worker is started with.
const USUAL: &str = "lazaret.toml";
/// The same, under other limits.
const OTHER: &str = "other.toml";

/// A host; ends with its value.
pub struct Host {
    cable: Cable,
    folder: PathBuf,
    clock: PathBuf,
    worker: Option<Child>,
    off: bool,
    /// What the next worker is started with.
    configuration: &'static str,
    /// How many workers were started on it.
    pub starts: usize,
}

impl Host {
    /// A host below `site`, whose worker has the first of these configurations, or for a while the other.
    pub fn new(site: &Path, number: usize, configurations: &[String; 2], clock: &Path) -> Self {
        let folder = site.join(format!("host-{number}"));
        fs::create_dir(&folder).unwrap();
        for (name, text) in [USUAL, OTHER].iter().zip(configurations) {
            fs::write(folder.join(name), text).unwrap();
        }
        let mut host = Self {
            cable: Cable::lay(number),
            folder,
            clock: clock.to_owned(),
            worker: None,
            off: false,
            configuration: USUAL,
            starts: 0,
        };
        host.move_clock(0);
        host.start();
        host
    }

    /// What its workers have written.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// What a supervisor does: starts a worker where the last one has ended.
    pub fn keep(&mut self) {
        let ended = |worker: &mut Child| worker.try_wait().unwrap().is_some();
        if !self.off && self.worker.as_mut().is_none_or(ended) {
            self.start();
        }
    }

    /// SIGKILL to the worker.
    pub fn kill(&mut self) {
        if let Some(mut worker) = self.worker.take() {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }

    /// Nothing passes between it and the rest any more.
    pub fn cut(&self) {
        self.cable.cut();
    }

    /// All passes again.
    pub fn mend(&self) {
        self.cable.mend();
    }

    /// The network is gone, and every process of the worker; nobody outside is told.
    pub fn power_off(&mut self) {
        self.off = true;
        self.cable.cut();
        let Some(worker) = &self.worker else { return };
        let doomed = descendants(worker.id());
        self.kill();
        for process in doomed {
            // It may have ended with its worker.
            let _ = Command::new("kill")
                .args(["-9", &process.to_string()])
                .stderr(Stdio::null())
                .status();
        }
    }

    /// It is there again; its worker is started.
    pub fn power_on(&mut self) {
        self.off = false;
        self.cable.mend();
    }

    /// Its worker drains; the next one has the other limits.
    pub fn upgrade(&mut self) {
        self.replace_with(OTHER);
    }

    /// Its worker drains; the next one has the usual limits.
    pub fn downgrade(&mut self) {
        self.replace_with(USUAL);
    }

    fn replace_with(&mut self, configuration: &'static str) {
        self.configuration = configuration;
        if let Some(worker) = &self.worker {
            terminate(worker);
        }
    }

    /// Moves its time of day by as many seconds.
    pub fn move_clock(&self, seconds: i64) {
        fs::write(self.folder.join("clock"), seconds.to_string()).unwrap();
    }

    /// SIGTERM, and waits for its end.
    pub async fn stop(mut self) {
        let Some(mut worker) = self.worker.take() else { return };
        terminate(&worker);
        while worker.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn start(&mut self) {
        let mut log = fs::OpenOptions::new();
        let log = log.create(true).append(true).open(self.folder.join("log")).unwrap();
        let mut command = self.cable.command(env!("CARGO_BIN_EXE_lazaret"));
        command
            .args(["serve", "--config", self.configuration])
            .current_dir(&self.folder);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LAZARET_ADMIN", "off")
            .envs(s3::ACCOUNT)
            .env("LD_PRELOAD", &self.clock)
            .env("CLOCK_MOVED_BY", self.folder.join("clock"))
            .stderr(log);
        self.worker = Some(command.spawn().unwrap());
        self.starts += 1;
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
    }
}

/// SIGTERM, where it has not ended.
fn terminate(worker: &Child) {
    let mut kill = Command::new("kill");
    let _ = kill.arg(worker.id().to_string()).stderr(Stdio::null()).status();
}

/// All processes that come from this one.
fn descendants(of: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A name may hold anything, also spaces and parentheses: what follows the last one is read.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
        parents.extend(parent.map(|parent: u32| (pid, parent)));
    }
    let mut found = vec![of];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|pair| pair.1 == parent).map(|pair| pair.0));
        next += 1;
    }
    found.split_off(1)
}
