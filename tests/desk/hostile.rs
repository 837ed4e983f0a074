//! Forged cookies, forms of other sites, texts that want to be markup.

use super::browser::*;
use super::world::*;

const MARKUP: &str = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'; DROP TABLE jobs; --";

#[test]
fn every_page_has_its_headers_and_nothing_inline() {
    let desk = Desk::new();
    let mut browser = desk.as_user("olga");
    for (path, status) in [
        ("/", 200),
        ("/?span=30d", 200),
        ("/login", 200),
        ("/quarantine", 200),
        ("/quarantine?state=lost", 400),
        ("/quarantine/nonsense", 404),
        ("/logout", 405),
        ("/style.css", 200),
        ("/no-such-page", 404),
    ] {
        let answer = browser.get(path);
        assert_eq!(answer.status, status, "{path}");
        for header in [
            "content-security-policy: default-src 'none'; style-src 'self'; form-action 'self'",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "cache-control: no-store",
            "referrer-policy: same-origin",
        ] {
            assert!(answer.head.contains(header), "{path}: {header}: {}", answer.head);
        }
        for inline in ["<script", "<style", " style=", " onclick=", "javascript:"] {
            assert!(!answer.body.contains(inline), "{path}: {inline}");
        }
    }
}

#[test]
fn forged_cookies_and_forms_are_refused() {
    let desk = Desk::new();
    let mut browser = desk.as_user("olga");
    let csrf = field(&browser.get("/").body, "csrf");
    for (headers, csrf) in [
        (&[][..], ""),
        (&[], "0000000000000000000000000000000000000000000"),
        (&[("Sec-Fetch-Site", "cross-site")], csrf.as_str()),
        (&[("Origin", "http://evil.example")], csrf.as_str()),
    ] {
        let answer = browser.post_with("/logout", headers, &[("csrf", csrf)]);
        assert_eq!(answer.status, 403, "{headers:?}");
    }
    assert_eq!(browser.get("/").status, 200, "still there");
    let long = "a".repeat(5000);
    for forged in ["", "x", long.as_str(), "%00", "a b"] {
        let mut forger = desk.browser();
        forger.cookies.insert("lazaret_session".to_owned(), forged.to_owned());
        assert_eq!(forger.get("/").status, 303, "{forged}");
    }
    // A login that another site sends: the cookie does not go with it.
    let mut other = desk.browser();
    let fields = [("entrance", "guessed"), ("name", "olga"), ("password", PASSWORD)];
    assert_eq!(other.post("/login", &fields).status, 403);
}

#[test]
fn what_is_sent_comes_back_as_text() {
    let desk = Desk::new();
    let mut browser = desk.browser();
    let page = browser.log_in(MARKUP, MARKUP);
    assert_eq!(page.status, 401);
    assert!(
        !page.body.contains("<script>") && page.body.contains("&lt;script&gt;"),
        "{}",
        page.body
    );
    for next in ["//evil.example", "https://evil.example", "/\\evil.example", MARKUP] {
        let query: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let page = browser.get(&format!("/login?next={query}"));
        assert_eq!(field(&page.body, "next"), "/", "{next}");
    }
    let many = "a".repeat(100_000);
    assert_eq!(browser.post("/login", &[("name", &many)]).status, 413);
    assert_eq!(browser.get(&format!("/{}", "a".repeat(10_000))).status, 404);
    assert!(!desk.log().contains('\u{1b}'));
}

#[test]
fn a_desk_without_encryption_is_for_this_host_alone() {
    let world = World::new();
    let base = "broker = \"spool:./spool\"\nledger = \"sqlite:./state/ledger.sqlite\"\nadmin = \"0.0.0.0:0\"\n";
    let file = world.write(
        "lazaret.toml",
        format!("{base}[desk]\nexposure = \"plain\"\naccounts = \"./a.toml\"\n"),
    );
    let output = world
        .command(&["check"])
        .arg(file)
        .env_remove("LAZARET_ADMIN")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("passwords would go over the network as they are"),
        "{}",
        stderr(&output)
    );
}
