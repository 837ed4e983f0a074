//! Every drill, what guards it, and what it must come to.

use std::time::Duration;

use lazaret::sandbox::drill::Drill;
use lazaret::sandbox::layers::Layer;
use lazaret::sandbox::limits::Limits;
use lazaret::verdict::Reason;

use super::row::{Guard, Must, Row, Without};

const SECCOMP: Guard = Guard::Layer(Layer::Seccomp);
const LANDLOCK: Guard = Guard::Layer(Layer::Landlock);
const NAMESPACES: Guard = Guard::Layer(Layer::Namespaces);
const USER: Guard = Guard::Layer(Layer::User);
const PRIVILEGES: Guard = Guard::Layer(Layer::Privileges);
const INHERITANCE: Guard = Guard::Layer(Layer::Inheritance);
const RLIMITS: Guard = Guard::Layer(Layer::Rlimits);
const TIMERS: Guard = Guard::Layer(Layer::Timers);

/// A call that the filter kills.
const fn call(drill: Drill, what: &'static str, guards: &'static [Guard]) -> Row {
    Row {
        drill,
        what,
        guards,
        must: Must::Violate,
        without: Without::Guards,
        limits: usual,
    }
}

/// The same, where the host may refuse it all the same.
const fn call_if_the_host_lets(drill: Drill, what: &'static str, guards: &'static [Guard]) -> Row {
    Row {
        without: Without::GuardsIfTheHostLets,
        ..call(drill, what, guards)
    }
}

/// Something that trips a limit.
const fn trip(drill: Drill, what: &'static str, guards: &'static [Guard], reason: Reason) -> Row {
    Row {
        must: Must::Trip(reason),
        ..call(drill, what, guards)
    }
}

/// Words and output that are not believed.
const fn lie(drill: Drill, what: &'static str, must: Must) -> Row {
    Row {
        must,
        without: Without::Honest(Drill::FeignSuccess),
        ..call(drill, what, &[])
    }
}

/// An end that is to be told from others.
const fn end(drill: Drill, what: &'static str, must: Must) -> Row {
    Row {
        must,
        without: Without::Nothing,
        ..call(drill, what, &[])
    }
}

fn usual(_: &mut Limits) {}

fn little_cpu(limits: &mut Limits) {
    limits.cpu = Duration::from_millis(300);
}

/// Half a second of wall time once it is up, and the kernel's timer 2.5 s after the spawn.
pub fn little_wall(limits: &mut Limits) {
    limits.cpu = Duration::from_millis(300);
    limits.wall_per_cpu = 0;
    limits.wall_base = Duration::from_millis(500);
    limits.preflight_wall = Duration::from_secs(2);
    limits.admission_wait = Duration::ZERO;
}

pub const ROWS: &[Row] = &[
    call(Drill::OpenFile, "read /etc/passwd", &[SECCOMP, LANDLOCK]),
    call(Drill::ListRoot, "list /", &[SECCOMP, LANDLOCK]),
    call(Drill::WriteFile, "write a file in /tmp", &[SECCOMP, LANDLOCK]),
    call(
        Drill::WriteUpload,
        "write to the upload, by descriptor or reopened",
        &[SECCOMP, LANDLOCK, USER],
    ),
    Row {
        must: Must::Fail,
        ..call(Drill::ReadInherited, "read an inherited descriptor", &[INHERITANCE])
    },
    call(
        Drill::Connect,
        "TCP: connect on loopback",
        &[SECCOMP, LANDLOCK, NAMESPACES],
    ),
    call(Drill::SendDatagram, "UDP: send on loopback", &[SECCOMP, NAMESPACES]),
    call(Drill::ConnectUnix, "connect to a unix socket", &[SECCOMP]),
    call(
        Drill::ConnectAbstract,
        "connect to an abstract socket",
        &[SECCOMP, LANDLOCK, NAMESPACES],
    ),
    call(Drill::Fork, "fork", &[SECCOMP]),
    call(Drill::Vfork, "vfork", &[SECCOMP]),
    call(Drill::Clone3, "clone3", &[SECCOMP]),
    call(Drill::Exec, "run a program", &[SECCOMP, LANDLOCK]),
    call(Drill::Thread, "start a thread", &[SECCOMP]),
    call(Drill::SignalParent, "signal the supervisor", &[SECCOMP, LANDLOCK, USER]),
    call(
        Drill::SignalGroup,
        "signal the supervisor's group",
        &[SECCOMP, LANDLOCK, USER],
    ),
    call_if_the_host_lets(
        Drill::TraceParent,
        "trace the supervisor",
        &[SECCOMP, LANDLOCK, USER, PRIVILEGES, NAMESPACES],
    ),
    call_if_the_host_lets(Drill::LimitParent, "change a limit of the supervisor", &[SECCOMP, USER]),
    call(Drill::DisarmTimers, "switch its timers off", &[SECCOMP]),
    call(Drill::RaiseSoftLimit, "raise a soft limit", &[SECCOMP]),
    call_if_the_host_lets(
        Drill::RaiseHardLimit,
        "raise a hard limit",
        &[SECCOMP, USER, PRIVILEGES, NAMESPACES],
    ),
    Row {
        limits: little_cpu,
        ..call(
            Drill::IgnoreSignals,
            "ignore SIGTERM, SIGXCPU and the timers' signals",
            &[SECCOMP, Guard::Supervisor],
        )
    },
    Row {
        limits: little_cpu,
        ..trip(
            Drill::BlockSignals,
            "block all signals",
            &[Guard::Supervisor],
            Reason::Cpu,
        )
    },
    Row {
        limits: little_wall,
        ..call(
            Drill::StopItself,
            "stop itself, as by SIGSTOP",
            &[SECCOMP, Guard::Supervisor],
        )
    },
    call_if_the_host_lets(Drill::IoUring, "io_uring", &[SECCOMP]),
    call_if_the_host_lets(Drill::Bpf, "bpf", &[SECCOMP, USER, PRIVILEGES, NAMESPACES]),
    call_if_the_host_lets(Drill::Userfaultfd, "userfaultfd", &[SECCOMP]),
    call_if_the_host_lets(Drill::AddKey, "keyctl: add a key", &[SECCOMP]),
    call_if_the_host_lets(Drill::Call32, "a 32-bit call (int 0x80)", &[SECCOMP]),
    call_if_the_host_lets(Drill::CallX32, "an x32 call", &[SECCOMP]),
    call(Drill::MapExecutable, "map executable memory", &[SECCOMP]),
    call(Drill::MakeExecutable, "make memory executable, and run it", &[SECCOMP]),
    trip(Drill::Allocate, "allocate 1 GiB", &[Guard::Allocator], Reason::Memory),
    trip(
        Drill::AllocateSmall,
        "a million small blocks",
        &[Guard::Allocator],
        Reason::Memory,
    ),
    trip(
        Drill::MapMemory,
        "memory behind the allocator's back",
        &[RLIMITS, Guard::Supervisor],
        Reason::Memory,
    ),
    trip(
        Drill::MapShared,
        "shared memory past the limit",
        &[RLIMITS, Guard::Supervisor],
        Reason::Memory,
    ),
    call(Drill::Memfd, "a memfd past the limit", &[SECCOMP, RLIMITS]),
    Row {
        must: Must::Crash,
        ..call_if_the_host_lets(Drill::Recurse, "recurse without end", &[RLIMITS])
    },
    Row {
        limits: little_cpu,
        ..trip(
            Drill::Spin,
            "burn CPU time",
            &[Guard::Supervisor, TIMERS, RLIMITS],
            Reason::Cpu,
        )
    },
    Row {
        limits: little_wall,
        must: Must::RunOutOfTime,
        ..call(Drill::Sleep, "sleep", &[Guard::Supervisor, TIMERS])
    },
    trip(Drill::Flood, "write 128 MiB to the output", &[RLIMITS], Reason::Output),
    lie(Drill::FloodControl, "write 4 GiB to the control socket", Must::Crash),
    lie(
        Drill::ForgeReport,
        "claim a rendition that was never written",
        Must::Crash,
    ),
    lie(Drill::SwapOutput, "HTML in place of a rendition", Must::Crash),
    lie(Drill::FeignAndCrash, "a good DONE, and then a crash", Must::Crash),
    lie(
        Drill::ForgeMemoryRecord,
        "a forged memory record, and then success",
        Must::Trip(Reason::Memory),
    ),
    lie(Drill::Babble, "a message of the wrong words", Must::Crash),
    lie(Drill::Shout, "a message of the wrong length", Must::Crash),
    lie(Drill::HalfMessage, "half a message, and then silence", Must::Crash),
    lie(Drill::Chatter, "messages without end", Must::Crash),
    Row {
        limits: little_cpu,
        ..lie(Drill::Linger, "a DONE, and no end", Must::Trip(Reason::Cpu))
    },
    end(Drill::Abort, "abort", Must::Crash),
    end(Drill::Panic, "panic", Must::Crash),
    end(Drill::Vanish, "end without a word", Must::Crash),
    end(Drill::KilledByHost, "be killed by the host", Must::BeKilled),
];
