//! What the host says about itself and about a child, read from /proc: memory, load, and who waited for a processor.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sandbox::outcome::{Host, Usage};

/// The host's load at one moment. Evidence, and an input to [`judge`].
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Load {
    /// Share of the last 10 s in which some task waited for a processor, in percent (PSI); absent on kernels without it.
    pub cpu_pressure: Option<f64>,
    /// The same for the disk.
    pub io_pressure: Option<f64>,
    /// The same for memory.
    pub memory_pressure: Option<f64>,
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
            io_pressure: pressure(&read("/proc/pressure/io")),
            memory_pressure: pressure(&read("/proc/pressure/memory")),
            runnable: runnable(&read("/proc/loadavg")).unwrap_or(0),
            processors: std::thread::available_parallelism().map_or(1, |count| count.get() as u32),
        }
    }
}

/// Whether the host let a child run: not where a quarter of its time was spent waiting for a processor, tasks waited for
/// processor, disk or memory in over 40 % of the last 10 s (PSI), or there were two tasks for each processor.
pub fn judge(load: &Load, usage: &Usage) -> Host {
    let kept_waiting = usage.waited_ms * 4 >= usage.wall_ms.max(1);
    let pressures = [load.cpu_pressure, load.io_pressure, load.memory_pressure];
    let pressed = pressures.into_iter().flatten().any(|percent| percent >= 40.0);
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
    cgroup_leaves(host).map_or(host, |left| host.min(left))
}

/// All memory of the host, in bytes.
pub fn total_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    kibibytes(&text, "MemTotal:").map_or(0, |count| count * 1024)
}

/// What the cgroups of this process leave of their limits, or any figure from `enough`: the least along the way up. Version 2, then version 1.
fn cgroup_leaves(enough: u64) -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    own.lines()
        .filter_map(hierarchy)
        .flat_map(|(root, path, names)| {
            let folders: Vec<_> = Path::new(path)
                .ancestors()
                .map(|path| root.join(path.strip_prefix("/").unwrap_or(path)))
                .collect();
            folders
                .into_iter()
                .filter_map(move |folder| leaves(&folder, names, enough))
        })
        .min()
}

/// File names of a controller: limit, usage.
type Names = [&'static str; 2];

/// Where a line of /proc/self/cgroup leads, if it has a memory controller. In a container, the root is its own cgroup.
fn hierarchy(line: &str) -> Option<(&'static Path, &str, Names)> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    match controllers {
        "" => Some((Path::new("/sys/fs/cgroup"), path, ["memory.max", "memory.current"])),
        list if list.split(',').any(|name| name == "memory") => {
            let names = ["memory.limit_in_bytes", "memory.usage_in_bytes"];
            Some((Path::new("/sys/fs/cgroup/memory"), path, names))
        }
        _ => None,
    }
}

/// What is left in one cgroup. Pages of files that nobody uses are counted as used, but the kernel gives them up when asked: how many they
/// are is only read where there is not `enough` beside them, for the kernel adds up much to tell it.
fn leaves(folder: &Path, [limit, usage]: Names, enough: u64) -> Option<u64> {
    let number = |name| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let (limit, used) = (number(limit)?, number(usage)?);
    let beside = limit.saturating_sub(used);
    if beside >= enough {
        return Some(beside);
    }
    let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let reclaimable = |field: &str| {
        stat.lines()
            .find_map(|line| line.strip_prefix(field)?.trim().parse::<u64>().ok())
    };
    let files = reclaimable("total_inactive_file ")
        .or_else(|| reclaimable("inactive_file "))
        .unwrap_or(0);
    Some(limit.saturating_sub(used.saturating_sub(files)))
}

fn kibibytes(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

fn pressure(text: &str) -> Option<f64> {
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
    fn cgroups_of_both_versions_are_found() {
        let v2 = hierarchy("0::/system.slice/lazaret.service").unwrap();
        assert_eq!(
            (v2.0, v2.1),
            (Path::new("/sys/fs/cgroup"), "/system.slice/lazaret.service")
        );
        assert_eq!(
            hierarchy("8:memory,pids:/docker/abc").unwrap().0,
            Path::new("/sys/fs/cgroup/memory")
        );
        assert_eq!(hierarchy("4:cpu,cpuacct:/").map(|(_, path, _)| path), None);
        assert_eq!(hierarchy("nonsense").map(|(_, path, _)| path), None);
    }

    #[test]
    fn unused_file_pages_do_not_count_as_used() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name, text| fs::write(folder.path().join(name), text).unwrap();
        let names = ["memory.max", "memory.current"];
        write("memory.max", "max\n");
        write("memory.current", "900\n");
        assert_eq!(leaves(folder.path(), names, 5000), None);
        write("memory.max", "1000\n");
        write("memory.stat", "anon 100\ninactive_file 700\nactive_file 50\n");
        assert_eq!(leaves(folder.path(), names, 5000), Some(800));
        assert_eq!(leaves(folder.path(), names, 100), Some(100));
    }

    #[test]
    fn a_child_that_was_kept_waiting_makes_the_host_busy() {
        let idle = Load {
            cpu_pressure: Some(1.0),
            runnable: 1,
            processors: 2,
            ..Load::default()
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
