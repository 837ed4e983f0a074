//! A parent in a bad state: the child sees nothing of it.

use std::fs;

use lazaret::sandbox::drill::Drill;
use lazaret::sandbox::layers::Layer::{self, Inheritance, Landlock, Namespaces, Priority, Privileges, Seccomp, User};
use lazaret::verdict::Reason;

use super::bench::{
    Bench, again, children, ended_by, escaped, is_again, is_locked_down, is_root, must_succeed, skip, stat, status,
    story, tripped, wait_for,
};

/// A shell that leaves signals ignored or blocked, descriptors open, and an environment full.
const BAD_STATE: [&str; 7] = [
    "env",
    "--ignore-signal=XFSZ,XCPU,ALRM,PROF,SYS,ABRT,TERM",
    "--block-signal=XFSZ,XCPU,ALRM,PROF,SYS,ABRT,TERM",
    "sh",
    "-c",
    "exec 7</etc/passwd 8</etc 9>&1; export RUST_BACKTRACE=1 SECRET=of-the-parent LD_BIND_NOW=1; cd /tmp; exec \"$@\"",
    "sh",
];

/// What a sleeping child looks like from outside.
struct Seen {
    ignored: u64,
    blocked: u64,
    status: Box<dyn Fn(&str) -> String>,
    nice: i64,
    oom_score: String,
    /// Only root may see these: a child that forbids dumps belongs to root in /proc.
    as_root: Option<SeenAsRoot>,
}

struct SeenAsRoot {
    descriptors: Vec<String>,
    folder: String,
    environment: String,
}

fn see(pid: u32) -> Seen {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let status = move |field: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_default()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    // The named signals; 32 and 33 belong to the C library, which lets nobody change them.
    let mask = |field: &str| u64::from_str_radix(&status(field), 16).unwrap() & 0x7fff_ffff;
    let link =
        |name: &str| fs::read_link(format!("/proc/{pid}/{name}")).map(|path| path.to_string_lossy().into_owned());
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).map(|folder| {
        let mut names: Vec<_> = folder
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .collect();
        names.sort();
        names
    });
    let as_root = match (descriptors, link("cwd")) {
        (Ok(descriptors), Ok(folder)) => Some(SeenAsRoot {
            descriptors,
            folder,
            environment: fs::read_to_string(format!("/proc/{pid}/environ")).unwrap(),
        }),
        _ => None,
    };
    Seen {
        ignored: mask("SigIgn"),
        blocked: mask("SigBlk"),
        nice: stat(pid).unwrap()[16].parse().unwrap(),
        oom_score: fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap(),
        status: Box::new(status),
        as_root,
    }
}

/// Lets a child sleep behind all layers but these, and looks at it.
async fn look(without: &[Layer]) -> Seen {
    let bench = Bench::new().without(without);
    let up = |pid: &u32| match without.contains(&Seccomp) {
        // The child lets go of the processor only once all is up: when it sleeps in its drill.
        true => status(*pid, "State").starts_with('S') && status(*pid, "voluntary_ctxt_switches") != "0",
        false => is_locked_down(*pid),
    };
    let look = async {
        let pid = wait_for("a child that sleeps", || {
            children(std::process::id()).into_iter().find(up)
        })
        .await;
        let seen = see(pid);
        bench.release.send_replace(true);
        seen
    };
    tokio::join!(bench.drill(Drill::Sleep), look).1
}

const XFSZ: u64 = 1 << (libc::SIGXFSZ - 1);
const PIPE: u64 = 1 << (libc::SIGPIPE - 1);

#[tokio::test]
async fn a_child_sees_nothing_of_its_parents_state() {
    const TEST: &str = "sandbox::inherited::a_child_sees_nothing_of_its_parents_state";
    if !is_again() {
        must_succeed(again(TEST, &BAD_STATE)).await;
        return;
    }
    let this = see(std::process::id());
    assert_ne!(
        (this.ignored & XFSZ, this.blocked & XFSZ),
        (0, 0),
        "the bad state was not set up"
    );

    let child = look(&[]).await;
    assert_eq!(child.ignored & !PIPE, 0, "{:x}", child.ignored);
    assert_eq!(child.blocked, 0, "{:x}", child.blocked);
    assert_eq!((child.nice, child.oom_score.trim()), (10, "1000"));
    assert_eq!((child.status)("NoNewPrivs"), "1");
    assert_eq!((child.status)("Seccomp"), "2");
    assert_eq!((child.status)("Threads"), "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!((child.status)(set), "0000000000000000", "{set}");
    }
    if is_root() {
        assert_eq!((child.status)("Uid"), "65534 65534 65534 65534");
        assert_eq!((child.status)("Gid"), "65534 65534 65534 65534");
        assert_eq!((child.status)("Groups"), "");
    }
    match child.as_root {
        Some(child) => {
            assert_eq!(child.descriptors, ["0", "1", "2"]);
            assert_eq!(child.folder, "/");
            // What the supervisor sets, and nothing of its own.
            let set = "GLIBC_TUNABLES=glibc.malloc.hugetlb=1\0RUST_BACKTRACE=0\0";
            assert_eq!(child.environment, set);
        }
        None => {
            assert!(!is_root());
            skip("only root sees a child's descriptors, folder and environment");
        }
    }

    // The trip is a trip, whatever the parent ignored.
    let attempted = Bench::new().drill(Drill::Flood).await;
    tripped(&attempted, Reason::Output);
    assert!(ended_by(&attempted, libc::SIGXFSZ), "{}", story(&attempted));
}

#[tokio::test]
async fn without_its_layer_the_parents_state_is_inherited() {
    const TEST: &str = "sandbox::inherited::without_its_layer_the_parents_state_is_inherited";
    if !is_again() {
        must_succeed(again(TEST, &BAD_STATE)).await;
        return;
    }
    let child = look(&[Inheritance, Priority, User, Privileges, Namespaces, Landlock, Seccomp]).await;
    assert_ne!(child.ignored & XFSZ, 0);
    assert_eq!((child.nice, child.oom_score.trim() == "1000"), (0, false));
    assert_eq!((child.status)("NoNewPrivs"), "0");
    let child = child.as_root.unwrap();
    for descriptor in ["7", "8", "9"] {
        assert!(
            child.descriptors.iter().any(|open| open == descriptor),
            "{:?}",
            child.descriptors
        );
    }
    assert_ne!(child.folder, "/");

    let attempted = Bench::new().without(&[Inheritance]).drill(Drill::Flood).await;
    assert!(
        !ended_by(&attempted, libc::SIGXFSZ) && !escaped(&attempted),
        "{}",
        story(&attempted)
    );
}
