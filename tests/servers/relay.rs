//! A TCP relay in front of a server, for networks that fail: passes, cuts, freezes or refuses, as told while it runs.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

/// What happens to bytes and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All is passed on.
    Pass,
    /// Connections stay open; nothing is passed on in either direction. It is kept, and passed on when the mode changes.
    Freeze,
    /// Nothing comes back from the server; what the client says arrives.
    FreezeAnswers,
    /// Nothing reaches the server; what it says arrives.
    FreezeRequests,
    /// New connections are closed at once; those that are open go on.
    Refuse,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Answer,
}

/// A relay; ends with its value.
pub struct Relay {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    server: SocketAddr,
    mode: Mode,
    over: bool,
    connections: Vec<[TcpStream; 2]>,
}

impl Relay {
    /// A relay to this port of the same host.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                server: here(port),
                mode: Mode::Pass,
                over: false,
                connections: Vec::new(),
            }),
            changed: Condvar::new(),
        });
        let own = Arc::clone(&shared);
        thread::spawn(move || own.accept(&listener));
        Self { shared, address }
    }

    /// Where clients connect to.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// New connections go to this port from now on: another server has the address.
    pub fn point_at(&self, port: u16) {
        self.shared.lock().server = here(port);
    }

    /// From now on, for connections that are open too.
    pub fn set(&self, mode: Mode) {
        self.shared.lock().mode = mode;
        self.shared.changed.notify_all();
    }

    /// Closes every connection now; the mode stays. Gives how many there were.
    pub fn cut(&self) -> usize {
        let connections = std::mem::take(&mut self.shared.lock().connections);
        for stream in connections.iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.shared.changed.notify_all();
        connections.len()
    }

    /// How many connections were made and not closed by [`Relay::cut`].
    pub fn connections(&self) -> usize {
        self.shared.lock().connections.len()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.cut();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn here(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            let mut state = self.lock();
            if state.over {
                return;
            }
            if state.mode == Mode::Refuse {
                continue;
            }
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(state.server)) else {
                continue;
            };
            let copy = |stream: &TcpStream| stream.try_clone().unwrap();
            for (from, to, way) in [(&client, &server, Way::Request), (&server, &client, Way::Answer)] {
                let (from, to, own) = (copy(from), copy(to), Arc::clone(self));
                thread::spawn(move || own.pump(from, to, way));
            }
            state.connections.push([client, server]);
        }
    }

    /// Passes bytes on until one end closes; then closes both.
    fn pump(&self, mut from: TcpStream, mut to: TcpStream, way: Way) {
        let mut buffer = [0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            self.wait_while_frozen(way);
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        self.wait_while_frozen(way);
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    fn wait_while_frozen(&self, way: Way) {
        let frozen = |state: &mut State| !state.over && state.mode.holds(way);
        let _state = self.changed.wait_while(self.lock(), frozen).unwrap();
    }
}

impl Mode {
    fn holds(self, way: Way) -> bool {
        match self {
            Self::Freeze => true,
            Self::FreezeAnswers => way == Way::Answer,
            Self::FreezeRequests => way == Way::Request,
            Self::Pass | Self::Refuse => false,
        }
    }
}

#[test]
fn a_relay_does_what_it_is_told() {
    use std::time::Duration;

    let echo = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Relay::to(nobody.local_addr().unwrap().port());
    relay.point_at(echo.local_addr().unwrap().port());
    thread::spawn(move || {
        for mut stream in echo.incoming().flatten() {
            let mut back = stream.try_clone().unwrap();
            thread::spawn(move || std::io::copy(&mut stream, &mut back));
        }
    });
    // Long for what must come, short for what must not.
    let (long, short) = (Some(Duration::from_secs(60)), Some(Duration::from_millis(300)));
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", relay.port())).unwrap();
        stream.set_read_timeout(long).unwrap();
        stream
    };
    let answer = |stream: &mut TcpStream| {
        let mut buffer = [0; 1];
        stream.read(&mut buffer).map(|read| buffer[..read].to_vec())
    };
    let mut stream = connect();
    for mode in [Mode::Freeze, Mode::FreezeAnswers, Mode::FreezeRequests] {
        relay.set(mode);
        stream.write_all(b"x").unwrap();
        stream.set_read_timeout(short).unwrap();
        let error = answer(&mut stream).unwrap_err().kind();
        assert_eq!(error, std::io::ErrorKind::WouldBlock, "{mode:?}");
        stream.set_read_timeout(long).unwrap();
        relay.set(Mode::Pass);
        assert_eq!(answer(&mut stream).unwrap(), b"x", "{mode:?}");
    }
    relay.set(Mode::Refuse);
    stream.write_all(b"y").unwrap();
    assert_eq!(answer(&mut stream).unwrap(), b"y", "what is open goes on");
    let mut refused = connect();
    let closed = |answer: std::io::Result<Vec<u8>>| {
        answer.map_or_else(
            |error| error.kind() == std::io::ErrorKind::ConnectionReset,
            |bytes| bytes.is_empty(),
        )
    };
    assert!(closed(answer(&mut refused)));
    relay.set(Mode::Pass);
    assert_eq!((relay.connections(), relay.cut(), relay.connections()), (1, 1, 0));
    assert!(closed(answer(&mut stream)));
}
