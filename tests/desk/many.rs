//! A hundred thousand entries: how long pages of the list take.
//!
//! `cargo test --release --test desk many -- --ignored --nocapture` prints a table. A time is a whole request over HTTP: connection, session, two
//! statements or more, page.

use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::asked::p99;
use super::browser::*;

const ENTRIES: u32 = 100_000;
/// Requests of each filter.
const ROUNDS: usize = 200;

/// Entries as a bad month leaves them: most of them one reason of a few tenants, few of anything else; each with a strike and its attempt.
const FILL: &str = "
    CREATE TEMP TABLE numbers AS WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < $1) SELECT n FROM counted;
    INSERT INTO entries (digest, state, reason, scope, build, limits, tenant, name, looks, detail, since, changed, expires, convicted)
        SELECT printf('%064x', n * 7919), CASE WHEN n % 1000 = 0 THEN 'suspected' WHEN n % 10 = 0 THEN 'confirmed' WHEN n % 10 = 1 THEN 'released'
            ELSE 'quarantined' END, CASE WHEN n % 2000 = 7 THEN 'violation' WHEN n % 3 = 0 THEN 'cpu' ELSE 'memory' END, 'upload', '0.1.0', '00',
            't' || (n % 37), 'uploads/2026/11/' || n || '.jpg',
            '{\"bytes\":123456,\"format\":\"' || CASE WHEN n % 5000 = 3 THEN 'qoi' WHEN n % 2 = 0 THEN 'png' ELSE 'jpeg' END
            || '\",\"width\":640,\"height\":480,\"frames\":1}', 'memory: 805306369 of 805306368', 1700000000000 + n, 1700000000000 + n,
            9000000000000, n FROM numbers;
    INSERT INTO attempts (digest, recipe, build, limits, worker, tenant, name, job, gate, outcome, struck, started, ended)
        SELECT printf('%064x', n * 7919), 'thumb', '0.1.0', '00', 'host-' || (n % 20) || '-abc', 't', 'n', 'j' || n, 'open', 'tripped', 1,
            1700000000000 + n, 1700000000000 + n FROM numbers;
    INSERT INTO strikes (digest, attempt, at, reason, build, limits, evidence)
        SELECT printf('%064x', n * 7919), n, 1700000000000 + n, 'memory', '0.1.0', '00', '{}' FROM numbers;
    DROP TABLE numbers;";

fn fill(desk: &Desk, entries: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let path = desk.world.path("state/ledger.sqlite");
        let mut ledger = SqliteConnection::connect(&format!("sqlite:{}", path.display()))
            .await
            .unwrap();
        let fill = FILL.replace("$1", &entries.to_string());
        sqlx::raw_sql(AssertSqlSafe(fill)).execute(&mut ledger).await.unwrap();
        ledger.close().await.unwrap();
    });
}

/// Where the page says that the list goes on.
fn next(page: &str, word: &str) -> Option<String> {
    let (before, _) = page.split_once(&format!("\">{word}</a>"))?;
    let (_, path) = before.rsplit_once("href=\"")?;
    Some(path.replace("&amp;", "&"))
}

#[test]
fn pages_lead_from_the_newest_to_the_oldest_and_back() {
    let desk = Desk::new();
    // 81 of each tenant: enough for pages to turn.
    fill(&desk, 2997);
    let mut olga = desk.as_user("olga");
    let newest_first = all_pages(&mut olga, "/quarantine?tenant=t7", "Older");
    let mut oldest_first = all_pages(&mut olga, "/quarantine?tenant=t7&sort=oldest", "Newer");
    assert_eq!(oldest_first.first(), Some(&format!("{:064x}", 7919 * 7)));
    oldest_first.reverse();
    assert_eq!(oldest_first, newest_first);
}

/// The digests of 81 entries, on two pages.
fn all_pages(browser: &mut Browser, first: &str, word: &str) -> Vec<String> {
    let mut path = Some(first.to_owned());
    let (mut seen, mut pages) = (Vec::new(), 0);
    while let Some(at) = path {
        let page = browser.get(&at);
        assert_eq!(page.status, 200);
        for part in page.body.split("href=\"/quarantine/").skip(1) {
            let digest = part[..64].to_owned();
            assert!(!seen.contains(&digest), "twice: {digest}");
            seen.push(digest);
        }
        path = next(&page.body, word);
        pages += 1;
        assert!(pages < 100, "it ends");
    }
    assert_eq!((seen.len(), pages), (81, 2));
    seen
}

#[test]
#[ignore = "takes a minute, and measures"]
#[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn a_page_of_a_hundred_thousand() {
    let desk = Desk::new();
    fill(&desk, ENTRIES);
    let mut olga = desk.as_user("olga");
    let middle = format!("behind={}-{}", 1_700_000_050_000_u64, "0".repeat(64));
    let entry = format!("{:064x}", 7919 * 500);
    println!("| request | median, ms | p99, ms |\n|---|--:|--:|");
    for path in [
        "/quarantine".to_owned(),
        format!("/quarantine?{middle}"),
        "/quarantine?sort=oldest".to_owned(),
        "/quarantine?state=quarantined".to_owned(),
        "/quarantine?state=quarantined&sort=oldest".to_owned(),
        "/quarantine?state=suspected".to_owned(),
        "/quarantine?state=expired".to_owned(),
        "/quarantine?reason=memory".to_owned(),
        "/quarantine?reason=violation".to_owned(),
        "/quarantine?tenant=t7".to_owned(),
        "/quarantine?tenant=nobody".to_owned(),
        "/quarantine?format=png".to_owned(),
        "/quarantine?format=qoi".to_owned(),
        "/quarantine?worker=host-7-abc".to_owned(),
        "/quarantine?since=2023-11-14T22:14&until=2023-11-14T22:15".to_owned(),
        "/quarantine?state=quarantined&reason=violation".to_owned(),
        "/quarantine?state=suspected&reason=memory&format=png&tenant=t7".to_owned(),
        "/quarantine?state=suspected&worker=host-7-abc".to_owned(),
        "/quarantine?state=expired&reason=memory".to_owned(),
        format!("/quarantine/{entry}"),
        "/".to_owned(),
        "/?span=30d".to_owned(),
    ] {
        let mut times: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let since = Instant::now();
                assert_eq!(olga.get(&path).status, 200, "{path}");
                since.elapsed()
            })
            .collect();
        times.sort_unstable();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "| `{}` | {:.1} | {:.1} |",
            path.replace(&entry, "…").replace(&"0".repeat(64), "…"),
            ms(times[ROUNDS / 2]),
            ms(p99(&times))
        );
    }
}
