//! What deploy/compose has its containers do, done on this host: its configuration, its environment, its web app's side, its Prometheus. The
//! servers are the tests' own: names of services become addresses, passwords theirs, folders those of the test, and nothing else changes.

#[path = "../servers/postgres.rs"]
mod postgres;
#[path = "../servers/s3.rs"]
mod s3;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use yaml_rust2::{Yaml, YamlLoader};

use self::postgres::Server;
use self::s3::{ACCOUNT, S3};
use super::asked::Asked;
use super::examples::{example, python, well};
use super::node::Node;
use super::world::*;

/// The virtual host, and the user that does everything.
const VHOST: &str = "images";
const USER: &str = "lazaret";

fn deploy(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)).unwrap()
}

/// Texts of compose's files as they are on this host.
struct Here {
    compose: Yaml,
    /// What stands there, and what stands for it here; in this order.
    words: Vec<(String, String)>,
}

impl Here {
    fn text(&self, text: &str) -> String {
        let words = self.words.iter();
        words.fold(text.to_owned(), |text, (there, here)| text.replace(there, here))
    }

    /// What a service, or the part that services have in common, finds in its environment.
    fn environment(&self, of: &Yaml) -> Vec<(String, String)> {
        let variables = of["environment"].as_hash().unwrap().iter();
        let told = |(name, value): (&Yaml, &Yaml)| {
            let name = name.as_str().unwrap().to_owned();
            let own = ACCOUNT.iter().find(|(known, _)| *known == name);
            let value = self.text(value.as_str().unwrap());
            (name, own.map_or(value, |(_, own)| (*own).to_owned()))
        };
        variables.map(told).collect()
    }

    fn worker(&self) -> Vec<(String, String)> {
        self.environment(&self.compose["x-lazaret"])
    }
}

#[test]
fn what_compose_starts_converts_a_photo_from_a_bucket_into_a_bucket_and_tells_prometheus() {
    let node = Node::shared();
    let database = database();
    let world = World::new();
    let s3 = S3::start_as("127.0.0.1", &world.path("s3"), &["uploads", "renditions", "specimens"]);
    let [admin, prometheus] = [Asked::free(), Asked::free()].map(|asked| asked.0.port());
    let here = Here {
        compose: YamlLoader::load_from_str(&deploy("compose/compose.yaml"))
            .unwrap()
            .remove(0),
        words: [
            (
                "postgres://lazaret:${POSTGRES_PASSWORD:?}@postgres/lazaret?sslmode=disable",
                database,
            ),
            ("${RABBITMQ_PASSWORD:?}", "secret".to_owned()),
            ("@rabbitmq:5672", format!("@127.0.0.1:{}", node.amqp)),
            ("@rabbitmq:15672", format!("@127.0.0.1:{}", node.management)),
            ("http://store:7070", format!("http://127.0.0.1:{}", s3.port)),
            ("/var/lib/lazaret", world.path("state").to_str().unwrap().to_owned()),
            ("0.0.0.0:8017", format!("0.0.0.0:{admin}")),
            ("worker:8017", format!("127.0.0.1:{admin}")),
        ]
        .map(|(there, here)| (there.to_owned(), here))
        .into(),
    };
    // As RabbitMQ's image makes them of its variables.
    node.call("PUT", &format!("vhosts/{VHOST}"), Some(json!({})));
    let user = json!({ "password": "secret", "tags": "administrator" });
    node.call("PUT", &format!("users/{USER}"), Some(user));
    let rights = json!({ "configure": ".*", "write": ".*", "read": ".*" });
    node.call("PUT", &format!("permissions/{VHOST}/{USER}"), Some(rights));

    let config = world.write("lazaret.toml", here.text(&deploy("compose/lazaret.toml")));
    let config = config.to_str().unwrap();
    let lazaret = |arguments: &[&str]| {
        let mut command = world.command(arguments);
        command
            .env_remove("LAZARET_STATE")
            .env_remove("LAZARET_ADMIN")
            .envs(here.worker());
        command
    };
    well(&mut lazaret(&["topology", "apply", "--config", config]));
    let said = well(&mut lazaret(&["check", config]));
    assert!(String::from_utf8_lossy(&said.stdout).contains(": good"), "{said:?}");
    let told = here.worker();
    let told: Vec<(&str, &str)> = told.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    let _service = world.serve_as_configured(&told);
    wait_for("work to be taken", || {
        lazaret(&["health", "--ready", "--config", config])
            .output()
            .unwrap()
            .status
            .success()
    });

    let answers = lines(&well(&mut web(&here)));
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0]["status"], "converted", "{answers:?}");
    let rendition = &answers[0]["renditions"][0];
    let key = rendition["key"].as_str().unwrap();
    assert!(
        world.path(&format!("s3/renditions/{key}._S3rver_object")).is_file(),
        "{key}"
    );

    is_told(&world, &here, prometheus);
}

/// The address of a database.
#[tokio::main(flavor = "current_thread")]
async fn database() -> String {
    Server::shared().database().await.url()
}

/// The web app's side: installs what the example needs, puts a photo into the bucket, asks for a thumbnail.
fn web(here: &Here) -> Command {
    let service = &here.compose["services"]["web"];
    let part = |yaml: &Yaml| yaml.as_str().unwrap().to_owned();
    let mut entrypoint: Vec<String> = service["entrypoint"].as_vec().unwrap().iter().map(part).collect();
    let examples = example("python");
    let photos = fixture("valid/photos");
    entrypoint[2] = entrypoint[2]
        .replace("$$", "$")
        .replace("/examples", examples.to_str().unwrap())
        .replace("/photos", &photos);
    let mut command = Command::new(&entrypoint[0]);
    command
        .args(&entrypoint[1..])
        .args(service["command"].as_vec().unwrap().iter().map(part));
    let path = format!("{}/bin:/usr/bin:/bin", python().display());
    command.env_clear().env("PATH", path).envs(here.environment(service));
    command
}

/// Prometheus with compose's configuration scrapes the worker, knows every alert, and understands every question of the dashboard.
fn is_told(world: &World, here: &Here, port: u16) {
    let service = &here.compose["services"]["prometheus"];
    // Not as seldom as there.
    let settings = here.text(&deploy("compose/prometheus.yml")).replace("15s", "1s");
    world.write("prometheus/prometheus.yml", settings);
    world.write("prometheus/lazaret.rules.yml", deploy("prometheus/lazaret.rules.yml"));
    let folder = world.path("prometheus");
    let folder = folder.to_str().unwrap();
    let argument = |yaml: &Yaml| {
        let text = yaml.as_str().unwrap();
        let text = text.replace("=/prometheus", &format!("={folder}/data"));
        text.replace("/etc/prometheus", folder)
    };
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/prometheus/usr/bin/prometheus");
    let mut command = if unpacked.is_file() {
        Command::new(unpacked)
    } else {
        Command::new("prometheus")
    };
    command.args(service["command"].as_vec().unwrap().iter().map(argument));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    command.stderr(fs::File::create(world.path("prometheus/log")).unwrap());
    let mut process = Running(command.spawn().expect("prometheus: make need-unpacked"));

    let ask = |path: &str| -> Option<Value> {
        let answer = ureq::get(format!("http://127.0.0.1:{port}/api/v1/{path}"))
            .call()
            .ok()?;
        serde_json::from_slice(&answer.into_body().read_to_vec().ok()?).ok()
    };
    let query = |question: &str| {
        let question: String = url::form_urlencoded::byte_serialize(question.as_bytes()).collect();
        ask(&format!("query?query={question}"))
    };
    let converted = "lazaret_jobs_total{job=\"lazaret\",status=\"converted\"}";
    wait_for("Prometheus to hear of the photo", || {
        query(converted).is_some_and(|answer| answer["data"]["result"][0]["value"][1] == "1")
    });
    wait_for("every alert to be looked at", || {
        let told = ask("rules").unwrap();
        let rules = told["data"]["groups"][0]["rules"].as_array().unwrap().clone();
        assert!(
            rules.len() > 10 && rules.iter().all(|rule| rule["health"] != "err"),
            "{told}"
        );
        rules.iter().all(|rule| rule["health"] == "ok")
    });
    let dashboard: Value = serde_json::from_str(&deploy("grafana/lazaret.json")).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let question = target["expr"].as_str().unwrap();
            let question = question
                .replace("$__rate_interval", "1m")
                .replace("$__range", "1h")
                .replace("$instance", ".*");
            assert!(!question.contains('$'), "{question}");
            let answer = query(&question).unwrap_or_else(|| panic!("{}: {question}", panel["title"]));
            assert_eq!(answer["status"], "success", "{question}: {answer}");
        }
    }
    assert!(process.is_running());
}
