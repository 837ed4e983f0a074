//! What a supervisor gives a worker, held against what the worker needs. `[pure]`, but for what lies below it.
//!
//! In: a [`Given`], as [`cgroup`] and [`systemd`] find it here, or as a file to deploy has it. Out: [`Misfit`]s, each with the way out. A
//! setting that fits one supervisor and not another shows when processes restart, which they all do when load is highest.

pub mod cgroup;
pub mod systemd;

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;

use crate::config::Config;

/// What a worker takes after its drain, to let go of attempts, close its connections, sign off and send its last traces.
pub const SIGNING_OFF: Duration = Duration::from_secs(5);
/// Tasks of a worker beside its slots and processors: threads for files and SQLite, and the drills of a reload.
const TASKS: u64 = 64;

/// Who starts a worker again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// Kubernetes.
    Kubernetes,
    /// systemd, and the unit where it is known.
    Systemd(Option<String>),
    /// Docker, Podman and the like.
    ContainerEngine,
    /// Nobody that is known; the parent's name.
    Unknown(String),
}

/// Whom TERM reaches when the worker is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// The worker.
    Worker,
    /// Its children too.
    Everybody,
}

/// What ends where memory is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oom {
    /// The process that the kernel picks.
    One,
    /// All of the worker.
    All,
}

/// What becomes of a worker that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// It is started again.
    Again,
    /// It stays down.
    Never,
}

/// What a supervisor gives. What is not known is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Who it is.
    pub name: Name,
    /// Time from TERM to KILL.
    pub grace: Option<Duration>,
    /// Memory of worker and children together, in bytes.
    pub memory: Option<u64>,
    /// Processes and threads, together.
    pub tasks: Option<u64>,
    /// Whom TERM reaches.
    pub term: Option<Term>,
    /// What ends where memory is short.
    pub oom: Option<Oom>,
    /// What becomes of a worker that ends.
    pub restart: Option<Restart>,
}

/// What does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// KILL comes before a drain is over.
    Grace {
        /// Time from TERM to KILL.
        given: Duration,
        /// `worker.drain`.
        drain: Duration,
    },
    /// Fewer tasks than a worker has.
    Tasks {
        /// How many are allowed.
        given: u64,
        /// How many may be needed.
        needed: u64,
    },
    /// Children are told to end when the worker drains.
    Term,
    /// One child that the kernel ends takes the worker with it.
    Oom,
    /// Nobody starts the worker again.
    Restart,
}

/// What a misfit is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// To be mended before anything depends on it.
    Wrong,
    /// To be known. Some supervisors cannot be told otherwise.
    Remark,
}

impl Given {
    /// A supervisor of which nothing else is known.
    pub fn by(name: Name) -> Self {
        Self {
            name,
            grace: None,
            memory: None,
            tasks: None,
            term: None,
            oom: None,
            restart: None,
        }
    }

    /// Everything that does not fit a worker under this configuration.
    pub fn misfits(&self, config: &Config) -> Vec<Misfit> {
        let drain = config.worker.drain;
        let grace = self.grace.filter(|given| *given < enough_for(drain));
        let needed = tasks_of(config);
        let tasks = self.tasks.filter(|given| *given < needed);
        let all = [
            grace.map(|given| Misfit::Grace { given, drain }),
            tasks.map(|given| Misfit::Tasks { given, needed }),
            (self.term == Some(Term::Everybody)).then_some(Misfit::Term),
            (self.restart == Some(Restart::Never)).then_some(Misfit::Restart),
            (self.oom == Some(Oom::All)).then_some(Misfit::Oom),
        ];
        all.into_iter().flatten().collect()
    }
}

/// The shortest time from TERM to KILL that a drain fits into.
pub fn enough_for(drain: Duration) -> Duration {
    drain + SIGNING_OFF
}

/// How many processes and threads a worker and its children may be.
fn tasks_of(config: &Config) -> u64 {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    (config.slots() + processors) as u64 + TASKS
}

impl Misfit {
    /// What it is worth.
    pub fn weight(&self) -> Weight {
        match self {
            Self::Grace { .. } | Self::Tasks { .. } | Self::Term | Self::Restart => Weight::Wrong,
            Self::Oom => Weight::Remark,
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |time: Duration| humantime::format_duration(time);
        match self {
            Self::Grace { given, drain } => write!(
                f,
                "KILL comes {} after TERM, worker.drain is {} and signing off may take {}: what runs then is taken for lost; raise \
                 TimeoutStopSec=, stop_grace_period or terminationGracePeriodSeconds, or lower worker.drain",
                time(*given),
                time(*drain),
                time(SIGNING_OFF)
            ),
            Self::Tasks { given, needed } => write!(
                f,
                "{given} tasks are allowed, {needed} may be needed; raise TasksMax=, --pids-limit or pids_limit, or lower worker.slots"
            ),
            Self::Term => f.write_str(
                "TERM reaches children too, and what they convert counts as crashed; set KillMode=mixed",
            ),
            Self::Restart => f.write_str("nobody starts the worker again when it ends; set Restart=always"),
            Self::Oom => f.write_str(
                "where memory is short, one child takes the worker with it, and all that runs becomes suspected; set OOMPolicy=continue, or \
                 singleProcessOOMKill of the kubelet",
            ),
        }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Name::Kubernetes => f.write_str("Kubernetes")?,
            Name::Systemd(None) => f.write_str("systemd")?,
            Name::Systemd(Some(unit)) => write!(f, "systemd, {unit}")?,
            Name::ContainerEngine => f.write_str("a container engine")?,
            Name::Unknown(parent) => write!(f, "none known; started by {parent}")?,
        }
        let known = [
            self.grace
                .map(|time| format!("KILL {} after TERM", humantime::format_duration(time))),
            self.memory.map(|bytes| format!("{} of memory", ByteSize(bytes))),
            self.tasks.map(|count| format!("{count} tasks")),
        ];
        known.into_iter().flatten().try_for_each(|known| write!(f, ", {known}"))
    }
}

#[cfg(test)]
mod tests;
