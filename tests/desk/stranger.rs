//! `--server` with tokens that are none, addresses that are wrong, and servers that are no desk.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::asked::Asked;
use super::browser::Desk;
use super::impostor::{Impostor, http};
use super::program::{Program, new_token, token};
use super::quarantine::with_an_entry;
use super::shell::Shell;
use super::world::*;

/// A text that may be a token.
const TOKEN: &str = "lzt_of-nobody";

#[test]
fn without_a_good_token_nothing_is_done() {
    let (desk, digest) = with_an_entry();
    let url = format!("http://{}", desk.asked.0);
    let (viewer, revoked) = (new_token(&desk, "v", "viewer"), new_token(&desk, "gone", "operator"));
    assert_eq!(token(&desk, &["revoke", "gone"]).status.code(), Some(0));
    for (text, code, words) in [
        (viewer.as_str(), 1, "refused: Viewers look; operators decide."),
        (&revoked, 1, "refused: This token is revoked."),
        (TOKEN, 1, "refused: This token is unknown."),
        ("", 2, "set LAZARET_TOKEN, or give --token-file"),
        ("correct horse", 2, "LAZARET_TOKEN holds no token"),
        ("lzt_abc\nX-Other: 1", 2, "LAZARET_TOKEN holds no token"),
        ("lzt_abc\r\n\r\nGET / HTTP/1.1", 2, "LAZARET_TOKEN holds no token"),
    ] {
        let said = Shell::at(&url, text).refused(&["quarantine", "release", &digest]);
        assert!(said.0 == Some(code) && said.1.contains(words), "{text:?}: {said:?}");
    }
    assert_eq!(desk.dossier(&digest)["entry"]["state"], json!("quarantined"));
    let log = desk.log();
    assert!(!log.contains(&viewer) && !log.contains(&revoked) && !log.contains(TOKEN));
}

#[test]
fn a_file_with_a_token_is_its_owners_alone() {
    let desk = Desk::new();
    // The file wins over the variable.
    let shell = Shell::at(&format!("http://{}", desk.asked.0), TOKEN);
    let text = new_token(&desk, "ci", "viewer");
    let file = shell.world.write("token", format!("{text}\n"));
    let list = ["tenant", "--token-file", file.to_str().unwrap(), "list"];
    for (mode, code, words) in [
        (0o644, 1, "chmod 600"),
        (0o620, 1, "chmod 600"),
        (0o600, 0, ""),
        (0o400, 0, ""),
    ] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let output = shell.run(&list);
        let said = stderr(&output);
        assert!(
            output.status.code() == Some(code) && said.contains(words),
            "{mode:o}: {said}"
        );
        assert!(!said.contains(&text), "{said}");
    }
    for content in ["", "two lines\n", &format!("{text}\n{text}\n"), "lzt_\u{1b}[2J"] {
        let file = shell.world.write("token", content);
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let (code, said) = shell.refused(&list);
        assert!(code == Some(1) && said.contains("holds no token"), "{said}");
        assert!(!said.contains(&text) && !said.contains('\u{1b}'), "{said}");
    }
    fs::remove_file(&file).unwrap();
    let (code, said) = shell.refused(&list);
    assert!(code == Some(1) && said.contains("No such file"), "{said}");
}

#[test]
fn an_address_that_would_give_the_token_away_is_refused() {
    for (url, words) in [
        ("http://192.0.2.1:8017", "write https://"),
        ("http://desk.example", "write https://"),
        ("https://olga:secret@desk.example", "a user or a password"),
        ("desk.example", "is no URL"),
    ] {
        let (code, said) = Shell::at(url, TOKEN).refused(&["quarantine", "list"]);
        assert!(code == Some(2) && said.contains("LAZARET_SERVER"), "{said}");
        assert!(said.contains(words) && !said.contains("secret"), "{said}");
        let shell = Shell::at("https://desk.example", TOKEN);
        let (code, said) = shell.refused(&["quarantine", "--server", url, "list"]);
        assert!(
            code == Some(2) && said.contains("--server") && said.contains(words),
            "{said}"
        );
    }
}

#[test]
fn one_place_is_named_and_not_two() {
    let shell = Shell::at("http://127.0.0.1:1", TOKEN);
    let both = shell
        .command(&["tenant", "list"])
        .env("LAZARET_STATE", "state")
        .output()
        .unwrap();
    assert_eq!(both.status.code(), Some(2));
    assert!(
        stderr(&both).contains("LAZARET_SERVER and LAZARET_STATE are both set"),
        "{}",
        stderr(&both)
    );
    let flags = ["tenant", "--server", "http://127.0.0.1:1", "--state", "state", "list"];
    assert_eq!(shell.refused(&flags).0, Some(2));
    // A flag wins over the variables; the ledger takes no token.
    assert_eq!(shell.well(&["tenant", "--state", "state", "list", "--json"]), "");
    let stray = shell.world.run(&["tenant", "--token-file", "token", "list"]);
    assert_eq!(stray.status.code(), Some(2));
    assert!(
        stderr(&stray).contains("--token-file is for a server"),
        "{}",
        stderr(&stray)
    );
    let plain = shell.refused(&["tenant", "--server-ca", "ca.pem", "list"]);
    assert!(plain.0 == Some(2) && plain.1.contains("asked without TLS"), "{plain:?}");
}

#[test]
fn servers_that_are_no_desk_are_told_from_one() {
    let json = "application/json";
    let refusal = "{\"error\": {\"code\": \"not-allowed\", \"message\": \"\\u001b[2Jno\"}}";
    let huge = format!(
        "{{\"tenants\": [], \"count\": 0, \"more\": \"{}\"}}",
        "a".repeat(20 << 20)
    );
    for (answer, words) in [
        (
            http("200 OK", "text/html", "<html><h1>Welcome</h1></html>"),
            "not as a desk of this version does",
        ),
        (http("200 OK", json, "[1, 2]"), "not as a desk of this version does"),
        (
            http("200 OK", json, "{\"tenants\": [{\"tenant\": 7}]}"),
            "not as a desk of this version does",
        ),
        (
            http("200 OK", json, "{\"tenants\": []"),
            "not as a desk of this version does",
        ),
        (http("200 OK", json, &huge), "answers with more than 16777216 bytes"),
        (
            http("404 Not Found", "text/html", "nothing here"),
            "HTTP status 404, not as a desk does",
        ),
        (
            http("502 Bad Gateway", "text/html", "<html>"),
            "HTTP status 502, not as a desk does",
        ),
        (http("403 Forbidden", json, refusal), "refused: \u{fffd}[2Jno"),
        (b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(), "does not answer"),
        (Vec::new(), "does not answer"),
    ] {
        let impostor = Impostor::saying(answer);
        let (code, said) = Shell::at(&impostor.url, TOKEN).refused(&["tenant", "list"]);
        assert!(
            code == Some(1) && said.contains(words) && said.contains(&impostor.url),
            "{words}: {said}"
        );
        assert!(said.len() < 1000 && !said.contains('\u{1b}'), "{said}");
    }
    let gone = Shell::at(&format!("http://{}", Asked::free().0), TOKEN).refused(&["tenant", "list"]);
    assert!(gone.0 == Some(1) && gone.1.contains("nobody listens there"), "{gone:?}");
}

#[test]
fn a_token_does_not_follow_a_redirect() {
    let elsewhere = Impostor::saying(http("200 OK", "application/json", "{\"tenants\": [], \"count\": 0}"));
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let head = format!(
            "HTTP/1.1 {status}\r\nLocation: {}/\r\nContent-Length: 0\r\n\r\n",
            elsewhere.url
        );
        let first = Impostor::saying(head);
        for arguments in [&["tenant", "list"][..], &["tenant", "block", "acme"]] {
            let (code, said) = Shell::at(&first.url, TOKEN).refused(arguments);
            assert!(
                code == Some(1) && said.contains("leads elsewhere") && said.contains(&elsewhere.url),
                "{said}"
            );
        }
        assert!(first.heard().iter().all(|request| request.contains(TOKEN)));
        assert_eq!(first.heard().len(), 2);
    }
    assert_eq!(elsewhere.heard(), Vec::<String>::new());
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test measures")]
fn a_server_that_never_answers_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let shell = Shell::at(&format!("http://{}", silent.local_addr().unwrap()), TOKEN);
    let since = Instant::now();
    let (code, said) = shell.refused(&["tenant", "list"]);
    assert!(code == Some(1) && said.contains("does not answer in time"), "{said}");
    assert!(since.elapsed() < Duration::from_secs(60), "{:?}", since.elapsed());
}

#[test]
fn what_a_server_tells_cannot_drive_a_terminal() {
    let (desk, digest) = with_an_entry();
    let mut ci = Program::new(&desk, "ci", "viewer");
    let evil = json!("\u{1b}[2J\u{7}evil");
    let (mut list, mut whole) = (
        ci.get("/quarantine").json(),
        ci.get(&format!("/quarantine/{digest}")).json(),
    );
    for field in ["name", "tenant", "detail", "specimen"] {
        list["entries"][0][field] = evil.clone();
        whole["entry"][field] = evil.clone();
    }
    whole["entry"]["epoch"]["build"] = evil.clone();
    for field in ["worker", "outcome"] {
        whole["attempts"][0][field] = evil.clone();
    }
    for field in ["who", "action", "why"] {
        whole["audit"][0][field] = evil.clone();
    }
    let json = |value: &Value| http("200 OK", "application/json", &value.to_string());
    let (list, whole) = (json(&list), json(&whole));
    let impostor = Impostor::doing(move |request| match request.starts_with("GET /api/v1/quarantine?") {
        true => list.clone(),
        false => whole.clone(),
    });
    let shell = Shell::at(&impostor.url, TOKEN);
    for (arguments, times) in [(&["quarantine", "list"][..], 2), (&["quarantine", "show", &digest], 10)] {
        let page = shell.well(arguments);
        assert!(!page.contains('\u{1b}') && !page.contains('\u{7}'), "{page:?}");
        assert_eq!(page.matches("\u{fffd}[2J\u{fffd}evil").count(), times, "{page:?}");
    }
}
