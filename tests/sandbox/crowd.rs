//! Many attempts: side by side, one after the other, and cut short; nothing is left of them.

use std::fs;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use lazaret::sandbox::Watch;
use lazaret::sandbox::drill::Drill;
use lazaret::sandbox::layers::Layer::Timers;
use lazaret::sandbox::outcome::Outcome;

use super::bench::{Bench, again, children, converted, is_again, is_locked_down, must_succeed, story, wait_for};

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_at_once_all_convert() {
    let bench = Bench::new();
    for attempted in join_all((0..32).map(|_| bench.convert_control())).await {
        assert!(converted(&attempted), "{}", story(&attempted));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_after_two_hundred() {
    const TEST: &str = "sandbox::crowd::nothing_is_left_after_two_hundred";
    if !is_again() {
        must_succeed(again::<&str>(TEST, &[])).await;
        return;
    }
    let bench = Bench::new();
    // The first one opens what stays open: the runtime's own descriptors.
    drop(bench.convert_control().await);
    let before = open_descriptors();

    let drills = [
        Drill::Vanish,
        Drill::Abort,
        Drill::OpenFile,
        Drill::Flood,
        Drill::Babble,
    ];
    let attempts = (0..200).map(|number| {
        let bench = &bench;
        async move {
            match number % 8 {
                kind @ 0..5 => drop(bench.drill(drills[kind]).await),
                _ => {
                    let attempted = bench.convert_control().await;
                    assert!(converted(&attempted), "{}", story(&attempted));
                }
            }
        }
    });
    stream::iter(attempts).buffer_unordered(8).collect::<Vec<()>>().await;

    assert_eq!(children(std::process::id()), [] as [u32; 0]);
    assert_eq!(open_descriptors(), before);
    assert_eq!(fs::read_dir(&bench.sandbox.staging).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_released_or_dropped_is_gone() {
    const TEST: &str = "sandbox::crowd::what_is_released_or_dropped_is_gone";
    if !is_again() {
        must_succeed(again::<&str>(TEST, &[])).await;
        return;
    }
    let mine = || children(std::process::id());
    let up = || mine().into_iter().find(|pid| is_locked_down(*pid));

    for watch in [Watch::Both, Watch::KernelOnly] {
        let bench = Bench::new();
        let release = async {
            wait_for("a child that sleeps", up).await;
            bench.release.send_replace(true);
        };
        let (attempted, ()) = tokio::join!(bench.drill_watched(Drill::Sleep, watch), release);
        assert_eq!(attempted.outcome, Outcome::Released, "{}", story(&attempted));
        assert_eq!(mine(), [] as [u32; 0]);
    }

    // Released before it was started.
    let bench = Bench::new();
    bench.release.send_replace(true);
    let attempted = bench.drill(Drill::Sleep).await;
    assert_eq!(attempted.outcome, Outcome::Released, "{}", story(&attempted));
    assert_eq!(mine(), [] as [u32; 0]);

    // A future that is dropped takes its child along; there is no timer that would.
    let bench = Bench::new().without(&[Timers]);
    tokio::select! {
        attempted = bench.drill(Drill::Sleep) => panic!("{}", story(&attempted)),
        _ = wait_for("a child that sleeps", up) => {}
    }
    assert_eq!(mine(), [] as [u32; 0]);
}

#[tokio::test]
async fn a_share_of_memory_that_never_comes_releases_the_attempt() {
    let mut bench = Bench::new().limited(|limits| limits.admission_wait = Duration::from_millis(100));
    bench.sandbox.budget = lazaret::admission::Budget::new(64 << 20, 0);
    let all = bench.sandbox.budget.take(64 << 20, Duration::ZERO).await.unwrap();
    let attempted = bench.convert_control().await;
    assert_eq!(attempted.outcome, Outcome::Released, "{}", story(&attempted));
    drop(all);
    let attempted = bench.convert_control().await;
    assert!(converted(&attempted), "{}", story(&attempted));
    assert_eq!(bench.sandbox.budget.free(), 64 << 20);
}
