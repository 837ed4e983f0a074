//! The system calls of the sandbox that have no safe wrapper elsewhere, each in a function that is safe to call.
//!
//! This module, [`heap`] and [`attack`], with the bindings of the codecs, hold all unsafe code of the project.
//! What comes in and goes out are Rust types; no decision is taken here.
#![allow(
    unsafe_code,
    reason = "the one fence around system calls; every block says why it is sound"
)]

pub mod attack;
pub mod heap;

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::sandbox::outcome::End;

/// Turns the −1 of a system call into its error.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn check_long(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// A control socket: two ends of a packet socket, the first for the supervisor (does not block), the second for the child.
pub fn control_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for the two descriptors that the call writes.
    check(unsafe {
        libc::socketpair(
            libc::AF_UNIX,
            libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC,
            0,
            ends.as_mut_ptr(),
        )
    })?;
    // SAFETY: the call succeeded, so both are open descriptors that nobody else owns.
    let (ours, theirs) = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
    // SAFETY: fcntl on a descriptor we own, with an integer argument.
    check(unsafe { libc::fcntl(ours.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) })?;
    Ok((ours, theirs))
}

/// Sends one packet. A peer that is gone is an error, not a signal.
pub fn send(socket: BorrowedFd<'_>, packet: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length are those of `packet`, which the call only reads.
    let sent = unsafe {
        libc::send(
            socket.as_raw_fd(),
            packet.as_ptr().cast(),
            packet.len(),
            libc::MSG_NOSIGNAL | libc::MSG_EOR,
        )
    };
    match usize::try_from(sent) {
        Ok(sent) if sent == packet.len() => Ok(()),
        Ok(_) => Err(io::ErrorKind::WriteZero.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Receives one packet and returns its true length, which is greater than the buffer's where the packet was cut; 0 at the end.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length are those of `buffer`, which the call writes within.
    let got = unsafe {
        libc::recv(
            socket.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            libc::MSG_TRUNC,
        )
    };
    usize::try_from(got).map_err(|_| io::Error::last_os_error())
}

/// Writes all bytes to one of the child's three descriptors.
pub fn write_all(descriptor: i32, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // SAFETY: pointer and length are those of `bytes`, which the call only reads.
        let wrote = unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(wrote) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(wrote) => bytes = &bytes[wrote..],
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
    Ok(())
}

/// Reads once from one of the child's three descriptors; 0 at the end.
pub fn read(descriptor: i32, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        // SAFETY: pointer and length are those of `buffer`, which the call writes within.
        let got = unsafe { libc::read(descriptor, buffer.as_mut_ptr().cast(), buffer.len()) };
        match usize::try_from(got) {
            Ok(got) => return Ok(got),
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
}

/// Closes every descriptor above the child's three.
pub fn close_other_descriptors() -> io::Result<()> {
    // SAFETY: the child calls this first of all: no Rust value owns a descriptor above 2 yet.
    check_long(unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) }).map(drop)
}

/// Forbids core dumps of, and tracing by, other processes of the same user.
pub fn forbid_dumps() -> io::Result<()> {
    // SAFETY: prctl with integer arguments.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }).map(drop)
}

/// Forbids gaining privileges by exec; Landlock and seccomp ask for it.
pub fn forbid_new_privileges() -> io::Result<()> {
    // SAFETY: prctl with integer arguments.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }).map(drop)
}

/// Sets this process's niceness, −20 to 19.
pub fn set_niceness(nice: i32) -> io::Result<()> {
    // SAFETY: setpriority with integer arguments.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) }).map(drop)
}

/// Gives every signal its default action and lets it through: dispositions and masks are inherited across exec.
pub fn default_signals() -> io::Result<()> {
    for signal in 1..=libc::SIGSYS {
        if !matches!(signal, libc::SIGKILL | libc::SIGSTOP | libc::SIGPIPE) {
            // SAFETY: SIG_DFL is a valid action for every signal but the two left out.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
    // SAFETY: `none` is initialised by sigemptyset before it is read; the old mask is not asked for.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        check(libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut())).map(drop)
    }
}

/// Lets SIGPIPE end this process, as it ends any filter in a pipeline; the runtime ignores it by default. Not for processes with
/// children to look after.
pub fn end_on_closed_pipe() {
    // SAFETY: SIG_DFL is a valid action for this signal.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Which interval timer.
#[derive(Debug, Clone, Copy)]
pub enum Timer {
    /// CPU time of the process; SIGPROF.
    Prof,
    /// Wall time; SIGALRM.
    Real,
}

/// Arms a one-shot timer.
pub fn arm(timer: Timer, after: Duration) -> io::Result<()> {
    let which = match timer {
        Timer::Prof => libc::ITIMER_PROF,
        Timer::Real => libc::ITIMER_REAL,
    };
    let value = libc::itimerval {
        it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 },
        it_value: libc::timeval {
            tv_sec: after.as_secs() as libc::time_t,
            tv_usec: after.subsec_micros() as libc::suseconds_t,
        },
    };
    // SAFETY: `value` is a valid itimerval that the call only reads; the old value is not asked for.
    check_long(unsafe { libc::syscall(libc::SYS_setitimer, which, &value, 0) }).map(drop)
}

/// The effective user id.
pub fn effective_user() -> u32 {
    // SAFETY: geteuid has no arguments and cannot fail.
    unsafe { libc::geteuid() }
}

/// Becomes another user and group for good, without supplementary groups.
pub fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: a null list of length 0 is what setgroups takes for "none".
    check(unsafe { libc::setgroups(0, std::ptr::null()) })?;
    // SAFETY: integer arguments. Groups go first: a plain user may not change them.
    check(unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: integer arguments.
    check(unsafe { libc::setresuid(uid, uid, uid) }).map(drop)
}

/// Moves this process, which must have one thread, into new and empty user, network, IPC and UTS namespaces.
pub fn leave_namespaces() -> io::Result<()> {
    let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    // SAFETY: integer argument.
    check(unsafe { libc::unshare(flags) }).map(drop)
}

/// Gives up every capability; a new user namespace hands out all of them.
pub fn drop_capabilities() -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    let header = Header {
        version: 0x2008_0522,
        pid: 0,
    };
    let none = [0u32; 6];
    // SAFETY: version 3 of the interface reads two structs of three u32 each, which is what `none` holds.
    check_long(unsafe { libc::syscall(libc::SYS_capset, &header, none.as_ptr()) }).map(drop)
}

/// Maps a regular file into memory, read-only, for the rest of this process's life.
///
/// The caller's file must be unlinked and writable by nobody: the bytes must not change under the slice.
pub fn map_for_ever(descriptor: i32) -> io::Result<&'static [u8]> {
    // SAFETY: an all-zero stat is a valid value for the call to overwrite.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is a valid place to write to.
    // By number: the C library's fstat may be a newfstatat, which takes a path and is not on the filter's list.
    check_long(unsafe { libc::syscall(libc::SYS_fstat, descriptor, &mut stat) })?;
    let length = usize::try_from(stat.st_size).map_err(io::Error::other)?;
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: a new private mapping at an address of the kernel's choice; nothing existing is touched.
    let address = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ,
            libc::MAP_PRIVATE,
            descriptor,
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping is `length` bytes, readable, never unmapped, and the file behind it does not change (see above).
    Ok(unsafe { std::slice::from_raw_parts(address.cast(), length) })
}

/// A descriptor that becomes readable when the process ends.
pub fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: integer arguments.
    let descriptor = check_long(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, libc::PIDFD_NONBLOCK) })?;
    // SAFETY: the call succeeded, so this is an open descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as i32) })
}

/// Lets the runtime wait until a descriptor is readable.
pub fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd returns the same descriptor always, and keeps it open for as long as it lives inside the AsyncFd.
    unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }.map_err(Into::into)
}

/// CPU time, user and system, of a process that has not been reaped.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let mut clock = 0;
    // SAFETY: `clock` is a valid place to write to. The call returns an error number instead of setting errno.
    let error = unsafe { libc::clock_getcpuclockid(pid as libc::pid_t, &mut clock) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place to write to.
    check(unsafe { libc::clock_gettime(clock, &mut time) })?;
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// Reaps a process: how it ended, and the CPU time it used. Waits where it has not ended yet.
pub fn reap(pid: u32) -> io::Result<(End, Duration)> {
    let mut status = 0;
    // SAFETY: an all-zero rusage is a valid value for the call to overwrite.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid places to write to.
    while unsafe { libc::wait4(pid as libc::pid_t, &mut status, 0, &mut usage) } == -1 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    let end = if libc::WIFSIGNALED(status) {
        End::Signalled(libc::WTERMSIG(status))
    } else {
        End::Exited(libc::WEXITSTATUS(status))
    };
    Ok((end, time(usage.ru_utime) + time(usage.ru_stime)))
}

/// Kills a process and its group, where they still are. The process must not have been reaped, so that its id is still its own.
pub fn kill_group(pid: u32) {
    let pid = pid as libc::pid_t;
    // SAFETY: integer arguments. An error means that there is nothing left to kill.
    unsafe {
        libc::kill(-pid, libc::SIGKILL);
        libc::kill(pid, libc::SIGKILL);
    }
}

/// The process group of a process.
pub fn group_of(pid: u32) -> io::Result<u32> {
    // SAFETY: integer argument.
    check(unsafe { libc::getpgid(pid as libc::pid_t) }).map(i32::unsigned_abs)
}

/// Opens a file below `folder` for reading. No part of `key`, be it a link, leads outside; a FIFO or device does not block.
pub fn open_beneath(folder: &File, key: &Path) -> io::Result<File> {
    use std::os::unix::ffi::OsStrExt;
    let path = CString::new(key.as_os_str().as_bytes())?;
    // SAFETY: all-zero is a valid open_how, which is all integers.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK) as u64;
    how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS;
    let size = std::mem::size_of::<libc::open_how>();
    // SAFETY: `path` is a C string and `how` a valid struct of `size` bytes; the call only reads both.
    let opened = unsafe { libc::syscall(libc::SYS_openat2, folder.as_raw_fd(), path.as_ptr(), &how, size) };
    let descriptor = check_long(opened)?;
    // SAFETY: the call succeeded, so this is an open descriptor that nobody else owns.
    Ok(unsafe { File::from_raw_fd(descriptor as i32) })
}

/// Maps and touches memory without asking the allocator, until it is refused or 1 GiB is reached; a refusal is recorded.
/// For drills: this is what a greedy C library looks like.
pub fn map_until_refused() -> u64 {
    const BLOCK: usize = 4 << 20;
    let mut mapped = 0;
    while mapped < (1u64 << 30) {
        // SAFETY: malloc with a plain size; the result is checked before it is used.
        let block = unsafe { libc::malloc(BLOCK) };
        if block.is_null() {
            heap::record_refusal(BLOCK as u64);
            std::process::abort();
        }
        // SAFETY: the block is BLOCK bytes and was just allocated. It is leaked on purpose, and shown to the optimiser, which would
        // otherwise leave out an allocation that nobody reads.
        unsafe { libc::memset(std::hint::black_box(block), 1, BLOCK) };
        mapped += BLOCK as u64;
    }
    mapped
}

/// Forks; the new process ends at once. For drills.
pub fn fork_and_end() -> io::Result<()> {
    // SAFETY: the new process only calls _exit, which is safe after fork.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: ends the new process without running anything of the old one.
        0 => unsafe { libc::_exit(0) },
        _ => Ok(()),
    }
}

/// Sends SIGKILL to this very process, in the one way the filter allows. For drills.
pub fn kill_self() -> io::Result<()> {
    let pid = std::process::id() as libc::pid_t;
    // SAFETY: integer arguments; a child has one thread, whose id is the process's.
    check_long(unsafe { libc::syscall(libc::SYS_tgkill, pid, pid, libc::SIGKILL) }).map(drop)
}

/// Bytes that an unprivileged process may still write to the file system of `file`.
pub fn free_space(file: &File) -> io::Result<u64> {
    // SAFETY: an all-zero statvfs is a valid value for the call to overwrite.
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is a valid place to write to.
    check(unsafe { libc::fstatvfs(file.as_raw_fd(), &mut stat) })?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Ends the conversation: the other end reads its end, and can still be heard.
pub fn hang_up(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: integer arguments.
    check(unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_WR) }).map(drop)
}
