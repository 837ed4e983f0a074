//! The outcome table: from what is known of an ended attempt to what happened to it. `[pure]`
//!
//! In: [`Facts`], gathered by the supervisor. Out: an [`Outcome`]. Three laws hold, and are tested as such:
//! what the supervisor saw beats what the child said; no word of the child after READY turns a failure into our own fault;
//! a run that never was READY, or that starved, is never held against the upload.

use serde::{Deserialize, Serialize};

use crate::sandbox::limits::Grant;
use crate::sandbox::protocol::{Declaration, Found, Made, MemoryRecord, Phase};
use crate::verdict::{Exceeded, Reason, Refusal};

/// All that is known of an attempt once its child is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// How the child came up.
    pub start: Start,
    /// The last thing the child said about its result.
    pub said: Said,
    /// The supervisor's own refusal of what was declared.
    pub overruled: Option<Refusal>,
    /// What it declared is over a ceiling of policy, within the limits.
    pub declined: Option<Exceeded>,
    /// What it found beside renditions.
    pub found: Found,
    /// What its headers declared.
    pub declared: Option<Declaration>,
    /// The phase it last said it was in.
    pub phase: Phase,
    /// The record its allocator wrote when it refused.
    pub memory_record: Option<MemoryRecord>,
    /// How the process ended.
    pub end: End,
    /// Why the supervisor ended it, where it did.
    pub killed_for: Option<KilledFor>,
    /// What it was allowed.
    pub grant: Grant,
    /// Bytes of output it was allowed.
    pub output_allowed: u64,
    /// What it used.
    pub usage: Usage,
    /// What its output turned out to be, checked without parsing it.
    pub output: OutputCheck,
    /// Whether the host let it run.
    pub host: Host,
}

/// How a child came up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// It could not be spawned, or ended or stalled before READY: it has seen no byte of the upload.
    Failed(String),
    /// All required layers held.
    Ready,
}

/// The child's last word on its result; believed only as far as it checks.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// Nothing.
    Nothing,
    /// It says that it made these renditions.
    Done(Vec<Made>),
    /// It says that the upload is not acceptable.
    Refused(Refusal),
    /// It panicked, with this message.
    Panicked(String),
    /// Something that is not of the vocabulary, or not at its turn.
    Malformed(String),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It exited with this code.
    Exited(i32),
    /// This signal ended it.
    Signalled(i32),
}

/// Why the supervisor killed a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KilledFor {
    /// CPU time over its grant.
    Cpu,
    /// Resident memory over its grant and margin.
    Memory,
    /// Wall time over its grant.
    Wall,
    /// It broke the protocol, or was overruled: nothing more was to be learnt from it.
    Settled,
    /// Drain, deploy, or the job was cancelled.
    Release,
}

/// What an attempt used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time, user and system, in milliseconds.
    pub cpu_ms: u64,
    /// Wall time from spawn to end, in milliseconds.
    pub wall_ms: u64,
    /// Time it was runnable and waited for a processor, in milliseconds.
    pub waited_ms: u64,
    /// Peak resident memory, in bytes.
    pub peak_memory_bytes: u64,
}

/// What the output turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputCheck {
    /// Lengths add up, magic bytes and sizes are as asked.
    Good,
    /// Something is not as it should be.
    Bad(String),
    /// More bytes than allowed.
    TooLong {
        /// Bytes found.
        bytes: u64,
    },
}

/// Whether the host let the child run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Host {
    /// Processors were to be had.
    Quiet,
    /// Pressure, run queue or steal kept the child waiting.
    Busy,
    /// The staging folder has no space left: whatever the child could not write is not the upload's doing.
    Full,
}

/// What happened to an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Renditions that passed every check.
    Converted(Vec<Made>),
    /// A well-formed refusal, or a decoder's error.
    Refused(Refusal),
    /// It declared more than policy lets its tenant have now: nothing against the upload.
    Declined(Exceeded),
    /// A limit tripped.
    Tripped(Trip),
    /// A system call that is not on the list.
    Violation,
    /// A crash, a panic, or a report that makes no sense.
    Crashed(String),
    /// A SIGKILL that is not ours: most likely the kernel's, out of memory.
    Killed,
    /// Out of wall time on a busy host.
    Starved,
    /// Our own fault: no sandbox, no attempt.
    Unavailable(String),
    /// Ended by us for a reason that has nothing to do with the upload.
    Released,
}

/// A limit that tripped, and by how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trip {
    /// `memory`, `cpu`, `wall` or `output`.
    pub reason: Reason,
    /// Limit, value seen, value allowed: bytes or milliseconds.
    pub exceeded: Exceeded,
}

impl Outcome {
    /// All words of outcomes.
    pub const WORDS: [&'static str; 10] = [
        "converted",
        "refused",
        "declined",
        "tripped",
        "violation",
        "crashed",
        "killed",
        "starved",
        "unavailable",
        "released",
    ];

    /// The outcome's word in tables, events and the ledger.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Converted(_) => "converted",
            Self::Refused(_) => "refused",
            Self::Declined(_) => "declined",
            Self::Tripped(_) => "tripped",
            Self::Violation => "violation",
            Self::Crashed(_) => "crashed",
            Self::Killed => "killed",
            Self::Starved => "starved",
            Self::Unavailable(_) => "unavailable",
            Self::Released => "released",
        }
    }
}

/// Reads the table from the top: the first row whose evidence is there decides.
pub fn judge(facts: &Facts) -> Outcome {
    if let Start::Failed(why) = &facts.start {
        return match facts.killed_for {
            // Nothing failed: it was told to go before it had come that far.
            Some(KilledFor::Release) => Outcome::Released,
            _ => Outcome::Unavailable(why.clone()),
        };
    }
    if let Some(exact) = exact_evidence(facts) {
        return exact;
    }
    if facts.host == Host::Full && !matches!(facts.said, Said::Done(_) | Said::Refused(_)) {
        return Outcome::Unavailable("the staging folder is full".to_owned());
    }
    match facts.killed_for {
        Some(KilledFor::Release) => return Outcome::Released,
        Some(KilledFor::Wall) => return out_of_wall_time(facts),
        _ => {}
    }
    if let Some(refusal) = &facts.overruled {
        return Outcome::Refused(refusal.clone());
    }
    if let Some(exceeded) = &facts.declined {
        return Outcome::Declined(exceeded.clone());
    }
    match &facts.said {
        Said::Malformed(what) => return Outcome::Crashed(format!("malformed report: {what}")),
        Said::Panicked(message) => return Outcome::Crashed(message.clone()),
        _ => {}
    }
    match facts.end {
        End::Signalled(libc::SIGALRM) => out_of_wall_time(facts),
        End::Signalled(libc::SIGKILL) => Outcome::Killed,
        End::Signalled(signal) => Outcome::Crashed(format!("ended by {}", signal_name(signal))),
        End::Exited(0) => said_and_checked(facts),
        End::Exited(code) => Outcome::Crashed(format!("exited with code {code}")),
    }
}

/// Evidence that leaves no room for doubt: one strike convicts.
fn exact_evidence(facts: &Facts) -> Option<Outcome> {
    let grant = facts.grant;
    let trip = |reason, limit: &str, seen, allowed| {
        let exceeded = Exceeded {
            limit: limit.to_owned(),
            seen,
            allowed,
        };
        Some(Outcome::Tripped(Trip { reason, exceeded }))
    };
    if let Some(record) = &facts.memory_record {
        let wanted = record.in_use.saturating_add(record.requested);
        // Where the kernel refused a C library, the allocator's count knows only a part: what was resident tells more.
        let seen = if wanted > record.allowed {
            wanted
        } else {
            facts.usage.peak_memory_bytes
        };
        return trip(
            Reason::Memory,
            "memory",
            seen.max(record.allowed.saturating_add(1)),
            record.allowed,
        );
    }
    let signal = match facts.end {
        End::Signalled(signal) => signal,
        End::Exited(_) => 0,
    };
    if facts.killed_for == Some(KilledFor::Memory) {
        return trip(
            Reason::Memory,
            "memory",
            facts.usage.peak_memory_bytes,
            grant.memory_bytes,
        );
    }
    if facts.killed_for == Some(KilledFor::Cpu) || matches!(signal, libc::SIGPROF | libc::SIGXCPU) {
        return trip(Reason::Cpu, "cpu_ms", facts.usage.cpu_ms, grant.cpu_ms);
    }
    if signal == libc::SIGXFSZ {
        return trip(
            Reason::Output,
            "output",
            facts.output_allowed.saturating_add(1),
            facts.output_allowed,
        );
    }
    if let OutputCheck::TooLong { bytes } = facts.output {
        return trip(Reason::Output, "output", bytes, facts.output_allowed);
    }
    (signal == libc::SIGSYS).then_some(Outcome::Violation)
}

/// Wall time is over: the child worked all the time, or slept, or was kept waiting.
fn out_of_wall_time(facts: &Facts) -> Outcome {
    let (usage, grant) = (facts.usage, facts.grant);
    let trip = |reason, limit: &str, seen, allowed| {
        let exceeded = Exceeded {
            limit: limit.to_owned(),
            seen,
            allowed,
        };
        Outcome::Tripped(Trip { reason, exceeded })
    };
    if usage.cpu_ms * 10 >= grant.cpu_ms * 8 {
        return trip(Reason::Cpu, "cpu_ms", usage.cpu_ms, grant.cpu_ms);
    }
    match facts.host {
        Host::Busy | Host::Full => Outcome::Starved,
        Host::Quiet => trip(Reason::Wall, "wall_ms", usage.wall_ms, grant.wall_ms),
    }
}

/// A clean exit: what the child said counts as far as it checks.
fn said_and_checked(facts: &Facts) -> Outcome {
    match (&facts.said, &facts.output) {
        (Said::Done(made), OutputCheck::Good) => Outcome::Converted(made.clone()),
        (Said::Done(_), OutputCheck::Bad(why)) => Outcome::Crashed(format!("output does not check: {why}")),
        (Said::Done(_), OutputCheck::TooLong { .. }) => Outcome::Crashed("output too long".to_owned()),
        // A child may call an upload bad; it may not call it quarantined, refused by policy, or our fault.
        (Said::Refused(refusal), _) if speaks_of_the_upload(refusal.reason) => Outcome::Refused(refusal.clone()),
        (Said::Refused(refusal), _) => Outcome::Crashed(format!("malformed report: reason {:?}", refusal.reason)),
        (Said::Nothing | Said::Panicked(_) | Said::Malformed(_), _) => {
            Outcome::Crashed("ended without a report".to_owned())
        }
    }
}

fn speaks_of_the_upload(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::UnsupportedFormat
            | Reason::Corrupt
            | Reason::Empty
            | Reason::TooManyPixels
            | Reason::TooManyFrames
            | Reason::TooComplex
    )
}

/// The signal's name, as in signal(7).
pub fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGPROF => "SIGPROF",
        libc::SIGSYS => "SIGSYS",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests;
