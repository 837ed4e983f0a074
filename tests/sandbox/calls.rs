//! What a child may not call: files, the network, processes, threads.

use std::io::ErrorKind;
use std::net::TcpListener;

use lazaret::sandbox::Attempted;
use lazaret::sandbox::drill::Drill;
use lazaret::sandbox::layers::Layer::{self, Landlock, Namespaces, Seccomp, User};
use lazaret::sandbox::outcome::{End, Outcome};
use lazaret::sandbox::protocol::FromChild;

use super::bench::{Bench, ended_by, escaped, skip, story};

#[track_caller]
fn violated(attempted: &Attempted) {
    assert_eq!(attempted.outcome, Outcome::Violation, "{}", story(attempted));
    assert!(ended_by(attempted, libc::SIGSYS));
    // It was killed in the call: nothing could be said after it.
    assert_eq!(attempted.drilled, None);
}

#[track_caller]
fn failed(attempted: &Attempted) {
    assert!(
        matches!(attempted.drilled, Some(FromChild::Held(_))),
        "{}",
        story(attempted)
    );
    // A drill's last word is no report of a conversion.
    assert!(matches!(attempted.outcome, Outcome::Crashed(_)), "{}", story(attempted));
}

/// Whether the layer holds on this host; what it guards is not asked for where it does not.
fn is_up(attempted: &Attempted, layer: Layer) -> bool {
    let up = attempted
        .layers
        .iter()
        .any(|report| report.layer == layer && report.held.is_up());
    if !up {
        skip(&format!("{layer} is off on this host"));
    }
    up
}

#[tokio::test]
async fn a_file_cannot_be_opened() {
    violated(&Bench::new().drill(Drill::OpenFile).await);

    let behind_landlock = Bench::new().without(&[Seccomp]).drill(Drill::OpenFile).await;
    if is_up(&behind_landlock, Landlock) {
        failed(&behind_landlock);
    }

    let unguarded = Bench::new()
        .without(&[Seccomp, Landlock, User])
        .drill(Drill::OpenFile)
        .await;
    assert!(escaped(&unguarded), "{}", story(&unguarded));
}

#[tokio::test]
async fn the_network_cannot_be_reached() {
    // The port that the drill connects to; where it cannot be had, "connection refused" tells that the packet got out.
    let listener = TcpListener::bind("127.0.0.1:9").and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    let reached = || match listener.as_ref().map(TcpListener::accept) {
        Ok(accepted) => match accepted {
            Ok(_) => Some(true),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                Some(false)
            }
        },
        Err(error) => {
            skip(&format!("no listener on port 9: {error}"));
            None
        }
    };

    violated(&Bench::new().drill(Drill::Connect).await);

    let behind_landlock = Bench::new().without(&[Seccomp, Namespaces]).drill(Drill::Connect).await;
    if is_up(&behind_landlock, Landlock) {
        failed(&behind_landlock);
    }
    let behind_namespaces = Bench::new().without(&[Seccomp, Landlock]).drill(Drill::Connect).await;
    if is_up(&behind_namespaces, Namespaces) {
        failed(&behind_namespaces);
    }
    assert_ne!(reached(), Some(true));

    let unguarded = Bench::new()
        .without(&[Seccomp, Landlock, Namespaces])
        .drill(Drill::Connect)
        .await;
    assert!(escaped(&unguarded), "{}", story(&unguarded));
    assert_ne!(reached(), Some(false));
}

#[tokio::test]
async fn no_process_can_be_forked() {
    violated(&Bench::new().drill(Drill::Fork).await);
    let unguarded = Bench::new().without(&[Seccomp]).drill(Drill::Fork).await;
    assert!(escaped(&unguarded), "{}", story(&unguarded));
}

#[tokio::test]
async fn no_thread_can_be_started() {
    violated(&Bench::new().drill(Drill::Thread).await);
    let unguarded = Bench::new().without(&[Seccomp]).drill(Drill::Thread).await;
    assert!(escaped(&unguarded), "{}", story(&unguarded));
}

#[tokio::test]
async fn no_program_can_be_run() {
    violated(&Bench::new().drill(Drill::Exec).await);

    let behind_landlock = Bench::new().without(&[Seccomp]).drill(Drill::Exec).await;
    if is_up(&behind_landlock, Landlock) {
        failed(&behind_landlock);
    }

    // It became /bin/true, which ends well and has nothing to say.
    let unguarded = Bench::new().without(&[Seccomp, Landlock]).drill(Drill::Exec).await;
    assert_eq!(
        (unguarded.facts.end, &unguarded.drilled),
        (End::Exited(0), &None),
        "{}",
        story(&unguarded)
    );
    // And a program that ends well without a report has still converted nothing.
    assert!(
        matches!(unguarded.outcome, Outcome::Crashed(_)),
        "{}",
        story(&unguarded)
    );
}

#[tokio::test]
async fn an_abort_is_a_crash_and_no_attack() {
    let attempted = Bench::new().drill(Drill::Abort).await;
    assert!(ended_by(&attempted, libc::SIGABRT));
    assert!(
        matches!(attempted.outcome, Outcome::Crashed(_)),
        "{}",
        story(&attempted)
    );
}

#[tokio::test]
async fn a_kill_by_the_host_is_told_from_ours() {
    let attempted = Bench::new().drill(Drill::KilledByHost).await;
    assert_eq!(attempted.outcome, Outcome::Killed, "{}", story(&attempted));
}
