//! What a drill would have done to the world outside, looked at from there.

use std::fs;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use lazaret::sandbox::Attempted;
use lazaret::sandbox::drill::{Drill, Parent};
use lazaret::sandbox::sys::attack::MARK;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Watches for what one drill would do.
pub enum Effect {
    /// Nothing that could be seen from outside.
    Unseen,
    File,
    Upload(fs::File),
    Datagram(UdpSocket),
    Connection(UnixListener),
    Wave(Signal),
    Limit,
    Output,
}

/// As this process is known to its children.
fn this() -> Parent {
    let pid = std::process::id();
    Parent { pid, group: pid }
}

impl Effect {
    /// Begins to watch.
    pub fn of(drill: Drill, upload: &fs::File) -> Self {
        match drill {
            Drill::WriteFile => {
                let _ = fs::remove_file(this().file());
                Self::File
            }
            Drill::WriteUpload => Self::Upload(upload.try_clone().unwrap()),
            Drill::SendDatagram => {
                let socket = UdpSocket::bind(("127.0.0.1", this().port())).unwrap();
                socket.set_nonblocking(true).unwrap();
                Self::Datagram(socket)
            }
            Drill::ConnectUnix => {
                let _ = fs::remove_file(this().socket());
                let listener = UnixListener::bind(this().socket()).unwrap();
                fs::set_permissions(this().socket(), fs::Permissions::from_mode(0o777)).unwrap();
                Self::listening(listener)
            }
            Drill::ConnectAbstract => {
                let name = SocketAddr::from_abstract_name(this().name()).unwrap();
                Self::listening(UnixListener::bind_addr(&name).unwrap())
            }
            Drill::SignalParent | Drill::SignalGroup => Self::Wave(signal(SignalKind::window_change()).unwrap()),
            Drill::LimitParent => {
                reset_limit();
                Self::Limit
            }
            Drill::Flood => Self::Output,
            _ => Self::Unseen,
        }
    }

    fn listening(listener: UnixListener) -> Self {
        listener.set_nonblocking(true).unwrap();
        Self::Connection(listener)
    }

    /// Whether it was done; `None` where it could not be seen.
    pub fn happened(&mut self, attempted: &Attempted, output_allowed: u64) -> Option<bool> {
        let came = |result: std::io::Result<()>| match result {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                false
            }
        };
        match self {
            Self::Unseen => None,
            Self::File => Some(fs::remove_file(this().file()).is_ok()),
            Self::Upload(upload) => Some(upload.metadata().unwrap().len() > 0),
            Self::Datagram(socket) => Some(came(socket.recv(&mut [0; 16]).map(drop))),
            Self::Connection(listener) => {
                let _ = fs::remove_file(this().socket());
                Some(came(listener.accept().map(drop)))
            }
            Self::Wave(waves) => Some(waved(waves)),
            Self::Limit => Some(reset_limit() == MARK),
            Self::Output => Some(attempted.output.metadata().unwrap().len() > output_allowed),
        }
    }
}

/// Whether the signal arrived: it is noted by the runtime before the child that sent it is reaped, or very soon after.
fn waved(waves: &mut Signal) -> bool {
    for _ in 0..5 {
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(Some(())) = pin!(waves.recv()).as_mut().poll(&mut context) {
            return true;
        }
        tokio::task::block_in_place(|| std::thread::park_timeout(std::time::Duration::from_millis(10)));
    }
    false
}

/// Sets this process's limit on message queues to nearly its hard one; returns what it was.
fn reset_limit() -> u64 {
    let (soft, hard) = rlimit::Resource::MSGQUEUE.get().unwrap();
    rlimit::Resource::MSGQUEUE.set(hard.min(100_000), hard).unwrap();
    soft
}
