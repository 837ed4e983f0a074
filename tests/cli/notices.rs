//! Notices: signed, gathered, tried again, and no job waits for them. The receivers here are real ones, good and bad.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::asked::Asked;
use super::impostor::Impostor;
use super::private::certificates;
use super::world::*;

const KEY: [u8; 32] = [7; 32];
const BOMB: &str = "hostile/cpu/tiff_wide_tiles.tiff";
const PHOTO: &str = "valid/photos/rocket.bmp";
const SLOW_FILE: &str = "hostile/cpu/tiff_slow_tiles.tiff";

/// What a receiver does with a delivery.
#[derive(Clone, Copy)]
enum Does {
    /// Answers with these bytes, and closes.
    Says(&'static str),
    /// Never answers.
    Hangs,
    /// Begins its answer with these bytes, and never stops.
    Floods(&'static str),
}

const TAKES: Does = Does::Says("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");

/// Somebody who wants to be told.
struct Receiver {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Delivery>>>,
}

#[derive(Clone)]
struct Delivery {
    head: String,
    body: Vec<u8>,
}

impl Receiver {
    fn that(does: Does) -> Self {
        Self::by(move |_| does)
    }

    /// What it does may change from one delivery to the next.
    fn by(does: impl Fn(usize) -> Does + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            heard: Arc::default(),
        };
        let (heard, does) = (Arc::clone(&receiver.heard), Arc::new(does));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (heard, does) = (Arc::clone(&heard), Arc::clone(&does));
                thread::spawn(move || receive(stream.unwrap(), &heard, |number| does(number)));
            }
        });
        receiver
    }

    fn heard(&self) -> Vec<Delivery> {
        self.heard.lock().unwrap().clone()
    }

    /// Everything that was told in full, once the deliveries are seen to be ours.
    fn notices(&self) -> Vec<Value> {
        let events = self.heard().into_iter().map(|delivery| delivery.verified());
        events
            .flat_map(|event| event["data"]["notices"].as_array().unwrap().clone())
            .collect()
    }

    fn told(&self, kind: &str) -> Vec<Value> {
        let all = self.notices().into_iter();
        all.filter(|notice| notice["kind"] == kind).collect()
    }
}

fn receive(mut stream: TcpStream, heard: &Mutex<Vec<Delivery>>, does: impl Fn(usize) -> Does) {
    let (mut head, mut one) = (Vec::new(), [0_u8]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut one) {
            Ok(1) => head.push(one[0]),
            _ => return,
        }
    }
    let mut delivery = Delivery {
        head: String::from_utf8(head).unwrap(),
        body: Vec::new(),
    };
    delivery
        .body
        .resize(delivery.header("content-length").parse().unwrap(), 0);
    stream.read_exact(&mut delivery.body).unwrap();
    let number = {
        let mut heard = heard.lock().unwrap();
        heard.push(delivery);
        heard.len()
    };
    match does(number) {
        Does::Says(answer) => drop(stream.write_all(answer.as_bytes())),
        // Until the other end has had enough.
        Does::Hangs => drop(stream.read(&mut one)),
        Does::Floods(answer) => {
            let mut written = stream.write_all(answer.as_bytes());
            while written.is_ok() {
                written = stream.write_all(&[b'a'; 65536]);
            }
        }
    }
}

impl Delivery {
    fn header(&self, name: &str) -> &str {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = headers.find(|(of, _)| of.eq_ignore_ascii_case(name));
        found.unwrap_or_else(|| panic!("{name}: {}", self.head)).1
    }

    /// The event, once its signature is seen to be ours and fresh.
    #[allow(clippy::disallowed_methods, reason = "a test looks at a clock")]
    fn verified(&self) -> Value {
        let (id, time) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let mut mac = Hmac::<Sha256>::new_from_slice(&KEY).unwrap();
        mac.update(format!("{id}.{time}.").as_bytes());
        mac.update(&self.body);
        let signature = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(self.header("webhook-signature"), signature);
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        assert!(now.as_secs().abs_diff(time.parse().unwrap()) < 300, "{time}");
        let event: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(
            (&event["id"], &event["type"]),
            (&json!(id), &json!(lazaret::notices::TYPE))
        );
        assert_eq!(event["specversion"], json!("1.0"));
        event
    }
}

/// The secret of these tests as receivers' libraries want it.
fn secret() -> String {
    format!("whsec_{}", BASE64_STANDARD.encode(KEY))
}

/// A file that is its owner's alone.
fn keep_secret(world: &World, name: &str, text: &str) {
    let file = world.write(name, text);
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A world whose workers tell this address; the path is a secret, too.
fn telling(to: &str, more: &str) -> World {
    let world = World::new();
    tell(&world, to, more);
    world
}

fn tell(world: &World, to: &str, more: &str) {
    keep_secret(world, "notices.secret", &format!("{}\n", secret()));
    world.write(
        "lazaret.toml",
        format!(
            "broker = \"spool:./spool\"\nledger = \"sqlite:./state/ledger.sqlite\"\nadmin = \"off\"\n\
             [notices]\nurl = \"{to}/T0PSECRET?key=T0PSECRET\"\nsecret_file = \"notices.secret\"\n{more}"
        ),
    );
}

fn log_of(world: &World) -> String {
    let files = fs::read_dir(world.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let logs = files.filter(|path| path.extension().is_some_and(|it| it == "log"));
    logs.map(|log| fs::read_to_string(log).unwrap()).collect()
}

fn enqueue(world: &World, id: &str, tenant: &str, key: &str) {
    let body = json!({ "job": id, "tenant": tenant, "source": { "store": "uploads", "key": key }, "preset": "web" });
    fs::create_dir_all(world.path("spool/new")).unwrap();
    world.write(&format!("spool/new/1-0000000000001-{id}"), body.to_string());
}

fn answered(world: &World, id: &str) -> Value {
    let path = world.path(&format!("spool/results/{id}.json"));
    wait_for("a result", || path.exists());
    let event: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    event["data"].clone()
}

/// Ends a service in order; how long that took.
#[allow(clippy::disallowed_methods, reason = "a test measures")]
fn ended(service: Running) -> Duration {
    let since = Instant::now();
    service.signal("-TERM");
    assert_eq!(service.code(), Some(0));
    since.elapsed()
}

#[test]
fn a_conviction_is_told_once_with_a_signature_and_with_a_name_that_is_bounded() {
    let receiver = Receiver::that(TAKES);
    let asked = Asked::free();
    let world = telling(&format!("http://{}", receiver.address), "digest = \"1s\"\n");
    let text = fs::read_to_string(world.path("lazaret.toml")).unwrap();
    let admin = format!("admin = \"{}\"", asked.0);
    world.write("lazaret.toml", text.replace("admin = \"off\"", &admin));
    // As long as a key can be, and it turns the direction of the line.
    let key = format!("{0}/{0}/{0}/{0}/\u{202e}gpj.tiff", "n".repeat(240));
    world.write(&format!("uploads/{key}"), fs::read(fixture(BOMB)).unwrap());
    let service = world.serve_as_configured(&[]);
    enqueue(&world, "job-1", "acme", &key);
    assert_eq!(answered(&world, "job-1")["status"], json!("quarantined"));
    wait_for("a notice", || !receiver.heard().is_empty());
    let notices = receiver.notices();
    let sha256 = lazaret::digest::Digest::of(&fs::read(fixture(BOMB)).unwrap()).to_string();
    let told = ["kind", "sha256", "reason", "tenant", "job"].map(|field| notices[0][field].clone());
    assert_eq!(
        told,
        ["quarantined", &sha256, "cpu", "acme", "job-1"].map(|text| json!(text)),
        "{notices:?}"
    );
    let name = notices[0]["name"].as_str().unwrap();
    assert!(name.chars().count() == 256 && name.ends_with('…'), "{name}");
    assert!(notices[0]["detail"].as_str().unwrap().contains("allowed"));

    // The documentation shows the same fields.
    let event = receiver.heard()[0].verified();
    let shown: Value = serde_json::from_str(&block("json")).unwrap();
    for place in ["", "/data", "/data/counts", "/data/notices/0"] {
        assert_eq!(fields(&event, place), fields(&shown, place), "{place}");
    }

    // A copy is refused by its digest: nobody needs to know that again.
    world.write("uploads/\u{202e}b.tiff", fs::read(fixture(BOMB)).unwrap());
    enqueue(&world, "job-2", "other", "\u{202e}b.tiff");
    assert_eq!(answered(&world, "job-2")["repeat"], json!(true));
    wait_for("the count", || {
        asked.metric("lazaret_notices_total{result=\"sent\"}") == 1.0
    });
    ended(service);
    assert_eq!((receiver.heard().len(), notices.len()), (1, 1));
    let log = log_of(&world);
    assert!(log.contains("notices delivered"), "{log}");
    assert!(!log.contains("T0PSECRET") && !log.contains(&secret()[8..]), "{log}");
}

#[test]
fn an_avalanche_is_few_deliveries() {
    let receiver = Receiver::that(TAKES);
    let world = telling(&format!("http://{}", receiver.address), "digest = \"1h\"\n");
    let bomb = fs::read(fixture(BOMB)).unwrap();
    let names: Vec<String> = (0..8).map(|number| format!("bomb-{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        let mut bytes = bomb.clone();
        bytes.extend([0, number as u8]);
        world.write(&format!("uploads/{name}"), bytes);
        enqueue(&world, name, &format!("tenant-{number}"), name);
    }
    let limits = [
        ("LAZARET_LIMITS_CPU_BASE", "200ms"),
        ("LAZARET_LIMITS_CPU_PER_MEGAPIXEL", "1ms"),
    ];
    let service = world.serve(&limits);
    for name in &names {
        assert_eq!(answered(&world, name)["status"], json!("quarantined"));
    }
    // What was gathered since the first delivery goes out when the worker ends.
    ended(service);
    let tenants: BTreeSet<String> = receiver.notices().iter().map(|it| it["tenant"].to_string()).collect();
    let ids: BTreeSet<String> = receiver.notices().iter().map(|it| it["id"].to_string()).collect();
    assert_eq!((tenants.len(), ids.len()), (8, 8));
    let heard = receiver.heard();
    assert!(heard.len() <= 2, "{} deliveries", heard.len());
    let counts = heard
        .iter()
        .map(|it| it.verified()["data"]["counts"]["quarantined"].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), 8);
}

/// Jobs go on beside a receiver that is of no use; what it is told is tried again under the same id, and the process ends in time.
fn delays_nobody(does: Does, words: &str) -> (World, Receiver) {
    let receiver = Receiver::that(does);
    let world = telling(
        &format!("http://{}", receiver.address),
        "digest = \"1s\"\ntimeout = \"2s\"\n",
    );
    for (name, file) in [("bomb", BOMB), ("photo", PHOTO)] {
        world.write(&format!("uploads/{name}"), fs::read(fixture(file)).unwrap());
    }
    let service = world.serve(&[]);
    enqueue(&world, "bomb", "acme", "bomb");
    assert_eq!(answered(&world, "bomb")["status"], json!("quarantined"));
    wait_for("a first try", || !receiver.heard().is_empty());
    // The receiver has it in hand: a photo is converted meanwhile.
    enqueue(&world, "photo", "acme", "photo");
    assert_eq!(answered(&world, "photo")["status"], json!("converted"));
    wait_for("a second try", || receiver.heard().len() >= 2);
    let heard = receiver.heard();
    let of = |delivery: &Delivery| delivery.verified()["data"]["notices"].clone();
    assert_eq!(heard[0].header("webhook-id"), heard[1].header("webhook-id"));
    assert_eq!(of(&heard[0]), of(&heard[1]));
    assert_ne!(
        heard[0].header("webhook-timestamp"),
        heard[1].header("webhook-timestamp")
    );
    let took = ended(service);
    assert!(took < Duration::from_secs(30), "{took:?}");
    let log = log_of(&world);
    for words in [words, "notices are not taken", "given up"] {
        assert!(log.contains(words), "{words}: {log}");
    }
    assert!(!log.contains("T0PSECRET"), "{log}");
    (world, receiver)
}

#[test]
fn a_receiver_that_hangs_delays_nobody() {
    delays_nobody(Does::Hangs, "no answer within 2s");
}

#[test]
fn a_receiver_that_fails_delays_nobody() {
    let fails = "HTTP/1.1 500 Oh\r\nContent-Length: 2\r\nRetry-After: 1\r\n\r\nno";
    delays_nobody(Does::Says(fails), "refused with HTTP status 500");
}

#[test]
fn a_receiver_that_answers_without_end_delays_nobody() {
    let head = "HTTP/1.1 503 Busy\r\nContent-Length: 1000000000000\r\n\r\n";
    delays_nobody(Does::Floods(head), "refused with HTTP status 503");
    // Not even where the head has no end.
    delays_nobody(Does::Floods("HTTP/1.1 200 OK\r\nX-More: "), "notices are not taken");
}

#[test]
fn no_notice_follows_a_redirect() {
    let elsewhere = Receiver::that(TAKES);
    let to = format!(
        "HTTP/1.1 307 There\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n",
        elsewhere.address
    );
    delays_nobody(Does::Says(to.leak()), "leads elsewhere (HTTP status 307)");
    assert!(elsewhere.heard().is_empty());
}

#[test]
fn what_is_taken_is_taken_whatever_follows_it() {
    let receiver = Receiver::that(Does::Floods("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"));
    let world = telling(&format!("http://{}", receiver.address), "digest = \"1s\"\n");
    world.write("uploads/bomb", fs::read(fixture(BOMB)).unwrap());
    let service = world.serve(&[]);
    enqueue(&world, "bomb", "acme", "bomb");
    wait_for("the delivery", || log_of(&world).contains("notices delivered"));
    ended(service);
    assert_eq!(receiver.heard().len(), 1);
}

#[test]
fn what_came_meanwhile_comes_with_the_next_one_and_a_receiver_that_is_gone_is_asked_no_more() {
    let gone = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n";
    let receiver = Receiver::by(move |number| if number == 1 { Does::Says(gone) } else { TAKES });
    let world = telling(&format!("http://{}", receiver.address), "digest = \"1s\"\n");
    let bomb = fs::read(fixture(BOMB)).unwrap();
    world.write("uploads/one", &bomb);
    world.write("uploads/two", [&bomb[..], &[1]].concat());
    let service = world.serve(&[]);
    enqueue(&world, "one", "acme", "one");
    wait_for("the refusal", || log_of(&world).contains("notices are given up"));
    enqueue(&world, "two", "acme", "two");
    wait_for("the second delivery", || receiver.heard().len() == 2);
    ended(service);
    let heard = receiver.heard();
    assert_eq!(heard.len(), 2, "410 is not tried again");
    let data = heard[1].verified()["data"].clone();
    assert_eq!(
        (&data["undelivered"], &data["counts"]["quarantined"]),
        (&json!(1), &json!(1))
    );
}

#[test]
fn a_worker_that_is_gone_is_told_busy_or_idle() {
    let receiver = Receiver::that(TAKES);
    let world = telling(
        &format!("http://{}", receiver.address),
        "digest = \"1s\"\non = [\"worker-lost\"]\n",
    );
    let idle = world.serve(&[]);
    let idle_pid = idle.0.id();
    idle.kill();
    let busy = world.serve(&SLOW);
    let busy_pid = busy.0.id();
    wait_for("the first", || receiver.told("worker-lost").len() == 1);
    world.submit(&[&fixture(SLOW_FILE)]);
    world.wait_for_attempts(&busy, 1);
    busy.kill();
    let next = world.serve(&[]);
    wait_for("the second", || receiver.told("worker-lost").len() == 2);
    // One that ends in order is not lost.
    ended(next);
    ended(world.serve(&[]));
    let told = receiver.told("worker-lost");
    assert_eq!(told.len(), 2, "{told:?}");
    for (notice, pid, attempts) in [(&told[0], idle_pid, 0), (&told[1], busy_pid, 1)] {
        let lost = notice["lost"].as_str().unwrap();
        assert!(lost.contains(&format!("-{pid}-")), "{lost} is not {pid}");
        assert_eq!(notice["attempts"], json!(attempts));
        assert_ne!(notice["worker"], notice["lost"]);
    }
}

#[test]
fn another_address_takes_over_by_hup_and_a_secret_that_is_none_does_not() {
    let [old, new] = [Receiver::that(TAKES), Receiver::that(TAKES)];
    let world = telling(&format!("http://{}", old.address), "digest = \"1s\"\n");
    world.write("uploads/bomb", fs::read(fixture(BOMB)).unwrap());
    let service = world.serve(&[]);
    tell(&world, &format!("http://{}", new.address), "digest = \"1s\"\n");
    keep_secret(&world, "notices.secret", "too short");
    service.signal("-HUP");
    wait_for("the refusal", || log_of(&world).contains("holds no signing secret"));
    assert!(log_of(&world).contains("the old one stays") && !log_of(&world).contains("too short"));
    keep_secret(&world, "notices.secret", &secret());
    service.signal("-HUP");
    wait_for("the new configuration", || {
        log_of(&world).contains("goes on under the new configuration")
    });
    enqueue(&world, "bomb", "acme", "bomb");
    wait_for("a notice", || new.told("quarantined").len() == 1);
    ended(service);
    assert!(old.heard().is_empty());
}

fn try_out(world: &World) -> Output {
    let config = world.path("lazaret.toml");
    let mut command = world.command(&["notices", "test", "--config", config.to_str().unwrap()]);
    command.env_remove("LAZARET_STATE").output().unwrap()
}

/// How a trial ends, and what it says; never the secret, nor the path.
fn said(output: &Output) -> (Option<i32>, String) {
    let text = String::from_utf8(output.stdout.clone()).unwrap() + &stderr(output);
    assert!(!text.contains("T0PSECRET") && !text.contains(&secret()[8..]), "{text}");
    (output.status.code(), text)
}

#[test]
fn an_operator_can_try_it() {
    let receiver = Receiver::that(TAKES);
    let world = telling(&format!("http://{}", receiver.address), "");
    let (code, text) = said(&try_out(&world));
    assert!(code == Some(0) && text.contains("taken with HTTP status 204"), "{text}");
    let notices = receiver.notices();
    assert_eq!((notices.len(), &notices[0]["kind"]), (1, &json!("test")));
    assert!(text.contains(receiver.heard()[0].header("webhook-id")), "{text}");

    let refuses = Receiver::that(Does::Says(
        "HTTP/1.1 401 No\r\nContent-Length: 12\r\n\r\nwho\x1b[2J are?",
    ));
    tell(&world, &format!("http://{}", refuses.address), "");
    let (code, text) = said(&try_out(&world));
    assert_eq!(code, Some(1));
    assert!(
        text.contains("refused with HTTP status 401; it says: who\u{fffd}[2J are?"),
        "{text}"
    );

    let nobody = Asked::free().0;
    for (url, more, code, words) in [
        (format!("http://{nobody}"), "", 1, "refused"),
        (
            "http://nowhere.invalid".to_owned(),
            "plain = \"anywhere\"\n",
            1,
            "nowhere.invalid",
        ),
        (
            "http://hooks.example".to_owned(),
            "",
            78,
            "readable by anybody on the way",
        ),
        (
            "https://hooks.example".to_owned(),
            "ca = \"none.pem\"\n",
            78,
            "notices.ca: ",
        ),
    ] {
        tell(&world, &url, more);
        let (ended, text) = said(&try_out(&world));
        assert!(ended == Some(code) && text.contains(words), "{url}: {ended:?} {text}");
    }
    world.write("lazaret.toml", "");
    let (code, text) = said(&try_out(&world));
    assert!(code == Some(2) && text.contains("notices.url is not set"), "{text}");
}

#[test]
fn the_secret_is_a_file_of_ones_own_or_a_variable_and_check_looks_at_it() {
    let receiver = Receiver::that(TAKES);
    let world = telling(&format!("http://{}", receiver.address), "");
    fs::create_dir(world.path("uploads")).unwrap();
    let config = world.path("lazaret.toml");
    let check = || said(&world.run(&["check", config.to_str().unwrap()]));
    let (code, text) = check();
    let shown = format!(
        "notices     http://{}/…, on quarantined, violation, breaker, worker-lost",
        receiver.address
    );
    assert!(code == Some(0) && text.contains(&shown), "{text}");

    fs::set_permissions(world.path("notices.secret"), fs::Permissions::from_mode(0o640)).unwrap();
    for (code, text) in [check(), said(&try_out(&world))] {
        assert_eq!(code, Some(78), "{text}");
        assert!(
            text.contains("notices.secret: others than its owner may read it; chmod 600"),
            "{text}"
        );
    }
    let without = fs::read_to_string(&config).unwrap();
    world.write(
        "lazaret.toml",
        without.replace("secret_file = \"notices.secret\"\n", ""),
    );
    let (code, text) = said(&try_out(&world));
    assert!(
        code == Some(78) && text.contains("LAZARET_NOTICES_SECRET is not set"),
        "{text}"
    );
    let with = |value: &str| {
        let mut command = world.command(&["notices", "test", "--config", config.to_str().unwrap()]);
        command.env_remove("LAZARET_STATE").env("LAZARET_NOTICES_SECRET", value);
        said(&command.output().unwrap())
    };
    let (code, text) = with("whsec_c2hvcnQ=");
    assert!(
        code == Some(78) && text.contains("LAZARET_NOTICES_SECRET: holds no signing secret"),
        "{text}"
    );
    assert_eq!(with(&secret()).0, Some(0));
    assert_eq!(receiver.notices().len(), 1);
    assert_eq!(
        receiver.heard()[0].header("content-type"),
        "application/cloudevents+json; charset=utf-8"
    );
}

#[test]
fn a_receiver_behind_tls_is_believed_by_its_ca_alone() {
    let world = World::new();
    certificates(&world.path("."));
    let receiver = Impostor::behind_tls(&world.path("."), |_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
    });
    tell(&world, &receiver.url, "ca = \"ca.pem\"\n");
    let (code, text) = said(&try_out(&world));
    assert!(code == Some(0) && text.contains("status 200"), "{text}");
    let heard = receiver.heard();
    assert!(heard.len() == 1 && heard[0].starts_with("POST /T0PSECRET?key=T0PSECRET HTTP/1.1\r\n"));
    // The system knows no such CA.
    tell(&world, &receiver.url, "");
    let (code, text) = said(&try_out(&world));
    assert!(
        code == Some(1) && text.contains("TLS failed") || code == Some(78) && text.contains("ca-certificates"),
        "{text}"
    );
}

/// What docs/notices.md shows in this language.
fn block(language: &str) -> String {
    let page = include_str!("../../docs/notices.md");
    let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

fn fields(value: &Value, place: &str) -> BTreeSet<String> {
    let object = value.pointer(place).unwrap().as_object().unwrap();
    object.keys().cloned().collect()
}

#[test]
fn the_receiver_of_the_documentation_takes_what_is_ours_and_nothing_else() {
    let world = World::new();
    let program = world.write("receiver.py", block("python"));
    let mut python = Command::new("python3");
    python.arg("-u").arg(program).arg("0").env("NOTICES_SECRET", secret());
    let log = fs::File::create(world.path("python")).unwrap();
    let mut python = Running(python.stdout(Stdio::piped()).stderr(log).spawn().unwrap());
    let mut lines = BufReader::new(python.0.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    let port = next().rsplit(' ').next().unwrap().to_owned();
    let address: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();

    // A real delivery of a real worker.
    tell(&world, &format!("http://{address}"), "digest = \"1s\"\n");
    world.write("uploads/bomb", fs::read(fixture(BOMB)).unwrap());
    let service = world.serve(&[]);
    enqueue(&world, "bomb", "acme", "bomb");
    let line = next();
    assert!(
        line.starts_with("quarantined ") && line.contains("\"tenant\": \"acme\""),
        "{line}"
    );
    wait_for("its answer", || log_of(&world).contains("notices delivered"));
    ended(service);

    // The same bytes again are ours, and known; changed, late, or signed by somebody else they are not.
    let recorder = Receiver::that(TAKES);
    tell(&world, &format!("http://{}", recorder.address), "");
    assert_eq!(said(&try_out(&world)).0, Some(0));
    let delivery = recorder.heard().remove(0);
    let time: u64 = delivery.header("webhook-timestamp").parse().unwrap();
    let id = delivery.header("webhook-id").to_owned();
    let sent = |key: &[u8], time: u64, body: &[u8], signed: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(format!("{id}.{time}.").as_bytes());
        mac.update(signed);
        let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        let head = format!(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\nwebhook-id: {id}\r\nwebhook-timestamp: {time}\r\n\
             webhook-signature: v1,b3RoZXI= v1,{signature}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        Asked(address).say(&(head + std::str::from_utf8(body).unwrap())).status
    };
    let body = &delivery.body[..];
    assert_eq!(sent(&KEY, time, body, body), 204);
    assert!(next().starts_with("test "));
    assert_eq!(sent(&KEY, time, body, body), 204);
    let mut changed = body.to_vec();
    let digit = changed.iter().rposition(u8::is_ascii_digit).unwrap();
    changed[digit] = if changed[digit] == b'0' { b'1' } else { b'0' };
    assert_eq!(sent(&KEY, time, &changed, body), 401);
    assert_eq!(sent(&[8; 32], time, body, body), 401);
    assert_eq!(sent(&KEY, time - 400, body, body), 401);
    assert_eq!(
        Asked(address)
            .say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
            .status,
        401
    );
    drop(python);
    assert!(lines.next().is_none(), "each is told once");
}
