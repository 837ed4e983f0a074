//! `lazaret alive`: whether a worker still turns, for the health check of a container.
//!
//! In: what the kernel counts of its threads. Out: 0 or 1. Absent on purpose: any question to the worker, its disk, its broker or its
//! ledger. A check that asked them would hang with them, and would have healthy workers restarted for a database's sake.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::time::sleep;

use super::{Ending, Failure};
use crate::clock::Stopwatch;

/// How often the counters are read. A worker that waits for jobs wakes a hundred times in a second.
const LOOK: Duration = Duration::from_millis(100);

/// Say whether a worker still turns: 0 where it does, 1 where it is gone, stopped or stuck.
///
/// Reads from the kernel how often the worker's threads have gone to sleep, and waits until one does so again: all of them being stuck at
/// once, none does. Asks no disk, no broker and no ledger, so it never hangs with them. For HEALTHCHECK and livenessProbe; whether the worker
/// takes jobs is in its log.
#[derive(Debug, Args)]
pub struct Alive {
    /// The worker's process; in a container, it is 1.
    #[arg(long, value_name = "PID", default_value_t = 1)]
    pid: u32,
    /// How long to wait for a sign of life.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    within: Duration,
}

impl Alive {
    pub(super) async fn run(self) -> Result<Ending, Failure> {
        let gone = |error: io::Error| Failure::Other(format!("process {}: {error}", self.pid));
        let before = sleeps(self.pid).map_err(gone)?;
        let since = Stopwatch::start();
        while since.elapsed() < self.within {
            sleep(LOOK).await;
            if sleeps(self.pid).map_err(gone)? != before {
                return Ok(Ending::Well);
            }
        }
        Err(Failure::Other(format!(
            "process {}: none of its threads woke within {}",
            self.pid,
            humantime::format_duration(self.within)
        )))
    }
}

/// How often the threads of a process have gone to sleep by themselves, all together.
fn sleeps(pid: u32) -> io::Result<u64> {
    let mut sum = 0_u64;
    for thread in fs::read_dir(PathBuf::from(format!("/proc/{pid}/task")))? {
        // A thread may end while its siblings are read.
        let status = fs::read_to_string(thread?.path().join("status")).unwrap_or_default();
        sum = sum.wrapping_add(voluntary(&status).unwrap_or(0));
    }
    Ok(sum)
}

fn voluntary(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sleeps_of_its_own_are_counted() {
        let status = "Name:\tlazaret\nnonvoluntary_ctxt_switches:\t7\nvoluntary_ctxt_switches:\t150\n";
        assert_eq!(voluntary(status), Some(150));
        assert_eq!(voluntary("Name:\tlazaret\nnonvoluntary_ctxt_switches:\t7\n"), None);
    }
}
