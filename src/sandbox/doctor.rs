//! The proof that this host's sandbox holds: every limit tripped, every layer tried, the control images converted.
//!
//! In: a [`Sandbox`] as `serve` would use it. Out: an [`Examination`], one [`Check`] per guard, with evidence. Drills run behind the
//! real layers under small limits, four at a time; a layer that another one hides is tried with that one left out.

use std::io;
use std::time::Duration;

use bytesize::ByteSize;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio::sync::watch;

use crate::admission::Budget;
use crate::sandbox::control::{IMAGES, unlinked};
use crate::sandbox::drill::Drill;
use crate::sandbox::layers::{Held, Layer, LayerReport, Mode};
use crate::sandbox::limits::Limits;
use crate::sandbox::outcome::Outcome;
use crate::sandbox::protocol::{FromChild, Task};
use crate::sandbox::supervise::{Attempted, Sandbox, Watch};
use crate::verdict::Reason;

/// How often a drill is tried whose child was not READY in time.
const TRIES: u32 = 3;

/// What a drill must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Must {
    /// This limit trips.
    Trip(Reason),
    /// The filter kills it.
    Violate,
    /// The call fails with an error, and the child lives.
    Fail,
    /// It counts as a crash, and as nothing worse.
    Crash,
    /// It counts as killed by the host.
    BeKilled,
}

/// One drill, what it proves, and the layers it must be run without to prove that.
struct Exercise {
    guard: &'static str,
    layer: Option<Layer>,
    drill: Drill,
    without: &'static [Layer],
    watch: Watch,
    must: Must,
}

const fn exercise(guard: &'static str, layer: Option<Layer>, drill: Drill, must: Must) -> Exercise {
    Exercise {
        guard,
        layer,
        drill,
        without: &[],
        watch: Watch::Both,
        must,
    }
}

const fn kernel_alone(guard: &'static str, layer: Layer, drill: Drill, must: Must) -> Exercise {
    Exercise {
        watch: Watch::KernelOnly,
        ..exercise(guard, Some(layer), drill, must)
    }
}

const fn behind(without: &'static [Layer], guard: &'static str, layer: Layer, drill: Drill) -> Exercise {
    Exercise {
        without,
        ..exercise(guard, Some(layer), drill, Must::Fail)
    }
}

const EXERCISES: &[Exercise] = &[
    exercise("memory: allocator", None, Drill::Allocate, Must::Trip(Reason::Memory)),
    kernel_alone(
        "memory: kernel",
        Layer::Rlimits,
        Drill::MapMemory,
        Must::Trip(Reason::Memory),
    ),
    exercise("cpu: supervisor", None, Drill::Spin, Must::Trip(Reason::Cpu)),
    kernel_alone("cpu: timer", Layer::Timers, Drill::Spin, Must::Trip(Reason::Cpu)),
    exercise("wall: supervisor", None, Drill::Sleep, Must::Trip(Reason::Wall)),
    kernel_alone("wall: timer", Layer::Timers, Drill::Sleep, Must::Trip(Reason::Wall)),
    exercise(
        "output: kernel",
        Some(Layer::Rlimits),
        Drill::Flood,
        Must::Trip(Reason::Output),
    ),
    exercise(
        "open a file: filter",
        Some(Layer::Seccomp),
        Drill::OpenFile,
        Must::Violate,
    ),
    behind(
        &[Layer::Seccomp],
        "open a file: Landlock",
        Layer::Landlock,
        Drill::OpenFile,
    ),
    exercise("connect: filter", Some(Layer::Seccomp), Drill::Connect, Must::Violate),
    behind(
        &[Layer::Seccomp, Layer::Namespaces],
        "connect: Landlock",
        Layer::Landlock,
        Drill::Connect,
    ),
    behind(
        &[Layer::Seccomp, Layer::Landlock],
        "connect: namespace",
        Layer::Namespaces,
        Drill::Connect,
    ),
    exercise("fork: filter", Some(Layer::Seccomp), Drill::Fork, Must::Violate),
    exercise("exec: filter", Some(Layer::Seccomp), Drill::Exec, Must::Violate),
    exercise("thread: filter", Some(Layer::Seccomp), Drill::Thread, Must::Violate),
    exercise("abort is no attack", None, Drill::Abort, Must::Crash),
    exercise("panic is a crash", None, Drill::Panic, Must::Crash),
    exercise("forged report", None, Drill::ForgeReport, Must::Crash),
    exercise("malformed report", None, Drill::Babble, Must::Crash),
    exercise("report too long", None, Drill::Shout, Must::Crash),
    exercise("killed by the host", None, Drill::KilledByHost, Must::BeKilled),
];

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// The guard holds.
    Held,
    /// It does not.
    NotHeld,
    /// Its layer is not there: refused by the host, or left out by configuration.
    Off,
    /// Nothing to guard here.
    NotApplicable,
}

/// One guard and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What is guarded, and by what.
    pub guard: String,
    /// Whether nothing is converted without it.
    pub required: bool,
    /// What was found.
    pub finding: Finding,
    /// By what it was found.
    pub evidence: String,
    /// What helps, where it does not hold.
    pub remedy: Option<String>,
}

/// All checks of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// Layers first, then limits and drills, then control images.
    pub checks: Vec<Check>,
    /// The layers, as the first control image found them; empty: it never came so far.
    #[serde(skip)]
    pub layers: Vec<LayerReport>,
}

impl Check {
    /// Whether this check forbids taking work.
    pub fn failed(&self) -> bool {
        match self.finding {
            Finding::NotHeld => true,
            Finding::Off => self.required,
            Finding::Held | Finding::NotApplicable => false,
        }
    }
}

impl Examination {
    /// The first check that forbids taking work.
    pub fn failure(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.failed())
    }
}

/// Limits for a drill: the one that it must trip is small, the others leave room, so that a busy host does not look like a missing guard.
fn drill_limits(drill: Drill) -> Limits {
    let moment = Duration::from_millis(100);
    let cpu = if drill == Drill::Spin { moment } else { 20 * moment };
    let (wall_base, preflight_wall) = match drill {
        // Time to come up and time to sleep: behind both, the timer.
        Drill::Sleep => (moment, 10 * moment),
        _ => (200 * moment, 200 * moment),
    };
    Limits {
        input: ByteSize::mib(1),
        memory: ByteSize::mib(64),
        cpu_base: cpu,
        cpu,
        wall_per_cpu: if drill == Drill::Sleep { 0 } else { 1 },
        wall_base,
        preflight_wall,
        admission_wait: moment,
        output: ByteSize::mib(1),
        ..Limits::default()
    }
}

/// Examines a sandbox on this host.
///
/// # Errors
/// Where the staging folder cannot be written to, or no process can be started at all.
pub async fn examine(sandbox: &Sandbox) -> io::Result<Examination> {
    let (_keep, release) = watch::channel(false);
    let mut checks = Vec::new();
    let (_, image) = IMAGES[0];
    let control = sandbox.attempt_control(image, release.clone()).await?;
    if control.layers.is_empty() {
        checks.push(never_ready(&control));
        return Ok(Examination {
            checks,
            layers: Vec::new(),
        });
    }
    checks.extend(control.layers.iter().map(layer_check));
    checks.push(watch_check(&control));

    let drills = Sandbox {
        // Drills want at most 64 MiB each; they must not wait for each other, nor for conversions that run.
        budget: Budget::new(1 << 30, 0),
        ..sandbox.clone()
    };
    let mut drilled = stream::iter(EXERCISES)
        .map(|exercise| try_guard(&drills, exercise, &control.layers, release.clone()))
        .buffered(4);
    while let Some(check) = drilled.next().await {
        checks.push(check?);
    }
    for (format, image) in IMAGES {
        checks.push(control_check(
            format,
            &sandbox.attempt_control(image, release.clone()).await?,
        ));
    }
    Ok(Examination {
        checks,
        layers: control.layers.clone(),
    })
}

fn never_ready(control: &Attempted) -> Check {
    Check {
        guard: "sandbox".to_owned(),
        required: true,
        finding: Finding::NotHeld,
        evidence: describe(control),
        remedy: Some("the line above names the layer and what it needs".to_owned()),
    }
}

fn layer_check(report: &LayerReport) -> Check {
    let (finding, evidence) = match &report.held {
        Held::Yes(with) => (Finding::Held, with.clone()),
        Held::No(why) => (Finding::Off, why.clone()),
        Held::Off => (Finding::Off, "left out by configuration".to_owned()),
        Held::NotApplicable(why) => (Finding::NotApplicable, why.clone()),
    };
    let required = report.mode == Mode::Required;
    let remedy = matches!(report.held, Held::No(_)).then(|| report.layer.remedy().to_owned());
    Check {
        guard: format!("layer: {}", report.layer),
        required,
        finding,
        evidence,
        remedy,
    }
}

/// Whether the supervisor sees its children: what it cannot read, it takes for nothing.
fn watch_check(control: &Attempted) -> Check {
    let peak = control.facts.usage.peak_memory_bytes;
    let seen = peak > 0;
    Check {
        guard: "watch: memory and waiting time".to_owned(),
        required: true,
        finding: if seen { Finding::Held } else { Finding::NotHeld },
        evidence: match seen {
            true => format!("{} peak", ByteSize(peak)),
            false => "a child cannot be seen in /proc".to_owned(),
        },
        remedy: (!seen).then(|| "mount /proc without hidepid (no ProtectProc= in a unit)".to_owned()),
    }
}

async fn try_guard(
    sandbox: &Sandbox,
    exercise: &Exercise,
    layers: &[LayerReport],
    release: watch::Receiver<bool>,
) -> io::Result<Check> {
    let report = exercise
        .layer
        .and_then(|layer| layers.iter().find(|report| report.layer == layer));
    let required = report.is_none_or(|report| report.mode == Mode::Required);
    let guard = exercise.guard.to_owned();
    if report.is_some_and(|report| !matches!(report.held, Held::Yes(_))) {
        let evidence = "its layer is off".to_owned();
        return Ok(Check {
            guard,
            required,
            finding: Finding::Off,
            evidence,
            remedy: None,
        });
    }
    let mut drilling = Sandbox {
        limits: drill_limits(exercise.drill),
        ..sandbox.clone()
    };
    for layer in exercise.without {
        drilling.policy = drilling.policy.without(*layer);
    }
    let attempted = drill(&drilling, exercise, release).await?;
    let held = holds(exercise.must, &attempted);
    Ok(Check {
        guard,
        required,
        finding: if held { Finding::Held } else { Finding::NotHeld },
        evidence: describe(&attempted),
        remedy: (!held).then(|| exercise.layer.map_or("report this as a bug", Layer::remedy).to_owned()),
    })
}

/// Runs one drill; again, where its child was not READY in time: nothing was proved either way.
async fn drill(sandbox: &Sandbox, exercise: &Exercise, release: watch::Receiver<bool>) -> io::Result<Attempted> {
    let upload = unlinked(&sandbox.staging, b"")?;
    let mut tries = 1;
    loop {
        let task = Task::Drill(exercise.drill);
        let attempted = sandbox.attempt(&upload, task, exercise.watch, release.clone()).await?;
        if tries == TRIES || !matches!(attempted.outcome, Outcome::Unavailable(_)) {
            return Ok(attempted);
        }
        tries += 1;
    }
}

fn holds(must: Must, attempted: &Attempted) -> bool {
    match (must, &attempted.outcome) {
        // On a busy host the same kill reads as starved: the limit held all the same.
        (Must::Trip(Reason::Wall), Outcome::Starved) => true,
        (Must::Trip(reason), Outcome::Tripped(trip)) => trip.reason == reason,
        (Must::Violate, Outcome::Violation) => true,
        (Must::Fail, _) => matches!(attempted.drilled, Some(FromChild::Held(_))),
        (Must::Crash, Outcome::Crashed(_)) => true,
        (Must::BeKilled, Outcome::Killed) => true,
        _ => false,
    }
}

fn describe(attempted: &Attempted) -> String {
    match (&attempted.drilled, &attempted.outcome) {
        (Some(FromChild::Held(error)), _) => format!("refused: {error}"),
        (Some(FromChild::Escaped(what)), _) => format!("ESCAPED: {what}"),
        (_, Outcome::Tripped(trip)) => format!("tripped {}", trip.exceeded),
        (_, Outcome::Violation) => "killed by SIGSYS".to_owned(),
        (_, Outcome::Crashed(why)) => format!("crashed: {why}"),
        (_, Outcome::Unavailable(why)) => why.clone(),
        (_, Outcome::Refused(refusal)) => refusal.detail.clone(),
        (_, other) => other.word().to_owned(),
    }
}

fn control_check(format: &str, attempted: &Attempted) -> Check {
    let converted = matches!(attempted.outcome, Outcome::Converted(_));
    let usage = attempted.facts.usage;
    Check {
        guard: format!("control image: {format}"),
        required: true,
        finding: if converted { Finding::Held } else { Finding::NotHeld },
        evidence: match converted {
            true => format!("{} ms CPU, {} peak", usage.cpu_ms, ByteSize(usage.peak_memory_bytes)),
            false => describe(attempted),
        },
        remedy: (!converted).then(|| "raise [limits], or see the checks above".to_owned()),
    }
}
