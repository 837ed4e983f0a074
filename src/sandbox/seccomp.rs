//! The system call filter, as data: one reason per line. What is not here kills the child with SIGSYS.
//!
//! Absent on purpose: open and its kin, socket, clone, fork, exec, kill, ptrace, prctl, setrlimit, setitimer, and every call
//! that makes memory executable.

use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// What a call's arguments must be.
enum Only {
    /// Anything.
    Any,
    /// The protection (third argument) is without PROT_EXEC.
    NotExecutable,
    /// The thread group (first argument) is this process, and the signal (third) is one that ends it as what it is.
    EndOfItself,
}

/// The calls a child may make once it is locked down, and why.
const ALLOWED: &[(libc::c_long, Only, &str)] = &[
    (libc::SYS_read, Only::Any, "orders and grants from the control socket"),
    (
        libc::SYS_write,
        Only::Any,
        "renditions, reports, the allocator's record",
    ),
    (libc::SYS_writev, Only::Any, "std's message when it aborts"),
    (libc::SYS_fstat, Only::Any, "the upload's length"),
    (libc::SYS_lseek, Only::Any, "std asks a file for its position"),
    (
        libc::SYS_mmap,
        Only::NotExecutable,
        "the heap's large blocks, and the upload",
    ),
    (libc::SYS_mprotect, Only::NotExecutable, "the heap grows its arena"),
    (libc::SYS_munmap, Only::Any, "the heap gives large blocks back"),
    (
        libc::SYS_mremap,
        Only::Any,
        "the heap grows large blocks in place; keeps their protection",
    ),
    (libc::SYS_brk, Only::Any, "the heap's small blocks"),
    (libc::SYS_madvise, Only::Any, "the heap gives pages back"),
    (
        libc::SYS_futex,
        Only::Any,
        "std's locks, though nobody contends for them",
    ),
    (libc::SYS_getrandom, Only::Any, "seeds of hash maps"),
    (
        libc::SYS_clock_gettime,
        Only::Any,
        "clocks, where the vDSO cannot answer",
    ),
    (
        libc::SYS_sysinfo,
        Only::Any,
        "the C library's qsort sizes its buffer; libwebp sorts",
    ),
    (libc::SYS_sched_yield, Only::Any, "spin locks of the C library"),
    (
        libc::SYS_sched_getaffinity,
        Only::Any,
        "the C library counts processors to lay out its heap",
    ),
    (
        libc::SYS_sigaltstack,
        Only::Any,
        "std's handler of stack overflows, at exit",
    ),
    (libc::SYS_rt_sigprocmask, Only::Any, "abort() lets SIGABRT through"),
    (libc::SYS_rt_sigreturn, Only::Any, "return from a signal handler"),
    (libc::SYS_getpid, Only::Any, "abort() asks who it is"),
    (libc::SYS_gettid, Only::Any, "abort() asks who it is"),
    (
        libc::SYS_tgkill,
        Only::EndOfItself,
        "abort() raises SIGABRT; without it a memory trip looks like an attack",
    ),
    (
        libc::SYS_restart_syscall,
        Only::Any,
        "the kernel resumes a call after a stop",
    ),
    (libc::SYS_close, Only::Any, "std drops a descriptor"),
    (libc::SYS_exit, Only::Any, "the end"),
    (libc::SYS_exit_group, Only::Any, "the end"),
];

/// Installs the filter for this process; returns how many calls it allows.
pub fn install() -> io::Result<usize> {
    let program = compile().map_err(io::Error::other)?;
    seccompiler::apply_filter(&program).map_err(io::Error::other)?;
    Ok(ALLOWED.len())
}

fn compile() -> Result<BpfProgram, seccompiler::Error> {
    let mut rules = std::collections::BTreeMap::new();
    for (call, only, _reason) in ALLOWED {
        rules.insert(i64::from(*call as i32), conditions(only)?);
    }
    let architecture = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, architecture)?;
    Ok(filter.try_into()?)
}

fn conditions(only: &Only) -> Result<Vec<SeccompRule>, seccompiler::Error> {
    let argument = |index, op, value: u64| SeccompCondition::new(index, Len::Dword, op, value);
    match only {
        Only::Any => Ok(Vec::new()),
        Only::NotExecutable => {
            let condition = argument(2, Op::MaskedEq(libc::PROT_EXEC as u64), 0)?;
            Ok(vec![SeccompRule::new(vec![condition])?])
        }
        Only::EndOfItself => {
            let me = u64::from(std::process::id());
            // SIGKILL too: it hides nothing, and lets a drill look like a child that the host killed.
            let rule =
                |signal: i32| SeccompRule::new(vec![argument(0, Op::Eq, me)?, argument(2, Op::Eq, signal as u64)?]);
            Ok(vec![rule(libc::SIGABRT)?, rule(libc::SIGKILL)?])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_compiles_and_names_each_call_once() {
        let mut calls: Vec<_> = ALLOWED.iter().map(|(call, ..)| call).collect();
        calls.sort_unstable();
        calls.dedup();
        assert_eq!(calls.len(), ALLOWED.len());
        compile().unwrap();
    }

    #[test]
    fn no_call_that_opens_spawns_or_signals_is_on_the_list() {
        let forbidden = [
            libc::SYS_openat,
            libc::SYS_openat2,
            libc::SYS_socket,
            libc::SYS_clone,
            libc::SYS_clone3,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_kill,
            libc::SYS_ptrace,
            libc::SYS_prlimit64,
            libc::SYS_setitimer,
            libc::SYS_memfd_create,
            libc::SYS_io_uring_setup,
        ];
        for (call, _, reason) in ALLOWED {
            assert!(!forbidden.contains(call), "{call}: {reason}");
        }
    }
}
