//! `lazaret serve` on RabbitMQ: every job is answered, once run, and nothing stays behind.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};

use super::client::Client;
use super::stage::*;
use super::world::*;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn headers(list: &[(&str, AMQPValue)]) -> BasicProperties {
    let mut table = FieldTable::default();
    for (name, value) in list {
        table.insert((*name).into(), value.clone());
    }
    BasicProperties::default().with_headers(table)
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

#[test]
fn every_job_is_answered_to_the_results_and_to_whom_it_says() {
    let stage = Stage::new("answered");
    stage.upload(&[PHOTO, BOMB, "malformed/text.jpg"]);
    let worker = stage.serve(&[]);
    let replies = Client::of(&stage.vhost);
    let queue = replies.queue("answers", json!({}));
    replies.listen(&queue);

    let good = headers(&[("traceparent", text(TRACE))])
        .with_reply_to(queue.as_str().into())
        .with_correlation_id("c-7".into());
    let body = job("good", "acme", PHOTO).to_string();
    stage.client.publish_with("interactive", body.as_bytes(), good);
    stage.client.publish("bulk", &job("bad", "acme", BOMB));
    let untrue = headers(&[(
        "traceparent",
        text("00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
    )]);
    let body = job("broken", "other", "malformed/text.jpg").to_string();
    stage.client.publish_with("interactive", body.as_bytes(), untrue);

    let good = stage.client.answer("good");
    assert_eq!(good.routing_key, "acme.converted");
    assert_eq!(good.event["specversion"], "1.0");
    assert_eq!(good.event["data"]["metadata"]["row"], 7);
    assert_eq!(good.event["traceparent"], TRACE);
    assert_eq!(good.header("traceparent").as_deref(), Some(TRACE));
    for rendition in good.event["data"]["renditions"].as_array().unwrap() {
        let key = rendition["key"].as_str().unwrap();
        assert!(stage.world.path("renditions").join(key).is_file(), "{key}");
    }
    let bad = stage.client.answer("bad");
    assert_eq!(
        (bad.routing_key.as_str(), bad.verdict().as_str()),
        ("acme.quarantined", "quarantined: cpu")
    );
    let broken = stage.client.answer("broken");
    assert_eq!(broken.routing_key, "other.rejected");
    assert_eq!(
        broken.event["traceparent"],
        Value::Null,
        "a trace that is none is dropped"
    );
    assert_eq!(broken.header("traceparent"), None);

    let reply = replies.wait_answers(1).remove(0);
    assert_eq!(
        (&reply.event, reply.correlation_id.as_deref()),
        (&good.event, Some("c-7"))
    );
    stage.ends_empty([worker]);
    assert_eq!((stage.client.answers().len(), replies.answers().len()), (3, 1));
}

#[test]
fn a_reply_goes_to_nobody_elses_queue_and_to_nowhere_without_harm() {
    let stage = Stage::new("replies");
    stage.upload(&[PHOTO]);
    let worker = stage.serve(&[]);
    for (id, queue) in [
        ("forged", "lazaret.jobs.interactive"),
        ("dead", "lazaret.dead"),
        ("gone", "no-such-queue"),
    ] {
        let properties = BasicProperties::default().with_reply_to(queue.into());
        let body = job(id, "acme", PHOTO).to_string();
        stage.client.publish_with("interactive", body.as_bytes(), properties);
    }
    for id in ["forged", "dead", "gone"] {
        assert_eq!(stage.client.answer(id).verdict(), "converted: –", "{id}");
    }
    worker.wait_log("no queue to go to");
    stage.ends_empty([worker]);
    assert_eq!(stage.client.ready("lazaret.dead"), 0);
    assert_eq!(stage.client.answers().len(), 3, "none came back as a job");
}

#[test]
fn results_that_nobody_has_a_queue_for_do_not_block() {
    let mut stage = Stage::new("unheard");
    stage.upload(&[PHOTO]);
    // Its queue goes with it.
    stage.client = Client::of(&stage.vhost);
    let worker = stage.serve(&[]);
    for number in 0..3 {
        stage
            .client
            .publish("interactive", &job(&format!("j{number}"), "acme", PHOTO));
    }
    worker.wait_log("so_far=2");
    stage.ends_empty([worker]);
}

#[test]
fn the_same_job_ten_times_at_once_is_run_once_and_answered_alike() {
    let stage = Stage::new("ten-times");
    stage.upload(&[BOMB]);
    let workers = [stage.serve(&[]), stage.serve(&[])];
    let jobs = vec![job("same", "acme", BOMB); 10];
    stage.client.publish_jobs("interactive", &jobs);
    stage.client.answer("same");
    // One more, for what is known by now.
    stage.client.publish("bulk", &jobs[0]);
    wait_for("the answer again", || stage.client.answers().len() >= 2);
    stage.ends_empty(workers);
    let answers = stage.client.answers();
    assert!(
        answers
            .iter()
            .all(|answer| answer.event["id"] == answers[0].event["id"])
    );
    assert!(
        answers
            .iter()
            .all(|answer| answer.event["data"] == answers[0].event["data"])
    );
    let quarantined = stage.quarantined();
    assert_eq!(quarantined.len(), 1);
    assert_eq!(quarantined[0]["attempts"].as_array().unwrap().len(), 1);
}

#[test]
fn forty_copies_of_a_bomb_cost_one_attempt_and_its_claim_costs_not_even_a_look() {
    let stage = Stage::new("copies");
    stage.upload(&[BOMB]);
    let workers = [stage.serve(&[]), stage.serve(&[])];
    let jobs: Vec<Value> = (0..40)
        .map(|number| job(&format!("copy-{number}"), "acme", BOMB))
        .collect();
    stage.client.publish_jobs("interactive", &jobs);
    let answers = stage.client.wait_answers(40);
    assert!(
        answers
            .iter()
            .all(|answer| answer.verdict() == "quarantined: cpu" || answer.verdict() == "quarantined: listed")
    );
    let digest = answers[0].event["data"]["sha256"].clone();

    let mut claimed = job("claimed", "acme", "never/uploaded.tiff");
    claimed["source"]["sha256"] = digest;
    stage.client.publish("interactive", &claimed);
    let claimed = stage.client.answer("claimed");
    assert_eq!(claimed.event["data"]["status"], "quarantined");
    assert_eq!(claimed.event["data"]["repeat"], true);

    stage.ends_empty(workers);
    let mut subjects: Vec<String> = stage
        .client
        .answers()
        .iter()
        .map(|answer| answer.event["subject"].to_string())
        .collect();
    subjects.sort();
    subjects.dedup();
    assert_eq!((subjects.len(), stage.client.answers().len()), (41, 41));
    assert_eq!(stage.quarantined()[0]["attempts"].as_array().unwrap().len(), 1);
}

/// A job of which one thing is changed.
fn changed(id: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut job = small(id, "acme", PHOTO);
    change(&mut job);
    job
}

#[test]
fn a_job_that_breaks_the_contract_is_answered_with_the_field() {
    let stage = Stage::new("invalid");
    stage.upload(&[PHOTO]);
    let worker = stage.serve(&[]);
    let rendition = |width: u32| json!([{ "name": "t", "format": "jpeg", "width": width }]);
    let named = |number: u32| json!({ "name": format!("t{number}"), "format": "jpeg", "width": 9 });
    let jobs = [
        (changed("unknown", |job| job["priority"] = json!(1)), "priority"),
        (changed("type", |job| job["source"]["bytes"] = json!("many")), "bytes"),
        (
            changed("store", |job| job["source"]["store"] = json!("secrets")),
            "source.store",
        ),
        (
            changed("climbs", |job| job["source"]["key"] = json!("../a.png")),
            "source.key",
        ),
        (
            changed("absolute", |job| job["source"]["key"] = json!("/etc/passwd")),
            "source.key",
        ),
        (
            changed("seventeen", |job| job["renditions"] = (0..17).map(named).collect()),
            "renditions",
        ),
        (changed("zero", |job| job["renditions"] = rendition(0)), "width"),
        (changed("wide", |job| job["renditions"] = rendition(16_385)), "width"),
        (
            changed("preset", |job| job["preset"] = json!("web")),
            "renditions, preset",
        ),
        (
            changed("chatty", |job| job["metadata"] = json!("x".repeat(5000))),
            "metadata",
        ),
    ];
    for (job, _) in &jobs {
        stage.client.publish("interactive", job);
    }
    for (job, field) in &jobs {
        let answer = stage.client.answer(job["job"].as_str().unwrap());
        assert_eq!(answer.verdict(), "rejected: invalid-job", "{job}");
        let detail = answer.event["data"]["detail"].as_str().unwrap();
        assert!(detail.contains(field), "{field}: {detail}");
    }
    stage.ends_empty([worker]);
    assert_eq!(stage.client.answers().len(), jobs.len(), "nothing loops");
    assert_eq!(stage.client.ready("lazaret.dead"), 0);
}

#[test]
fn what_nobody_can_be_told_of_is_dead_with_its_reason() {
    let stage = Stage::new("dead");
    stage.upload(&[PHOTO]);
    let worker = stage.serve(&[]);
    let mut large = small("large", "acme", PHOTO);
    large["metadata"] = json!("x".repeat(257 * 1024));
    let nameless = changed("x", |job| job["job"] = json!(7));
    for (body, reason) in [
        (b"\xff\xfe not JSON".to_vec(), "body:"),
        (large.to_string().into_bytes(), "body: 2"),
        (nameless.to_string().into_bytes(), "job: "),
        (b"[]".to_vec(), "body:"),
    ] {
        stage.client.publish_with("bulk", &body, BasicProperties::default());
        let dead = stage.client.await_in("lazaret.dead");
        let why = dead.header("x-lazaret-reason").unwrap();
        assert!(why.contains(reason), "{reason}: {why}");
        assert_eq!(String::from_utf8_lossy(&dead.body), String::from_utf8_lossy(&body));
    }
    stage.client.publish("interactive", &job("mine", "acme", PHOTO));
    let mine = stage.client.answer("mine");
    stage.client.publish("interactive", &job("mine", "eve", PHOTO));
    let dead = stage.client.await_in("lazaret.dead");
    let why = dead.header("x-lazaret-reason").unwrap();
    assert!(why.contains("another tenant"), "{why}");
    stage.ends_empty([worker]);
    assert_eq!(stage.client.answers().len(), 1);
    assert_eq!(mine.event["data"]["tenant"], "acme");
}

#[test]
fn a_store_that_fails_costs_tries_and_no_verdict() {
    let stage = Stage::new("ladder-up");
    let restless = stage.restless(PHOTO);
    let worker = stage.serve(&[]);
    let last = headers(&[("x-lazaret-tries", AMQPValue::LongInt(5)), ("traceparent", text(TRACE))]);
    let body = job("last", "acme", PHOTO).to_string();
    stage.client.publish_with("interactive", body.as_bytes(), last);

    let failed = stage.client.answer("last");
    assert_eq!(failed.verdict(), "failed: store");
    let dead = stage.client.await_in("lazaret.dead");
    assert_eq!(dead.event["job"], "last");
    let why = dead.header("x-lazaret-reason").unwrap();
    assert_eq!(json!(why), failed.event["data"]["detail"]);

    stage.client.publish("bulk", &job("patient", "acme", PHOTO));
    wait_for("the other on the first rung", || {
        stage.client.ready("lazaret.retry.5s") == 1
    });
    drop(restless);
    stage.upload(&[PHOTO]);
    assert_eq!(stage.client.answer("patient").verdict(), "converted: –");
    stage.ends_empty([worker]);
    assert_eq!(stage.quarantined().len(), 0);
    assert_eq!(stage.client.answers().len(), 2);
}
