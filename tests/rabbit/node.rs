//! A private RabbitMQ node: own name, cookie, ports and folder, nothing of the host's. Ends with its test process, however that ends.

#[path = "../servers/private.rs"]
mod private;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use lazaret::broker::topology::Topology;
use serde_json::{Value, json};

use self::private::{Keeper, certificates, free_ports};

/// Longest wait for a node: 6 s on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Who may do everything: root:root.
const ROOT: &str = "Basic cm9vdDpyb290";
/// Tags of a user of each virtual host, and what it may configure, write and read; as in `docs/rabbitmq.md`.
const USERS: [(&str, &str, [&str; 3]); 2] = [
    (
        "worker",
        "",
        [
            "^lazaret\\.(control|replies)\\.",
            "^(lazaret\\..*|amq\\.default)$",
            "^lazaret\\.",
        ],
    ),
    ("operator", "policymaker", ["^lazaret\\."; 3]),
];

static SHARED: LazyLock<Node> = LazyLock::new(Node::start);

/// A node.
pub struct Node {
    /// Port of AMQP.
    pub amqp: u16,
    /// Port of AMQP over TLS; its CA is [`Node::ca`].
    pub amqps: u16,
    /// Port of the management API.
    pub management: u16,
    /// Port of the management API over TLS.
    pub management_tls: u16,
    epmd: u16,
    folder: PathBuf,
    keeper: Mutex<Keeper>,
}

/// A virtual host of one test, with two users of its own.
pub struct Vhost<'a> {
    /// Where it is.
    pub node: &'a Node,
    /// Its name, for calls of the management API.
    pub name: String,
}

impl Node {
    /// The node that the tests of this binary share. No test may stop it.
    pub fn shared() -> &'static Self {
        &SHARED
    }

    /// A node of one's own, for tests that stop it. Takes seconds.
    pub fn start() -> Self {
        Self::start_at("127.0.0.1")
    }

    /// The same, where hosts with addresses of their own reach it.
    pub fn start_at(address: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("lazaret-rabbit-")
            .tempdir()
            .unwrap()
            .keep();
        let [amqp, amqps, management, management_tls, epmd, distribution] = free_ports();
        certificates(&folder);
        write(
            &folder,
            "rabbitmq.conf",
            &configuration(&folder, address, [amqp, amqps, management, management_tls]),
        );
        write(&folder, "plugins", "[rabbitmq_management].\n");
        write(&folder, "environment", "");
        write(&folder, ".erlang.cookie", &format!("LAZARET{epmd}"));
        fs::set_permissions(folder.join(".erlang.cookie"), fs::Permissions::from_mode(0o400)).unwrap();
        let node = Self {
            keeper: Mutex::new(keeper(&folder, epmd, distribution)),
            folder,
            amqp,
            amqps,
            management,
            management_tls,
            epmd,
        };
        node.up();
        node
    }

    /// Kills it, as a power cut would.
    pub fn kill(&self) {
        self.keeper.lock().unwrap().order("kill");
    }

    /// Starts it again after [`Node::kill`], on the same ports; returns when it answers.
    #[allow(clippy::disallowed_methods, reason = "a test waits for processes of its own")]
    pub fn up(&self) {
        self.keeper.lock().unwrap().order("start");
        let since = Instant::now();
        while !self.answers() {
            assert!(since.elapsed() < PATIENCE, "RabbitMQ does not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Runs `rabbitmqctl`; must end well. Takes seconds.
    pub fn control(&self, arguments: &[&str]) {
        // Debian's wrapper in /usr/sbin changes the user, and is not used.
        let mut command = Command::new("/usr/lib/rabbitmq/bin/rabbitmqctl");
        command.args(arguments).current_dir(&self.folder);
        as_node(&mut command, &self.folder, self.epmd);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "rabbitmqctl {arguments:?}: {said}");
    }

    /// PEM file of the CA that signed its certificate, which is for `localhost` and 127.0.0.1.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// PEM files of a certificate that it trusts, and of its key (PKCS #8): for clients that show one.
    pub fn identity(&self) -> [PathBuf; 2] {
        ["server.pem", "server.key"].map(|name| self.folder.join(name))
    }

    /// Calls the management API as somebody who may do everything; panics on any error.
    pub fn call(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.try_call(method, path, body).unwrap();
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// A virtual host with the topology in it.
    pub fn vhost(&self, name: &str) -> Vhost<'_> {
        let vhost = self.empty_vhost(name);
        let topology = Topology::wanted();
        let put = |kind: &str, name: &str, body: Value| vhost.call("PUT", kind, name, Some(body));
        for exchange in &topology.exchanges {
            put("exchanges", &exchange.name, json!(exchange));
        }
        for policy in &topology.policies {
            put("policies", &policy.name, json!(policy));
        }
        for queue in &topology.queues {
            put("queues", &queue.name, json!(queue));
        }
        for binding in &topology.bindings {
            let rest = format!("e/{}/q/{}", binding.source, binding.destination);
            vhost.call("POST", "bindings", &rest, Some(json!(binding)));
        }
        vhost
    }

    /// A virtual host with nothing in it but its users.
    pub fn empty_vhost(&self, name: &str) -> Vhost<'_> {
        self.call("PUT", &format!("vhosts/{name}"), Some(json!({})));
        for (who, tags, [configure, write, read]) in USERS {
            let user = json!({ "password": "secret", "tags": tags });
            self.call("PUT", &format!("users/{who}-{name}"), Some(user));
            let permissions = json!({ "configure": configure, "write": write, "read": read });
            self.call("PUT", &format!("permissions/{name}/{who}-{name}"), Some(permissions));
        }
        Vhost {
            node: self,
            name: name.to_owned(),
        }
    }

    fn answers(&self) -> bool {
        self.try_call("GET", &format!("health/checks/port-listener/{}", self.amqp), None)
            .is_ok_and(|(status, _)| status == 200)
    }

    fn try_call(&self, method: &str, path: &str, body: Option<Value>) -> Result<(u16, Value), ureq::Error> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(30)))
            .http_status_as_error(false)
            .build()
            .into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://127.0.0.1:{}/api/{path}", self.management))
            .header("authorization", ROOT)
            .header("content-type", "application/json")
            .body(body.map(|body| body.to_string()).unwrap_or_default())
            .unwrap();
        let mut response = agent.run(request)?;
        let text = response.body_mut().read_to_string()?;
        let answer = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok((response.status().as_u16(), answer))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.keeper.get_mut().unwrap().end();
    }
}

impl Vhost<'_> {
    /// Its address for a worker.
    pub fn amqp(&self) -> String {
        self.amqp_through(self.node.amqp)
    }

    /// Its address for a worker, at another port: a relay's.
    pub fn amqp_through(&self, port: u16) -> String {
        format!("amqp://worker-{0}:secret@127.0.0.1:{port}/{0}", self.name)
    }

    /// The management API, for somebody who may set policies here.
    pub fn management(&self) -> String {
        format!(
            "http://operator-{}:secret@127.0.0.1:{}",
            self.name, self.node.management
        )
    }

    /// A configuration that uses it, with all else beside the file.
    pub fn configuration(&self) -> String {
        self.configuration_with(&self.amqp(), &self.management())
    }

    /// The same with other addresses.
    pub fn configuration_with(&self, broker: &str, management: &str) -> String {
        format!(
            "broker = \"{broker}\"\nledger = \"sqlite:./state/ledger.sqlite\"\n[amqp]\nmanagement = \"{management}\"\n"
        )
    }

    /// Removes it, with all that is in it. Its users stay.
    pub fn remove(&self) {
        self.node.call("DELETE", &format!("vhosts/{}", self.name), None);
    }

    /// Calls the management API below a kind of thing: `queues` and `lazaret.dead`, say.
    pub fn call(&self, method: &str, kind: &str, rest: &str, body: Option<Value>) -> Value {
        self.node.call(method, &format!("{kind}/{}/{rest}", self.name), body)
    }
}

fn keeper(folder: &Path, epmd: u16, distribution: u16) -> Keeper {
    let mut command = Command::new("setsid");
    as_node(&mut command, folder, epmd);
    command
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_DIST_PORT", distribution.to_string());
    for (variable, name) in [
        ("MNESIA_BASE", "mnesia"),
        ("LOG_BASE", "log"),
        ("ENABLED_PLUGINS_FILE", "plugins"),
        ("CONF_ENV_FILE", "environment"),
        ("CONFIG_FILE", "rabbitmq.conf"),
        ("ADVANCED_CONFIG_FILE", "advanced.config"),
        ("PID_FILE", "pid"),
    ] {
        command.env(format!("RABBITMQ_{variable}"), folder.join(name));
    }
    Keeper::start(command, "tests/rabbit/keeper.sh", folder)
}

/// An environment in which a node is found by its name, and nothing else of the host.
fn as_node(command: &mut Command, folder: &Path, epmd: u16) {
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .env("HOME", folder)
        .env("ERL_EPMD_PORT", epmd.to_string())
        .env("RABBITMQ_NODENAME", format!("lazaret{epmd}@localhost"));
}

fn configuration(folder: &Path, address: &str, ports: [u16; 4]) -> String {
    let [amqp, amqps, management, management_tls] = ports;
    let folder = folder.display();
    let mut text = format!(
        "listeners.tcp.1 = {address}:{amqp}\n\
         listeners.ssl.1 = 127.0.0.1:{amqps}\n\
         management.tcp.ip = {address}\n\
         management.tcp.port = {management}\n\
         management.ssl.ip = 127.0.0.1\n\
         management.ssl.port = {management_tls}\n\
         default_user = root\n\
         default_pass = root\n\
         disk_free_limit.absolute = 10MB\n\
         ssl_options.verify = verify_peer\n\
         ssl_options.fail_if_no_peer_cert = false\n"
    );
    for section in ["ssl_options", "management.ssl"] {
        for (key, file) in [
            ("cacertfile", "ca.pem"),
            ("certfile", "server.pem"),
            ("keyfile", "server.key"),
        ] {
            text.push_str(&format!("{section}.{key} = {folder}/{file}\n"));
        }
    }
    text
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
}

#[test]
fn a_node_comes_up_again_and_leaves_nothing_behind() {
    let node = Node::start();
    let vhost = node.empty_vhost("kept");
    node.kill();
    assert!(!node.answers());
    node.up();
    node.call("GET", &format!("vhosts/{}", vhost.name), None);
    let folder = node.folder.clone();
    drop(node);
    assert!(!folder.exists());
    let processes = Command::new("ps").args(["-eo", "args"]).output().unwrap();
    let processes = String::from_utf8(processes.stdout).unwrap();
    let left = processes.lines().find(|line| line.contains(folder.to_str().unwrap()));
    assert_eq!(left, None);
}
