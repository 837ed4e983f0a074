//! Coming in and going out.

use std::fs;

use super::browser::*;
use super::world::*;

#[test]
fn whoever_logs_in_sees_the_overview_and_whoever_logs_out_does_not() {
    let desk = Desk::new();
    let mut browser = desk.browser();
    let led = browser.get("/");
    assert_eq!(led.status, 303);
    assert!(led.head.contains("location: /login?next=%2f"), "{}", led.head);

    let welcomed = browser.log_in("olga", PASSWORD);
    assert_eq!(welcomed.status, 303);
    let cookie = welcomed
        .head
        .lines()
        .find(|line| line.starts_with("set-cookie: lazaret_session="))
        .unwrap();
    for part in ["httponly", "samesite=strict", "path=/", "max-age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let page = browser.get("/");
    assert_eq!(page.status, 200);
    for part in [
        "<h1>Overview</h1>",
        "olga (operator)",
        "Takes work.",
        "<th scope=\"row\">ledger</th>",
        "<th scope=\"row\">seccomp</th><td>required</td><td>yes</td>",
        "<th scope=\"row\">queue sidelines</th><td>0</td>",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    // A host that refuses layers which are not required is told by their names.
    assert!(
        page.body.contains("<td>all layers</td>") || page.body.contains("<td>without "),
        "{}",
        page.body
    );
    let csrf = field(&page.body, "csrf");
    let session = browser.cookies["lazaret_session"].clone();
    assert_eq!(browser.post("/logout", &[("csrf", &csrf)]).status, 303);
    assert_eq!(browser.get("/").status, 303);
    // The cookie of before is nobody's now.
    browser.cookies.insert("lazaret_session".to_owned(), session);
    assert_eq!(browser.get("/").status, 303);

    let log = desk.log();
    assert!(
        log.contains("logged in at the desk") && log.contains("logged out at the desk"),
        "{log}"
    );
    assert!(!log.contains(PASSWORD));
}

#[test]
fn a_wrong_password_is_refused_and_after_some_the_next_try_waits() {
    let desk = Desk::new();
    let mut browser = desk.browser();
    let mut tries = 0;
    let waits = loop {
        let answer = browser.log_in("olga", "not her password at all");
        tries += 1;
        match answer.status {
            401 => assert!(tries < 30, "nobody ever waits"),
            429 => break answer,
            other => panic!("{other}: {}", answer.body),
        }
    };
    assert!(
        tries > 5 && waits.head.contains("retry-after: "),
        "{tries}: {}",
        waits.head
    );
    assert!(desk.log().contains("refused at the desk"));
    // It is over after a moment, and the right password comes in.
    wait_for("the wait to be over", || browser.log_in("olga", PASSWORD).status == 303);
}

#[test]
fn an_account_that_is_removed_is_out() {
    let desk = Desk::new();
    let mut browser = desk.as_user("vera");
    assert_eq!(browser.get("/").status, 200);
    let config = desk.world.path("lazaret.toml");
    let mut command = desk.world.command(&["desk", "remove", "vera", "--config"]);
    assert!(
        command
            .arg(config)
            .env_remove("LAZARET_STATE")
            .status()
            .unwrap()
            .success()
    );
    wait_for("her to be out", || browser.get("/").status == 303);
}

#[test]
fn a_file_that_others_may_read_lets_nobody_in() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let accounts = desk.world.path("accounts.toml");
    fs::set_permissions(&accounts, fs::Permissions::from_mode(0o644)).unwrap();
    wait_for("nobody to come in", || {
        desk.browser().log_in("olga", PASSWORD).status == 503
    });
    assert!(desk.log().contains("chmod 600"), "{}", desk.log());
    assert_eq!(desk.asked.get("/readyz").status, 200, "the worker works");
}
