//! Hosts with networks of their own: name spaces of the kernel, each on a cable to a bridge. All of it ends with this process.

use std::fs;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Set in the process that has a network of its own.
const INSIDE: &str = "LAZARET_FLEET_INSIDE";
/// Where the servers are, as the hosts see them.
pub const CENTRE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// What the network is called among the interfaces.
const BRIDGE: &str = "fleet";

/// Whether this process has a network of its own.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs this benchmark again, in a network and with mounts of its own: nothing that it sets up is the machine's. How it ended.
pub fn enter() -> usize {
    let this = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--"]).arg(this);
    let status = command.args(std::env::args_os().skip(1)).env(INSIDE, "1").status();
    let status = status.expect("unshare, of util-linux, is missing");
    assert!(
        status.code().is_some_and(|code| code < 2),
        "run as root, with `ip` of iproute2: {status}"
    );
    usize::from(!status.success())
}

/// Lays out the centre, where this process and the servers are.
pub fn lay_out() {
    ip("link set lo up");
    ip(&format!("link add {BRIDGE} type bridge forward_delay 0"));
    ip(&format!("addr add {CENTRE}/24 dev {BRIDGE}"));
    ip(&format!("link set {BRIDGE} up"));
}

/// A host's name space and its cable to the centre.
pub struct Cable {
    number: usize,
    /// Does nothing: the name space is there for as long as a process is in it.
    holder: Child,
}

impl Cable {
    /// Lays a cable to a new host.
    pub fn lay(number: usize) -> Self {
        let mut command = Command::new("unshare");
        let named = format!("hostname host-{number} && exec sleep infinity");
        command.args(["--net", "--uts", "--", "sh", "-c", &named]);
        let holder = command.stdin(Stdio::null()).spawn().unwrap();
        let cable = Self { number, holder };
        let comm = format!("/proc/{}/comm", cable.holder.id());
        while fs::read_to_string(&comm).unwrap() != "sleep\n" {
            thread::sleep(Duration::from_millis(5));
        }
        let (near, holder) = (cable.near(), cable.holder.id());
        ip(&format!("link add {near} type veth peer name far netns {holder}"));
        ip(&format!("link set {near} master {BRIDGE} up"));
        let address = format!("10.77.0.{}", number + 10);
        for change in [
            "link set lo up",
            &format!("addr add {address}/24 dev far"),
            "link set far up",
        ] {
            let status = cable.command("ip").args(change.split(' ')).status();
            assert!(status.unwrap().success(), "ip {change}");
        }
        cable
    }

    /// A program that runs on the host.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let holder = self.holder.id().to_string();
        command.args(["--target", &holder, "--net", "--uts", "--", program]);
        command
    }

    /// Nothing passes any more, and nobody is told.
    pub fn cut(&self) {
        ip(&format!("link set {} down", self.near()));
    }

    /// All passes again.
    pub fn mend(&self) {
        ip(&format!("link set {} up", self.near()));
    }

    fn near(&self) -> String {
        format!("host{}", self.number)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    let status = status.expect("ip, of iproute2, is missing");
    assert!(status.success(), "ip {arguments}: {status}");
}
