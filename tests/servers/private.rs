//! What private servers of tests have in common: a shell that keeps them, ports, certificates.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// The shell that keeps a server: it takes orders on its standard input, a word a line, and ends the server and removes its folder when
/// that input ends, because the test process has ended in whatever way.
pub struct Keeper {
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Keeper {
    /// Starts a script for a folder, in a session of its own; `command` is `setsid`, with an environment where that matters.
    pub fn start(mut command: Command, script: &str, folder: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
        let log = fs::File::create(folder.join("keeper.log")).unwrap();
        command.arg("sh").arg(script).arg(folder).current_dir(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut process = command.spawn().unwrap();
        Self {
            orders: process.stdin.take(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
        }
    }

    /// Gives an order and waits until it is carried out.
    pub fn order(&mut self, order: &str) {
        let orders = self.orders.as_mut().unwrap();
        writeln!(orders, "{order}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert!(answer.ends_with("ed\n"), "the keeper of the server said {answer:?}");
    }

    /// Ends it, with its server and its folder.
    pub fn end(&mut self) {
        drop(self.orders.take());
        let _ = self.process.wait();
    }
}

/// A CA, and a certificate for `localhost` and 127.0.0.1 that it signed.
pub fn certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "openssl: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256";
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
    fs::write(folder.join("server.ext"), names).unwrap();
    openssl(&format!(
        "req -x509 {key} -days 2 -subj /CN=lazaret-test-ca -keyout ca.key -out ca.pem"
    ));
    openssl(&format!(
        "req {key} -subj /CN=localhost -keyout server.key -out server.csr"
    ));
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.pem",
    );
}

/// Ports that nobody listens on, below those that the kernel gives out by itself: a node that comes up again finds them free. A suite with
/// several kinds of servers has this module once for each, so each looks from elsewhere.
pub fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let sum = |sum: u16, byte| sum.wrapping_mul(31).wrapping_add(u16::from(byte));
    let elsewhere = module_path!().bytes().fold(0, sum) % 2500;
    let start = 20_000 + (std::process::id() % 1000) as u16 * 10 + elsewhere;
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::array::from_fn(|_| {
        std::iter::repeat_with(|| start + NEXT.fetch_add(1, Ordering::Relaxed))
            .take(2000)
            .find(free)
            .unwrap()
    })
}
