//! `lazaret serve` and `submit` on the spool.

use std::fs;

use serde_json::{Value, json};

use super::world::*;

const SLOW_FILE: &str = "hostile/cpu/tiff_slow_tiles.tiff";

fn result(world: &World, job: &str) -> Value {
    serde_json::from_slice(&fs::read(world.path(&format!("spool/results/{job}.json"))).unwrap()).unwrap()
}

fn enqueue(world: &World, name: &str, body: &Value) {
    fs::create_dir_all(world.path("spool/new")).unwrap();
    world.write(&format!("spool/new/{name}"), body.to_string());
}

fn job(id: &str, key: &str) -> Value {
    json!({ "job": id, "tenant": "acme", "source": { "store": "uploads", "key": key }, "preset": "web",
            "metadata": { "row": 7 } })
}

#[test]
fn jobs_are_answered_good_and_bad_and_known_the_second_time() {
    let world = World::new();
    let _service = world.serve(&[]);
    let files = [
        fixture("valid/photos/rocket.bmp"),
        fixture("hostile/cpu/tiff_wide_tiles.tiff"),
        fixture("malformed/text.jpg"),
    ];
    let mut arguments = vec!["--wait", "--json"];
    arguments.extend(files.iter().map(String::as_str));
    for repeat in [false, true] {
        let output = world.submit(&arguments);
        assert_eq!(output.status.code(), Some(1));
        let mut verdicts = lines(&output);
        verdicts.sort_by_key(|verdict| verdict["status"].to_string());
        let told: Vec<_> = verdicts
            .iter()
            .map(|verdict| (verdict["status"].clone(), verdict["repeat"].clone()))
            .collect();
        let expected = [("converted", repeat), ("quarantined", repeat), ("rejected", false)];
        assert_eq!(told, expected.map(|(status, repeat)| (json!(status), json!(repeat))));
        assert!(verdicts[0]["queued_ms"].is_u64());
    }
    // An answer comes before the message is put away.
    wait_for("all to be acknowledged", || {
        (world.count("spool/new"), world.count("spool/done")) == (0, 6)
    });
}

#[test]
fn a_result_is_a_cloud_event_with_the_same_id_each_time() {
    let world = World::new();
    world.write("uploads/a.bmp", fs::read(fixture("valid/photos/rocket.bmp")).unwrap());
    let _service = world.serve(&[]);
    enqueue(&world, "1-0000000000001-a", &job("job-1", "a.bmp"));
    wait_for("the result", || world.path("spool/results/job-1.json").exists());
    let first = result(&world, "job-1");
    assert_eq!(
        (
            &first["specversion"],
            &first["subject"],
            &first["data"]["metadata"]["row"]
        ),
        (&json!("1.0"), &json!("job-1"), &json!(7))
    );
    assert_eq!(first["data"]["status"], json!("converted"));
    fs::remove_file(world.path("spool/results/job-1.json")).unwrap();
    enqueue(&world, "1-0000000000002-a", &job("job-1", "a.bmp"));
    wait_for("the same result again", || {
        world.path("spool/results/job-1.json").exists()
    });
    let second = result(&world, "job-1");
    assert_eq!((&second["id"], &second["data"]), (&first["id"], &first["data"]));
}

#[test]
fn messages_that_break_the_contract_are_answered_or_set_aside() {
    let world = World::new();
    world.write("uploads/a.bmp", fs::read(fixture("valid/photos/rocket.bmp")).unwrap());
    let _service = world.serve(&[]);
    enqueue(&world, "1-0000000000001-climb", &job("climb", "../../etc/passwd"));
    enqueue(&world, "1-0000000000002-gone", &job("gone", "no/such.jpg"));
    let mut claim = job("claim", "a.bmp");
    claim["source"]["sha256"] = json!("00".repeat(32));
    enqueue(&world, "1-0000000000003-claim", &claim);
    world.write("spool/new/1-0000000000004-noise", b"\xff\xfe not JSON");
    for (id, reason) in [
        ("climb", "invalid-job"),
        ("gone", "source-missing"),
        ("claim", "digest-mismatch"),
    ] {
        wait_for(id, || world.path(&format!("spool/results/{id}.json")).exists());
        assert_eq!(result(&world, id)["data"]["reason"], json!(reason));
    }
    wait_for("the noise to be set aside", || world.count("spool/dead") == 2);
    let why = fs::read_to_string(world.path("spool/dead/1-0000000000004-noise.why")).unwrap();
    assert!(why.starts_with("body:"), "{why}");
}

#[test]
fn copies_in_flight_wait_for_one_attempt() {
    let world = World::new();
    let bomb = fixture("hostile/cpu/tiff_wide_tiles.tiff");
    let arguments = vec![bomb.as_str(); 40];
    world.submit(&arguments);
    let _services = [world.serve(&[]), world.serve(&[])];
    wait_for("40 results", || world.count("spool/results") == 40);
    let entries = world.json(&["quarantine", "list", "--json"]);
    let digest = entries[0]["digest"].as_str().unwrap();
    assert_eq!(world.dossier(digest)["attempts"].as_array().unwrap().len(), 1);
    for entry in fs::read_dir(world.path("spool/results")).unwrap() {
        let event: Value = serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
        assert_eq!(event["data"]["reason"], json!("cpu"));
    }
}

fn wait_for_drain(world: &World) {
    wait_for("the drain to begin", || {
        let logs = fs::read_dir(world.path("."))
            .unwrap()
            .map(|entry| entry.unwrap().path());
        logs.filter(|path| path.extension().is_some_and(|it| it == "log"))
            .any(|log| fs::read_to_string(log).unwrap().contains("draining"))
    });
}

#[test]
fn the_first_signal_drains() {
    let world = World::new();
    let service = world.serve(&SLOW);
    world.submit(&[&fixture(SLOW_FILE)]);
    let held = service.hold();
    service.signal("-TERM");
    wait_for_drain(&world);
    assert_eq!(world.count("spool/results"), 0);
    drop(held);
    assert_eq!(service.code(), Some(0));
    assert_eq!((world.count("spool/results"), world.count("spool/new")), (1, 0));
}

#[test]
fn the_second_signal_releases_and_the_job_comes_again() {
    let world = World::new();
    let mut service = world.serve(&SLOW);
    world.submit(&[&fixture(SLOW_FILE)]);
    let _held = service.hold();
    service.signal("-TERM");
    wait_for_drain(&world);
    assert!(service.is_running());
    service.signal("-TERM");
    assert_eq!(service.code(), Some(0));
    assert_eq!(world.count("spool/results"), 0);
    assert_eq!(world.json(&["quarantine", "list", "--json"]).len(), 0, "no strike");
    let _next = world.serve(&SLOW);
    wait_for("the result", || world.count("spool/results") == 1);
}

#[test]
fn a_killed_workers_job_is_run_again_and_ends_once() {
    let world = World::new();
    let service = world.serve(&SLOW);
    world.submit(&[&fixture(SLOW_FILE)]);
    world.wait_for_attempts(&service, 1);
    service.kill();
    let _next = world.serve(&SLOW);
    wait_for("the result", || world.count("spool/results") == 1);
    let name = fs::read_dir(world.path("spool/results"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .file_name();
    let event = result(&world, name.to_str().unwrap().trim_end_matches(".json"));
    assert_eq!(event["data"]["status"], json!("converted"));
    let state = world.json(&["quarantine", "list", "--json"])[0]["state"].clone();
    assert_eq!(
        state,
        json!("released"),
        "suspected for company with a dead worker, then cleared"
    );
}

#[test]
fn a_source_that_is_not_there_stops_the_service_before_it_takes_a_job() {
    let world = World::new();
    enqueue(&world, "1-0000000000001-a", &job("job-1", "a.bmp"));
    let config = world.config();
    let mut serve = world.command(&["serve", "--config", config.to_str().unwrap()]);
    let output = serve.env_remove("LAZARET_STATE").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let error = stderr(&output);
    assert!(
        error.contains("store uploads: ") && error.contains("make this folder, or mount it"),
        "{error}"
    );
    assert!(!world.path("uploads").exists());
    assert_eq!(world.count("spool/new"), 1, "not consumed");
}

#[test]
fn what_no_worker_would_take_is_not_submitted() {
    let world = World::new();
    world.write(
        "lazaret.toml",
        "broker = \"spool:./spool\"\n[limits]\ninput = \"1 KiB\"\n",
    );
    let made = std::process::Command::new("mkfifo").arg(world.path("fifo")).status();
    assert!(made.unwrap().success());
    world.write("long\u{1b}[31m.bmp", [0; 1025]);
    world.write("good.bmp", [0; 1024]);
    let output = world.submit(&["fifo", "long\u{1b}[31m.bmp", "good.bmp"]);
    assert_eq!(output.status.code(), Some(1));
    let error = stderr(&output);
    for part in [
        "fifo: is not a regular file",
        "is 1025 bytes, more than limits.input, 1.0 KiB",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(!error.contains('\u{1b}'), "{error}");
    assert_eq!(world.count("spool/new"), 1);
    let output = world.submit(&["--tenant", "a.b", "good.bmp"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert_eq!(world.count("spool/new"), 1);
}

#[test]
fn a_fifo_in_the_spool_neither_stops_the_others_nor_the_stop() {
    let world = World::new();
    world.write("uploads/a.bmp", fs::read(fixture("valid/photos/rocket.bmp")).unwrap());
    let service = world.serve(&[]);
    let fifo = world.path("spool/new/0-0000000000001-fifo");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    enqueue(&world, "1-0000000000002-a", &job("job-1", "a.bmp"));
    wait_for("the result", || world.path("spool/results/job-1.json").exists());
    wait_for("the FIFO to be set aside", || world.count("spool/dead") == 2);
    service.signal("-TERM");
    assert_eq!(service.code(), Some(0));
}
