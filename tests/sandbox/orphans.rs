//! A supervisor that is killed: its children end by their own timers, and nobody is left.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lazaret::sandbox::Watch;
use lazaret::sandbox::drill::Drill;
use lazaret::sandbox::layers::Layer;

use super::bench::{Bench, PROGRAM, again, children, fixture, is_again, is_locked_down, stat, ticks, wait_for};

/// Which process it is: ids come again, starts do not.
fn started(pid: u32) -> Option<String> {
    // A zombie has ended: whoever inherited it has not looked yet.
    stat(pid)
        .filter(|fields| fields[0] != "Z")
        .map(|fields| fields[19].clone())
}

/// Kills a supervisor once its child is `at_work`, and waits until the child is gone as well.
async fn kill_and_wait(mut supervisor: Child, at_work: impl Fn(u32) -> bool) {
    let child = wait_for("a child at work", || {
        let found = children(supervisor.id())
            .into_iter()
            .find(|pid| is_locked_down(*pid) && at_work(*pid));
        assert!(
            found.is_some() || supervisor.try_wait().unwrap().is_none(),
            "the supervisor ended by itself"
        );
        found
    })
    .await;
    let start = started(child).unwrap();
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    wait_for("the orphan's end", || {
        (started(child).as_deref() != Some(&start)).then_some(())
    })
    .await;
}

/// A process that runs a drill for as long as it is let.
fn supervise(test: &str, folder: &Path) -> Child {
    again::<&str>(test, &[])
        // What is killed cannot tidy up: its staging folder is inside this one.
        .env("TMPDIR", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Limits under which the kernel's timers fire soon; the supervisor would have come first.
fn soon() -> Bench {
    // At the test's own niceness, so that a busy host does not take minutes over it.
    Bench::new().without(&[Layer::Priority]).limited(|limits| {
        limits.cpu = Duration::from_millis(700);
        limits.wall_per_cpu = 0;
        limits.wall_base = Duration::from_secs(1);
        limits.preflight_wall = Duration::from_secs(1);
        limits.admission_wait = Duration::ZERO;
    })
}

#[tokio::test]
async fn a_child_that_sleeps_ends_after_its_supervisor() {
    const TEST: &str = "sandbox::orphans::a_child_that_sleeps_ends_after_its_supervisor";
    if is_again() {
        soon().drill_watched(Drill::Sleep, Watch::KernelOnly).await;
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    kill_and_wait(supervise(TEST, folder.path()), |_| true).await;
}

#[tokio::test]
async fn a_child_that_spins_ends_after_its_supervisor() {
    const TEST: &str = "sandbox::orphans::a_child_that_spins_ends_after_its_supervisor";
    if is_again() {
        // The wall timer is out of the way: it is CPU time that ends it.
        let bench = soon().limited(|limits| limits.wall_base = Duration::from_secs(3600));
        bench
            .without(&[Layer::Rlimits])
            .drill_watched(Drill::Spin, Watch::KernelOnly)
            .await;
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    kill_and_wait(supervise(TEST, folder.path()), |pid| ticks(pid) > 5).await;
}

#[tokio::test]
async fn a_conversion_ends_after_its_worker() {
    let state = tempfile::tempdir().unwrap();
    let worker = convert(&fixture("hostile/cpu/tiff_wide_tiles.tiff"), state.path());
    kill_and_wait(worker, |pid| ticks(pid) > 10).await;
}

fn convert(upload: &Path, state: &Path) -> Child {
    Command::new(PROGRAM)
        .arg("convert")
        .arg(upload)
        .arg("--state")
        .arg(state)
        .envs([("LAZARET_LIMITS_CPU", "2 s"), ("LAZARET_LIMITS_CPU_BASE", "2 s")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
