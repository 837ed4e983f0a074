//! Plans of all statements on the way of a job, in large tables of which the server knows nothing but their size: as they are right after a
//! restore, when nobody has gathered statistics yet. Each must look its rows up in an index.

use std::time::Instant;

use lazaret::ledger::postgres::{Postgres, STATEMENTS};
use lazaret::ledger::{Claimed, Ledger};
use lazaret::sandbox::outcome::Outcome;
use serde_json::Value;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row};

use super::super::world::*;
use super::open;
use super::server::Server;

/// Rows per table: enough for a plan that reads a whole table to look better than it is.
const ROWS: u32 = 20_000;

/// After every time.
const END: i64 = 9_000_000_000_000;

/// A row of each table for each number; digests are those of the numbers.
const FILL: &str = "
    INSERT INTO attempts (digest, recipe, build, limits, worker, tenant, name, job, gate, outcome, started, ended, renews)
        SELECT sha256(n::text::bytea), 'thumb', 'build-1', '00', 'w' || n % 50, 't' || n % 1000, 'n', 'j' || n, 'open',
            CASE WHEN n % 1000 = 0 THEN 'running' ELSE 'converted' END, n, CASE WHEN n % 1000 = 0 THEN NULL ELSE n END,
            CASE WHEN n % 5 = 0 THEN 'result' END
        FROM generate_series(1, $1) AS n;
    INSERT INTO results (digest, recipe, status, build, limits, at, looks, renditions, usage)
        SELECT sha256(n::text::bytea), 'thumb', CASE WHEN n % 10 = 0 THEN 'rejected' ELSE 'converted' END, 'build-1', '00', n,
            '{\"bytes\":1}', '[]', '{}' FROM generate_series(1, $1) AS n;
    INSERT INTO entries (digest, state, reason, scope, build, limits, tenant, name, looks, detail, since, changed, expires, convicted)
        SELECT sha256(n::text::bytea), 'quarantined', 'cpu', 'upload', 'build-1', '00', 't' || n % 1000, 'n', '{\"bytes\":1}', 'd', n, n,
            9000000000000 + n, n FROM generate_series(1, $1) AS n;
    INSERT INTO strikes (digest, at, reason, build, limits, evidence)
        SELECT sha256(n::text::bytea), n, 'cpu', 'build-1', '00', '{}' FROM generate_series(1, $1) AS n;
    INSERT INTO audit (digest, at, who, action, why, new_state)
        SELECT sha256(n::text::bytea), n, 'lazaret', 'convict', 'w', 'quarantined' FROM generate_series(1, $1) AS n;
    INSERT INTO refusals (digest, span, step, tenant, times, last, expires)
        SELECT sha256((n / 20)::text::bytea), CASE WHEN n % 2 = 0 THEN 'hour' ELSE 'day' END, n % 20, 't' || n % 1000, 1, n, n
        FROM generate_series(1, $1) AS n;
    INSERT INTO jobs (job, tenant, digest, message, tries, since, due, ended, report)
        SELECT 'j' || n, 't' || n % 1000, sha256(n::text::bytea), CASE WHEN n % 2 = 0 THEN '{}' END, 0, n, n,
            CASE WHEN n % 2 = 1 THEN n END, CASE WHEN n % 2 = 1 THEN '{}' END FROM generate_series(1, $1) AS n;
    INSERT INTO tenants (tenant, limits, revision) SELECT 't' || n, '{}', n FROM generate_series(1, $1) AS n;
    INSERT INTO tenant_audit (tenant, at, who, action, why, new_standing)
        SELECT 't' || n, n, 'ann', 'limit', 'w', '{}' FROM generate_series(1, $1) AS n;
    INSERT INTO tenant_minutes (tenant, minute, jobs, cpu_ms, bytes) SELECT 't' || n % 1000, n, 1, 1, 1 FROM generate_series(1, $1) AS n;
    INSERT INTO tenant_days (tenant, day, jobs, cpu_ms, bytes) SELECT 't' || n % 1000, n, 1, 1, 1 FROM generate_series(1, $1) AS n;
    INSERT INTO verdicts (hour, status, times) SELECT n, 'converted', 1 FROM generate_series(1, $1) AS n;
    INSERT INTO workers (worker, host, build, since, lease) SELECT 'w' || n, 'h', 'b', n, n FROM generate_series(1, $1 / 100) AS n;
    INSERT INTO sidelines (line, tenant, until) SELECT n, 't' || n, n FROM generate_series(0, 15) AS n";

async fn filled(rows: u32) -> Postgres {
    let database = Server::shared().database().await;
    let ledger = open(&database.address()).await;
    let fill = FILL.replace("$1", &rows.to_string());
    database.execute(&format!("SET search_path = lazaret; {fill}")).await;
    ledger
}

/// The plan that every execution of a prepared statement has.
async fn plan(connection: &mut PgConnection, statement: &str) -> Value {
    let parameters = (1..=20)
        .filter(|number| statement.contains(&format!("${number}")))
        .max();
    let nulls = vec!["NULL"; parameters.unwrap_or(0)].join(", ");
    let arguments = if nulls.is_empty() { nulls } else { format!("({nulls})") };
    let all = format!("PREPARE it AS {statement}; EXPLAIN (FORMAT JSON) EXECUTE it{arguments}; DEALLOCATE it");
    let rows = sqlx::raw_sql(AssertSqlSafe(all))
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    explained(&rows[0])
}

fn explained(row: &PgRow) -> Value {
    let text: String = row.try_get_unchecked("QUERY PLAN").unwrap();
    let plan: Value = serde_json::from_str(&text).unwrap();
    plan[0]["Plan"].clone()
}

/// Steps that read a table without looking something up in an index.
fn costly(step: &Value) -> Vec<String> {
    let kind = step["Node Type"].as_str().unwrap_or_default();
    let looks_up = ["Index Cond", "Recheck Cond", "TID Cond"]
        .iter()
        .any(|key| step.get(key).is_some());
    // Unique: it has one row at most.
    let solo = step["Index Name"] == "attempts_single_solo";
    let reads = step.get("Relation Name").is_some() || step.get("Index Name").is_some();
    let mut found = Vec::new();
    if reads && kind != "ModifyTable" && !looks_up && !solo {
        found.push(format!("{kind} on {} {}", step["Relation Name"], step["Index Name"]));
    }
    let below = step["Plans"].as_array().into_iter().flatten();
    found.extend(below.flat_map(costly));
    found
}

async fn every_hot_statement_looks_up(ledger: &Postgres) {
    let mut connection = ledger.pool().acquire().await.unwrap();
    for (_, name, statement) in STATEMENTS.iter().filter(|(temper, _, _)| *temper == "hot") {
        let plan = plan(&mut connection, statement).await;
        assert!(costly(&plan).is_empty(), "{name}: {:?}\n{plan:#}", costly(&plan));
    }
}

/// Pages that a statement touches, with these values.
async fn touched(connection: &mut PgConnection, name: &str, values: &str) -> u64 {
    let statement = STATEMENTS.iter().find(|(_, other, _)| *other == name).unwrap().2;
    let values = if values.is_empty() {
        String::new()
    } else {
        format!("({values})")
    };
    let all = format!(
        "BEGIN; PREPARE it AS {statement}; EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE it{values}; DEALLOCATE it; ROLLBACK"
    );
    let rows = sqlx::raw_sql(AssertSqlSafe(all))
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    let plan = explained(&rows[0]);
    let pages = |kind: &str| plan[kind].as_u64().unwrap();
    pages("Shared Hit Blocks") + pages("Shared Read Blocks")
}

/// What a statement costs does not grow with the tables: 300 pages are an index's depth for each of a few dozen rows.
async fn few_pages_are_touched(ledger: &Postgres) {
    let mut connection = ledger.pool().acquire().await.unwrap();
    let digest = digest("17").to_string();
    for (name, values, most) in [
        ("entry", format!("'{digest}'"), 20),
        ("by_claim", format!("'j17', '{digest}'"), 20),
        ("is_running", format!("'{digest}'"), 20),
        // Those that ended are not among them.
        ("renewals_running", "2".to_owned(), 30),
        ("result", format!("'{digest}', 'thumb'"), 20),
        ("any_due", "9000000".to_owned(), 20),
        ("runs_of_tenant", "'t17'".to_owned(), 20),
        ("convictions_of", "'t17', 9000000".to_owned(), 20),
        ("use_of_minute", "'[\"t17\", \"t18\"]', 17".to_owned(), 20),
        // Five hundred jobs that wait are looked at, and what runs of each.
        ("set_back", "9000000, 9000001, '[]'".to_owned(), 6000),
        ("adopt", "9000000, 'w1', 9000001, 64, '[]'".to_owned(), 6000),
        ("drop_jobs", "9000000, 300".to_owned(), 6000),
        // A page of the operators' list: 64 entries, and the strikes of each.
        (
            "page_of_all",
            format!("NULL, 0, {END}, '', 64, NULL, 0, NULL, NULL, NULL, 51"),
            800,
        ),
        (
            "page_of_state",
            format!("'quarantined', 0, {END}, '', 64, 'quarantined', 0, NULL, NULL, NULL, 51"),
            800,
        ),
        (
            "page_of_reason",
            format!("'cpu', 0, {END}, '', 64, 'confirmed', 0, 'cpu', NULL, NULL, 51"),
            800,
        ),
        (
            "page_of_tenant",
            format!("'t17', 0, {END}, '', 64, NULL, 0, NULL, 't17', NULL, 51"),
            800,
        ),
        (
            "page_of_format",
            format!("'png', 0, {END}, '', 64, NULL, 0, NULL, NULL, 'png', 51"),
            800,
        ),
        ("end_of_state", format!("'quarantined', 0, {END}, '', 64"), 20),
        (
            "oldest_of_state",
            format!("'quarantined', {END}, 0, '', 64, 'quarantined', 0, NULL, NULL, NULL, 51"),
            800,
        ),
        ("oldest_end_of_state", format!("'quarantined', {END}, 0, '', 64"), 20),
        ("jobs_by_hour", "0, 64".to_owned(), 100),
        ("jobs_by_day", "0, 64".to_owned(), 100),
        // The record of each conviction, and its strike.
        ("convictions_by_step", format!("0, {END}, {END}, 64, 3600000"), 800),
        ("unreviewed", "1000".to_owned(), 1100),
        // What is kept of one digest, and not that of others in the same hour.
        (
            "count_refusals",
            format!(
                "'[{{\"digest\":\"{digest}\",\"span\":\"day\",\"step\":7,\"tenant\":\"t7\",\"times\":1,\"expires\":1}}]', 9000000, 20"
            ),
            60,
        ),
        ("refusals_by_step", format!("'{digest}', 'day', 0"), 60),
        ("sent_by", format!("'{digest}', 21"), 60),
        ("drop_refused", "9000000, 300".to_owned(), 3000),
    ] {
        let pages = touched(&mut connection, name, &values).await;
        assert!(pages <= most, "{name}: {pages} pages");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hot_statements_are_index_look_ups() {
    let ledger = filled(ROWS).await;
    every_hot_statement_looks_up(&ledger).await;
    few_pages_are_touched(&ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_test_of_plans_can_fail() {
    let ledger = filled(1000).await;
    let mut connection = ledger.pool().acquire().await.unwrap();
    for statement in [
        "SELECT 1 FROM entries WHERE detail = 'd'",
        "SELECT 1 FROM attempts WHERE outcome = 'running'",
    ] {
        assert!(
            !costly(&plan(&mut connection, statement).await).is_empty(),
            "{statement}"
        );
    }
}

/// `cargo test --test ledger in_a_million_rows -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
#[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
async fn in_a_million_rows() {
    let ledger = filled(1_000_000).await;
    every_hot_statement_looks_up(&ledger).await;
    few_pages_are_touched(&ledger).await;
    ledger.sign_on(&worker("w1"), "host", "build-1", &[]).await.unwrap();
    let begun = Instant::now();
    for upload in 0..1000 {
        let _ = run(
            &ledger,
            &claim(&format!("new {upload}")),
            Outcome::Converted(Vec::new()),
        )
        .await;
    }
    println!(
        "claim and settle among a million rows: {:?} each",
        begun.elapsed() / 1000
    );
    assert!(matches!(
        ledger.claim(&claim("new 7")).await.unwrap(),
        Claimed::Known(_)
    ));
}
