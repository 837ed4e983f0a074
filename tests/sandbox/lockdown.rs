//! A required layer that does not hold: nothing is read, and the operator is told what to do.

use std::fs::File;
use std::time::SystemTime;

use lazaret::sandbox::control::{IMAGES, recipe};
use lazaret::sandbox::layers::{Held, Layer, Mode};
use lazaret::sandbox::outcome::{Outcome, Start};
use lazaret::sandbox::protocol::Task;
use lazaret::sandbox::{Attempted, Watch};

use super::bench::{Bench, again, converted, is_again, is_root, must_succeed, skip, story};

/// Converts one image; whether its file was touched is told by the time of its last access.
async fn attempt_and_time(bench: &Bench) -> (Attempted, [SystemTime; 2]) {
    let accessed = |file: &File| file.metadata().unwrap().accessed().unwrap();
    let upload = bench.upload(IMAGES[0].1);
    // An access is only noted where it would be newer than the last change.
    let old = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
    upload.set_times(std::fs::FileTimes::new().set_accessed(old)).unwrap();
    let before = accessed(&upload);
    let attempted = bench.attempt(&upload, Task::Convert(recipe()), Watch::Both).await;
    (attempted, [before, accessed(&upload)])
}

#[tokio::test]
async fn without_a_required_layer_nothing_is_read() {
    const TEST: &str = "sandbox::lockdown::without_a_required_layer_nothing_is_read";
    if !is_again() {
        let (attempted, [before, after]) = attempt_and_time(&Bench::new()).await;
        assert!(converted(&attempted), "{}", story(&attempted));
        if before == after {
            skip("this file system does not note accesses; that nothing was read is told by the outcome alone");
        }
        // Under the 1 MiB of output that the limits promise.
        must_succeed(again(TEST, &["prlimit", "--fsize=524288"])).await;
        return;
    }
    let (attempted, [before, after]) = attempt_and_time(&Bench::new()).await;
    let Outcome::Unavailable(why) = &attempted.outcome else {
        panic!("{}", story(&attempted));
    };
    for word in ["rlimits", "FSIZE", "524288", "1048576", Layer::Rlimits.remedy()] {
        assert!(why.contains(word), "{word} is not in: {why}");
    }
    assert!(matches!(attempted.facts.start, Start::Failed(_)));
    assert_eq!((&attempted.facts.declared, attempted.layers.len()), (&None, 0));
    assert_eq!(attempted.output.metadata().unwrap().len(), 0);
    assert_eq!(before, after, "the upload was touched");

    // Where the layer is best effort, it is reported as missing, and the work goes on.
    let mut bench = Bench::new();
    bench.sandbox.policy.rlimits = Mode::BestEffort;
    let (attempted, _) = attempt_and_time(&bench).await;
    assert!(converted(&attempted), "{}", story(&attempted));
    let report = attempted.layers.iter().find(|report| report.layer == Layer::Rlimits);
    assert!(matches!(report.unwrap().held, Held::No(_)));
}

#[tokio::test]
async fn root_that_cannot_leave_its_user_converts_nothing() {
    const TEST: &str = "sandbox::lockdown::root_that_cannot_leave_its_user_converts_nothing";
    if !is_again() {
        if !is_root() {
            return skip("only root has a user to leave");
        }
        must_succeed(again(TEST, &["setpriv", "--bounding-set=-setuid"])).await;
        return;
    }
    let attempted = Bench::new().convert_control().await;
    let Outcome::Unavailable(why) = &attempted.outcome else {
        panic!("{}", story(&attempted));
    };
    assert!(why.starts_with("user: ") && why.contains(Layer::User.remedy()), "{why}");
}

#[tokio::test]
async fn a_program_that_is_no_child_is_our_fault() {
    for program in ["/bin/true", "/nonexistent/lazaret", "/etc/passwd"] {
        let mut bench = Bench::new();
        bench.sandbox.program = program.into();
        let attempted = bench.convert_control().await;
        assert!(
            matches!(attempted.outcome, Outcome::Unavailable(_)),
            "{}",
            story(&attempted)
        );
    }
}
