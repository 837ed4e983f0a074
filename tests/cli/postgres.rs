//! The program with its ledger in PostgreSQL: its own commands for that, and a worker whose server has bad days.

#[path = "../servers/postgres.rs"]
#[allow(dead_code, reason = "the server serves several suites")]
mod server;

use std::fs;

use serde_json::Value;
use sqlx::Row;

use self::server::{Database, Server};
use super::asked::Asked;
use super::world::*;

const PHOTO: &str = "valid/photos/hubble_progressive.jpg";
/// Takes seconds, and converts where it is allowed to.
const SLOW_FILE: &str = "hostile/cpu/tiff_slow_tiles.tiff";
const BOMB: &str = "hostile/cpu/tiff_wide_tiles.tiff";

/// A world whose ledger is a database.
fn world_on(database: &Database<'_>) -> World {
    let world = World::new();
    let config = format!("broker = \"spool:./spool\"\nledger = \"{}\"\n", database.url());
    world.write("lazaret.toml", config);
    world
}

/// The same, and impatient, so that bad days are short.
fn impatient_world_on(database: &Database<'_>) -> World {
    let world = world_on(database);
    let config = fs::read_to_string(world.config()).unwrap() + "[postgres]\ntimeout = \"1s\"\n";
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
    assert_eq!((made["before"].as_i64(), made["schema"].as_i64()), (Some(0), Some(5)));
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
        status.contains("schema 5; this program makes 5") && !status.contains("s3cr3t"),
        "{status}"
    );
    let status = lines(&ledger(&world, &["status", "--json"])).remove(0);
    assert_eq!(status["tables"].as_array().unwrap().len(), 15);

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
    // Two hosts, as far as files go: only the ledger is the same.
    let _workers = [one.serve(&[]), two.serve(&[])];
    assert_eq!(answers(&one, &[PHOTO]), [("converted".to_owned(), false)]);
    assert_eq!(answers(&one, &[BOMB]), [("quarantined".to_owned(), false)]);
    assert_eq!(answers(&two, &[BOMB]), [("quarantined".to_owned(), true)]);
}

/// Nobody on the other host finds the wreck: its lease runs out, and is believed by whoever has renewed its own for as long.
#[test]
fn a_job_of_a_lost_host_is_done_by_another() {
    let database = database(Server::shared());
    let world = world_on(&database);
    let hosts = ["one", "two"].map(|host| {
        let own = format!("[worker]\nflights = \"./{host}\"\n");
        let config = fs::read_to_string(world.config()).unwrap() + &own;
        world.write(&format!("{host}.toml"), config)
    });
    let lost = world.serve_with(&hosts[0], &SLOW);
    assert!(world.submit(&[&fixture(SLOW_FILE)]).status.success());
    world.wait_for_attempts_in("one", &lost, 1);
    lost.kill();
    let _other = world.serve_with(&hosts[1], &SLOW);
    wait_for("the result", || world.count("spool/results") == 1);
    assert_eq!(results(&world)[0]["data"]["status"], "converted");
    let config = world.config();
    let arguments = ["quarantine", "--config", config.to_str().unwrap(), "list", "--json"];
    let output = world.command(&arguments).env_remove("LAZARET_STATE").output().unwrap();
    assert_eq!(
        lines(&output)[0]["state"],
        "released",
        "suspected, run alone, and cleared"
    );
}

/// A picture like no other.
fn picture(world: &World, number: u8) -> String {
    let mut file = b"P6 96 96 255\n".to_vec();
    file.extend((0..96 * 96 * 3).map(|at| (at as u8).wrapping_mul(number)));
    let path = world.write(&format!("pictures/{number}.ppm"), file);
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_server_that_is_restarted_under_load_loses_nothing() {
    const PICTURES: u8 = 60;
    let server = Server::start(&[]);
    let database = database(&server);
    let world = world_on(&database);
    let pictures: Vec<String> = (1..=PICTURES).map(|number| picture(&world, number)).collect();
    let workers = [world.serve(&[]), world.serve(&[])];
    let everything: Vec<&str> = pictures.iter().map(String::as_str).collect();
    let submit = || assert!(world.submit(&everything).status.success());
    submit();
    for (order, of_results) in [("kill", 5), ("stop", 25), ("kill", 50)] {
        wait_for("some results", || world.count("spool/results") >= of_results);
        server.order(order);
        // Copies come while it is away.
        if of_results == 25 {
            submit();
        }
        server.up();
    }
    let all = usize::from(PICTURES) * 2;
    wait_for("all results", || world.count("spool/results") == all);
    assert!(
        results(&world)
            .iter()
            .all(|event| event["data"]["status"] == "converted")
    );
    for worker in workers {
        worker.signal("-TERM");
        assert_eq!(worker.code(), Some(0));
    }
    let counts = counts(&database);
    assert_eq!((counts.ended, counts.waiting, counts.running), (all as i64, 0, 0));
    // Two of a picture would be an outcome that was written twice.
    assert_eq!((counts.converted, counts.entries), (i64::from(PICTURES), 0));
    assert_eq!(world.count("spool/new"), 0);
}

/// What the ledger says in the end.
struct Counts {
    ended: i64,
    waiting: i64,
    running: i64,
    converted: i64,
    entries: i64,
}

#[tokio::main(flavor = "current_thread")]
async fn counts(database: &Database<'_>) -> Counts {
    let sql = "SELECT (SELECT count(*) FROM lazaret.jobs WHERE ended IS NOT NULL) AS ended,
        (SELECT count(*) FROM lazaret.jobs WHERE ended IS NULL) AS waiting,
        (SELECT count(*) FROM lazaret.attempts WHERE outcome = 'running') AS running,
        (SELECT count(*) FROM lazaret.attempts WHERE outcome = 'converted') AS converted,
        (SELECT count(*) FROM lazaret.entries) AS entries";
    let row = sqlx::query(sql).fetch_one(&mut database.connect().await).await.unwrap();
    Counts {
        ended: row.get("ended"),
        waiting: row.get("waiting"),
        running: row.get("running"),
        converted: row.get("converted"),
        entries: row.get("entries"),
    }
}

/// All events in the spool.
fn results(world: &World) -> Vec<Value> {
    let entries = fs::read_dir(world.path("spool/results")).unwrap();
    let event = |path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    entries.map(|entry| event(entry.unwrap().path())).collect()
}

#[test]
fn a_worker_outlives_its_server_and_goes_on() {
    let server = Server::start(&[]);
    let database = database(&server);
    let world = impatient_world_on(&database);
    let asked = Asked::free();
    let (name, value) = asked.setting();
    let mut worker = world.serve(&[(name, &value)]);
    assert_eq!(answers(&world, &[PHOTO]), [("converted".to_owned(), false)]);
    for (order, back, file) in [
        ("stop", "start", "valid/photos/rocket.bmp"),
        ("freeze", "thaw", "valid/photos/camera_grey.jpg"),
    ] {
        let times = |words: &str| log(&world).matches(words).count();
        wait_for("all to be well", || asked.get("/readyz").status == 200);
        let before = [times("not ready"), times("ready again")];
        server.order(order);
        wait_for("the worker to notice", || times("not ready") > before[0]);
        wait_for("the ledger to be missed", || {
            asked.get("/readyz").causes() == ["ledger"]
        });
        assert_eq!(asked.get("/livez").status, 200);
        asked.answers_soon("/readyz", 1000, &format!("after PostgreSQL's {order}"));
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
