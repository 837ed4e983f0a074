//! Drills: one way to misbehave each, run behind the real layers by `doctor` and the tests, to prove that a guard holds.
//!
//! A drill that is stopped by a signal says nothing more; one that is stopped with an error says `held`; one that gets through says
//! `escaped`. Children never take a drill from an upload: it comes with the supervisor's order.

mod kernel;
mod memory;
mod processes;
mod reach;
mod reports;
mod time;

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::sandbox::protocol::FromChild;
use crate::sandbox::sys;

pub use memory::jump_the_gun;

/// Declares the drills, and lists them.
macro_rules! drills {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One way to misbehave.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Drill {
            $($(#[$doc])* $name,)*
        }

        impl Drill {
            /// Every drill.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

drills! {
    /// Read /etc/passwd.
    OpenFile,
    /// List /.
    ListRoot,
    /// Make a file where everybody may, in /tmp.
    WriteFile,
    /// Open the upload once more, for writing.
    WriteUpload,
    /// Read descriptor 7, which the supervisor's parent left open.
    ReadInherited,

    /// Connect to a port on loopback.
    Connect,
    /// Send a datagram to a port on loopback.
    SendDatagram,
    /// Connect to a socket in /tmp.
    ConnectUnix,
    /// Connect to a socket that has a name and no path.
    ConnectAbstract,

    /// Fork.
    Fork,
    /// Fork by vfork.
    Vfork,
    /// Fork by clone3.
    Clone3,
    /// Become /bin/true.
    Exec,
    /// Start a thread.
    Thread,
    /// Send a signal to the supervisor.
    SignalParent,
    /// Send a signal to the supervisor's process group.
    SignalGroup,
    /// Trace the supervisor.
    TraceParent,
    /// Change a limit of the supervisor.
    LimitParent,

    /// Switch the timers off.
    DisarmTimers,
    /// Raise a soft limit up to its hard one.
    RaiseSoftLimit,
    /// Raise a hard limit.
    RaiseHardLimit,
    /// Ignore the signals that limits and timers send, and burn CPU time.
    IgnoreSignals,
    /// Block all signals, and burn CPU time.
    BlockSignals,
    /// Stop itself, as SIGSTOP does.
    StopItself,

    /// Make an io_uring.
    IoUring,
    /// Make a BPF map.
    Bpf,
    /// Handle its own page faults.
    Userfaultfd,
    /// Put a key into the kernel's keyring.
    AddKey,
    /// Make a system call by the 32-bit entry.
    Call32,
    /// Make a system call by its x32 number.
    CallX32,
    /// Map memory that is executable.
    MapExecutable,
    /// Make memory executable, and run what it wrote there.
    MakeExecutable,

    /// Ask the allocator for more and more.
    Allocate,
    /// Ask the allocator for a million small blocks.
    AllocateSmall,
    /// Get memory behind the allocator's back, as a C library would.
    MapMemory,
    /// Get shared memory, which a limit on data does not count.
    MapShared,
    /// Get memory as a file without a name.
    Memfd,
    /// Call itself without end.
    Recurse,
    /// Declare, and take memory before it is granted.
    JumpTheGun,

    /// Burn CPU time.
    Spin,
    /// Wait for something that never comes.
    Sleep,

    /// Write output without end.
    Flood,
    /// Write to the control socket without end.
    FloodControl,
    /// Claim a rendition that was never written.
    ForgeReport,
    /// Write what looks like renditions, and claim them: what the supervisor cannot tell from the truth.
    FeignSuccess,
    /// The same, with HTML in place of one.
    SwapOutput,
    /// The same, and then crash.
    FeignAndCrash,
    /// The same, after a forged record of the allocator.
    ForgeMemoryRecord,
    /// Send a packet that is not of the vocabulary.
    Babble,
    /// Send a packet that is longer than any may be.
    Shout,
    /// Send half a message, and then nothing.
    HalfMessage,
    /// Send valid messages without end.
    Chatter,
    /// Claim renditions, and then hang instead of ending.
    Linger,

    /// Call abort().
    Abort,
    /// Panic.
    Panic,
    /// End without a word.
    Vanish,
    /// Kill itself with SIGKILL, as the kernel does when memory is short.
    KilledByHost,
}

/// Who started the child; asked for before the filter is up, for only a drill wants to know.
#[derive(Debug, Clone, Copy)]
pub struct Parent {
    /// Its process id.
    pub pid: u32,
    /// Its process group.
    pub group: u32,
}

impl Parent {
    /// This process's parent.
    pub fn look() -> Self {
        let pid = std::os::unix::process::parent_id();
        Self {
            pid,
            group: sys::group_of(pid).unwrap_or(pid),
        }
    }

    /// The file that [`Drill::WriteFile`] makes.
    pub fn file(self) -> PathBuf {
        PathBuf::from(format!("/tmp/lazaret-drill-{}", self.pid))
    }

    /// The socket that [`Drill::ConnectUnix`] connects to.
    pub fn socket(self) -> PathBuf {
        PathBuf::from(format!("/tmp/lazaret-drill-{}.socket", self.pid))
    }

    /// The name of the socket that [`Drill::ConnectAbstract`] connects to.
    pub fn name(self) -> String {
        format!("lazaret-drill-{}", self.pid)
    }

    /// The port that [`Drill::SendDatagram`] sends to.
    pub fn port(self) -> u16 {
        20_000 + (self.pid % 10_000) as u16
    }
}

/// Misbehaves; what is returned is the child's last word.
pub fn run(drill: Drill, parent: Parent) -> FromChild {
    match drill {
        Drill::OpenFile => reach::open_file(),
        Drill::ListRoot => reach::list_root(),
        Drill::WriteFile => reach::write_file(parent),
        Drill::WriteUpload => reach::write_upload(),
        Drill::ReadInherited => reach::read_inherited(),
        Drill::Connect => reach::connect(),
        Drill::SendDatagram => reach::send_datagram(parent),
        Drill::ConnectUnix => reach::connect_unix(parent),
        Drill::ConnectAbstract => reach::connect_abstract(parent),

        Drill::Fork => told(sys::fork_and_end(), "forked"),
        Drill::Vfork => told(sys::attack::vfork_and_end(), "forked"),
        Drill::Clone3 => told(sys::attack::clone3_and_end(), "forked"),
        Drill::Exec => processes::exec(),
        Drill::Thread => told(std::thread::Builder::new().spawn(|| ()), "started a thread"),
        Drill::SignalParent => told(sys::attack::wave_to(parent.pid), "reached its parent"),
        Drill::SignalGroup => told(sys::attack::wave_to_group(parent.group), "reached its parent's group"),
        Drill::TraceParent => told(sys::attack::trace(parent.pid), "traces its parent"),
        Drill::LimitParent => told(sys::attack::limit(parent.pid), "limited its parent"),

        Drill::DisarmTimers => time::disarm(),
        Drill::RaiseSoftLimit => time::raise_soft_limit(),
        Drill::RaiseHardLimit => time::raise_hard_limit(),
        Drill::IgnoreSignals => time::ignore_signals(),
        Drill::BlockSignals => time::block_signals(),
        Drill::StopItself => told(sys::attack::stop_itself(), "stopped, and was woken"),

        Drill::IoUring => told(sys::attack::io_uring(), "made an io_uring"),
        Drill::Bpf => told(sys::attack::bpf_map(), "made a map"),
        Drill::Userfaultfd => told(sys::attack::userfaultfd(), "handles its own faults"),
        Drill::AddKey => told(sys::attack::add_key(), "added a key"),
        Drill::Call32 => kernel::call_32(),
        Drill::CallX32 => told(sys::attack::call_x32(), "called by an x32 number"),
        Drill::MapExecutable => told(sys::attack::map_executable(), "mapped executable memory"),
        Drill::MakeExecutable => kernel::make_executable(),

        Drill::Allocate => memory::allocate(),
        Drill::AllocateSmall => memory::allocate_small(),
        Drill::MapMemory => FromChild::Escaped(format!("mapped {} MiB", sys::map_until_refused() >> 20)),
        Drill::MapShared => memory::map_shared(),
        Drill::Memfd => memory::memfd(),
        Drill::Recurse => memory::recurse(),
        // Taken before the grant, see [`jump_the_gun`]; with the grant there is nothing left to take.
        Drill::JumpTheGun => FromChild::Held("was granted".to_owned()),

        Drill::Spin => time::spin(),
        Drill::Sleep => time::sleep(),

        Drill::Flood => reports::flood(),
        Drill::FloodControl => reports::flood_control(),
        Drill::ForgeReport | Drill::Linger => reports::forge(drill),
        Drill::FeignSuccess | Drill::SwapOutput | Drill::FeignAndCrash | Drill::ForgeMemoryRecord => {
            reports::feign(drill)
        }
        Drill::Babble | Drill::Shout | Drill::HalfMessage => reports::send(drill),
        Drill::Chatter => reports::chatter(),

        Drill::Abort => std::process::abort(),
        #[expect(clippy::panic, reason = "the drill is to panic")]
        Drill::Panic => panic!("a drill"),
        Drill::Vanish => std::process::exit(0),
        Drill::KilledByHost => told(sys::kill_self(), "survived SIGKILL"),
    }
}

fn told<T>(result: io::Result<T>, escape: &str) -> FromChild {
    match result {
        Ok(_) => FromChild::Escaped(escape.to_owned()),
        Err(error) => FromChild::Held(error.to_string()),
    }
}
