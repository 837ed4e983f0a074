//! Drills: one way to misbehave each, run behind the real layers by `doctor` and the tests, to prove that a guard holds.
//!
//! A drill that is stopped by a signal says nothing more; one that is stopped with an error says `held`; one that gets through says
//! `escaped`. Children never take a drill from an upload: it comes with the supervisor's order.

use std::fs::File;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sandbox::protocol::FromChild;
use crate::sandbox::sys;

/// One way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drill {
    /// Ask the allocator for more and more.
    Allocate,
    /// Get memory behind the allocator's back, as a C library would.
    MapMemory,
    /// Burn CPU time.
    Spin,
    /// Wait for something that never comes.
    Sleep,
    /// Write output without end.
    Flood,
    /// Read /etc/passwd.
    OpenFile,
    /// Connect to a port on loopback.
    Connect,
    /// Fork.
    Fork,
    /// Become /bin/true.
    Exec,
    /// Start a thread.
    Thread,
    /// Call abort().
    Abort,
    /// Panic.
    Panic,
    /// Claim a rendition that was never written.
    ForgeReport,
    /// Send a packet that is not of the vocabulary.
    Babble,
    /// Send a packet that is longer than any may be.
    Shout,
    /// Send valid messages without end.
    Chatter,
    /// Declare, and take memory before it is granted.
    JumpTheGun,
    /// End without a word.
    Vanish,
    /// Kill itself with SIGKILL, as the kernel does when memory is short.
    KilledByHost,
    /// Claim renditions, and then hang instead of ending.
    Linger,
}

/// Misbehaves; what is returned is the child's last word.
pub fn run(drill: Drill) -> FromChild {
    match drill {
        Drill::Allocate => allocate(),
        Drill::MapMemory => FromChild::Escaped(format!("mapped {} MiB", sys::map_until_refused() >> 20)),
        Drill::Spin => spin(),
        Drill::Sleep => sleep(),
        Drill::Flood => told(flood(), "wrote without end"),
        Drill::OpenFile => told(File::open("/etc/passwd"), "opened /etc/passwd"),
        Drill::Connect => connect(),
        Drill::Fork => told(sys::fork_and_end(), "forked"),
        Drill::Exec => FromChild::Held(Command::new("/bin/true").exec().to_string()),
        Drill::Thread => told(std::thread::Builder::new().spawn(|| ()), "started a thread"),
        Drill::Abort => std::process::abort(),
        #[expect(clippy::panic, reason = "the drill is to panic")]
        Drill::Panic => panic!("a drill"),
        Drill::ForgeReport | Drill::Linger => forged_done(drill),
        Drill::Babble => sent(b"{\"done\":[{\"format\":\"exe\"}]}"),
        Drill::Shout => sent(&[b' '; super::protocol::MAX_FROM_CHILD + 1]),
        Drill::Chatter => chatter(),
        // Taken before the grant, see [`jump_the_gun`]; with the grant there is nothing left to take.
        Drill::JumpTheGun => FromChild::Held("was granted".to_owned()),
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

fn allocate() -> FromChild {
    let mut blocks = Vec::new();
    // Far more than the limits of a drill, yet bounded: without a guard the drill must end too, and not hurt the host.
    for _ in 0..16 * 1024 {
        blocks.push(vec![1u8; 64 * 1024]);
    }
    FromChild::Escaped(format!("allocated {} MiB", blocks.len() / 16))
}

fn spin() -> FromChild {
    let mut sum = 0u64;
    for round in 0..100_000_000_000u64 {
        sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(round));
    }
    FromChild::Escaped(format!("counted to the end: {sum}"))
}

fn sleep() -> FromChild {
    // Sleeping calls are not on the list; waiting for the supervisor to speak is.
    let mut nothing = [0; 1];
    told(sys::read(super::child::CONTROL, &mut nothing), "was spoken to")
}

fn flood() -> io::Result<()> {
    let block = vec![0x5a; 1 << 20];
    for _ in 0..128 {
        sys::write_all(super::child::OUTPUT, &block)?;
    }
    Ok(())
}

fn chatter() -> FromChild {
    for _ in 0..10_000_000 {
        super::child::say(&FromChild::Phase(super::protocol::Phase::Decode));
    }
    FromChild::Escaped("talked without end".to_owned())
}

/// Misbehaves between declaration and grant.
pub fn jump_the_gun() {
    sys::map_until_refused();
}

fn connect() -> FromChild {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    match TcpStream::connect_timeout(&nobody, Duration::from_millis(200)) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => FromChild::Held(error.to_string()),
        // "Refused" is the other end's word: the packet got out.
        _ => FromChild::Escaped("reached the network".to_owned()),
    }
}

fn forged_done(drill: Drill) -> FromChild {
    use super::protocol::Made;
    use crate::format::Format;
    let made = FromChild::Done(vec![Made {
        format: Format::Png,
        width: 1,
        height: 1,
        bytes: 1 << 40,
        quality: None,
        frames: 1,
        notes: crate::verdict::Notes::NONE,
    }]);
    if drill == Drill::Linger {
        super::child::say(&made);
        spin();
    }
    made
}

fn sent(packet: &[u8]) -> FromChild {
    let _ = io::stderr().write(packet);
    FromChild::Held("sent".to_owned())
}
