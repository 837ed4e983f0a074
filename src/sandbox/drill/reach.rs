//! Drills that reach for files and for the network.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::time::Duration;

use super::{Parent, told};
use crate::sandbox::protocol::FromChild;
use crate::sandbox::{child, sys};

/// A descriptor that a careless parent may have left open.
const INHERITED: i32 = 7;

pub(super) fn open_file() -> FromChild {
    told(File::open("/etc/passwd"), "opened /etc/passwd")
}

pub(super) fn list_root() -> FromChild {
    told(fs::read_dir("/"), "listed /")
}

pub(super) fn write_file(parent: Parent) -> FromChild {
    told(fs::write(parent.file(), b"drill"), "made a file")
}

pub(super) fn write_upload() -> FromChild {
    if sys::write_all(child::UPLOAD, b"drill").is_ok() {
        return FromChild::Escaped("wrote to the upload".to_owned());
    }
    let again = OpenOptions::new().write(true).open("/proc/self/fd/0");
    told(
        again.and_then(|mut file| io::Write::write_all(&mut file, b"drill")),
        "wrote to the upload",
    )
}

pub(super) fn read_inherited() -> FromChild {
    told(sys::read(INHERITED, &mut [0; 16]), "read an inherited descriptor")
}

pub(super) fn connect() -> FromChild {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    match TcpStream::connect_timeout(&nobody, Duration::from_millis(200)) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => FromChild::Held(error.to_string()),
        // "Refused" is the other end's word: the packet got out.
        _ => FromChild::Escaped("reached the network".to_owned()),
    }
}

pub(super) fn send_datagram(parent: Parent) -> FromChild {
    let socket = UdpSocket::bind(("127.0.0.1", 0));
    told(
        socket.and_then(|socket| socket.send_to(b"drill", ("127.0.0.1", parent.port()))),
        "sent a datagram",
    )
}

pub(super) fn connect_unix(parent: Parent) -> FromChild {
    told(UnixStream::connect(parent.socket()), "connected to a socket")
}

pub(super) fn connect_abstract(parent: Parent) -> FromChild {
    let address = UnixAddress::from_abstract_name(parent.name());
    told(
        address.and_then(|address| UnixStream::connect_addr(&address)),
        "connected to a socket without a path",
    )
}
