//! A staging folder without space: nobody's fault but the host's.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use lazaret::admission::Budget;
use lazaret::sandbox::control::{IMAGES, recipe};
use lazaret::sandbox::drill::Drill;
use lazaret::sandbox::outcome::Outcome;
use lazaret::sandbox::protocol::Task;
use lazaret::sandbox::{Attempted, Watch};

use super::bench::{Bench, PATIENCE, again, is_again, must_succeed, skip, story};

/// Where the small file system is, in the process that has it.
const SMALL: &str = "SANDBOX_TEST_SMALL";

#[track_caller]
fn nobody_is_blamed(attempted: &Attempted, why: &str) {
    match &attempted.outcome {
        Outcome::Unavailable(told) => assert!(told.contains(why), "{told}"),
        _ => panic!("{}", story(attempted)),
    }
}

/// Fills a file system to its last byte.
fn fill(folder: &std::path::Path) -> File {
    let mut file = tempfile::tempfile_in(folder).unwrap();
    for size in [1 << 20, 1 << 12, 1] {
        let block = vec![0; size];
        while file.write_all(&block).is_ok() {}
    }
    file
}

/// Whether this process has a child by now.
fn has_a_child() -> bool {
    let mine = format!(" {} ", std::process::id());
    // `PID (NAME) STATE PARENT …`
    let parent_is_this = |stat: String| {
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| rest[2..].starts_with(&mine))
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut stats = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    stats.any(parent_is_this)
}

#[tokio::test]
async fn a_full_staging_folder_is_nobodys_fault() {
    const TEST: &str = "sandbox::disk::a_full_staging_folder_is_nobodys_fault";
    if !is_again() {
        // A mount name space of its own: the file system is gone with the process.
        let folder = tempfile::tempdir().unwrap();
        let prefix = [
            "unshare",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            "mount -t tmpfs -o size=20m none \"$SANDBOX_TEST_SMALL\" || exit 77; exec \"$@\"",
            "sh",
        ];
        let probe = std::process::Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs none \"$0\""])
            .arg(folder.path())
            .output();
        if !probe.is_ok_and(|output| output.status.success()) {
            return skip("this host lets nobody mount a small file system");
        }
        let mut command = again(TEST, &prefix);
        command.env(SMALL, folder.path());
        must_succeed(command).await;
        return;
    }
    let mut bench = Bench::new().limited(|limits| limits.output = ByteSize::mib(3));
    bench.sandbox.staging = PathBuf::from(std::env::var_os(SMALL).unwrap());
    // Inside, this process is root of a name space with one user, so there is no other one to become.
    bench = bench.without(&[lazaret::sandbox::layers::Layer::User]);
    bench.sandbox.budget = Budget::new(64 << 20, 0);

    // The space goes while the child waits for memory: it is up, and has nothing written yet.
    for task in [Task::Drill(Drill::Flood), Task::Convert(recipe())] {
        let all = bench.sandbox.budget.take(64 << 20, PATIENCE).await.unwrap();
        let upload = bench.upload(IMAGES[0].1);
        let take_away = async {
            while !has_a_child() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let filling = fill(&bench.sandbox.staging);
            drop(all);
            filling
        };
        let (attempted, filling) = tokio::join!(bench.attempt(&upload, task, Watch::Both), take_away);
        nobody_is_blamed(&attempted, "the staging folder is full");
        drop(filling);
    }

    // And where there was none from the beginning, no child is started.
    let upload = bench.upload(IMAGES[0].1);
    let filling = fill(&bench.sandbox.staging);
    let attempted = bench.attempt(&upload, Task::Convert(recipe()), Watch::Both).await;
    nobody_is_blamed(&attempted, "bytes free, an attempt needs");
    drop(filling);
    let attempted = bench.convert_control().await;
    assert!(
        matches!(attempted.outcome, Outcome::Converted(_)),
        "{}",
        story(&attempted)
    );
}
