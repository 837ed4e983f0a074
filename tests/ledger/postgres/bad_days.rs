//! Servers that cannot be used, or not now: each error names address and remedy, and no password; and what can come back does.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lazaret::blame::Judgement;
use lazaret::config::PostgresConfig;
use lazaret::ledger::postgres::Postgres;
use lazaret::ledger::{Ledger, LedgerError};
use sqlx::{Connection, Row};

use super::super::world::*;
use super::open;
use super::server::{Database, STANDBY, Server};

const PASSWORD: &str = "another-secret";

fn impatient() -> PostgresConfig {
    PostgresConfig {
        timeout: Duration::from_secs(1),
        ..PostgresConfig::default()
    }
}

async fn refusal(url: &str) -> LedgerError {
    let address = url.parse().unwrap();
    Postgres::open(&address, &impatient()).await.map(drop).unwrap_err()
}

/// The error says this, and where, and nothing secret.
fn says(error: &LedgerError, database: &Database<'_>, words: &str) {
    let text = error.to_string();
    let place = format!("@127.0.0.1:{}/", database.server.port);
    assert!(text.contains(words) && text.contains(&place), "{text}");
    assert!(!text.contains("secret") && !text.contains("s3cr3t"), "{text}");
}

/// A user of one test.
async fn user(database: &Database<'_>, options: &str) -> String {
    let name = format!("user_{}", database.name);
    database
        .execute(&format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}' {options}"))
        .await;
    format!("{name}:{PASSWORD}")
}

#[tokio::test]
async fn a_server_that_lets_nobody_in_is_named() {
    let database = Server::shared().database().await;
    let error = refusal(&database.url_of("lazaret:wrong-secret", "disable")).await;
    says(&error, &database, "does not let this user in");
    assert!(matches!(error, LedgerError::Unusable { .. }), "{error:?}");
    let error = refusal(&database.url().replace(&database.name, "nowhere")).await;
    says(&error, &database, "has no such database");
    assert!(matches!(error, LedgerError::Unusable { .. }), "{error:?}");
    let nobody = database.url().replace(&database.server.port.to_string(), "1");
    let error = refusal(&nobody).await;
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    assert!(matches!(error, LedgerError::Failed { .. }), "{error:?}");
}

#[tokio::test]
async fn a_user_needs_few_rights_where_the_schema_is_made() {
    let database = Server::shared().database().await;
    let user = user(&database, "").await;
    let url = database.url_of(&user, "disable");
    says(&refusal(&url).await, &database, "run `lazaret ledger migrate`");
    open(&database.address()).await;
    says(&refusal(&url).await, &database, "does not allow this user to");
    let name = user.split(':').next().unwrap();
    // As docs/postgresql.md has it.
    let rights = format!(
        "GRANT USAGE ON SCHEMA lazaret TO {name};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA lazaret TO {name}"
    );
    database.execute(&rights).await;
    let ledger = open(&url.parse().unwrap()).await;
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    convict(&ledger, "bomb").await;
    assert!(ledger.tidy().await.is_ok());
}

#[tokio::test]
async fn without_a_free_connection_it_says_so_and_goes_on() {
    let database = Server::shared().database().await;
    let user = user(&database, "").await;
    let name = user.split(':').next().unwrap();
    let rights = format!("GRANT CREATE ON DATABASE {} TO {name}", database.name);
    database.execute(&rights).await;
    let address = database.url_of(&user, "disable").parse().unwrap();
    let ledger = Postgres::open(&address, &impatient()).await.unwrap();
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    let none = format!(
        "ALTER ROLE {name} CONNECTION LIMIT 0;
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{name}'"
    );
    database.execute(&none).await;
    let error = ledger.heartbeat(&worker("w1")).await.unwrap_err();
    says(&error, &database, "has no connection free");
    assert!(matches!(
        refusal(&database.url_of(&user, "disable")).await,
        LedgerError::Failed { .. }
    ));
    database.execute(&format!("ALTER ROLE {name} CONNECTION LIMIT 9")).await;
    ledger.heartbeat(&worker("w1")).await.unwrap();
}

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let server = Server::start(&[]);
    let database = server.database().await;
    let ledger = Postgres::open(&database.address(), &impatient()).await.unwrap();
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    for order in ["stop", "kill"] {
        let attempt = start(&ledger, &claim(order)).await;
        server.order(order);
        let error = ledger.heartbeat(&worker("w1")).await.unwrap_err();
        says(&error, &database, "cannot be reached");
        server.up();
        // No connection of before is used.
        ledger.heartbeat(&worker("w1")).await.unwrap();
        assert_eq!(settle(&ledger, &ending(attempt, refused())).await, Judgement::Remember);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_was_never_answered_is_waited_for_and_disowned() {
    let server = Server::start(&STANDBY);
    let database = server.database().await;
    let ledger = open(&database.address()).await;
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    database.hold_back_claims().await;
    let claiming = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.claim(&claim("cat")).await }
    });
    database.claim_is_held_back().await;
    // Nobody sees it yet, but it will come.
    let disowning = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.disown(&worker("w1"), &digest("cat")).await }
    });
    database
        .wait_for("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        .await;
    database.lose_its_answer().await;
    assert!(claiming.await.unwrap().is_err());
    assert!(disowning.await.unwrap().unwrap().is_some());
    database.answer_claims().await;
    let _ = start(&ledger, &claim("cat")).await;
}

#[tokio::test]
async fn connections_that_somebody_ended_are_not_noticed() {
    let database = Server::shared().database().await;
    let ledger = open(&database.address()).await;
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    for upload in ["a", "b", "c"] {
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()",
            database.name
        );
        database.execute(&end).await;
        let _ = start(&ledger, &claim(upload)).await;
    }
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "a test measures a wait")]
async fn a_frozen_server_is_given_up_and_found_again() {
    let server = Server::start(&[]);
    let database = server.database().await;
    let ledger = Postgres::open(&database.address(), &impatient()).await.unwrap();
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    server.order("freeze");
    let begun = Instant::now();
    let error = ledger.heartbeat(&worker("w1")).await.unwrap_err();
    says(&error, &database, "does not answer");
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    // Many that wait together are told together.
    let reports: Vec<_> = (0..40).map(|job| report(&format!("j{job}"))).collect();
    let ends = join_all(reports.iter().map(|report| ledger.end(report))).await;
    assert!(ends.iter().all(Result::is_err));
    assert!(begun.elapsed() < Duration::from_secs(24), "{:?}", begun.elapsed());
    server.order("thaw");
    ledger.heartbeat(&worker("w1")).await.unwrap();
    let _ = start(&ledger, &claim("cat")).await;
}

#[tokio::test]
async fn a_server_that_is_read_only_answers_questions() {
    let server = Server::start(&[]);
    let database = server.database().await;
    let ledger = Postgres::open(&database.address(), &impatient()).await.unwrap();
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    convict(&ledger, "bomb").await;
    let read_only = async |value: &str| {
        // Outside of a transaction each.
        let mut connection = database.connect().await;
        let set = format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(set))
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::raw_sql("SELECT pg_reload_conf()")
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    read_only("on").await;
    let error = ledger.heartbeat(&worker("w1")).await.unwrap_err();
    says(&error, &database, "is read-only");
    assert!(entry(&ledger, "bomb").await.is_some());
    read_only("off").await;
    ledger.heartbeat(&worker("w1")).await.unwrap();
}

#[tokio::test]
async fn a_lock_that_somebody_forgot_is_not_waited_for_long() {
    let database = Server::shared().database().await;
    let ledger = Postgres::open(&database.address(), &impatient()).await.unwrap();
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    let mut somebody = database.connect().await;
    let lock = "BEGIN; LOCK TABLE lazaret.workers";
    sqlx::raw_sql(lock).execute(&mut somebody).await.unwrap();
    let error = ledger.heartbeat(&worker("w1")).await.unwrap_err();
    says(&error, &database, "was locked by somebody else");
    somebody.close().await.unwrap();
    ledger.heartbeat(&worker("w1")).await.unwrap();
}

#[tokio::test]
async fn connections_of_a_former_boot_are_ended_and_no_others() {
    let database = Server::shared().database().await;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let names = [
        format!("lazaret {} deadbeef", host.trim()),
        "lazaret elsewhere deadbeef".to_owned(),
    ];
    let mut former = database.connect().await;
    let mut elsewhere = database.connect().await;
    for (connection, name) in [(&mut former, &names[0]), (&mut elsewhere, &names[1])] {
        let set = format!("SET application_name = '{name}'");
        sqlx::raw_sql(sqlx::AssertSqlSafe(set))
            .execute(connection)
            .await
            .unwrap();
    }
    let first = open(&database.address()).await;
    first.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    // A second worker of this boot leaves the first one's alone.
    let _second = open(&database.address()).await;
    first.heartbeat(&worker("w1")).await.unwrap();
    assert!(sqlx::query("SELECT 1").fetch_one(&mut former).await.is_err());
    assert!(sqlx::query("SELECT 1").fetch_one(&mut elsewhere).await.is_ok());
    let rows =
        sqlx::query("SELECT application_name::text AS name FROM pg_stat_activity WHERE datname = current_database()");
    let rows = rows.fetch_all(&mut elsewhere).await.unwrap();
    let names: Vec<String> = rows.iter().map(|row| row.get("name")).collect();
    let mine = format!("lazaret {} ", host.trim());
    assert!(
        names
            .iter()
            .any(|name| name.starts_with(&mine) && !name.ends_with("deadbeef")),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_server_is_believed_by_its_certificate() {
    let database = Server::shared().database().await;
    let url = database.url_of("lazaret:s3cr3t-of-tests", "verify-full");
    let config = |ca| PostgresConfig { ca, ..impatient() };
    let ledger = Postgres::open(&url.parse().unwrap(), &config(Some(database.server.ca())))
        .await
        .unwrap();
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    let encrypted = sqlx::query(
        "SELECT bool_and(ssl) AS all FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE application_name LIKE 'lazaret %' AND datname = current_database()",
    );
    let row = encrypted.fetch_one(&mut database.connect().await).await.unwrap();
    assert!(row.get::<bool, _>("all"));

    // The system's certificates do not know this server.
    let error = Postgres::open(&url.parse().unwrap(), &config(None))
        .await
        .map(drop)
        .unwrap_err();
    says(&error, &database, "see sslmode in the address");
    let nowhere = config(Some("/nowhere/ca.pem".into()));
    let error = Postgres::open(&url.parse().unwrap(), &nowhere)
        .await
        .map(drop)
        .unwrap_err();
    says(&error, &database, "postgres.ca: /nowhere/ca.pem: No such file");
}

#[tokio::test]
async fn a_newer_schema_is_used_where_it_says_that_it_may_be() {
    let database = Server::shared().database().await;
    open(&database.address()).await;
    database.execute("UPDATE lazaret.ledger SET version = 7").await;
    let ledger = open(&database.address()).await;
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    database.execute("UPDATE lazaret.ledger SET oldest = 6").await;
    let error = refusal(&database.url()).await;
    says(&error, &database, "is from a newer Lazaret (schema 7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_open_a_fresh_database_one_makes_the_schema() {
    let database = Server::shared().database().await;
    let address = database.address();
    let opened = (0..20).map(|_| {
        let address = address.clone();
        tokio::spawn(async move { open(&address).await.sign_on(&worker("w"), "host", "build-1", &[]).await })
    });
    for one in join_all(opened).await {
        one.unwrap().unwrap();
    }
}

#[tokio::test]
async fn strikes_and_audit_trails_stay() {
    let database = Server::shared().database().await;
    let ledger = open(&database.address()).await;
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    convict(&ledger, "bomb").await;
    let mut connection = database.connect().await;
    for change in [
        "DELETE FROM lazaret.strikes",
        "UPDATE lazaret.audit SET who = 'me'",
        "TRUNCATE lazaret.tenant_audit",
    ] {
        let error = sqlx::raw_sql(change).execute(&mut connection).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
}
