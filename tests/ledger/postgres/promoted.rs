//! A primary that dies, and a replica that takes its place behind the same address: what was answered is kept where the replica had it, and
//! where it had not, nobody is blamed and no attempt is taken for another.

use std::collections::HashMap;
use std::time::Duration;

use lazaret::blame::Judgement;
use lazaret::config::PostgresAddress;
use lazaret::ledger::postgres::Postgres;
use lazaret::ledger::{Arrival, Attempt, AttemptId, Claim, Claimed, KeptJob, Ledger, LedgerError, Settled};
use lazaret::sandbox::outcome::Outcome;
use lazaret::verdict::Reason;
use serde_json::json;
use sqlx::Row;

use super::super::world::*;
use super::open;
use super::relay::{Mode, Relay};
use super::server::{Database, Server};

/// The number of an attempt is written to the log for 32 at a time: of more than these, a replica that missed them gives some out again.
const MANY: usize = 80;

/// A primary, its replica, and the address at which workers find whichever it is.
struct Pair {
    primary: Server,
    standby: Server,
    /// What the replica hears the primary through.
    wire: Relay,
    /// What workers reach the ledger through.
    front: Relay,
    /// The ledger's database.
    name: String,
}

impl Pair {
    /// With a ledger on which `w1` and `w2` have signed on, all of which the replica has.
    async fn new() -> (Self, Postgres) {
        let primary = Server::start(&[]);
        let name = primary.database().await.name;
        let wire = Relay::to(primary.port);
        let pair = Self {
            standby: Server::standby_of(&primary, wire.port()),
            front: Relay::to(primary.port),
            wire,
            primary,
            name,
        };
        let ledger = open(&pair.address()).await;
        for name in ["w1", "w2"] {
            ledger.sign_on(&worker(name), "host", "build-1", &[]).await.unwrap();
        }
        pair.has_caught_up().await;
        (pair, ledger)
    }

    /// The ledger's address, whoever is behind it.
    fn address(&self) -> PostgresAddress {
        let port = |port: u16| format!("127.0.0.1:{port}/");
        let url = self.at(&self.primary).url();
        let url = url.replace(&port(self.primary.port), &port(self.front.port()));
        url.parse().unwrap()
    }

    /// The ledger's database on one of them.
    fn at<'s>(&self, server: &'s Server) -> Database<'s> {
        Database {
            server,
            name: self.name.clone(),
        }
    }

    async fn has_caught_up(&self) {
        let behind = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()";
        self.at(&self.primary).wait_for(behind).await;
    }

    /// From now on nothing is answered that the replica does not have.
    async fn waits_for_the_standby(&self) {
        for statement in [
            "ALTER SYSTEM SET synchronous_standby_names = 'standby'",
            "SELECT pg_reload_conf()",
        ] {
            self.primary.execute("postgres", statement).await;
        }
        let synchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        self.at(&self.primary).wait_for(synchronous).await;
    }

    /// The replica hears nothing any more, and nobody minds.
    fn falls_behind(&self) {
        self.wire.set(Mode::Refuse);
        assert!(self.wire.cut() > 0);
    }

    /// The primary is gone.
    fn dies(&self) {
        self.primary.order("kill");
    }

    /// The replica is what the address leads to.
    fn takes_over(&self) {
        self.front.point_at(self.standby.port);
    }

    /// The replica is the primary.
    async fn is_promoted(&self) {
        let mut operator = self.standby.connect("postgres").await;
        let row = sqlx::query("SELECT pg_promote() AS done")
            .fetch_one(&mut operator)
            .await;
        assert!(row.unwrap().get::<bool, _>("done"));
    }
}

/// A claim of another worker.
fn claim_of(name: &str, upload: &str) -> Claim {
    Claim {
        worker: worker(name),
        ..claim(upload)
    }
}

fn kept(job: &str) -> KeptJob {
    KeptJob {
        job: job.to_owned(),
        tenant: "acme".to_owned(),
        message: json!({ "job": job }),
        tries: 1,
    }
}

/// What a worker is told that asks for an attempt and may not have one for a while: to try again, not to give up.
fn passes(error: &LedgerError, words: &str) {
    assert!(matches!(error, LedgerError::Failed { .. }), "{error:?}");
    assert!(error.to_string().contains(words), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_synchronous_replica_nothing_is_lost() {
    let (pair, ledger) = Pair::new().await;
    pair.primary.execute("postgres", "CREATE DATABASE empty").await;
    pair.waits_for_the_standby().await;
    convict(&ledger, "bomb").await;
    let cat = start(&ledger, &claim("cat")).await;
    let dog = start(&ledger, &claim_of("w2", "dog")).await;
    ledger.park(&kept("waits"), None, Duration::ZERO).await.unwrap();
    ledger.end(&report("ended")).await.unwrap();
    let lease = ledger.heartbeat(&worker("w1")).await.unwrap();

    pair.dies();
    passes(&ledger.heartbeat(&worker("w1")).await.unwrap_err(), "cannot be reached");
    // As long as it is a standby, it answers questions; whoever starts now is told to try again.
    pair.takes_over();
    passes(&ledger.heartbeat(&worker("w1")).await.unwrap_err(), "is read-only");
    assert!(entry(&ledger, "bomb").await.is_some());
    let starts = open(&pair.address()).await;
    passes(
        &starts.sign_on(&worker("w3"), "host", "build-1", &[]).await.unwrap_err(),
        "is read-only",
    );
    let config = lazaret::config::PostgresConfig::default();
    let empty = pair
        .at(&pair.standby)
        .url()
        .replace(&pair.name, "empty")
        .parse()
        .unwrap();
    passes(
        &Postgres::open(&empty, &config).await.map(drop).unwrap_err(),
        "is read-only",
    );

    pair.is_promoted().await;
    let renewed = ledger.heartbeat(&worker("w1")).await.unwrap();
    assert_eq!(renewed.before_ms, lease.until_ms, "what was written last is there");
    assert!(matches!(
        ledger.claim(&claim("bomb")).await.unwrap(),
        Claimed::Listed(_)
    ));
    assert_eq!(ledger.claim(&claim("dog")).await.unwrap(), Claimed::Busy);
    assert_eq!(
        ledger.arrival("waits").await.unwrap(),
        Arrival::Waiting("acme".to_owned())
    );
    assert!(matches!(ledger.arrival("ended").await.unwrap(), Arrival::Ended(_)));
    assert_eq!(ledger.adopt(&worker("w1"), 8, &[]).await.unwrap(), [kept("waits")]);
    assert_eq!(settle(&ledger, &ending(cat, refused())).await, Judgement::Remember);
    let next = start(&ledger, &claim("next")).await;
    assert!(next.id > dog.id && next.id > cat.id, "numbers go on: {next:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_replica_missed_is_done_again_and_no_attempt_is_taken_for_another() {
    let (pair, ledger) = Pair::new().await;
    let early = start(&ledger, &claim("early")).await;
    let ended = start(&ledger, &claim("ended")).await;
    pair.has_caught_up().await;
    pair.falls_behind();

    // Answered, and lost.
    assert_eq!(settle(&ledger, &ending(ended, refused())).await, Judgement::Remember);
    let mut lost: HashMap<AttemptId, (String, Attempt)> = HashMap::new();
    for number in 0..MANY {
        let upload = format!("lost-{number}");
        let attempt = start(&ledger, &claim(&upload)).await;
        lost.insert(attempt.id, (upload, attempt));
    }
    convict(&ledger, "bomb").await;
    ledger.park(&kept("waits"), None, Duration::ZERO).await.unwrap();
    let lease = ledger.heartbeat(&worker("w1")).await.unwrap();

    pair.dies();
    pair.takes_over();
    pair.is_promoted().await;
    let renewed = ledger.heartbeat(&worker("w1")).await.unwrap();
    assert!(
        renewed.before_ms < lease.until_ms,
        "a worker learns it at its next heartbeat"
    );
    assert_eq!(settle(&ledger, &ending(early, refused())).await, Judgement::Remember);
    // One that ended runs again, as far as the ledger knows; its worker knows better.
    assert_eq!(ledger.claim(&claim_of("w2", "ended")).await.unwrap(), Claimed::Busy);
    assert_eq!(ledger.running(&worker("w1")).await.unwrap(), [digest("ended")]);
    assert_eq!(
        ledger.disown(&worker("w1"), &digest("ended")).await.unwrap(),
        Some(ended.id)
    );
    let again = start(&ledger, &claim_of("w2", "ended")).await;
    assert_eq!(settle(&ledger, &ending(again, refused())).await, Judgement::Remember);
    assert!(entry(&ledger, "bomb").await.is_none(), "it gets one more attempt");
    assert_eq!(
        ledger.arrival("waits").await.unwrap(),
        Arrival::New,
        "only the ledger had it"
    );

    // Numbers come again; an outcome of what was lost is nobody else's.
    let mut twice = 0;
    for number in 0..MANY / 4 {
        let upload = format!("stranger-{number}");
        let stranger = start(&ledger, &claim_of("w2", &upload)).await;
        let Some((_, old)) = lost.get(&stranger.id) else {
            continue;
        };
        twice += 1;
        let late = ledger.settle(&ending(*old, tripped(Reason::Memory))).await.unwrap();
        assert_eq!(late, Settled::Fenced);
        assert!(entry(&ledger, &upload).await.is_none());
        let converted = ending(stranger, Outcome::Converted(Vec::new()));
        assert_eq!(settle(&ledger, &converted).await, Judgement::Clear);
    }
    assert!(twice > 0, "no number came again: this shows nothing");

    // Not even where the same worker runs the same upload under the same number.
    let next = AttemptId(start(&ledger, &claim("the last number")).await.id.0 + 1);
    let (upload, old) = &lost[&next];
    let again = start(&ledger, &claim(upload)).await;
    assert_eq!((again.id, again.digest), (old.id, old.digest));
    let late = ledger.settle(&ending(*old, tripped(Reason::Memory))).await.unwrap();
    assert_eq!(late, Settled::Fenced);
    assert!(entry(&ledger, upload).await.is_none());
    assert_eq!(settle(&ledger, &ending(again, refused())).await, Judgement::Remember);

    // All others are fenced as well, and done again.
    for (upload, old) in lost.values().filter(|(other, _)| other != upload) {
        let late = ledger.settle(&ending(*old, tripped(Reason::Memory))).await.unwrap();
        assert_eq!(late, Settled::Fenced);
        let again = start(&ledger, &claim(upload)).await;
        assert_eq!(settle(&ledger, &ending(again, refused())).await, Judgement::Remember);
        assert!(entry(&ledger, upload).await.is_none());
    }
}
