//! `lazaret alive`: a worker that turns, one that is stopped, one that is gone.

use std::time::{Duration, Instant};

use super::world::*;

#[test]
fn a_worker_that_waits_is_alive_one_that_is_stopped_is_not() {
    let world = World::new();
    let service = world.serve(&[]);
    let pid = service.0.id().to_string();
    let alive = |within: &str| world.run(&["alive", "--pid", &pid, "--within", within]);
    assert_eq!(alive("60s").status.code(), Some(0));

    service.signal("-STOP");
    let since = Instant::now();
    let output = alive("500ms");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("none of its threads woke within 500ms"),
        "{}",
        stderr(&output)
    );
    assert!(since.elapsed() >= Duration::from_millis(500));

    service.signal("-CONT");
    assert_eq!(alive("60s").status.code(), Some(0));
    service.kill();
    let output = alive("500ms");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains(&format!("process {pid}: ")),
        "{}",
        stderr(&output)
    );
}
