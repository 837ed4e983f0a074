//! What is done to a child or to its supervisor, and many at once: no drill's own doing.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use lazaret::sandbox::drill::Drill;
use lazaret::sandbox::layers::Layer::{self, Priority, Rlimits, Seccomp, Timers};
use lazaret::sandbox::outcome::Outcome;
use lazaret::sandbox::{Attempted, Watch};
use lazaret::verdict::Reason;

use super::mode;
use super::row::{LONGER_THAN_ANY_TIMER, Tried};
use super::rows::little_wall;
use crate::sandbox::bench::{Bench, again, children, escaped, is_locked_down, stat, story, ticks, wait_for};

/// In the order of [`try_all`].
pub const WHAT: [&str; 3] = [
    "SIGSTOP on the child",
    "the supervisor is killed in the middle",
    "64 at once, each forks",
];

/// Says to a process that it will be killed, and which layers it shall leave out.
const ORPHAN: &str = "SANDBOX_TEST_ORPHAN";

pub async fn try_all() -> Vec<Tried> {
    vec![stopped().await, orphaned().await, crowded().await]
}

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.sandbox.program = mode::program();
    bench
}

fn tried(what: &str, outcome: &str, held_by: &str, wrong: Vec<String>) -> Tried {
    Tried {
        what: what.to_owned(),
        outcome: outcome.to_owned(),
        held_by: vec![held_by.to_owned()],
        absent: Vec::new(),
        without: if wrong.is_empty() { "yes" } else { "no" }.to_owned(),
        wrong: (!wrong.is_empty()).then(|| wrong.join("\n")),
    }
}

async fn stopped() -> Tried {
    let mut wrong = Vec::new();
    let watched = stop(Watch::Both).await;
    let ended = match &watched.outcome {
        Outcome::Tripped(trip) => trip.reason == Reason::Wall,
        outcome => *outcome == Outcome::Starved,
    };
    if !ended {
        wrong.push(story(&watched));
    }
    // Signals of timers wait until it goes on.
    let unwatched = stop(Watch::KernelOnly).await;
    if unwatched.outcome != Outcome::Released {
        wrong.push(format!("unwatched: {}", story(&unwatched)));
    }
    tried(WHAT[0], "tripped wall", "supervisor", wrong)
}

async fn stop(watch: Watch) -> Attempted {
    let bench = bench().limited(little_wall);
    let stop = async {
        let up = || {
            children(std::process::id())
                .into_iter()
                .find(|pid| is_locked_down(*pid))
        };
        signal("-STOP", wait_for("a child", up).await);
        tokio::time::sleep(LONGER_THAN_ANY_TIMER).await;
        bench.release.send_replace(true);
        std::future::pending().await
    };
    tokio::select! {
        attempted = bench.drill_watched(Drill::Sleep, watch) => attempted,
        () = stop => unreachable!("it waits for ever"),
    }
}

fn signal(signal: &str, pid: u32) {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status();
    assert!(sent.unwrap().success());
}

async fn orphaned() -> Tried {
    let mut wrong = Vec::new();
    if outlives("rlimits").await {
        wrong.push("with timers, it outlives its supervisor".to_owned());
    }
    if !outlives("rlimits timers").await {
        wrong.push("without timers, it ends by itself".to_owned());
    }
    tried(WHAT[1], "ended by its timer", "timers", wrong)
}

/// Whether a child that spins goes on beyond its time, when its supervisor is killed.
async fn outlives(without: &str) -> bool {
    let mut supervisor = supervisor(without);
    let spins = |pid: &u32| is_locked_down(*pid) && ticks(*pid) > 5;
    let child = wait_for("a child that spins", || {
        children(supervisor.id()).into_iter().find(spins)
    })
    .await;
    let start = started(child);
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    // Its timer is at 0.7 s and a little more; 3 s of CPU time are beyond doubt.
    let over = || match (started(child) == start, ticks(child)) {
        (false, _) => Some(false),
        (true, ticks) => (ticks > 300).then_some(true),
    };
    let outlives = wait_for("its end, or much more time", over).await;
    if outlives {
        signal("-KILL", child);
    }
    outlives
}

/// Which process it is, for as long as it runs: ids come again, starts do not.
fn started(pid: u32) -> Option<String> {
    stat(pid)
        .filter(|fields| fields[0] != "Z")
        .map(|fields| fields[19].clone())
}

fn supervisor(without: &str) -> Child {
    let mut command = again::<&str>(super::TEST, &[]);
    command.env(ORPHAN, without).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Whether this process is to be killed.
pub fn is_to_be_orphaned() -> bool {
    std::env::var_os(ORPHAN).is_some()
}

/// Supervises a child that spins, until it is killed.
pub async fn supervise() {
    let without = std::env::var(ORPHAN).unwrap();
    let named = |layer: &Layer| without.split(' ').any(|name| name == layer.name());
    let layers: Vec<Layer> = [Rlimits, Timers].into_iter().filter(named).collect();
    let bench = bench().without(&layers).without(&[Priority]).limited(|limits| {
        limits.cpu = Duration::from_millis(700);
        // The wall timer is out of the way.
        limits.wall_base = Duration::from_secs(3600);
    });
    drop(bench.drill_watched(Drill::Spin, Watch::KernelOnly).await);
}

async fn crowded() -> Tried {
    let mut wrong = Vec::new();
    let count = |attempts: &[Attempted], like: fn(&Attempted) -> bool| attempts.iter().filter(|one| like(one)).count();
    let bench = bench();
    let guarded = join_all((0..64).map(|_| bench.drill(Drill::Fork))).await;
    let violated = count(&guarded, |one| one.outcome == Outcome::Violation && !escaped(one));
    if violated != 64 {
        wrong.push(format!("{violated} of 64 were killed in the call"));
    }
    let bench = bench.without(&[Seccomp]);
    let unguarded = join_all((0..64).map(|_| bench.drill(Drill::Fork))).await;
    let forked = count(&unguarded, escaped);
    if forked != 64 {
        wrong.push(format!("without the filter, {forked} of 64 forked"));
    }
    if !children(std::process::id()).is_empty() {
        wrong.push("children are left".to_owned());
    }
    tried(WHAT[2], "violation, 64 times", "seccomp", wrong)
}
