//! Health and metrics, while all is well and while nothing is: the ledger locked, the disk hung, the worker draining, and clients that misbehave.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Output};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, SqliteConnection};

use super::asked::*;
use super::world::*;

const SLOW_FILE: &str = "hostile/cpu/tiff_slow_tiles.tiff";

fn serve(world: &World, more: &[(&str, &str)]) -> (Running, Asked) {
    let asked = Asked::free();
    let (name, value) = asked.setting();
    let mut environment = vec![(name, value.as_str())];
    environment.extend(more);
    let service = world.serve(&environment);
    wait_for("work to be taken", || asked.get("/readyz").status == 200);
    (service, asked)
}

fn health(world: &World, asked: Asked, arguments: &[&str]) -> Output {
    let mut all = vec!["health"];
    all.extend(arguments);
    let (name, value) = asked.setting();
    world.command(&all).env(name, value).output().unwrap()
}

#[test]
fn a_worker_tells_that_it_works_and_what_it_did() {
    let world = World::new();
    let (_service, asked) = serve(&world, &[]);
    let answer = asked.get("/readyz");
    let ready = answer.json();
    assert_eq!((&ready["ready"], &ready["reasons"]), (&json!(true), &json!([])));
    for part in ["ledger", "broker", "disk"] {
        assert!(ready["parts"][part]["age_ms"].is_u64(), "{ready}");
    }
    assert_eq!(asked.get("/livez").json()["live"], json!(true));
    for header in [
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "content-security-policy: default-src 'none'",
    ] {
        assert!(answer.head.contains(header), "{}", answer.head);
    }

    for (fixture, code) in [
        ("valid/photos/rocket.bmp", 0),
        ("hostile/cpu/tiff_wide_tiles.tiff", 1),
        ("valid/photos/rocket.bmp", 0),
    ] {
        assert_eq!(
            world.submit(&["--wait", &super::world::fixture(fixture)]).status.code(),
            Some(code)
        );
    }
    for (series, count) in [
        ("lazaret_jobs_total{status=\"converted\",reason=\"\",known=\"no\"}", 1.0),
        (
            "lazaret_jobs_total{status=\"converted\",reason=\"\",known=\"yes\"}",
            1.0,
        ),
        (
            "lazaret_jobs_total{status=\"quarantined\",reason=\"cpu\",known=\"no\"}",
            1.0,
        ),
        ("lazaret_attempts_total{outcome=\"tripped\"}", 1.0),
        ("lazaret_attempts_total{outcome=\"converted\"}", 1.0),
        ("lazaret_convictions_total{reason=\"cpu\"}", 1.0),
        ("lazaret_attempt_cpu_seconds_count", 2.0),
        ("lazaret_job_wait_seconds_count", 3.0),
        ("lazaret_attempts_running", 0.0),
        ("lazaret_ready", 1.0),
    ] {
        wait_for(series, || asked.metric(series) == count);
    }
    assert!(asked.metric("lazaret_memory_budget_bytes") > 0.0);

    let output = health(&world, asked, &["--ready"]);
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(0), b"ready\n".as_slice())
    );
    let told = lines(&health(&world, asked, &["--json"])).remove(0);
    assert_eq!(told["live"], json!(true));
}

#[test]
fn a_locked_ledger_is_told_and_the_answers_come_at_once() {
    let world = World::new();
    let (_service, asked) = serve(&world, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let ledger = format!("sqlite:{}", world.path("state/ledger.sqlite").display());
    let mut other = runtime.block_on(SqliteConnection::connect(&ledger)).unwrap();
    runtime
        .block_on(sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other))
        .unwrap();

    wait_for("the ledger to be missed", || {
        asked.get("/readyz").causes() == ["ledger"]
    });
    asked.answers_soon("/readyz", 1000, "while the ledger is locked");
    assert_eq!(asked.get("/livez").status, 200, "to end this worker would mend nothing");
    assert_eq!(asked.metric("lazaret_not_ready{cause=\"ledger\"}"), 1.0);
    let output = health(&world, asked, &["--ready"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("not ready\n  ledger: "), "{text}");

    runtime.block_on(sqlx::raw_sql("ROLLBACK").execute(&mut other)).unwrap();
    wait_for("work to be taken again", || asked.get("/readyz").status == 200);
}

#[test]
fn a_hung_disk_is_told_and_the_answers_come_at_once() {
    let world = World::new();
    let (shim, mark) = (world.path("hang.so"), world.path("hung"));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/hang.c");
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&shim)
        .args([source, "-ldl"])
        .status();
    assert!(made.unwrap().success());
    let (_service, asked) = serve(
        &world,
        &[
            ("LD_PRELOAD", shim.to_str().unwrap()),
            ("HUNG_WHILE", mark.to_str().unwrap()),
        ],
    );
    // Past the control images of the start, no attempt is in the middle of it.
    wait_for("the control set", || {
        asked.metric("lazaret_controls_total{result=\"converted\"}") >= 1.0
    });
    fs::write(&mark, "").unwrap();
    wait_for("all to be missed", || {
        asked.get("/readyz").causes() == ["ledger", "broker", "disk"]
    });
    asked.answers_soon("/readyz", 1000, "while the disk hangs");
    assert_eq!((asked.get("/livez").status, asked.get("/metrics").status), (200, 200));
    fs::remove_file(&mark).unwrap();
    wait_for("work to be taken again", || asked.get("/readyz").status == 200);
}

#[test]
fn idle_connections_and_readers_that_never_read_keep_nobody_out() {
    let world = World::new();
    rlimit::increase_nofile_limit(4096).unwrap();
    let (_service, asked) = serve(&world, &[]);
    let idle: Vec<TcpStream> = (0..1000).map(|_| asked.connect()).collect();
    for connection in &idle {
        connection.set_nonblocking(true).unwrap();
    }
    let is_open = |connection: &&TcpStream| matches!(connection.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    // At once: in five seconds they would be closed for saying nothing. Each question makes room for itself alone.
    let mut rounds = (0..100).map(|_| (asked.get("/readyz").status, idle.iter().filter(is_open).count()));
    assert!(rounds.any(|(_, open)| open <= 128), "all but the newest are closed");
    assert!(asked.metric("lazaret_http_evicted_total") > 0.0);
    asked.answers_soon("/readyz", 100, "beside idle connections");
    drop(idle);

    let mut deaf = asked.connect();
    deaf.set_nonblocking(true).unwrap();
    // As much as it takes: until nothing more can be sent, or the other end has closed.
    let request = "GET /metrics HTTP/1.1\r\nHost: lazaret\r\n\r\n".repeat(100);
    for _ in 0..1000 {
        if deaf.write(request.as_bytes()).is_err() {
            break;
        }
    }
    assert_eq!(asked.get("/readyz").status, 200);

    // Half a request is waited for, but not for ever.
    let mut half = asked.connect();
    half.write_all(b"GET /readyz HTTP/1.1\r\nHo").unwrap();
    let mut rest = Vec::new();
    half.read_to_end(&mut rest).unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
}

#[test]
fn odd_requests_have_proper_answers() {
    let world = World::new();
    let (_service, asked) = serve(&world, &[]);
    let long = "a".repeat(10_000);
    for (request, status) in [
        (format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n"), 404),
        (format!("GET /readyz?{long} HTTP/1.1\r\nHost: h\r\n\r\n"), 200),
        (
            format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", long.repeat(10)),
            431,
        ),
        ("GET /../etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 404),
        ("GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 404),
        (
            "POST /readyz HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".to_owned(),
            405,
        ),
        ("HEAD /livez HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 200),
        ("\u{1}\u{2} nonsense\r\n\r\n".to_owned(), 400),
    ] {
        assert_eq!(
            asked.say(&request).status,
            status,
            "{}",
            &request[..request.len().min(60)]
        );
    }
    assert!(asked.get("/").json()["error"].is_string());
}

#[test]
fn a_worker_that_drains_lives_and_takes_nothing() {
    let world = World::new();
    let (service, asked) = serve(&world, &SLOW);
    world.submit(&[&fixture(SLOW_FILE)]);
    let held = service.hold();
    assert_eq!(asked.metric("lazaret_attempts_running"), 1.0);
    service.signal("-TERM");
    wait_for("the drain", || asked.get("/readyz").causes() == ["draining"]);
    assert_eq!(asked.get("/livez").status, 200);
    drop(held);
    assert_eq!(service.code(), Some(0));
}

#[test]
fn a_new_configuration_moves_the_listener() {
    let world = World::new();
    let [old, new] = [Asked::free(), Asked::free()];
    let base = "broker = \"spool:./spool\"\nledger = \"sqlite:./state/ledger.sqlite\"\n";
    let at = |asked: Asked| format!("{base}admin = \"{}\"\n", asked.0);
    world.write("lazaret.toml", at(old));
    let service = world.serve_as_configured(&[]);
    wait_for("work to be taken", || old.get("/readyz").status == 200);
    world.submit(&["--wait", &fixture("valid/photos/rocket.bmp")]);
    world.write("lazaret.toml", at(new));
    service.signal("-HUP");
    let answers = || TcpStream::connect(new.0).is_ok() && new.get("/readyz").status == 200;
    wait_for("the new address", answers);
    wait_for("the old one to be left", || TcpStream::connect(old.0).is_err());
    let converted = "lazaret_jobs_total{status=\"converted\",reason=\"\",known=\"no\"}";
    assert_eq!(new.metric(converted), 1.0, "counts go on");
}

#[test]
fn a_supervisor_hears_that_it_starts_lives_and_stops() {
    let world = World::new();
    let name = format!("lazaret-test-{}", fastrand::u64(..));
    let heard = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let (told, says) = mpsc::channel();
    // From the start: what does not fit into the socket is lost.
    thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok(length) = heard.recv(&mut bytes) {
            let said = String::from_utf8(bytes[..length].to_vec()).unwrap();
            if told.send(said).is_err() {
                return;
            }
        }
    });
    let next = || says.recv_timeout(Duration::from_secs(60)).unwrap();
    let socket = format!("@{name}");
    // Without a listener: whoever supervises needs none.
    let service = world.serve(&[("NOTIFY_SOCKET", &socket), ("WATCHDOG_USEC", "1000000")]);
    let mut wanted = vec!["READY=1", "STATUS=takes work", "WATCHDOG=1"];
    while !wanted.is_empty() {
        let said = next();
        wanted.retain(|wanted| *wanted != said);
    }
    service.signal("-TERM");
    while next() != "STOPPING=1" {}
    assert_eq!(service.code(), Some(0));
}

#[test]
fn an_address_that_cannot_be_had_is_an_error_at_the_start() {
    let world = World::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    fs::create_dir_all(world.path("uploads")).unwrap();
    for (admin, code, words) in [
        (taken.as_str(), 1, "give each worker of a host an address of its own"),
        ("0.0.0.0:0", 78, "set desk.exposure to \"plain\""),
        ("localhost:8017", 78, "write 127.0.0.1:8017"),
    ] {
        let config = world.config();
        let mut serve = world.command(&["serve", "--config", config.to_str().unwrap()]);
        let output = serve
            .env_remove("LAZARET_STATE")
            .env("LAZARET_ADMIN", admin)
            .output()
            .unwrap();
        let error = stderr(&output);
        assert!(
            output.status.code() == Some(code) && error.contains(words),
            "{admin}: {error}"
        );
    }
}

#[test]
fn whoever_asks_where_no_worker_is_hears_that() {
    let world = World::new();
    let output = health(&world, Asked::free(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("is the worker started?"),
        "{}",
        stderr(&output)
    );
    let output = world.run(&["health"]);
    assert_eq!(output.status.code(), Some(2), "the listener of tests is off");
    assert!(stderr(&output).contains("admin is off"), "{}", stderr(&output));
}
