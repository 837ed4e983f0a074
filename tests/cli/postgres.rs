//! The program with its ledger in PostgreSQL: its own commands for that, and a worker whose server has bad days.

#[path = "../servers/postgres.rs"]
#[allow(dead_code, reason = "the server serves several suites")]
mod server;

use std::fs;

use serde_json::Value;

use self::server::{Database, Server};
use super::world::*;

const PHOTO: &str = "valid/photos/hubble_progressive.jpg";
const BOMB: &str = "hostile/cpu/tiff_wide_tiles.tiff";

/// A world whose ledger is a database; impatient, so that bad days are short.
fn world_on(database: &Database<'_>) -> World {
    let world = World::new();
    let config = format!(
        "broker = \"spool:./spool\"\nledger = \"{}\"\n[postgres]\ntimeout = \"1s\"\n",
        database.url()
    );
    world.write("lazaret.toml", config);
    world
}

#[tokio::main(flavor = "current_thread")]
async fn database(server: &Server) -> Database<'_> {
    server.database().await
}

fn ledger(world: &World, arguments: &[&str]) -> std::process::Output {
    let config = world.config();
    let mut all = vec!["ledger", "--config", config.to_str().unwrap()];
    all.extend(arguments);
    world.command(&all).env_remove("LAZARET_STATE").output().unwrap()
}

/// Submits files and waits for their answers: status and whether it was a repeat.
fn answers(world: &World, files: &[&str]) -> Vec<(String, bool)> {
    let files: Vec<String> = files.iter().map(|file| fixture(file)).collect();
    let mut arguments = vec!["--wait", "--json"];
    arguments.extend(files.iter().map(String::as_str));
    let output = world.submit(&arguments);
    let answer = |line: Value| {
        let report = line.get("data").cloned().unwrap_or(line);
        let status = report["status"]
            .as_str()
            .unwrap_or_else(|| panic!("{report}"))
            .to_owned();
        (status, report["repeat"].as_bool().unwrap())
    };
    lines(&output).into_iter().map(answer).collect()
}

fn log(world: &World) -> String {
    let entries = fs::read_dir(world.path("")).unwrap().map(|entry| entry.unwrap().path());
    let logs = entries.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.map(|path| fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn a_ledger_is_made_looked_at_and_copied_into() {
    let database = database(Server::shared());
    let world = world_on(&database);
    let missing = ledger(&world, &["status"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        stderr(&missing).contains("run `lazaret ledger migrate`"),
        "{}",
        stderr(&missing)
    );

    // A ledger in a file, with a verdict in it.
    let convicted = lines(&world.run(&["convert", "--json", "--out", "out", &fixture(BOMB)])).remove(0);
    assert_eq!(convicted["status"], "quarantined", "{convicted}");
    let made = lines(&ledger(&world, &["migrate", "--json"])).remove(0);
    assert_eq!((made["before"].as_i64(), made["schema"].as_i64()), (Some(0), Some(2)));
    let again = String::from_utf8(ledger(&world, &["migrate"]).stdout).unwrap();
    assert!(again.contains("nothing to do") && !again.contains("s3cr3t"), "{again}");

    let file = world.path("state/ledger.sqlite");
    let file = file.to_str().unwrap();
    let copied = ledger(&world, &["copy", file, "--json"]);
    assert!(copied.status.success(), "{}", stderr(&copied));
    let rows = |table: &str| lines(&copied).iter().find(|line| line["table"] == table).unwrap()["rows"].clone();
    assert_eq!((rows("entries"), rows("strikes")), (1.into(), 1.into()));
    let twice = ledger(&world, &["copy", file]);
    assert_eq!(twice.status.code(), Some(1));
    assert!(stderr(&twice).contains("is not empty"), "{}", stderr(&twice));

    let status = String::from_utf8(ledger(&world, &["status"]).stdout).unwrap();
    assert!(
        status.contains("schema 2; this program makes 2") && !status.contains("s3cr3t"),
        "{status}"
    );
    let status = lines(&ledger(&world, &["status", "--json"])).remove(0);
    assert_eq!(status["tables"].as_array().unwrap().len(), 12);

    // Whom the file convicted is refused there.
    let config = world.config();
    let arguments = [
        "convert",
        "--json",
        "--config",
        config.to_str().unwrap(),
        &fixture(BOMB),
    ];
    let refused = world.command(&arguments).env_remove("LAZARET_STATE").output().unwrap();
    let refused = lines(&refused).remove(0);
    assert_eq!(
        (refused["status"].as_str(), refused["repeat"].as_bool()),
        (Some("quarantined"), Some(true)),
        "{refused}"
    );
}

#[test]
fn copying_goes_into_postgresql_only() {
    let world = World::new();
    let refused = ledger(&world, &["copy", "x.sqlite"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("copying goes from an SQLite file to PostgreSQL"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn check_opens_the_ledger_and_makes_nothing() {
    let database = database(Server::shared());
    let world = world_on(&database);
    fs::create_dir_all(world.path("uploads")).unwrap();
    let config = world.config();
    let checked = world.run(&["check", config.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", stderr(&checked));
    assert!(!String::from_utf8(checked.stdout).unwrap().contains("s3cr3t"));
    assert_eq!(ledger(&world, &["status"]).status.code(), Some(1));
    let elsewhere = fs::read_to_string(&config).unwrap().replace(&database.name, "nowhere");
    let checked = world.run(&["check", world.write("else.toml", elsewhere).to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(
        stderr(&checked).contains("has no such database"),
        "{}",
        stderr(&checked)
    );
}

#[test]
fn two_workers_share_what_they_know() {
    let database = database(Server::shared());
    let (one, two) = (world_on(&database), world_on(&database));
    let first = one.serve(&[]);
    assert_eq!(
        answers(&one, &[PHOTO, BOMB]),
        [("converted".to_owned(), false), ("quarantined".to_owned(), false)]
    );
    first.kill();
    // Another host, as far as files go: only the ledger is the same.
    let _second = two.serve(&[]);
    assert_eq!(answers(&two, &[BOMB]), [("quarantined".to_owned(), true)]);
}

#[test]
fn a_worker_outlives_its_server_and_goes_on() {
    let server = Server::start(&[]);
    let database = database(&server);
    let world = world_on(&database);
    let mut worker = world.serve(&[]);
    assert_eq!(answers(&world, &[PHOTO]), [("converted".to_owned(), false)]);
    for (order, back, file) in [
        ("stop", "start", "valid/photos/rocket.bmp"),
        ("freeze", "thaw", "valid/photos/camera_grey.jpg"),
    ] {
        let times = |words: &str| log(&world).matches(words).count();
        let before = [times("not ready"), times("ready again")];
        server.order(order);
        wait_for("the worker to notice", || times("not ready") > before[0]);
        assert!(world.submit(&[&fixture(file)]).status.success());
        match back {
            "start" => server.up(),
            other => server.order(other),
        }
        wait_for("the worker to be ready again", || times("ready again") > before[1]);
        assert_eq!(answers(&world, &[file])[0].0, "converted");
        assert!(worker.is_running());
    }
    assert!(!log(&world).contains("s3cr3t"));
    worker.signal("-TERM");
    assert_eq!(worker.code(), Some(0));
}
