//! What the cgroups of this process allow: the least along the way up. Version 2, then version 1.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Given, Oom};

/// Puts in what the cgroups of this process allow.
pub fn look(given: Given) -> Given {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    of(given, &own, Path::new("/sys/fs/cgroup"))
}

fn of(given: Given, own: &str, root: &Path) -> Given {
    let memory = Hierarchy::of(own, root, "memory");
    let tasks = Hierarchy::of(own, root, "pids");
    let grouped = memory.numbers(&["memory.oom.group"]).any(|value| value == 1);
    Given {
        memory: memory
            .numbers(&["memory.max", "memory.limit_in_bytes"])
            .filter(limits)
            .min(),
        tasks: tasks.numbers(&["pids.max"]).min(),
        oom: if grouped { Some(Oom::All) } else { given.oom },
        ..given
    }
}

/// Version 1 writes "no limit" as the largest number of pages.
fn limits(bytes: &u64) -> bool {
    *bytes < 1 << 60
}

/// The folders that say what a controller allows this process, from its own cgroup up to the root.
struct Hierarchy(Vec<PathBuf>);

impl Hierarchy {
    fn of(own: &str, root: &Path, controller: &str) -> Self {
        let ways = own.lines().filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            match rest.split_once(':')? {
                ("", path) => Some((root.to_owned(), path)),
                (list, path) if list.split(',').any(|name| name == controller) => Some((root.join(controller), path)),
                _ => None,
            }
        });
        let folders = ways.flat_map(|(root, path)| {
            let up = Path::new(path)
                .ancestors()
                .map(|path| path.strip_prefix("/").unwrap_or(path));
            up.map(|path| root.join(path)).collect::<Vec<_>>()
        });
        Self(folders.collect())
    }

    /// The numbers in these files, wherever one is; "max" is none.
    fn numbers(&self, files: &[&str]) -> impl Iterator<Item = u64> {
        let within = move |folder: &PathBuf| files.iter().map(|file| folder.join(file)).collect::<Vec<_>>();
        let paths = self.0.iter().flat_map(within);
        paths.filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Name;
    use super::*;

    #[test]
    fn the_least_along_the_way_up_counts_in_both_versions() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("machine.slice/a/memory.max", "3000\n");
        write("machine.slice/a/pids.max", "max\n");
        write("machine.slice/memory.max", "2000\n");
        write("machine.slice/memory.oom.group", "1\n");
        write("pids/docker/b/pids.max", "100\n");
        write("memory/docker/b/memory.limit_in_bytes", "9223372036854771712\n");
        let look = |own: &str| of(Given::by(Name::ContainerEngine), own, folder.path());

        let two = look("0::/machine.slice/a\n");
        assert_eq!((two.memory, two.tasks, two.oom), (Some(2000), None, Some(Oom::All)));
        let one = look("8:pids:/docker/b\n4:cpu,memory:/docker/b\n0::/\n");
        assert_eq!((one.memory, one.tasks, one.oom), (None, Some(100), None));
        assert_eq!(look("nonsense"), Given::by(Name::ContainerEngine));
    }
}
