//! Traces, as a collector hears them of a worker on the spool.

#[path = "../servers/collector.rs"]
mod collector;

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use self::collector::{Collector, Heard, Manner, Span};
use super::world::*;

const PHOTO: &str = "valid/photos/rocket.bmp";
const BOMB: &str = "hostile/cpu/tiff_wide_tiles.tiff";

/// A job for an upload that is named as only its sender should know.
fn enqueue(world: &World, id: &str, of: &str) {
    let key = format!("tenants-own-words-{id}");
    world.write(&format!("uploads/{key}"), fs::read(fixture(of)).unwrap());
    let body = json!({ "job": id, "tenant": "acme", "source": { "store": "uploads", "key": key }, "preset": "web" });
    world.write(&format!("spool/new/1-0000000000001-{id}"), body.to_string());
}

fn answer(world: &World, id: &str) -> Value {
    let path = world.path(&format!("spool/results/{id}.json"));
    wait_for("an answer", || path.exists());
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn log_of(world: &World) -> String {
    let entries = fs::read_dir(world.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let logs = entries.filter(|path| path.extension().is_some_and(|it| it == "log"));
    logs.map(|log| fs::read_to_string(log).unwrap()).collect()
}

fn drain(service: Running) {
    service.signal("-TERM");
    assert_eq!(service.code(), Some(0));
}

fn names(spans: &[&Span]) -> Vec<String> {
    spans.iter().map(|span| span.name.clone()).collect()
}

/// Each span of a trace lies within the one that it is below.
fn is_nested(heard: &Heard, span: &Span) {
    for inner in heard.below(span) {
        assert_eq!(inner.trace, span.trace);
        let within = span.start <= inner.start && inner.start <= inner.end && inner.end <= span.end;
        assert!(within, "{inner:?} is not within {span:?}");
        is_nested(heard, inner);
    }
}

#[test]
fn a_job_without_a_trace_begins_one_that_goes_from_fetch_to_publish() {
    let (world, collector) = (World::new(), Collector::start(Manner::Well));
    let endpoint = collector.endpoint();
    let service = world.serve(&[
        ("LAZARET_TRACES_ENDPOINT", endpoint.as_str()),
        ("LAZARET_TRACES_SERVICE", "images"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cr3t"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=tests"),
        // What is set here, and not in [traces], counts for nothing.
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_SERVICE_NAME", "other"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
    ]);
    enqueue(&world, "good", PHOTO);
    let good = answer(&world, "good");
    enqueue(&world, "again", PHOTO);
    enqueue(&world, "bad", BOMB);
    let (again, bad) = (answer(&world, "again"), answer(&world, "bad"));
    drain(service);
    let heard = collector.heard();
    for request in &heard.requests {
        assert_eq!(request[0], "post /v1/traces http/1.1");
        for header in ["api-key: s3cr3t", "content-type: application/x-protobuf"] {
            assert!(request.iter().any(|line| line == header), "{request:?}");
        }
    }
    for (event, id, status, reason) in [
        (&good, "good", "converted", ""),
        (&again, "again", "converted", ""),
        (&bad, "bad", "quarantined", "cpu"),
    ] {
        let root = heard.root(id);
        assert_eq!((root.name.as_str(), root.parent.as_str()), ("process lazaret.jobs", ""));
        assert_eq!((root.kind, root.status), (5, 0), "a bad upload is no fault of ours");
        for (key, value) in [
            ("messaging.system", "spool"),
            ("lazaret.tenant", "acme"),
            ("lazaret.status", status),
            ("lazaret.reason", reason),
            ("lazaret.digest", event["data"]["sha256"].as_str().unwrap()),
            ("lazaret.worker", event["data"]["worker"].as_str().unwrap()),
            ("lazaret.known", if id == "again" { "true" } else { "false" }),
            ("resource.service.name", "images"),
            ("resource.deployment.environment", "tests"),
        ] {
            assert_eq!(root.attribute(key), value, "{id}: {key}");
        }
        is_nested(&heard, root);
        let below = heard.below(root);
        let publish = below.last().unwrap();
        assert_eq!((publish.name.as_str(), publish.kind), ("publish lazaret.results", 4));
        assert_eq!(publish.attribute("messaging.message.id"), event["id"].as_str().unwrap());
        assert_eq!(
            event["traceparent"],
            publish.traceparent(),
            "{id}: who listens goes on from there"
        );
    }
    let steps = |id| names(&heard.below(heard.root(id)));
    let ran = ["fetch", "ledger ask", "wait for a slot", "ledger claim", "child"];
    let good_steps = [
        &ran[..],
        &["store", "ledger settle", "ledger end", "publish lazaret.results"],
    ]
    .concat();
    let bad_steps = [
        &ran[..],
        &[
            "keep specimen",
            "ledger settle",
            "ledger end",
            "publish lazaret.results",
        ],
    ]
    .concat();
    assert_eq!(steps("good"), good_steps);
    assert_eq!(steps("bad"), bad_steps);
    assert_eq!(
        steps("again"),
        ["fetch", "ledger ask", "ledger end", "publish lazaret.results"]
    );
    let child = |id| {
        *heard
            .below(heard.root(id))
            .iter()
            .find(|span| span.name == "child")
            .unwrap()
    };
    for (event, child, outcome) in [(&good, child("good"), "converted"), (&bad, child("bad"), "tripped")] {
        assert_eq!(child.attribute("lazaret.outcome"), outcome);
        for (key, field) in [
            ("lazaret.cpu_ms", "cpu_ms"),
            ("lazaret.wall_ms", "wall_ms"),
            ("lazaret.peak_memory_bytes", "peak_memory_bytes"),
        ] {
            assert_eq!(child.attribute(key), event["data"][field].to_string(), "{key}");
        }
    }
    assert_eq!(child("good").attribute("lazaret.phase"), "encode");
    let traces: BTreeSet<_> = heard.spans.iter().map(|span| &span.trace).collect();
    assert_eq!(traces.len(), 3, "one for each job");
    let told = format!("{:?}", heard.spans);
    assert!(!told.contains("tenants-own-words"), "{told}");
    assert!(heard.spans.iter().all(|span| span.events == 0), "no line of the log");
    let log = log_of(&world);
    assert!(!log.contains("s3cr3t") && !log.contains("messaging.system"), "{log}");
}

#[test]
fn a_collector_that_never_answers_holds_up_neither_jobs_nor_the_end() {
    let (world, collector) = (World::new(), Collector::start(Manner::Silent));
    let endpoint = collector.endpoint();
    let service = world.serve(&[("LAZARET_TRACES_ENDPOINT", endpoint.as_str())]);
    let posted = || !collector.heard().requests.is_empty();
    enqueue(&world, "first", PHOTO);
    answer(&world, "first");
    wait_for("the first spans", posted);
    // One request hangs by now; what is behind it waits in memory.
    for number in 0..20 {
        let id = format!("more-{number}");
        enqueue(&world, &id, PHOTO);
        assert_eq!(answer(&world, &id)["data"]["status"], "converted");
    }
    drain(service);
    let log = log_of(&world);
    assert!(
        log.contains("the last traces were not sent") || log.contains("some traces were not sent"),
        "{log}"
    );
}

#[test]
fn a_collector_that_is_not_there_is_told_of_once() {
    let world = World::new();
    // Nobody listens at a port that was free just now.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{nobody}");
    let service = world.serve(&[("LAZARET_TRACES_ENDPOINT", endpoint.as_str())]);
    for id in ["one", "two"] {
        enqueue(&world, id, PHOTO);
        answer(&world, id);
        wait_for("the warning", || log_of(&world).contains("traces cannot be sent"));
    }
    drain(service);
    let log = log_of(&world);
    assert_eq!(log.matches("traces cannot be sent").count(), 1, "{log}");
    assert!(log.contains("some traces were not sent"), "{log}");
}

#[test]
fn what_a_collector_would_not_take_is_found_before_the_start() {
    let world = World::new();
    let config = world.config();
    let config = config.to_str().unwrap();
    fs::create_dir(world.path("uploads")).unwrap();
    let check = |environment: &[(&str, &str)]| {
        let mut command = world.command(&["check", config]);
        let output = command
            .env_remove("LAZARET_STATE")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output),
        )
    };
    let missing = world.path("ca.pem");
    for (environment, words) in [
        (
            [
                ("LAZARET_TRACES_ENDPOINT", "https://otel.example"),
                ("LAZARET_TRACES_CA", missing.to_str().unwrap()),
            ],
            "traces.ca: ",
        ),
        (
            [
                ("LAZARET_TRACES_ENDPOINT", "https://127.0.0.1"),
                ("OTEL_EXPORTER_OTLP_HEADERS", "s3cr3t"),
            ],
            "OTEL_EXPORTER_OTLP_HEADERS: header 1 is not written as name=value",
        ),
        (
            [
                ("LAZARET_TRACES_ENDPOINT", "http://otel:4318"),
                ("OTEL_EXPORTER_OTLP_HEADERS", "key=s3cr3t"),
            ],
            "OTEL_EXPORTER_OTLP_HEADERS: would go over the network as it is",
        ),
    ] {
        let (code, text) = check(&environment);
        assert_eq!(code, Some(78), "{text}");
        assert!(text.contains(words) && !text.contains("s3cr3t"), "{text}");
    }
    let (code, text) = check(&[("LAZARET_TRACES_ENDPOINT", "http://otel:4318")]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("\n  traces      to http://otel:4318\n"), "{text}");
    assert!(Path::new(config).exists());
}
