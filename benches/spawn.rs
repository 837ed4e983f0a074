//! From spawn to READY: bare, locked down, locked down with namespaces, and the same from a parent that has touched 1 GB.
//!
//! Rows of one run are to be compared with each other, not with another machine's.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use std::path::PathBuf;
use std::time::Duration;

use lazaret::admission::Budget;
use lazaret::sandbox::control::{IMAGES, recipe, unlinked};
use lazaret::sandbox::layers::{Layer, Mode, Policy};
use lazaret::sandbox::limits::Limits;
use lazaret::sandbox::protocol::Task;
use lazaret::sandbox::{Sandbox, Watch};
use tokio::sync::watch;

const ROUNDS: usize = 300;

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = |policy| Sandbox {
        program: PathBuf::from(env!("CARGO_BIN_EXE_lazaret")),
        policy,
        limits: Limits::default(),
        times: 1,
        staging: folder.path().to_owned(),
        budget: Budget::new(1 << 30, 0),
    };
    let bare = Layer::ALL.into_iter().fold(Policy::default(), Policy::without);
    let modes = [
        ("bare", bare),
        ("locked", Policy::default().without(Layer::Namespaces)),
        (
            "locked, namespaces",
            Policy {
                namespaces: Mode::BestEffort,
                ..Policy::default()
            },
        ),
    ];
    println!(
        "{:<28} {:>9} {:>9}   ({ROUNDS} children each)",
        "spawn to READY", "p50", "p99"
    );
    for (name, policy) in &modes {
        measure(name, &sandbox(policy.clone())).await;
    }
    let touched: Vec<u8> = vec![1; 1 << 30];
    for (name, policy) in &modes {
        measure(&format!("{name}, 1 GB parent"), &sandbox(policy.clone())).await;
    }
    drop(touched);
}

async fn measure(name: &str, sandbox: &Sandbox) {
    let (_keep, release) = watch::channel(false);
    let upload = unlinked(&sandbox.staging, IMAGES[0].1).unwrap();
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let attempted = sandbox
            .attempt(&upload, Task::Convert(recipe()), Watch::Both, release.clone())
            .await
            .unwrap();
        times.push(attempted.ready_after.unwrap());
    }
    times.sort_unstable();
    let at = |share: usize| ms(times[(times.len() - 1) * share / 100]);
    println!("{name:<28} {:>9} {:>9}", at(50), at(99));
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
