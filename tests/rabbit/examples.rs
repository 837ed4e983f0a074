//! The example clients of `docs/examples`, run as what they are: foreign programs with rights of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::json;

use super::node::{Node, Vhost};
use super::world::*;

pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples").join(name)
}

/// Runs a command that must end well.
pub fn well(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?}: {said}{}", stderr(&output));
    output
}

/// A user with the rights that the examples say, and its address.
fn acme(vhost: &Vhost) -> String {
    let (node, name) = (vhost.node, &vhost.name);
    let user = format!("acme-{name}");
    node.call(
        "PUT",
        &format!("users/{user}"),
        Some(json!({ "password": "secret", "tags": "" })),
    );
    let rights = json!({
        "configure": "^acme\\.",
        "write": "^(lazaret\\.jobs|acme\\..*)$",
        "read": "^(lazaret\\.results|acme\\..*)$"
    });
    node.call("PUT", &format!("permissions/{name}/{user}"), Some(rights));
    format!("amqp://{user}:secret@127.0.0.1:{}/{name}", node.amqp)
}

/// Runs a client while a worker serves: one upload is good, one is not there.
fn converts(vhost: &Vhost, client: &mut Command) {
    let world = World::new();
    world.write("lazaret.toml", vhost.configuration());
    let upload = std::fs::read(fixture("valid/photos/rocket.bmp")).unwrap();
    world.write("uploads/2026/rocket.bmp", upload);
    let _service = world.serve(&[]);
    client
        .args(["acme", "2026/rocket.bmp", "2026/gone.jpg"])
        .env("AMQP_URL", acme(vhost));
    let mut answers = lines(&well(client));
    answers.sort_by_key(|answer| answer["status"].to_string());
    assert_eq!(answers.len(), 2, "{answers:?}");
    let [good, gone] = [&answers[0], &answers[1]];
    assert_eq!(
        (&good["status"], &good["metadata"]["row"]),
        (&json!("converted"), &json!(7))
    );
    let key = good["renditions"][0]["key"].as_str().unwrap();
    assert!(world.path("renditions").join(key).is_file(), "{key}");
    assert_eq!(
        (&gone["status"], &gone["reason"]),
        (&json!("rejected"), &json!("source-missing"))
    );
    assert_ne!(good["id"], gone["id"]);
}

/// A Python with what the example needs, made once for each target folder.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
        let requirements = example("python/requirements.txt");
        let (wanted, installed) = (std::fs::read(&requirements).unwrap(), folder.join("installed"));
        if std::fs::read(&installed).is_ok_and(|installed| installed == wanted) {
            return folder;
        }
        well(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        let mut pip = Command::new(folder.join("bin/pip"));
        let quiet = ["install", "--quiet", "--disable-pip-version-check", "--requirement"];
        well(pip.args(quiet).arg(requirements));
        std::fs::write(installed, wanted).unwrap();
        folder
    })
}

#[test]
fn the_python_client_prints_its_results() {
    let vhost = Node::shared().vhost("python");
    let mut command = Command::new(python().join("bin/python"));
    converts(&vhost, command.arg(example("python/convert.py")));
}

#[test]
fn the_node_client_prints_its_results() {
    let vhost = Node::shared().vhost("node");
    let folder = tempfile::tempdir().unwrap();
    for file in ["package.json", "convert.js"] {
        std::fs::copy(example("node").join(file), folder.path().join(file)).unwrap();
    }
    let mut npm = Command::new("npm");
    let quiet = ["install", "--no-audit", "--no-fund", "--silent", "--ignore-scripts"];
    well(npm.args(quiet).current_dir(folder.path()));
    converts(&vhost, Command::new("node").arg(folder.path().join("convert.js")));
}
