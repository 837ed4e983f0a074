//! What the host says about itself and about a child, read from /proc: memory, load, and who waited for a processor.

use std::fs;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sandbox::outcome::{Host, Usage};

/// The host's load at one moment. Evidence, and an input to [`judge`].
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Load {
    /// Share of the last 10 s in which some task waited for a processor, in percent (PSI); absent on kernels without it.
    pub cpu_pressure: Option<f32>,
    /// Tasks that run or could run.
    pub runnable: u32,
    /// Processors.
    pub processors: u32,
}

impl Load {
    /// Reads the load of this host now.
    pub fn now() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            cpu_pressure: pressure(&read("/proc/pressure/cpu")),
            runnable: runnable(&read("/proc/loadavg")).unwrap_or(0),
            processors: std::thread::available_parallelism().map_or(1, |count| count.get() as u32),
        }
    }
}

/// Whether the host let a child run: a quarter of its time spent waiting, PSI over 40 %, or two tasks for each processor.
pub fn judge(load: &Load, usage: &Usage) -> Host {
    let kept_waiting = usage.waited_ms * 4 >= usage.wall_ms.max(1);
    let pressed = load.cpu_pressure.is_some_and(|percent| percent >= 40.0);
    let crowded = load.runnable >= load.processors.max(1) * 2;
    if kept_waiting || pressed || crowded {
        Host::Busy
    } else {
        Host::Quiet
    }
}

/// Time that a process was runnable and waited for a processor; zero where the kernel does not count it.
pub fn waited(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    let nanoseconds = text.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// Peak resident memory of a process that has not ended, in bytes.
pub fn peak_memory(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    kibibytes(&text, "VmHWM:").map(|count| count * 1024)
}

/// Memory that can be used without swapping, in bytes: the host's, or what the cgroup leaves where that is less.
pub fn available_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let host = kibibytes(&text, "MemAvailable:").map_or(0, |count| count * 1024);
    cgroup_leaves().map_or(host, |left| host.min(left))
}

/// All memory of the host, in bytes.
pub fn total_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    kibibytes(&text, "MemTotal:").map_or(0, |count| count * 1024)
}

/// What this process's cgroup leaves of its limit; version 2, then version 1, as a container sees them.
fn cgroup_leaves() -> Option<u64> {
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let v2 = (
        number("/sys/fs/cgroup/memory.max"),
        number("/sys/fs/cgroup/memory.current"),
    );
    let v1 = (
        number("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        number("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    );
    match (v2, v1) {
        ((Some(limit), Some(used)), _) | (_, (Some(limit), Some(used))) => Some(limit.saturating_sub(used)),
        _ => None,
    }
}

fn kibibytes(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

fn pressure(text: &str) -> Option<f32> {
    text.lines()
        .next()?
        .split_whitespace()
        .find_map(|word| word.strip_prefix("avg10="))?
        .parse()
        .ok()
}

fn runnable(text: &str) -> Option<u32> {
    text.split_whitespace().nth(3)?.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_proc_are_read() {
        assert_eq!(
            pressure("some avg10=41.50 avg60=1.37 avg300=0.59 total=1\nfull avg10=0.00"),
            Some(41.5)
        );
        assert_eq!(runnable("0.20 0.18 0.12 3/80 11206"), Some(3));
        assert_eq!(kibibytes("VmPeak:\t 1 kB\nVmHWM:\t    1234 kB\n", "VmHWM:"), Some(1234));
        for text in ["", "some", "\n\n", "0.20"] {
            assert_eq!(
                (pressure(text), runnable(text), kibibytes(text, "VmHWM:")),
                (None, None, None)
            );
        }
    }

    #[test]
    fn a_child_that_was_kept_waiting_makes_the_host_busy() {
        let idle = Load {
            cpu_pressure: Some(1.0),
            runnable: 1,
            processors: 2,
        };
        let usage = |waited_ms| Usage {
            wall_ms: 1000,
            waited_ms,
            ..Usage::default()
        };
        assert_eq!(judge(&idle, &usage(249)), Host::Quiet);
        assert_eq!(judge(&idle, &usage(250)), Host::Busy);
        assert_eq!(
            judge(
                &Load {
                    cpu_pressure: Some(40.0),
                    ..idle
                },
                &usage(0)
            ),
            Host::Busy
        );
        assert_eq!(judge(&Load { runnable: 4, ..idle }, &usage(0)), Host::Busy);
    }
}
