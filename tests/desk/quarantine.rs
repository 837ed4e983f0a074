//! The quarantine list and its entries: looked at, decided, decided by two at once.

use serde_json::json;

use super::browser::*;
use super::s3::{ACCOUNT, BUCKET, S3};
use super::world::*;

const BOMB: &str = "hostile/cpu/tiff_wide_tiles.tiff";

/// A desk with one entry, and its digest.
pub fn with_an_entry() -> (Desk, String) {
    with_an_entry_on(Desk::new())
}

pub fn with_an_entry_on(desk: Desk) -> (Desk, String) {
    assert_eq!(desk.world.submit(&["--wait", &fixture(BOMB)]).status.code(), Some(1));
    let entries = list(&desk);
    assert_eq!(entries[0]["state"], json!("quarantined"));
    (desk, entries[0]["digest"].as_str().unwrap().to_owned())
}

fn list(desk: &Desk) -> Vec<serde_json::Value> {
    lines(&desk.quarantine(&["list", "--json"]))
}

fn decide(browser: &mut Browser, page: &str, digest: &str, action: &str, why: &str) -> super::asked::Answer {
    let (csrf, seen) = (field(page, "csrf"), field(page, "seen"));
    browser.post(
        &format!("/quarantine/{digest}/{action}"),
        &[("csrf", &csrf), ("seen", &seen), ("why", why)],
    )
}

#[test]
fn an_entry_is_found_looked_at_and_released() {
    let (desk, digest) = with_an_entry();
    let mut olga = desk.as_user("olga");
    let found = olga.get("/quarantine?state=quarantined&reason=cpu&tenant=");
    assert!(
        found.status == 200 && found.body.contains(&format!("/quarantine/{digest}")),
        "{}",
        found.body
    );
    let worker = desk.dossier(&digest)["attempts"][0]["worker"]
        .as_str()
        .unwrap()
        .to_owned();
    for (query, found) in [
        ("reason=memory".to_owned(), false),
        ("format=tiff".to_owned(), true),
        ("format=png".to_owned(), false),
        (format!("worker={worker}&state=quarantined"), true),
        ("worker=nobody-1-abc".to_owned(), false),
        ("since=2020-01-01T00:00".to_owned(), true),
        ("until=2020-01-01T00:00".to_owned(), false),
    ] {
        let page = olga.get(&format!("/quarantine?{query}"));
        assert_eq!((page.status, page.body.contains(&digest)), (200, found), "{query}");
    }
    let page = olga.get(&format!("/quarantine/{digest}"));
    for part in [
        digest.as_str(),
        "cpu_ms",
        "usage.peak_memory_bytes",
        "Strikes",
        "Audit",
        "Release",
        "Confirm",
        "Allow",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let why = "A <b>camera</b> & its thumbnails";
    assert_eq!(decide(&mut olga, &page.body, &digest, "release", why).status, 303);
    let after = olga.get(&format!("/quarantine/{digest}"));
    assert!(
        after.body.contains("A &lt;b&gt;camera&lt;/b&gt; &amp; its thumbnails"),
        "{}",
        after.body
    );
    assert!(
        after.body.contains("<bdi>olga</bdi>") && after.body.contains("released: cpu"),
        "{}",
        after.body
    );
    assert_eq!(list(&desk)[0]["state"], json!("released"));
}

#[test]
fn of_two_who_decide_at_once_the_second_sees_what_the_first_did() {
    let (desk, digest) = with_an_entry();
    let mut browsers = [desk.as_user("olga"), desk.as_user("olga")];
    let pages: Vec<_> = browsers
        .iter_mut()
        .map(|browser| browser.get(&format!("/quarantine/{digest}")).body)
        .collect();
    let [first, second] = &mut browsers;
    assert_eq!(decide(first, &pages[0], &digest, "confirm", "a bomb").status, 303);
    let late = decide(second, &pages[1], &digest, "release", "looks fine");
    assert_eq!(late.status, 409);
    assert!(
        late.body.contains("decided meanwhile") && late.body.contains("a bomb"),
        "{}",
        late.body
    );
    assert_eq!(list(&desk)[0]["state"], json!("confirmed"));
}

#[test]
fn viewers_look_and_do_not_decide() {
    let (desk, digest) = with_an_entry();
    let mut vera = desk.as_user("vera");
    let page = vera.get(&format!("/quarantine/{digest}"));
    assert!(page.status == 200 && !page.body.contains("Decide"), "{}", page.body);
    let csrf = field(&page.body, "csrf");
    for action in ["release", "raise", "confirm", "allow", "note"] {
        let answer = vera.post(
            &format!("/quarantine/{digest}/{action}"),
            &[("csrf", &csrf), ("why", "let me")],
        );
        assert_eq!(answer.status, 403, "{action}");
    }
    assert_eq!(list(&desk)[0]["state"], json!("quarantined"));
}

#[test]
fn every_action_does_what_it_says_and_is_in_the_audit_trail() {
    let (desk, digest) = with_an_entry();
    let mut olga = desk.as_user("olga");
    let path = format!("/quarantine/{digest}");
    for (action, state) in [
        ("note", "quarantined"),
        ("confirm", "confirmed"),
        ("raise", "released"),
        ("allow", "allowed"),
        ("release", "released"),
    ] {
        let page = olga.get(&path).body;
        let why = format!("because of {action}");
        assert_eq!(decide(&mut olga, &page, &digest, action, &why).status, 303, "{action}");
        let dossier = desk.dossier(&digest);
        assert_eq!(dossier["entry"]["state"], json!(state), "{action}");
        let last = dossier["audit"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&last["who"], &last["action"], &last["why"]),
            (&json!("olga"), &json!(action), &json!(why))
        );
        let raised = (action == "raise").then_some(4);
        assert_eq!(
            dossier["entry"].get("raised"),
            raised.map(|times| json!(times)).as_ref()
        );
        assert!(olga.get(&path).body.contains(&why), "{action}");
    }
    let page = olga.get(&path).body;
    assert_eq!(
        decide(&mut olga, &page, &digest, "note", " ").status,
        400,
        "a note has words"
    );
}

/// Another worker, on a queue of its own: all that it knows of the desk is in the ledger.
#[test]
#[allow(clippy::disallowed_methods, reason = "a test measures")]
fn what_is_released_runs_on_another_worker_at_once() {
    let (desk, digest) = with_an_entry();
    let other = [("LAZARET_BROKER", "spool:./other")];
    let _other = desk.world.serve(&other);
    let submit = || {
        let config = desk.world.config();
        let mut command = desk
            .world
            .command(&["submit", "--config", config.to_str().unwrap(), "--wait", "--json"]);
        command.arg(fixture(BOMB)).envs(other).env_remove("LAZARET_STATE");
        lines(&command.output().unwrap()).remove(0)
    };
    assert_eq!(submit()["repeat"], json!(true), "refused by its digest there, too");
    let mut olga = desk.as_user("olga");
    let page = olga.get(&format!("/quarantine/{digest}")).body;
    let pressed = std::time::Instant::now();
    assert_eq!(
        decide(&mut olga, &page, &digest, "release", "again, please").status,
        303
    );
    let answered = pressed.elapsed();
    assert_eq!(submit()["repeat"], json!(false), "it ran");
    let attempts = desk.dossier(&digest)["attempts"].clone();
    let workers: Vec<&str> = (0..2).map(|n| attempts[n]["worker"].as_str().unwrap()).collect();
    assert_ne!(workers[0], workers[1]);
    let started: chrono::DateTime<chrono::Utc> = serde_json::from_value(attempts[0]["started"].clone()).unwrap();
    let decided = desk.dossier(&digest)["audit"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .find(|record| record["who"] == "olga")
        .unwrap()["at"]
        .clone();
    let decided: chrono::DateTime<chrono::Utc> = serde_json::from_value(decided).unwrap();
    println!(
        "the form was answered in {answered:?}; decision to attempt elsewhere: {} ms",
        (started - decided).num_milliseconds()
    );
}

#[test]
fn raised_limits_let_a_heavy_upload_through() {
    let (desk, digest) = with_an_entry();
    let mut olga = desk.as_user("olga");
    let page = olga.get(&format!("/quarantine/{digest}")).body;
    let before = desk.dossier(&digest)["strikes"][0]["evidence"]["grant"].clone();
    assert_eq!(
        decide(&mut olga, &page, &digest, "raise", "a scanner of ours").status,
        303
    );
    let _ = desk.world.submit(&["--wait", &fixture(BOMB)]);
    let dossier = desk.dossier(&digest);
    // However it ended this time, it had four times as long.
    let attempt = &dossier["attempts"][0];
    let strikes = dossier["strikes"].as_array().unwrap();
    let allowed = before["cpu_ms"].as_u64().unwrap();
    match strikes.as_slice() {
        [_] => assert_eq!(attempt["outcome"], json!("converted"), "{dossier:#}"),
        // A grant is finer than its evidence, which is rounded down.
        [.., last] => {
            let granted = last["evidence"]["grant"]["cpu_ms"].as_u64().unwrap();
            assert!(
                (allowed * 4..allowed * 4 + 4).contains(&granted),
                "{granted} after {allowed}"
            );
        }
        [] => panic!("no strikes"),
    }
}

#[test]
fn odd_filters_and_paths_have_proper_answers() {
    let (desk, digest) = with_an_entry();
    let mut olga = desk.as_user("olga");
    let long = "a".repeat(10_000);
    let behind = |at: i64| format!("/quarantine?behind={at}-{}", "0".repeat(64));
    olga.finds([
        ("/quarantine?behind=7".to_owned(), 400),
        (behind(i64::MIN), 400),
        (behind(0), 200),
        (behind(i64::MAX), 200),
        ("/quarantine?behind=99999999999999999999-00".to_owned(), 400),
        ("/quarantine?page=2".to_owned(), 400),
        (format!("/quarantine?tenant={long}"), 400),
        (format!("/quarantine?{long}=x"), 400),
        (format!("/quarantine?{}", "tenant=a&".repeat(1000)), 200),
        ("/quarantine?tenant=%27%3B+DROP+TABLE+entries%3B--".to_owned(), 200),
        ("/quarantine?worker=%27+OR+1%3D1".to_owned(), 200),
        ("/quarantine?tenant=%00".to_owned(), 400),
        ("/quarantine?tenant=%3Cscript%3Ealert(1)%3C/script%3E".to_owned(), 200),
        ("/quarantine?format=exe".to_owned(), 400),
        ("/quarantine?since=0000-00-00T00:00".to_owned(), 400),
        (
            "/quarantine?since=2026-01-01T00:00&until=1999-01-01T00:00".to_owned(),
            200,
        ),
        ("/quarantine?state=%ff".to_owned(), 400),
        ("/quarantine/nonsense".to_owned(), 404),
        (format!("/quarantine/{}", "0".repeat(64)), 404),
        (format!("/quarantine/{}", &digest[..12]), 404),
        ("/quarantine/..%2f..%2fetc%2fpasswd".to_owned(), 404),
        ("/../../etc/passwd".to_owned(), 404),
        ("/style.css/../../accounts.toml".to_owned(), 404),
        ("/accounts.toml".to_owned(), 404),
    ]);
    let page = olga.get(&format!("/quarantine/{digest}")).body;
    assert_eq!(decide(&mut olga, &page, &digest, "explode", "").status, 404);
    assert_eq!(decide(&mut olga, &page, &digest, "release", &long).status, 400);
    assert_eq!(decide(&mut olga, &page, &"0".repeat(64), "release", "x").status, 404);
    let without = olga.post(
        &format!("/quarantine/{digest}/release"),
        &[("seen", &field(&page, "seen"))],
    );
    assert_eq!(without.status, 403, "no secret of the session");
    let csrf = field(&page, "csrf");
    for seen in ["", "quarantined", "quarantined-x", "lost-1", "-"] {
        let fields = [("csrf", csrf.as_str()), ("seen", seen)];
        let answer = olga.post(&format!("/quarantine/{digest}/release"), &fields);
        assert_eq!(answer.status, 400, "{seen}");
    }
    let looked = olga.get(&format!("/quarantine/{digest}/release"));
    assert_eq!(looked.status, 405, "a link decides nothing");
    assert_eq!(list(&desk)[0]["state"], json!("quarantined"));
}

/// Every text of an entry that came from elsewhere, as a tenant would have it who knows what a browser does.
#[test]
fn what_files_and_tenants_brought_is_text() {
    let (desk, digest) = with_an_entry();
    let export = desk.world.path("export");
    let output = desk.quarantine(&["export"]);
    let mut line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let evil = |what: &str| format!("<script>{what}</script>\"'--;\u{202e}<img src=x onerror=alert(1)>");
    let other = "ab".repeat(32);
    line["entry"]["digest"] = json!(other);
    for text in ["tenant", "name", "detail", "recipe", "specimen"] {
        line["entry"][text] = json!(evil(text));
    }
    line["entry"]["epoch"] = json!({ "build": evil("build"), "limits": evil("limits") });
    line["strikes"][0]["evidence"] = json!({ evil("key"): { "list": [evil("one"), 2], "signal": evil("signal") } });
    std::fs::write(&export, format!("{line}\n")).unwrap();
    let output = desk.quarantine(&[
        "import",
        export.to_str().unwrap(),
        "--why",
        &evil("why"),
        "--who",
        &evil("who"),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));

    let mut olga = desk.as_user("olga");
    let tenant: String = url::form_urlencoded::byte_serialize(evil("tenant").as_bytes()).collect();
    for path in [
        "/quarantine".to_owned(),
        format!("/quarantine?tenant={tenant}"),
        format!("/quarantine/{other}"),
    ] {
        let page = olga.get(&path);
        assert_eq!(page.status, 200);
        assert!(
            page.body.contains("&lt;script&gt;tenant&lt;/script&gt;&quot;"),
            "{path}: {}",
            page.body
        );
        assert!(
            !page.body.contains("<script") && !page.body.contains("<img"),
            "{path}: {}",
            page.body
        );
    }
    let page = olga.get(&format!("/quarantine/{other}")).body;
    for text in [
        "name", "detail", "build", "limits", "key", "one", "signal", "why", "who",
    ] {
        assert!(
            page.contains(&format!("&lt;script&gt;{text}&lt;/script&gt;")),
            "{text}: {page}"
        );
    }
    assert_eq!(decide(&mut olga, &page, &other, "note", &evil("note")).status, 303);
    let page = olga.get(&format!("/quarantine/{other}")).body;
    assert!(
        page.contains("&lt;script&gt;note") && !page.contains("<script"),
        "{page}"
    );
    assert_eq!(list(&desk).len(), 2, "{digest} is still there");
}

/// In a bucket of their own: its credentials are the worker's, and nobody else needs them.
#[test]
fn bytes_in_a_bucket_are_taken_tried_again_and_deleted() {
    let world = World::new();
    let s3 = S3::start(&world.path("s3"));
    let specimens = format!("[stores]\nspecimens = {}\n", s3.store("specimens"));
    let (desk, digest) = with_an_entry_on(Desk::with(world, &specimens, &ACCOUNT));
    let path = format!("/quarantine/{digest}/specimen");
    let mut olga = desk.as_user("olga");
    let bytes = unwrapped(&desk, &olga.get(&path).body);
    assert!(bytes == std::fs::read(fixture(BOMB)).unwrap(), "the bytes come back");

    let page = olga.get(&format!("/quarantine/{digest}")).body;
    assert_eq!(decide(&mut olga, &page, &digest, "retest", "").status, 303);
    wait_for("the retest", || {
        olga.get(&format!("/quarantine/{digest}"))
            .body
            .contains("retest: tripped")
    });
    let page = olga.get(&format!("/quarantine/{digest}")).body;
    assert_eq!(decide(&mut olga, &page, &digest, "erase", "a court order").status, 303);
    assert_eq!(olga.get(&path).status, 404);
    let kept = desk.world.path("s3").join(BUCKET).join("specimens").join(&digest[..2]);
    let left = std::fs::read_dir(kept).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing of it is in the bucket");
}

/// The bytes in a copy, as an operator would unwrap them.
fn unwrapped(desk: &Desk, copy: &str) -> Vec<u8> {
    std::fs::write(desk.world.path("copy.txt"), copy).unwrap();
    let unwrap = format!("sed '/^-/d' {} | base64 -d", desk.world.path("copy.txt").display());
    let output = std::process::Command::new("sh").args(["-c", &unwrap]).output().unwrap();
    output.stdout
}

#[test]
fn bytes_are_taken_wrapped_and_deleted_by_operators_alone() {
    let (desk, digest) = with_an_entry();
    let path = format!("/quarantine/{digest}/specimen");
    let mut vera = desk.as_user("vera");
    assert_eq!(vera.get(&path).status, 403);
    let mut olga = desk.as_user("olga");
    let copy = olga.get(&path);
    assert_eq!(copy.status, 200);
    for header in [
        "content-disposition: attachment; filename=\"lazaret-specimen-",
        "content-type: application/octet-stream",
        "x-content-type-options: nosniff",
    ] {
        assert!(copy.head.contains(header), "{header}: {}", copy.head);
    }
    let bytes = unwrapped(&desk, &copy.body);
    assert!(bytes == std::fs::read(fixture(BOMB)).unwrap(), "the bytes come back");

    let page = olga.get(&format!("/quarantine/{digest}")).body;
    assert!(page.contains("Delete the bytes"), "{page}");
    assert_eq!(decide(&mut olga, &page, &digest, "erase", "a court order").status, 303);
    assert_eq!(olga.get(&path).status, 404);
    let dossier = desk.dossier(&digest);
    assert_eq!(
        (&dossier["entry"]["specimen"], &dossier["entry"]["state"]),
        (&json!(null), &json!("quarantined"))
    );
    let page = olga.get(&format!("/quarantine/{digest}")).body;
    assert!(
        page.contains("a court order") && page.contains("<th scope=\"row\">bytes kept</th><td>no"),
        "{page}"
    );
    assert_eq!(decide(&mut olga, &page, &digest, "erase", "again").status, 404);
    let csrf = field(&vera.get("/quarantine").body, "csrf");
    let fields = [("csrf", csrf.as_str()), ("why", "let me")];
    assert_eq!(vera.post(&format!("/quarantine/{digest}/erase"), &fields).status, 403);
    for path in [
        format!("/quarantine/{}/specimen", "0".repeat(64)),
        "/quarantine/x/specimen".to_owned(),
    ] {
        assert_eq!(olga.get(&path).status, 404);
    }
}

#[test]
fn a_retest_is_a_note_and_changes_nothing() {
    let (desk, digest) = with_an_entry();
    let before = desk.dossier(&digest);
    let mut olga = desk.as_user("olga");
    let page = olga.get(&format!("/quarantine/{digest}")).body;
    assert_eq!(decide(&mut olga, &page, &digest, "retest", "").status, 303);
    let last = || {
        desk.dossier(&digest)["audit"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .clone()
    };
    wait_for("the retest to end", || last()["action"] == json!("note"));
    let note = last();
    let why = note["why"].as_str().unwrap();
    assert!(
        why.starts_with("retest: tripped: cpu_ms: ") && why.contains(" ms of CPU"),
        "{why}"
    );
    assert_eq!(note["who"], json!("olga"));
    let after = desk.dossier(&digest);
    assert_eq!(
        (&after["strikes"], &after["attempts"]),
        (&before["strikes"], &before["attempts"])
    );
    assert_eq!(after["entry"]["state"], json!("quarantined"));
    let mut vera = desk.as_user("vera");
    let csrf = field(&vera.get("/quarantine").body, "csrf");
    assert_eq!(
        vera.post(&format!("/quarantine/{digest}/retest"), &[("csrf", &csrf)])
            .status,
        403
    );
    let nobody = "0".repeat(64);
    assert_eq!(decide(&mut olga, &page, &nobody, "retest", "").status, 404);
}

#[test]
fn refusals_are_told_by_time_and_tenant() {
    let (desk, digest) = with_an_entry();
    let mut olga = desk.as_user("olga");
    let path = format!("/quarantine/{digest}");
    let before = olga.get(&path).body;
    assert!(
        before.contains("It was refused by its digest 0 times") && before.contains("<h3>By hour</h3><p>None.</p>"),
        "{before}"
    );
    for _ in 0..2 {
        let again = desk.world.submit(&["--wait", "--tenant", "globex", &fixture(BOMB)]);
        assert_eq!(again.status.code(), Some(1));
    }
    let page = olga.get(&path).body;
    for part in [
        "It was refused by its digest 2 times",
        "<strong>refusals</strong>: 2 in all",
        "<bdi>globex</bdi></td><td>0</td><td>2</td>",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(
        page.matches("<strong>refusals</strong>: 2 in all").count(),
        2,
        "by hour and by day"
    );
    let mut ci = super::program::Program::new(&desk, "ci", "viewer");
    let refusals = ci.get(&path).json()["refusals"].clone();
    let counted = |steps: &str| {
        let steps = refusals[steps].as_array().unwrap().iter();
        steps.map(|step| step["times"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!((counted("hours"), counted("days")), (2, 2));
    let globex = refusals["tenants"].as_array().unwrap().iter();
    let globex: Vec<_> = globex.filter(|sent| sent["tenant"] == "globex").collect();
    assert_eq!((&globex[0]["attempts"], &globex[0]["refusals"]), (&json!(0), &json!(2)));
    assert_eq!(refusals, desk.dossier(&digest)["refusals"]);
    super::program::check_only(&desk, &ci.answers);
    let shown = String::from_utf8(desk.quarantine(&["show", &digest]).stdout).unwrap();
    assert!(shown.contains("globex, attempts: 0, refusals: 2"), "{shown}");
}
