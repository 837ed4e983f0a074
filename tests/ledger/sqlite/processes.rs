//! Many opens of one fresh path at one moment, by tasks and by processes.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use futures_util::future::join_all;
use lazaret::ledger::sqlite::Sqlite;
use lazaret::ledger::{Claim, Claimed, Ledger, WorkerId};
use lazaret::sandbox::outcome::Outcome;
use tempfile::TempDir;

use super::super::world::*;

/// Tells a process of this test which ledger to use.
const PATH: &str = "LAZARET_TEST_LEDGER";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_tasks_open_one_fresh_path() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("new/ledger.sqlite");
    let tasks = (0..30).map(|task| {
        let path = path.clone();
        tokio::spawn(async move {
            let ledger = Sqlite::open(&path).await.unwrap();
            ledger
                .sign_on(&worker(&format!("w{task}")), "host", "build-1", &[])
                .await
                .unwrap();
            let mine = Claim {
                worker: worker(&format!("w{task}")),
                ..claim("cat")
            };
            ledger.claim(&mine).await.unwrap()
        })
    });
    let answers = join_all(tasks).await;
    let running = answers
        .into_iter()
        .filter(|answer| matches!(answer, Ok(Claimed::Run(_))))
        .count();
    assert_eq!(
        (running, names_in(path.parent().unwrap())),
        (1, vec!["ledger.sqlite".to_owned()])
    );
}

/// Names in the directory beside SQLite's own -wal and -shm.
fn names_in(directory: &Path) -> Vec<String> {
    let entries = directory
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries
        .filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm"))
        .collect()
}

#[test]
fn processes_open_and_write_one_fresh_path() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ledger.sqlite");
    let processes = env::var("LAZARET_TEST_PROCESSES").map_or(24, |number| number.parse().unwrap());
    let spawn = |_| {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args([
            "ledger::sqlite::processes::one_process",
            "--exact",
            "--ignored",
            "--nocapture",
        ]);
        command.env(PATH, &path).stdout(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..processes).map(spawn).collect();
    let mut running = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}");
        running += usize::from(said.contains("cat is mine"));
    }
    assert_eq!(running, 1);
    assert_eq!(names_in(directory.path()), ["ledger.sqlite"]);
}

#[tokio::test]
#[ignore = "one of the processes of processes_open_and_write_one_fresh_path"]
async fn one_process() {
    let Ok(path) = env::var(PATH) else { return };
    let ledger = Sqlite::open(Path::new(&path)).await.unwrap();
    let me = WorkerId(std::process::id().to_string());
    ledger.sign_on(&me, "host", "build-1", &[]).await.unwrap();
    if let Claimed::Run(_) = ledger
        .claim(&Claim {
            worker: me.clone(),
            ..claim("cat")
        })
        .await
        .unwrap()
    {
        println!("cat is mine");
    }
    for upload in 0..5 {
        let mine = Claim {
            worker: me.clone(),
            ..claim(&format!("{} {upload}", me.0))
        };
        let _ = run(&ledger, &mine, Outcome::Converted(Vec::new())).await;
        ledger.heartbeat(&me).await.unwrap();
    }
}
