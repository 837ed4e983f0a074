//! Workers of different limits and builds over one ledger: what one decided, another one tries again, a few at a time.

use std::path::Path;

use lazaret::digest::Digest;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection};

use super::world::*;

const BASE: &str = "ledger = \"sqlite:./state/ledger.sqlite\"\n";

/// What a worker of this configuration makes of a file.
fn convert(world: &World, config: &str, file: &str) -> Value {
    let output = world.run(&["convert", "--json", "--config", config, file]);
    lines(&output)
        .pop()
        .unwrap_or_else(|| panic!("{config}: {}", stderr(&output)))
}

/// Status, reason, and whether nothing had to run.
fn told(verdict: &Value) -> (Value, Value, Value) {
    (
        verdict["status"].clone(),
        verdict["reason"].clone(),
        verdict["repeat"].clone(),
    )
}

/// Somebody's `sqlite3`.
async fn execute(ledger: &Path, statement: String) {
    let options = SqliteConnectOptions::new().filename(ledger);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[test]
fn what_was_convicted_under_lower_limits_is_taken_under_higher_ones() {
    let world = World::new();
    let file = fixture("valid/photos/hubble_progressive.jpg");
    world.write("low.toml", format!("{BASE}[limits]\noutput = \"16KiB\"\n"));
    world.write("never.toml", format!("{BASE}[worker]\nrenewals = 0\n"));
    world.write("high.toml", BASE);

    let (quarantined, output) = (json!("quarantined"), json!("output"));
    let verdict = convert(&world, "low.toml", &file);
    assert_eq!(told(&verdict), (quarantined.clone(), output.clone(), json!(false)));
    let digest = verdict["sha256"].as_str().unwrap().to_owned();
    for config in ["never.toml", "low.toml"] {
        let refused = (quarantined.clone(), output.clone(), json!(true));
        assert_eq!(told(&convert(&world, config, &file)), refused, "{config}");
    }
    let taken = convert(&world, "high.toml", &file);
    assert_eq!(told(&taken), (json!("converted"), Value::Null, json!(false)), "{taken}");

    let dossier = world.dossier(&digest);
    assert_eq!(dossier["entry"]["state"], json!("released"));
    assert_eq!(dossier["attempts"][0]["renews"], json!("entry"));
    let last = dossier["audit"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["who"], &last["action"]), (&json!("lazaret"), &json!("renew")));
    let shown = world.run(&["quarantine", "show", &digest]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains(" (renewal)"), "{shown}");
    // What it made is an answer for all of one build, whatever their limits.
    for config in ["low.toml", "never.toml"] {
        let known = (json!("converted"), Value::Null, json!(true));
        assert_eq!(told(&convert(&world, config, &file)), known, "{config}");
    }
}

#[test]
fn a_number_of_renewals_that_makes_no_sense_is_named() {
    let world = World::new();
    world.write("many.toml", format!("{BASE}[worker]\nrenewals = 1025\n"));
    let output = world.run(&["convert", "--config", "many.toml", &fixture("valid/photos/rocket.bmp")]);
    assert_eq!(output.status.code(), Some(78));
    assert!(
        stderr(&output).contains("worker.renewals is 1025, at most 1024"),
        "{}",
        stderr(&output)
    );
}

#[tokio::test]
async fn old_renditions_are_the_answer_while_as_many_are_renewed_as_may_be() {
    let world = World::new();
    let file = fixture("valid/photos/rocket.bmp");
    world.write("lazaret.toml", BASE);
    let ledger = world.path("state/ledger.sqlite");
    let repeat = || convert(&world, "lazaret.toml", &file)["repeat"].clone();
    assert_eq!(repeat(), json!(false));
    let digest = Digest::of(&std::fs::read(&file).unwrap());

    // Made by an earlier build; and another worker runs as many renewals as may run.
    let elsewhere = |number: u8| {
        format!(
            "INSERT INTO attempts (digest, recipe, build, limits, worker, tenant, name, job, gate, started, renews)
                VALUES ('{number:064}', 'thumb', 'b', 'l', 'elsewhere', 't', 'n', 'j', 'open', 1, 'result');"
        )
    };
    let earlier = format!("UPDATE results SET build = '0.0.1' WHERE digest = '{digest}';");
    execute(&ledger, format!("{earlier}{}{}", elsewhere(1), elsewhere(2))).await;
    assert_eq!((repeat(), repeat()), (json!(true), json!(true)));

    let one_ends =
        "UPDATE attempts SET outcome = 'released', ended = 2 WHERE digest LIKE '%1' AND worker = 'elsewhere'";
    execute(&ledger, one_ends.to_owned()).await;
    assert_eq!((repeat(), repeat()), (json!(false), json!(true)));
}
