//! The quarantine list and its entries: looked at, decided, decided by two at once.

use serde_json::json;

use super::browser::*;
use super::world::*;

const BOMB: &str = "hostile/cpu/tiff_wide_tiles.tiff";

/// A desk with one entry, and its digest.
fn with_an_entry() -> (Desk, String) {
    let desk = Desk::new();
    assert_eq!(desk.world.submit(&["--wait", &fixture(BOMB)]).status.code(), Some(1));
    let entries = list(&desk);
    assert_eq!(entries[0]["state"], json!("quarantined"));
    (desk, entries[0]["digest"].as_str().unwrap().to_owned())
}

fn list(desk: &Desk) -> Vec<serde_json::Value> {
    let config = desk.world.config();
    let arguments = ["quarantine", "--config", config.to_str().unwrap(), "list", "--json"];
    lines(
        &desk
            .world
            .command(&arguments)
            .env_remove("LAZARET_STATE")
            .output()
            .unwrap(),
    )
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
    assert!(!olga.get("/quarantine?reason=memory").body.contains(&digest));
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
        after.body.contains("<td>olga</td>") && after.body.contains("released: cpu"),
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
    let answer = vera.post(&format!("/quarantine/{digest}/release"), &[("csrf", &csrf)]);
    assert_eq!(answer.status, 403);
    assert_eq!(list(&desk)[0]["state"], json!("quarantined"));
}

#[test]
fn odd_filters_and_paths_have_proper_answers() {
    let (desk, digest) = with_an_entry();
    let mut olga = desk.as_user("olga");
    let long = "a".repeat(10_000);
    for (path, status) in [
        ("/quarantine?page=0".to_owned(), 400),
        ("/quarantine?page=200".to_owned(), 200),
        ("/quarantine?page=99999999999999999999".to_owned(), 400),
        (format!("/quarantine?tenant={long}"), 400),
        ("/quarantine?tenant=%27%3B+DROP+TABLE+entries%3B--".to_owned(), 200),
        ("/quarantine?tenant=%3Cscript%3Ealert(1)%3C/script%3E".to_owned(), 200),
        ("/quarantine?state=%ff".to_owned(), 400),
        ("/quarantine/nonsense".to_owned(), 404),
        (format!("/quarantine/{}", "0".repeat(64)), 404),
        ("/quarantine/..%2f..%2fetc%2fpasswd".to_owned(), 404),
    ] {
        let answer = olga.get(&path);
        assert_eq!(answer.status, status, "{}", &path[..path.len().min(80)]);
        assert!(!answer.body.contains("<script"), "{path}");
    }
    let page = olga.get(&format!("/quarantine/{digest}")).body;
    assert_eq!(decide(&mut olga, &page, &digest, "explode", "").status, 404);
    assert_eq!(decide(&mut olga, &page, &digest, "release", &long).status, 400);
    let without = olga.post(
        &format!("/quarantine/{digest}/release"),
        &[("seen", &field(&page, "seen"))],
    );
    assert_eq!(without.status, 403, "no secret of the session");
    assert_eq!(list(&desk).len(), 1);
}
