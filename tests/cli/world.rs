//! A folder of its own for each test, and the program run in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest wait for something that must happen; generous, because machines are shared.
const PATIENCE: Duration = Duration::from_secs(300);

/// Limits under which a slow file runs for seconds of CPU without tripping, held or not, and a drain that waits for it.
pub const SLOW: [(&str, &str); 4] = [
    ("LAZARET_LIMITS_CPU_BASE", "60s"),
    ("LAZARET_LIMITS_CPU", "60s"),
    ("LAZARET_LIMITS_PREFLIGHT_WALL", "2m"),
    ("LAZARET_WORKER_DRAIN", "5m"),
];

pub struct World {
    folder: tempfile::TempDir,
}

/// A process that does not outlive its test.
pub struct Running(pub Child);

/// A child that stands still, until this is dropped.
pub struct Held(String);

impl World {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file, whole at once: a running service never sees half a message or half a configuration.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(".whole"), content).unwrap();
        fs::rename(self.path(".whole"), self.path(name)).unwrap();
        self.path(name)
    }

    /// The program, with state in this world and none of the caller's settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lazaret"));
        command.args(arguments).current_dir(self.folder.path());
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            // Many run at once; those that shall listen say where.
            .env("LAZARET_ADMIN", "off")
            .env("LAZARET_STATE", self.path("state"));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs, and reads one JSON object per line.
    pub fn json(&self, arguments: &[&str]) -> Vec<Value> {
        lines(&self.run(arguments))
    }

    pub fn start(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Running {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied()).stdout(Stdio::piped());
        command.stderr(fs::File::create(self.path("stderr")).unwrap());
        Running(command.spawn().unwrap())
    }

    /// A service with this configuration; returns when it takes work.
    pub fn serve(&self, environment: &[(&str, &str)]) -> Running {
        self.serve_by(self.command(&[]), &self.config(), environment)
    }

    /// The same with another configuration.
    pub fn serve_with(&self, config: &Path, environment: &[(&str, &str)]) -> Running {
        self.serve_by(self.command(&[]), config, environment)
    }

    /// The same, listening where the configuration says.
    pub fn serve_as_configured(&self, environment: &[(&str, &str)]) -> Running {
        let mut command = self.command(&[]);
        command.env_remove("LAZARET_ADMIN");
        self.serve_by(command, &self.config(), environment)
    }

    fn serve_by(&self, mut command: Command, config: &Path, environment: &[(&str, &str)]) -> Running {
        fs::create_dir_all(self.path("uploads")).unwrap();
        command.args(["serve", "--config", config.to_str().unwrap()]);
        command.env_remove("LAZARET_STATE").envs(environment.iter().copied());
        let log = self.path(&format!(
            "serve-{}.log",
            fs::read_dir(self.folder.path()).unwrap().count()
        ));
        command.stderr(fs::File::create(&log).unwrap());
        let running = Running(command.spawn().unwrap());
        wait_for("the service to be ready", || {
            fs::read_to_string(&log).unwrap().contains("ready")
        });
        running
    }

    pub fn config(&self) -> PathBuf {
        let path = self.path("lazaret.toml");
        if !path.exists() {
            fs::write(
                &path,
                "broker = \"spool:./spool\"\nledger = \"sqlite:./state/ledger.sqlite\"\n",
            )
            .unwrap();
        }
        path
    }

    pub fn submit(&self, arguments: &[&str]) -> Output {
        let config = self.config();
        let mut all = vec!["submit", "--config", config.to_str().unwrap()];
        all.extend(arguments);
        self.command(&all).env_remove("LAZARET_STATE").output().unwrap()
    }

    /// How many files are in a folder of the spool, not counting a worker's own.
    pub fn count(&self, folder: &str) -> usize {
        fs::read_dir(self.path(folder)).map_or(0, Iterator::count)
    }

    /// Waits until this process has recorded so many attempts as in the air.
    pub fn wait_for_attempts(&self, of: &Running, count: usize) {
        self.wait_for_attempts_in("state/flights", of, count);
    }

    /// The same where its flight record lies in another folder.
    pub fn wait_for_attempts_in(&self, flights: &str, of: &Running, count: usize) {
        let mark = format!("-{}-", of.0.id());
        wait_for("attempts in the air", || self.in_the_air(flights, &mark) == count);
    }

    /// Lines in the flight record whose name has the mark of a process.
    fn in_the_air(&self, flights: &str, mark: &str) -> usize {
        let Ok(records) = fs::read_dir(self.path(flights)) else {
            return 0;
        };
        let mut paths = records.map(|entry| entry.unwrap().path());
        let own = paths.find(|path| path.to_str().unwrap().contains(mark));
        own.map_or(0, |path| {
            fs::read_to_string(path).map_or(0, |text| text.lines().count())
        })
    }

    pub fn dossier(&self, digest: &str) -> Value {
        self.json(&["quarantine", "show", digest, "--json"]).remove(0)
    }
}

impl Running {
    pub fn signal(&self, signal: &str) {
        assert!(send(&self.0.id().to_string(), signal));
    }

    /// Stops the child that converts the slow file, so that it is in hand for as long as a test wants. No other uses a second of CPU.
    pub fn hold(&self) -> Held {
        let worker = self.0.id().to_string();
        let mut held = None;
        wait_for("a child to hold", || {
            let listed = Command::new("ps")
                .args(["-o", "pid=,times=", "--ppid", &worker])
                .output();
            let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
            let mut children = listed.lines().filter_map(|line| line.trim().split_once(' '));
            let slow = children.find(|(_, seconds)| seconds.trim().parse::<u64>().is_ok_and(|seconds| seconds >= 1));
            let Some((child, _)) = slow else {
                return false;
            };
            held = (send(child, "-STOP") && is_stopped(child)).then(|| Held(child.to_owned()));
            held.is_some()
        });
        held.unwrap()
    }

    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub fn code(mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }

    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        send(&self.0, "-CONT");
    }
}

/// Not where it has ended meanwhile.
fn is_stopped(process: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    state.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

fn send(process: &str, signal: &str) -> bool {
    Command::new("kill").args([signal, process]).status().unwrap().success()
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    assert!(path.exists(), "{}", path.display());
    path.to_str().unwrap().to_owned()
}

pub fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[allow(clippy::disallowed_methods, reason = "a test waits for processes of its own")]
pub fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let since = Instant::now();
    while !happened() {
        assert!(since.elapsed() < PATIENCE, "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(10));
    }
}
