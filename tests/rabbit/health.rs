//! Health while the broker does not answer.

use sqlx::{Connection, SqliteConnection};

use super::asked::Asked;
use super::relay::{Mode, Relay};
use super::stage::Stage;
use super::world::wait_for;

#[test]
fn a_frozen_broker_and_a_locked_ledger_are_told_and_the_answers_come_at_once() {
    let stage = Stage::new("health");
    let relay = Relay::to(stage.vhost.node.amqp);
    stage.through(&stage.vhost.amqp_through(relay.port()), "");
    let asked = Asked::free();
    let (name, value) = asked.setting();
    let _worker = stage.serve(&[(name, &value)]);
    wait_for("work to be taken", || asked.get("/readyz").status == 200);
    wait_for("the depths of the queues", || {
        let metrics = asked.get("/metrics").body;
        metrics.contains("lazaret_queue_messages{queue=\"dead\"} 0\n")
    });

    relay.set(Mode::Freeze);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let ledger = format!("sqlite:{}", stage.world.path("state/ledger.sqlite").display());
    let mut other = runtime.block_on(SqliteConnection::connect(&ledger)).unwrap();
    runtime
        .block_on(sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other))
        .unwrap();
    wait_for("both to be missed", || {
        asked.get("/readyz").causes() == ["ledger", "broker"]
    });
    asked.answers_soon("/readyz", 1000, "while ledger and broker are frozen");
    assert_eq!(asked.get("/livez").status, 200);

    relay.set(Mode::Pass);
    runtime.block_on(sqlx::raw_sql("ROLLBACK").execute(&mut other)).unwrap();
    wait_for("work to be taken again", || asked.get("/readyz").status == 200);
}
