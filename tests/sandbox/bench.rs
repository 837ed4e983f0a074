//! The bench: a sandbox around the real program, with small limits and room on all sides but the one that is tried.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use bytesize::ByteSize;
use lazaret::admission::Budget;
use lazaret::clock::Stopwatch;
use lazaret::sandbox::control::{IMAGES, recipe, unlinked};
use lazaret::sandbox::drill::Drill;
use lazaret::sandbox::layers::{Layer, Policy};
use lazaret::sandbox::limits::Limits;
use lazaret::sandbox::outcome::{End, KilledFor, Outcome};
use lazaret::sandbox::protocol::{FromChild, Task};
use lazaret::sandbox::{Attempted, Sandbox, Watch};
use lazaret::verdict::{Exceeded, Reason};
use tempfile::TempDir;
use tokio::sync::watch;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_lazaret");
/// How long a test waits for what must come; a failure, not a measurement.
pub const PATIENCE: Duration = Duration::from_secs(50);

/// Set in a test that was started again, in a process of its own.
const AGAIN: &str = "SANDBOX_TEST_AGAIN";

pub struct Bench {
    pub sandbox: Sandbox,
    pub release: watch::Sender<bool>,
    _staging: TempDir,
}

impl Bench {
    /// Every layer, small limits, and more time than any honest child needs on the busiest host.
    pub fn new() -> Self {
        let staging = tempfile::tempdir().unwrap();
        let sandbox = Sandbox {
            program: PathBuf::from(PROGRAM),
            policy: Policy::default(),
            limits: limits(),
            staging: staging.path().to_owned(),
            budget: Budget::new(4 << 30, 0),
            times: 1,
        };
        Self {
            sandbox,
            release: watch::channel(false).0,
            _staging: staging,
        }
    }

    pub fn without(mut self, layers: &[Layer]) -> Self {
        for layer in layers {
            self.sandbox.policy = self.sandbox.policy.without(*layer);
        }
        self
    }

    pub fn limited(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.sandbox.limits);
        self
    }

    pub async fn drill(&self, drill: Drill) -> Attempted {
        self.drill_watched(drill, Watch::Both).await
    }

    pub async fn drill_watched(&self, drill: Drill, watch: Watch) -> Attempted {
        self.attempt(&self.upload(b""), Task::Drill(drill), watch).await
    }

    pub async fn convert_control(&self) -> Attempted {
        self.attempt(&self.upload(IMAGES[0].1), Task::Convert(recipe()), Watch::Both)
            .await
    }

    pub async fn attempt(&self, upload: &File, task: Task, watch: Watch) -> Attempted {
        self.sandbox
            .attempt(upload, task, watch, self.release.subscribe())
            .await
            .unwrap()
    }

    pub fn upload(&self, bytes: &[u8]) -> File {
        unlinked(&self.sandbox.staging, bytes).unwrap()
    }
}

fn limits() -> Limits {
    Limits {
        input: ByteSize::mib(1),
        memory: ByteSize::mib(64),
        cpu_base: Duration::from_secs(10),
        cpu: Duration::from_secs(10),
        wall_base: PATIENCE,
        preflight_wall: PATIENCE,
        admission_wait: PATIENCE,
        output: ByteSize::mib(1),
        ..Limits::default()
    }
}

pub fn ended_by(attempted: &Attempted, signal: i32) -> bool {
    attempted.facts.end == End::Signalled(signal)
}

pub fn killed_for(attempted: &Attempted, why: KilledFor) -> bool {
    attempted.facts.killed_for == Some(why)
}

pub fn escaped(attempted: &Attempted) -> bool {
    matches!(attempted.drilled, Some(FromChild::Escaped(_)))
}

pub fn converted(attempted: &Attempted) -> bool {
    matches!(attempted.outcome, Outcome::Converted(_))
}

/// The limit that tripped, which must be for this reason.
#[track_caller]
pub fn tripped(attempted: &Attempted, reason: Reason) -> &Exceeded {
    match &attempted.outcome {
        Outcome::Tripped(trip) if trip.reason == reason => &trip.exceeded,
        _ => panic!("{reason:?} did not trip: {}", story(attempted)),
    }
}

/// What is worth knowing of an attempt that went otherwise.
pub fn story(attempted: &Attempted) -> String {
    format!(
        "{:?}\n{:?}\n{:?}",
        attempted.outcome, attempted.drilled, attempted.facts
    )
}

/// Whether this is the test again, in a process of its own.
pub fn is_again() -> bool {
    std::env::var_os(AGAIN).is_some()
}

/// Begins a command that runs as a user without rights.
pub const PLAIN_USER: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
/// A name space whose own limit is none: nothing can be made inside, as in a default container. `sh`'s own name follows.
pub const NO_NAME_SPACES: [&str; 6] = [
    "unshare",
    "--map-current-user",
    "--keep-caps",
    "sh",
    "-c",
    "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --ambient-caps=-all --inh-caps=-all \"$@\"",
];

/// The command that runs one test of this program again, in a process of its own, behind `prefix`.
pub fn again<S: AsRef<OsStr>>(test: &str, prefix: &[S]) -> Command {
    let this = std::env::current_exe().unwrap();
    let mut command = match prefix {
        [] => Command::new(&this),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(&this);
            command
        }
    };
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(AGAIN, "1");
    command
}

/// Runs a command off the runtime, and fails where it does not end well.
pub async fn must_succeed(mut command: Command) -> Output {
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    assert!(output.status.success(), "{}", told(&output));
    output
}

/// All that a command said.
pub fn told(output: &Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    format!("{}\n{out}\n{err}", output.status)
}

pub fn is_root() -> bool {
    lazaret::sandbox::sys::effective_user() == 0
}

/// Says why something is left out. To standard error, so that it shows with `--nocapture`.
pub fn skip(why: &str) {
    eprintln!("skipped: {why}");
}

/// The processes that a process has started and not reaped.
pub fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let lists = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let words = lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Fields of /proc/PID/stat after the name: the first one is the state.
pub fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// CPU time of a process, in clock ticks of 10 ms.
pub fn ticks(pid: u32) -> u64 {
    let field = |fields: &[String], at: usize| fields[at].parse::<u64>().unwrap_or(0);
    stat(pid).map_or(0, |fields| field(&fields, 11) + field(&fields, 12))
}

/// A line of /proc/PID/status.
pub fn status(pid: u32, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

/// Whether a process is locked down: the filter is the last layer.
pub fn is_locked_down(pid: u32) -> bool {
    status(pid, "Seccomp") == "2"
}

/// Waits until `sees` gives something.
pub async fn wait_for<T>(what: &str, mut sees: impl FnMut() -> Option<T>) -> T {
    let since = Stopwatch::start();
    loop {
        if let Some(seen) = sees() {
            return seen;
        }
        assert!(since.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A folder that every user may use, with a copy of the program that every user may run.
pub fn open_to_all() -> (TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o1777))
        .tempdir()
        .unwrap();
    // The umask takes rights away from what is made; these are meant.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let program = folder.path().join("lazaret");
    fs::copy(PROGRAM, &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, program)
}

/// A fixture of this repository.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}
