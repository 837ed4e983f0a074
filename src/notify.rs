//! systemd, where it started this process as a service that notifies: that it has started, that it lives, that it stops.
//!
//! In: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` of the environment. Out: datagrams. Without them nothing is said, and all else is the
//! same. Absent on purpose: waiting. A supervisor that does not read loses what it is told.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Whoever started this process, where it wants to be told.
#[derive(Debug, Default)]
pub struct Supervisor {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

/// What the environment says.
#[derive(Debug, Default)]
struct Told {
    socket: Option<OsString>,
    watchdog_usec: Option<String>,
    watchdog_pid: Option<String>,
}

impl Supervisor {
    /// The one that the environment names, if any. A socket that cannot be used is told and not used.
    pub fn of_environment() -> Self {
        let text = |name| std::env::var(name).ok();
        let told = Told {
            socket: std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()),
            watchdog_usec: text("WATCHDOG_USEC"),
            watchdog_pid: text("WATCHDOG_PID"),
        };
        Self::of(&told, std::process::id()).unwrap_or_else(|error| {
            tracing::warn!(%error, socket = ?told.socket, "NOTIFY_SOCKET cannot be used: the supervisor is told nothing");
            Self::default()
        })
    }

    fn of(told: &Told, pid: u32) -> io::Result<Self> {
        let Some(name) = &told.socket else {
            return Ok(Self::default());
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        // Meant for another process of this service, where its id is another one.
        let mine = told.watchdog_pid.as_ref().is_none_or(|id| id.parse() == Ok(pid));
        let usec = told.watchdog_usec.as_ref().and_then(|usec| usec.parse::<u64>().ok());
        Ok(Self {
            socket: Some((socket, address(name)?)),
            watchdog: usec.filter(|usec| mine && *usec > 0).map(Duration::from_micros),
        })
    }

    /// Says something, as sd_notify(3) has it: `READY=1`, `STOPPING=1`, `STATUS=…`.
    pub fn say(&self, state: &str) {
        if let Some((socket, address)) = &self.socket {
            // Nothing can be done about a supervisor that does not listen.
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }

    /// How often it wants to hear that the process lives: twice in its time-out.
    pub fn kick_every(&self) -> Option<Duration> {
        self.watchdog.map(|timeout| timeout / 2)
    }
}

/// A path, or the name of an abstract socket behind an `@`.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "neither a path nor an abstract name",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(socket: &str, usec: &str, pid: &str) -> Told {
        Told {
            socket: Some(socket.into()),
            watchdog_usec: Some(usec.to_owned()),
            watchdog_pid: Some(pid.to_owned()),
        }
    }

    fn heard(listener: &UnixDatagram) -> String {
        let mut bytes = [0; 64];
        let length = listener.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[test]
    fn a_path_and_an_abstract_name_are_heard_from() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("@lazaret-{}", fastrand::u64(..));
        let abstract_name = SocketAddr::from_abstract_name(&name.as_bytes()[1..]).unwrap();
        let listeners = [
            UnixDatagram::bind(&path).unwrap(),
            UnixDatagram::bind_addr(&abstract_name).unwrap(),
        ];
        for (listener, name) in listeners.iter().zip([path.to_str().unwrap(), &name]) {
            let supervisor = Supervisor::of(&told(name, "3000000", "7"), 7).unwrap();
            supervisor.say("READY=1");
            assert_eq!(heard(listener), "READY=1");
            assert_eq!(supervisor.kick_every(), Some(Duration::from_millis(1500)));
        }
    }

    #[test]
    fn a_watchdog_for_another_process_is_not_ours() {
        let watchdog = |usec, pid| Supervisor::of(&told("@lazaret", usec, pid), 7).unwrap().kick_every();
        assert_eq!(watchdog("3000000", "8"), None);
        assert_eq!(watchdog("0", "7"), None);
        assert_eq!(watchdog("soon", "7"), None);
    }

    #[test]
    fn without_a_socket_nothing_is_said_and_a_wrong_one_is_an_error() {
        let none = Supervisor::of(&Told::default(), 7).unwrap();
        none.say("READY=1");
        assert_eq!(none.kick_every(), None);
        assert!(Supervisor::of(&told("relative", "1", "7"), 7).is_err());
    }
}
