//! Memory, CPU time, wall time, output: who ends the child, and with what evidence.

use std::time::Duration;

use bytesize::ByteSize;
use lazaret::admission::Budget;
use lazaret::sandbox::drill::Drill;
use lazaret::sandbox::layers::Layer::{Priority, Rlimits, Timers};
use lazaret::sandbox::limits::{Limits, PREFLIGHT_MEMORY};
use lazaret::sandbox::outcome::{KilledFor, Outcome};
use lazaret::sandbox::{Attempted, Watch};
use lazaret::verdict::Reason;

use super::bench::{
    Bench, again, children, ended_by, escaped, is_again, killed_for, must_succeed, story, ticks, tripped, wait_for,
};

const MIB: u64 = 1 << 20;
/// CPU time for drills that burn it.
const CPU: Duration = Duration::from_millis(300);

/// Drills that burn it run at the test's own niceness: at the child's, a busy host would take minutes over a few seconds.
fn little_cpu(limits: &mut Limits) {
    limits.cpu = CPU;
}

/// Half a second of wall time in all, once it is up.
fn little_wall(limits: &mut Limits) {
    limits.cpu = CPU;
    limits.wall_per_cpu = 0;
    limits.wall_base = Duration::from_millis(500);
}

/// The kernel's wall timer covers everything from the spawn.
fn little_wall_for_all(limits: &mut Limits) {
    little_wall(limits);
    limits.preflight_wall = Duration::from_secs(2);
    limits.admission_wait = Duration::ZERO;
}

/// Out of wall time, whether the host was quiet or busy; and not for anything else.
#[track_caller]
fn slept_too_long(attempted: &Attempted) {
    match &attempted.outcome {
        Outcome::Tripped(trip) if trip.reason == Reason::Wall => assert_eq!(trip.exceeded.allowed, 500),
        Outcome::Starved => {}
        _ => panic!("{}", story(attempted)),
    }
}

#[tokio::test]
async fn memory_is_refused_by_the_allocator_with_limit_seen_and_allowed() {
    let attempted = Bench::new().drill(Drill::Allocate).await;
    let exceeded = tripped(&attempted, Reason::Memory);
    assert_eq!((exceeded.limit.as_str(), exceeded.allowed), ("memory", 64 * MIB));
    // The refused block is 64 KiB: it is refused at the limit, not somewhere beyond.
    assert!((64 * MIB..66 * MIB).contains(&exceeded.seen), "{exceeded:?}");
    let record = attempted.facts.memory_record.unwrap();
    assert!(
        record.in_use <= 64 * MIB && record.in_use + record.requested > 64 * MIB,
        "{record:?}"
    );
}

#[tokio::test]
async fn memory_under_the_limit_is_given() {
    let bench = Bench::new().limited(|limits| limits.memory = ByteSize::mib(1200));
    let attempted = bench.drill(Drill::Allocate).await;
    assert!(escaped(&attempted), "{}", story(&attempted));
}

#[tokio::test]
async fn memory_behind_the_allocators_back_is_refused_by_the_kernel() {
    let attempted = Bench::new().drill_watched(Drill::MapMemory, Watch::KernelOnly).await;
    assert_eq!(tripped(&attempted, Reason::Memory).allowed, 64 * MIB);

    let unguarded = Bench::new().without(&[Rlimits]);
    let unguarded = unguarded.drill_watched(Drill::MapMemory, Watch::KernelOnly).await;
    assert!(escaped(&unguarded), "{}", story(&unguarded));
}

#[tokio::test]
async fn memory_behind_the_allocators_back_is_seen_by_the_supervisor() {
    // The drill ends by itself at 1 GiB; on a very busy host the supervisor may come too late to one of them.
    for _ in 0..5 {
        let attempted = Bench::new().without(&[Rlimits]).drill(Drill::MapMemory).await;
        if escaped(&attempted) {
            continue;
        }
        let exceeded = tripped(&attempted, Reason::Memory);
        assert!(killed_for(&attempted, KilledFor::Memory), "{}", story(&attempted));
        assert!(
            exceeded.seen > exceeded.allowed && exceeded.allowed == 64 * MIB,
            "{exceeded:?}"
        );
        return;
    }
    panic!("the supervisor never came in time");
}

#[tokio::test]
async fn memory_that_is_declared_may_not_be_used_before_it_is_granted() {
    // Nothing of the budget is free, so that the grant never comes.
    let mut bench = Bench::new().limited(|limits| limits.memory = ByteSize::mib(1200));
    bench.sandbox.budget = Budget::new(1200 * MIB, 0);
    let all = bench.sandbox.budget.take(1200 * MIB, Duration::ZERO).await.unwrap();
    for _ in 0..5 {
        // It maps 1 GiB, which the kernel's ceiling allows. On a very busy host its CPU time is over first.
        let attempted = bench.drill(Drill::JumpTheGun).await;
        if killed_for(&attempted, KilledFor::Cpu) {
            continue;
        }
        let exceeded = tripped(&attempted, Reason::Memory);
        assert!(killed_for(&attempted, KilledFor::Memory), "{}", story(&attempted));
        assert_eq!(exceeded.allowed, PREFLIGHT_MEMORY.as_u64());
        drop(all);
        return;
    }
    panic!("the supervisor never came in time");
}

#[tokio::test]
async fn cpu_time_ends_within_50_ms_of_the_grant() {
    let mut overshoots = Vec::new();
    for _ in 0..6 {
        let attempted = Bench::new()
            .without(&[Priority])
            .limited(little_cpu)
            .drill(Drill::Spin)
            .await;
        let exceeded = tripped(&attempted, Reason::Cpu);
        assert_eq!((exceeded.limit.as_str(), exceeded.allowed), ("cpu_ms", 300));
        assert!(killed_for(&attempted, KilledFor::Cpu), "{}", story(&attempted));
        overshoots.push(exceeded.seen - exceeded.allowed);
        // CPU time, yet the supervisor itself may be kept waiting on a busy host: the best of several counts.
        if overshoots.iter().any(|over| *over <= 50) {
            return;
        }
    }
    panic!("over the grant by {overshoots:?} ms");
}

#[tokio::test]
async fn cpu_time_is_ended_by_the_timer_where_nobody_watches() {
    let attempted = Bench::new()
        .without(&[Priority])
        .limited(little_cpu)
        .drill_watched(Drill::Spin, Watch::KernelOnly)
        .await;
    tripped(&attempted, Reason::Cpu);
    assert!(ended_by(&attempted, libc::SIGPROF), "{}", story(&attempted));
    // The kernel counts by the tick, the clock to the nanosecond; in any case the grant was over, and nobody had come.
    assert!(attempted.facts.usage.cpu_ms > 300, "{}", story(&attempted));
}

#[tokio::test]
async fn cpu_time_is_ended_by_the_kernels_limit_where_the_timer_is_off() {
    let bench = Bench::new().without(&[Timers, Priority]).limited(little_cpu);
    let attempted = bench.drill_watched(Drill::Spin, Watch::KernelOnly).await;
    tripped(&attempted, Reason::Cpu);
    assert!(ended_by(&attempted, libc::SIGXCPU), "{}", story(&attempted));
}

#[tokio::test]
async fn cpu_time_without_any_guard_goes_on() {
    const TEST: &str = "sandbox::limits::cpu_time_without_any_guard_goes_on";
    if !is_again() {
        must_succeed(again::<&str>(TEST, &[])).await;
        return;
    }
    let bench = Bench::new().without(&[Timers, Rlimits, Priority]).limited(little_cpu);
    let look_on = async {
        // Past the timer's 0.55 s and the kernel's 2 s.
        wait_for("a child that spins", || {
            children(std::process::id()).into_iter().find(|pid| ticks(*pid) > 230)
        })
        .await;
        bench.release.send_replace(true);
    };
    let (attempted, ()) = tokio::join!(bench.drill_watched(Drill::Spin, Watch::KernelOnly), look_on);
    assert_eq!(attempted.outcome, Outcome::Released, "{}", story(&attempted));
}

#[tokio::test]
async fn wall_time_is_ended_by_the_supervisor() {
    let attempted = Bench::new().limited(little_wall).drill(Drill::Sleep).await;
    slept_too_long(&attempted);
    assert!(killed_for(&attempted, KilledFor::Wall), "{}", story(&attempted));
}

#[tokio::test]
async fn wall_time_is_ended_by_the_timer_where_nobody_watches() {
    let bench = Bench::new().limited(little_wall_for_all);
    let attempted = bench.drill_watched(Drill::Sleep, Watch::KernelOnly).await;
    slept_too_long(&attempted);
    assert!(ended_by(&attempted, libc::SIGALRM), "{}", story(&attempted));
}

#[tokio::test]
async fn wall_time_without_any_guard_goes_on() {
    let bench = Bench::new().without(&[Timers]).limited(little_wall_for_all);
    let wake = async {
        tokio::time::sleep(Duration::from_millis(3500)).await;
        bench.release.send_replace(true);
    };
    let (attempted, ()) = tokio::join!(bench.drill_watched(Drill::Sleep, Watch::KernelOnly), wake);
    assert_eq!(attempted.outcome, Outcome::Released, "{}", story(&attempted));
}

#[tokio::test]
async fn output_is_cut_at_its_cap() {
    let attempted = Bench::new().drill(Drill::Flood).await;
    let exceeded = tripped(&attempted, Reason::Output);
    assert_eq!((exceeded.limit.as_str(), exceeded.allowed), ("output", MIB));
    assert!(ended_by(&attempted, libc::SIGXFSZ), "{}", story(&attempted));
    assert!(attempted.output.metadata().unwrap().len() <= MIB);
}

#[tokio::test]
async fn output_without_the_kernels_cap_is_told_by_its_length() {
    let attempted = Bench::new().without(&[Rlimits]).drill(Drill::Flood).await;
    assert!(escaped(&attempted), "{}", story(&attempted));
    let exceeded = tripped(&attempted, Reason::Output);
    assert_eq!((exceeded.seen, exceeded.allowed), (128 * MIB, MIB));
}
