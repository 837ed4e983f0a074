//! What a benchmark and its children used.

use std::time::Duration;

/// CPU time of this process and of all children it has reaped.
pub fn cpu_time() -> Duration {
    [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN]
        .into_iter()
        .map(|who| time(&usage(who)))
        .sum()
}

fn time(usage: &libc::rusage) -> Duration {
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

#[allow(unsafe_code, reason = "no safe wrapper among the dependencies; a benchmark only")]
fn usage(who: libc::c_int) -> libc::rusage {
    // SAFETY: an all-zero rusage is valid, and is a valid place for the call to write to.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(who, &mut usage), 0);
        usage
    }
}
