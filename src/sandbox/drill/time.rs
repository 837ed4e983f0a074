//! Drills that take time, and those that would lift what ends it.

use std::io;
use std::time::Duration;

use super::told;
use crate::sandbox::protocol::FromChild;
use crate::sandbox::{child, sys};

/// More CPU time than a drill's timer allows.
const TOO_LONG: Duration = Duration::from_millis(1_200);

pub(super) fn spin() -> FromChild {
    let mut sum = 0u64;
    for round in 0..100_000_000_000u64 {
        sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(round));
    }
    FromChild::Escaped(format!("counted to the end: {sum}"))
}

pub(super) fn sleep() -> FromChild {
    // Sleeping calls are not on the list; waiting for the supervisor to speak is.
    told(sys::read(child::CONTROL, &mut [0; 1]), "was spoken to")
}

/// Burns CPU time of its own.
pub(super) fn burn(time: Duration) {
    let before = sys::attack::own_cpu_time().unwrap_or_default();
    // Without that clock there is no end to wait for.
    while sys::attack::own_cpu_time().is_ok_and(|now| now.saturating_sub(before) < time) {
        std::hint::spin_loop();
    }
}

pub(super) fn disarm() -> FromChild {
    let both = sys::arm(sys::Timer::Prof, Duration::ZERO).and_then(|()| sys::arm(sys::Timer::Real, Duration::ZERO));
    told(both, "switched its timers off")
}

pub(super) fn raise_soft_limit() -> FromChild {
    use rlimit::Resource;
    let raised = Resource::CPU.get().and_then(|(soft, hard)| {
        let raise = || Resource::CPU.set(hard, hard);
        if soft < hard {
            raise()
        } else {
            Err(io::Error::other("it is as high as it may be"))
        }
    });
    told(raised, "raised a soft limit")
}

pub(super) fn raise_hard_limit() -> FromChild {
    use rlimit::Resource;
    let raised = Resource::DATA.get().and_then(|(_, hard)| {
        let raise = || Resource::DATA.set(hard * 2, hard * 2);
        if hard < rlimit::INFINITY / 2 {
            raise()
        } else {
            Err(io::Error::other("there is none"))
        }
    });
    told(raised, "raised a hard limit")
}

pub(super) fn ignore_signals() -> FromChild {
    for signal in [libc::SIGXCPU, libc::SIGPROF, libc::SIGALRM, libc::SIGTERM] {
        if let Err(error) = sys::attack::ignore(signal) {
            return FromChild::Held(error.to_string());
        }
    }
    burn(TOO_LONG);
    FromChild::Escaped("burnt CPU time that its timer forbids".to_owned())
}

pub(super) fn block_signals() -> FromChild {
    if let Err(error) = sys::attack::block_all() {
        return FromChild::Held(error.to_string());
    }
    burn(TOO_LONG);
    FromChild::Escaped("burnt CPU time that its timer forbids".to_owned())
}
