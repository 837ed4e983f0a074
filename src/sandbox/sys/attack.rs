//! System calls that a child has no business with, each in a function of its own: for drills, which show that they are refused.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::FromRawFd;
use std::time::Duration;

use super::{check, check_long};

/// A signal that nobody minds: the terminal's size may have changed.
const WAVE: libc::c_int = libc::SIGWINCH;
/// The soft limit that [`limit`] leaves behind, which nobody else would choose; bytes in POSIX message queues.
pub const MARK: u64 = 4_242;

#[cfg(not(target_arch = "x86_64"))]
fn not_on_this_processor<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Forks by `vfork`; the new process ends at once.
pub fn vfork_and_end() -> io::Result<()> {
    #[cfg(target_arch = "x86_64")]
    {
        let result: i64;
        // SAFETY: the new process shares this one's memory and touches none of it: three instructions, no stack, then it ends. This
        // process waits until then.
        unsafe {
            std::arch::asm!(
                "syscall",
                "test rax, rax",
                "jnz 2f",
                "mov eax, {exit}",
                "xor edi, edi",
                "syscall",
                "2:",
                exit = const libc::SYS_exit,
                inlateout("rax") libc::SYS_vfork => result,
                out("rdi") _, out("rcx") _, out("r11") _,
            );
        }
        answer(result).map(drop)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        not_on_this_processor()
    }
}

/// Forks by `clone3`; the new process ends at once.
pub fn clone3_and_end() -> io::Result<()> {
    // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls
    let arguments: [u64; 8] = [0, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0];
    // SAFETY: the struct is 8 words, which the call only reads; memory is not shared, and the new process only calls _exit.
    match unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: ends the new process without running anything of the old one.
        0 => unsafe { libc::_exit(0) },
        _ => Ok(()),
    }
}

/// Sends a signal that nobody minds to a process.
pub fn wave_to(pid: u32) -> io::Result<()> {
    // SAFETY: integer arguments.
    check(unsafe { libc::kill(pid as libc::pid_t, WAVE) }).map(drop)
}

/// Sends a signal that nobody minds to a process group.
pub fn wave_to_group(group: u32) -> io::Result<()> {
    // SAFETY: integer arguments.
    check(unsafe { libc::kill(-(group as libc::pid_t), WAVE) }).map(drop)
}

/// Traces a process without stopping it.
pub fn trace(pid: u32) -> io::Result<()> {
    // SAFETY: integer arguments; the process is not stopped, and let go when this one ends.
    check_long(unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid as libc::pid_t, 0usize, 0usize) }).map(drop)
}

/// Changes a limit of a process: the soft one on message queues, to [`MARK`].
pub fn limit(pid: u32) -> io::Result<()> {
    let mut found = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let queues = libc::RLIMIT_MSGQUEUE;
    // SAFETY: `found` is a valid place to write to; no new limit is given.
    check(unsafe { libc::prlimit(pid as libc::pid_t, queues, std::ptr::null(), &mut found) })?;
    found.rlim_cur = MARK;
    // SAFETY: `found` is a valid limit, which the call only reads.
    check(unsafe { libc::prlimit(pid as libc::pid_t, queues, &found, std::ptr::null_mut()) }).map(drop)
}

/// Ignores a signal.
pub fn ignore(signal: libc::c_int) -> io::Result<()> {
    // SAFETY: SIG_IGN is a valid action.
    if unsafe { libc::signal(signal, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Blocks every signal that can be blocked.
pub fn block_all() -> io::Result<()> {
    // SAFETY: `all` is initialised by sigfillset before it is read; the old mask is not asked for.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        check(libc::sigprocmask(libc::SIG_BLOCK, &all, std::ptr::null_mut())).map(drop)
    }
}

/// CPU time of this process, by a call that a child may make.
pub fn own_cpu_time() -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place to write to.
    check(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) })?;
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// Stops this process until somebody has it go on.
pub fn stop_itself() -> io::Result<()> {
    let pid = std::process::id() as libc::pid_t;
    // SAFETY: integer arguments; a child has one thread, whose id is the process's.
    check_long(unsafe { libc::syscall(libc::SYS_tgkill, pid, pid, libc::SIGSTOP) }).map(drop)
}

/// Makes an io_uring of one entry.
pub fn io_uring() -> io::Result<()> {
    let mut parameters = [0u64; 15];
    // SAFETY: the parameters are 120 bytes, all zero, which the call may write to.
    check_long(unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) }).map(drop)
}

/// Makes a BPF map: an array of one.
pub fn bpf_map() -> io::Result<()> {
    const MAP_CREATE: libc::c_int = 0;
    const ARRAY: u32 = 2;
    let mut attributes = [0u32; 18];
    // Kind, size of a key, size of a value, entries.
    attributes[..4].copy_from_slice(&[ARRAY, 4, 4, 1]);
    let size = size_of_val(&attributes);
    // SAFETY: the attributes are `size` bytes, which the call reads.
    check_long(unsafe { libc::syscall(libc::SYS_bpf, MAP_CREATE, attributes.as_mut_ptr(), size) }).map(drop)
}

/// Asks for a descriptor that handles page faults of this process.
pub fn userfaultfd() -> io::Result<()> {
    const USER_MODE_ONLY: libc::c_int = 1;
    // SAFETY: integer argument.
    check_long(unsafe { libc::syscall(libc::SYS_userfaultfd, USER_MODE_ONLY) }).map(drop)
}

/// Puts a key into this process's keyring.
pub fn add_key() -> io::Result<()> {
    const OF_THIS_PROCESS: libc::c_int = -2;
    let (kind, name, secret) = (c"user", c"lazaret-drill", b"drill");
    // SAFETY: two C strings and five bytes, which the call only reads.
    check_long(unsafe {
        libc::syscall(
            libc::SYS_add_key,
            kind.as_ptr(),
            name.as_ptr(),
            secret.as_ptr(),
            secret.len(),
            OF_THIS_PROCESS,
        )
    })
    .map(drop)
}

/// Asks for this process's id by the 32-bit entry.
pub fn call_32() -> io::Result<i64> {
    #[cfg(target_arch = "x86_64")]
    {
        /// `getpid` in the 32-bit table.
        const GETPID: u64 = 20;
        let result: u64;
        // SAFETY: the call has no arguments and touches no memory; the entry may clear the registers that are named.
        unsafe {
            std::arch::asm!("int 0x80", inlateout("rax") GETPID => result, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
        }
        answer(i64::from(result as u32 as i32))
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        not_on_this_processor()
    }
}

/// Asks for this process's id by its x32 number.
pub fn call_x32() -> io::Result<()> {
    #[cfg(target_arch = "x86_64")]
    {
        const X32: libc::c_long = 0x4000_0000;
        // SAFETY: the call has no arguments.
        check_long(unsafe { libc::syscall(X32 | libc::SYS_getpid) }).map(drop)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        not_on_this_processor()
    }
}

/// Maps a page that is executable.
pub fn map_executable() -> io::Result<()> {
    map(4096, libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE).map(drop)
}

/// Writes a function, makes it executable, and calls it; it returns 42.
pub fn run_what_was_written() -> io::Result<i32> {
    #[cfg(target_arch = "x86_64")]
    const CODE: &[u8] = b"\xb8\x2a\x00\x00\x00\xc3";
    #[cfg(target_arch = "aarch64")]
    const CODE: &[u8] = b"\x40\x05\x80\x52\xc0\x03\x5f\xd6";
    let page = map(4096, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE)?;
    // SAFETY: the page is 4096 bytes, writable, and nobody else's.
    unsafe { std::ptr::copy_nonoverlapping(CODE.as_ptr(), page.cast(), CODE.len()) };
    // SAFETY: the page was mapped above, and nothing refers to it.
    check(unsafe { libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_EXEC) })?;
    // SAFETY: the page holds the code of a function without arguments that returns an integer and touches nothing.
    let written: extern "C" fn() -> i32 = unsafe { std::mem::transmute(page) };
    Ok(written())
}

/// Maps shared memory and touches it.
pub fn map_shared(bytes: usize) -> io::Result<()> {
    let start = map(bytes, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED)?;
    // SAFETY: the mapping is `bytes` long and writable; it is leaked on purpose, and shown to the optimiser.
    unsafe { libc::memset(std::hint::black_box(start), 1, bytes) };
    Ok(())
}

fn map(bytes: usize, protection: libc::c_int, kind: libc::c_int) -> io::Result<*mut libc::c_void> {
    // SAFETY: a new mapping at an address of the kernel's choice; nothing existing is touched.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            protection,
            kind | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(start)
}

/// Makes a file without a name in memory, and fills it.
pub fn fill_memfd(bytes: usize) -> io::Result<()> {
    // SAFETY: a C string, which the call only reads.
    let descriptor = check(unsafe { libc::memfd_create(c"drill".as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: the call succeeded, so this is an open descriptor that nobody else owns.
    let mut file = unsafe { File::from_raw_fd(descriptor) };
    let block = vec![1; 1 << 20];
    (0..bytes / block.len()).try_for_each(|_| file.write_all(&block))
}

/// Turns what the kernel leaves in a register into its error.
#[cfg(target_arch = "x86_64")]
fn answer(result: i64) -> io::Result<i64> {
    match result {
        -4095..=-1 => Err(io::Error::from_raw_os_error(-result as i32)),
        fine => Ok(fine),
    }
}
