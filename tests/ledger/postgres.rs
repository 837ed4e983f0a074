//! What is PostgreSQL's own: its world, its schema, its plans, its bad days.

#[path = "../servers/postgres.rs"]
#[allow(dead_code, reason = "the server serves several suites")]
pub mod server;

#[path = "../servers/relay.rs"]
#[allow(dead_code, reason = "the relay serves several suites")]
mod relay;

mod bad_days;
mod copy;
mod plans;
mod promoted;
mod together;

use std::process::Command;
use std::time::Duration;

use async_trait::async_trait;
use lazaret::config::{PostgresAddress, PostgresConfig};
use lazaret::ledger::Ledger;
use lazaret::ledger::postgres::Postgres;

use self::server::{Database, Server};
use super::world::{World, worker};

/// A ledger in a database of its own.
pub struct PostgresWorld {
    database: Database<'static>,
    ledger: Postgres,
}

impl PostgresWorld {
    pub async fn new() -> Self {
        let database = Server::shared().database().await;
        let ledger = open(&database.address()).await;
        for name in ["w1", "w2", "w3"] {
            ledger.sign_on(&worker(name), "host", "build-1", &[]).await.unwrap();
        }
        Self { database, ledger }
    }
}

#[async_trait]
impl World for PostgresWorld {
    fn ledger(&self) -> &dyn Ledger {
        &self.ledger
    }

    async fn another(&self) -> Box<dyn Ledger> {
        Box::new(open(&self.database.address()).await)
    }

    fn later(&self, by: Duration) -> Box<dyn Ledger> {
        Box::new(self.ledger.clone().with_clock_offset(by.as_millis() as i64))
    }
}

async fn open(address: &PostgresAddress) -> Postgres {
    Postgres::open(address, &PostgresConfig::default()).await.unwrap()
}

#[test]
fn a_server_comes_up_again_and_leaves_nothing_behind() {
    let server = Server::start(&[]);
    server.order("kill");
    assert!(!server.is_ready());
    server.up();
    let folder = server.folder().to_owned();
    drop(server);
    assert!(!folder.exists());
    let processes = Command::new("ps").args(["-eo", "args"]).output().unwrap();
    let processes = String::from_utf8(processes.stdout).unwrap();
    let left = processes.lines().find(|line| line.contains(folder.to_str().unwrap()));
    assert_eq!(left, None);
}
