//! The spool from both sides, with workers that are lost and files that are no messages.

use super::*;

fn worker(name: &str) -> WorkerId {
    WorkerId(name.to_owned())
}

fn spool() -> (tempfile::TempDir, Spool) {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    (folder, spool)
}

#[tokio::test]
async fn interactive_comes_before_bulk_and_order_is_kept() {
    let (_folder, spool) = spool();
    spool.submit(b"bulk", Lane::Bulk).unwrap();
    spool.submit(b"first", Lane::Interactive).unwrap();
    spool.submit(b"second", Lane::Interactive).unwrap();
    let consumer = spool.consume(&worker("a"), 64).unwrap();
    for body in ["first", "second", "bulk"] {
        let delivery = consumer.next().await.unwrap();
        assert_eq!(delivery.body, body.as_bytes());
        assert!(delivery.envelope.enqueued_ms.is_some());
        consumer.acknowledge(&delivery).await.unwrap();
    }
}

#[tokio::test]
async fn two_workers_share_the_messages() {
    let (_folder, spool) = spool();
    for _ in 0..20 {
        spool.submit(b"x", Lane::Interactive).unwrap();
    }
    let (a, b) = (
        spool.consume(&worker("a"), 64).unwrap(),
        spool.consume(&worker("b"), 64).unwrap(),
    );
    for _ in 0..10 {
        a.next().await.unwrap();
        b.next().await.unwrap();
    }
    assert!(a.hand.take().unwrap().is_none() && b.hand.take().unwrap().is_none());
}

#[tokio::test]
async fn a_lost_workers_messages_come_again_and_a_living_ones_do_not() {
    let (_folder, spool) = spool();
    spool.submit(b"x", Lane::Interactive).unwrap();
    let lost = spool.consume(&worker("lost"), 64).unwrap();
    lost.next().await.unwrap();
    let other = spool.consume(&worker("other"), 64).unwrap();
    other.tidy().await.unwrap();
    assert!(other.hand.take().unwrap().is_none());
    drop(lost);
    other.tidy().await.unwrap();
    assert_eq!(other.next().await.unwrap().body, b"x");
    assert_eq!(fs::read_dir(spool.folder.join("cur")).unwrap().count(), 1);
}

#[tokio::test]
async fn what_makes_no_sense_is_kept_with_its_reason() {
    let (_folder, spool) = spool();
    spool.submit(b"\xff", Lane::Interactive).unwrap();
    let consumer = spool.consume(&worker("a"), 64).unwrap();
    let delivery = consumer.next().await.unwrap();
    consumer.set_aside(&delivery, "not JSON").await.unwrap();
    assert_eq!(fs::read_dir(spool.folder.join("dead")).unwrap().count(), 2);
}

#[tokio::test]
async fn what_is_no_plain_file_of_a_fair_length_is_set_aside_and_the_next_is_taken() {
    let (folder, spool) = spool();
    let new = |name: &str| spool.folder.join("new").join(name);
    let made = std::process::Command::new("mkfifo").arg(new("0-1-fifo")).status();
    assert!(made.unwrap().success());
    let secret = folder.path().join("secret");
    fs::write(&secret, "x").unwrap();
    std::os::unix::fs::symlink(&secret, new("0-2-link")).unwrap();
    fs::create_dir(new("0-3-folder")).unwrap();
    fs::write(new("0-4-long"), vec![b' '; MAX_BODY + 1]).unwrap();
    fs::write(new("0-5-longest"), vec![b' '; MAX_BODY]).unwrap();
    spool.submit(b"good", Lane::Bulk).unwrap();
    let consumer = spool.consume(&worker("a"), 64).unwrap();
    assert_eq!(consumer.next().await.unwrap().body.len(), MAX_BODY);
    assert_eq!(consumer.next().await.unwrap().body, b"good");
    for (name, part) in [
        ("0-1-fifo", "not a regular file"),
        ("0-2-link", "is a link"),
        ("0-3-folder", "not a regular file"),
        ("0-4-long", "longer than"),
    ] {
        let why = fs::read_to_string(spool.folder.join(format!("dead/{name}.why"))).unwrap();
        assert!(why.contains(part), "{name}: {why}");
        assert!(spool.folder.join("dead").join(name).symlink_metadata().is_ok());
    }
}

#[tokio::test]
async fn a_worker_whose_folder_is_removed_goes_on() {
    let (_folder, spool) = spool();
    let consumer = spool.consume(&worker("a"), 64).unwrap();
    fs::remove_dir_all(&consumer.hand.folder).unwrap();
    spool.submit(b"x", Lane::Interactive).unwrap();
    assert_eq!(consumer.next().await.unwrap().body, b"x");
    // Locked again: nobody else takes it back.
    let other = spool.consume(&worker("other"), 64).unwrap();
    other.tidy().await.unwrap();
    assert!(other.hand.take().unwrap().is_none());
    assert_eq!(fs::read_dir(spool.folder.join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_spool_that_is_gone_is_an_error_and_no_silence() {
    let (_folder, spool) = spool();
    let consumer = spool.consume(&worker("a"), 64).unwrap();
    fs::remove_dir_all(&spool.folder).unwrap();
    assert!(consumer.next().await.is_err());
}

#[tokio::test]
async fn an_interactive_job_does_not_wait_behind_all_bulk_jobs() {
    let (_folder, spool) = spool();
    for number in 0..100 {
        fs::write(spool.folder.join("new").join(format!("2-{number:013}-x")), b"bulk").unwrap();
    }
    let consumer = spool.consume(&worker("a"), 64).unwrap();
    consumer.next().await.unwrap();
    spool.submit(b"urgent", Lane::Interactive).unwrap();
    let mut before = 0;
    while consumer.next().await.unwrap().body != b"urgent" {
        before += 1;
    }
    assert!(before <= LOOK_TAKES, "{before}");
}

#[test]
fn lost_workers_folders_without_a_lock_are_taken_back_and_files_in_cur_are_left() {
    let (_folder, spool) = spool();
    let lost = spool.folder.join("cur/lost");
    fs::create_dir(&lost).unwrap();
    fs::write(lost.join("1-1-x"), b"x").unwrap();
    fs::write(spool.folder.join("cur/file"), b"").unwrap();
    let consumer = spool.consume(&worker("a"), 64).unwrap();
    consumer.hand.take_back().unwrap();
    assert_eq!(consumer.hand.take().unwrap().unwrap().body, b"x");
    assert!(!lost.exists());
}

#[test]
fn what_is_too_old_is_dropped() {
    let (_folder, spool) = spool();
    let aged = |name: &str, days: u32| {
        let file = File::create(spool.folder.join(name)).unwrap();
        let then = clock::system_time() - days * Duration::from_secs(24 * 3600);
        file.set_modified(then).unwrap();
    };
    for (name, days) in [("done/a", 8), ("done/b", 6), ("tmp/a", 2), ("tmp/b", 0)] {
        aged(name, days);
    }
    let consumer = spool.consume(&worker("a"), 64).unwrap();
    consumer.hand.drop_old().unwrap();
    for (name, there) in [("done/a", false), ("done/b", true), ("tmp/a", false), ("tmp/b", true)] {
        assert_eq!(spool.folder.join(name).exists(), there, "{name}");
    }
    aged("tmp/a", 2);
    consumer.hand.drop_old().unwrap();
    assert!(spool.folder.join("tmp/a").exists(), "not looked for again so soon");
}
