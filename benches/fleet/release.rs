//! How long what an operator presses takes to hold elsewhere: decided at the desk of one worker, asked of another by the next upload of that file.
//!
//! The worker with the desk takes jobs from a spool of its own, where there are none: whatever is published runs on the other one.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::asked::Asked;
use super::client::{Client, Wish};
use super::field::Field;
use super::figures::{Figures, percentile};
use super::options::Options;
use super::postgres::Server;
use super::uploads::{PHOTO, digest, fixture, variant};

/// What was promised: from the press to the result of the next upload.
const SOON: Duration = Duration::from_secs(1);
/// After so long it does not come any more.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs it; how many promises are broken.
pub async fn run(options: &Options) -> usize {
    let rounds = options.get("rounds", 30);
    let broken = on("SQLite", "sqlite", None, rounds).await;
    let server = Server::start(&["fsync = on"]);
    let database = server.database().await;
    broken + on("PostgreSQL", "postgres", Some(database.url()), rounds).await
}

/// One operator, at one desk.
struct Operator {
    desk: Asked,
    token: String,
}

/// What a decision took.
#[derive(Default)]
struct Times {
    /// Until the desk had answered: it is in the ledger.
    decided: Vec<Duration>,
    /// Until the result of an upload that was published then.
    held: Vec<Duration>,
    /// How many ended otherwise.
    otherwise: usize,
}

async fn on(store: &str, name: &str, ledger: Option<String>, rounds: usize) -> usize {
    let tables = "[desk]\naccounts = \"./accounts.toml\"\n[tenants.default]\njobs_per_minute = 0";
    let mut field = Field::new(&format!("release-{name}"), None, "", tables);
    if let Some(ledger) = ledger {
        field.environment("LAZARET_LEDGER", &ledger);
    }
    let operator = Operator::at(&field);
    let elsewhere = field.path("spool").display().to_string();
    let (admin, spool) = (operator.desk.0.to_string(), format!("spool:{elsewhere}"));
    let desk = field
        .serve_with(&[("LAZARET_ADMIN", &admin), ("LAZARET_BROKER", &spool)])
        .await;
    let worker = field.serve().await;
    let client = Client::collecting(&field.clients()).await;

    let (mut listed, mut released) = (Times::default(), Times::default());
    for round in 0..rounds {
        let photo = variant(&fixture(PHOTO), round);
        let (key, digest) = (format!("{round}.jpg"), digest(&photo));
        field.upload(&key, &photo);
        let wish = |when: &str| Wish {
            // Every other one says what it is: claims are refused by another way.
            claim: (round % 2 == 0).then(|| digest.clone()),
            ..Wish::new(format!("{when}-{round}"), &format!("t{}", round % 5), &key)
        };
        let list = || operator.post("/quarantine", &json!({ "digests": [digest], "why": "an attack" }));
        listed.add(&client, list, wish("listed"), "quarantined listed").await;
        let path = format!("/quarantine/{digest}");
        let seen = operator.ask("GET", &path, "")["seen"].clone();
        let release = || {
            let wish = json!({ "decision": "release", "seen": seen, "why": "a camera of ours" });
            operator.post(&format!("{path}/decisions"), &wish)
        };
        released.add(&client, release, wish("released"), "converted").await;
    }
    client.close().await;
    worker.stop().await;
    desk.stop().await;

    let mut figures = Figures::of(&format!(
        "release: {store}, {rounds} rounds, pressed at one worker, run on another"
    ));
    released.tell(&mut figures, "released");
    listed.tell(&mut figures, "listed by hand");
    figures.broken()
}

impl Times {
    /// Presses, then publishes; the result must be this one.
    async fn add(&mut self, client: &Client, press: impl Fn() -> Value, wish: Wish, wanted: &str) {
        let pressed = client.clock.elapsed();
        let _ = press();
        self.decided.push(client.clock.elapsed() - pressed);
        let (verdict, at) = ends(client, wish).await;
        self.held.push(at - pressed);
        self.otherwise += usize::from(verdict != wanted);
    }

    fn tell(mut self, figures: &mut Figures, what: &str) {
        let shown = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1e3);
        for (name, times) in [("at the desk", &mut self.decided), ("until its result", &mut self.held)] {
            figures.show(&format!("{what}, {name}, median"), shown(percentile(times, 50)));
        }
        let worst = percentile(&mut self.held, 100);
        figures.promise(
            &format!("{what}, until its result, the longest"),
            shown(worst),
            "at most 1 s",
            worst <= SOON,
        );
        figures.exactly(&format!("{what}, next uploads that ended otherwise"), self.otherwise, 0);
    }
}

/// Publishes a job; its verdict, and when it came.
async fn ends(client: &Client, wish: Wish) -> (String, Duration) {
    let job = wish.job.clone();
    client.publish(&[wish]).await;
    let since = client.clock.elapsed();
    loop {
        let answer = client.answers.so_far().get(&job).cloned();
        if let Some(answer) = answer {
            return (answer.verdicts.into_iter().collect::<Vec<_>>().join(", "), answer.first);
        }
        assert!(client.clock.elapsed() - since < PATIENCE, "{job} is not answered");
        sleep(Duration::from_millis(1)).await;
    }
}

impl Operator {
    /// With an account, which opens the desk, and a token.
    fn at(field: &Field) -> Self {
        let desk = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_lazaret"));
            command
                .arg("desk")
                .args(arguments)
                .arg("--config")
                .arg(field.path("lazaret.toml"));
            let output = field.surroundings(&mut command).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
        };
        let _ = desk(&["add", "olga", "--role", "operator"]);
        Self {
            desk: Asked::free(),
            token: desk(&["token", "add", "bench", "--role", "operator"]),
        }
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", path, &body.to_string())
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let (host, token, length) = (self.desk.0, &self.token, body.len());
        let answer = self.desk.say(&format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}
