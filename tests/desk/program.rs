//! A program that comes to the API with a token, and remembers what it was answered.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::asked::{Answer, Asked};
use super::browser::Desk;
use super::world::*;

pub struct Program {
    asked: Asked,
    /// The whole line, `Authorization: …`; empty: none is sent.
    pub says: String,
    /// What was asked and answered, for the document's check.
    pub answers: Vec<Value>,
}

/// `lazaret desk token …`
pub fn token(desk: &Desk, arguments: &[&str]) -> Output {
    let mut command = desk.world.command(&["desk", "token"]);
    command
        .args(arguments)
        .arg("--config")
        .arg(desk.world.path("lazaret.toml"));
    command.env_remove("LAZARET_STATE").output().unwrap()
}

/// A new token's text.
pub fn new_token(desk: &Desk, name: &str, role: &str) -> String {
    let output = token(desk, &["add", name, "--role", role, "--who", "olga"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

impl Program {
    /// One with a new token.
    pub fn new(desk: &Desk, name: &str, role: &str) -> Self {
        Self::with(desk, &new_token(desk, name, role))
    }

    /// One with this token.
    pub fn with(desk: &Desk, token: &str) -> Self {
        Self {
            asked: desk.asked,
            says: format!("Authorization: Bearer {token}\r\n"),
            answers: Vec::new(),
        }
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, "", "", None)
    }

    pub fn post(&mut self, path: &str, body: &Value) -> Answer {
        let kind = "Content-Type: application/json\r\n";
        self.send("POST", path, kind, &body.to_string(), Some(body.clone()))
    }

    /// Anything at all.
    pub fn send(&mut self, method: &str, path: &str, headers: &str, body: &str, sent: Option<Value>) -> Answer {
        let (host, says, length) = (self.asked.0, &self.says, body.len());
        let path = format!("/api/v1{path}");
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n");
        let answer = self.asked.say(&format!("{head}{says}{headers}\r\n{body}"));
        assert!(
            answer.head.contains("content-type: application/json") && answer.head.contains("cache-control: no-store"),
            "{path}: {}",
            answer.head
        );
        self.answers.push(json!({
            "method": method, "path": path, "status": answer.status, "sent": sent, "body": answer.json(),
        }));
        answer
    }

    /// Asks for a file.
    pub fn download(&mut self, path: &str, kind: &str) -> Answer {
        let (host, says, path) = (self.asked.0, &self.says, format!("/api/v1{path}"));
        let answer = self
            .asked
            .say(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{says}\r\n"));
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(
            answer.head.contains(&format!("content-type: {kind}\r\n"))
                && answer.head.contains("content-disposition: attachment;"),
            "{path}: {}",
            answer.head
        );
        self.answers
            .push(json!({ "method": "GET", "path": path, "status": 200, "sent": null, "kind": kind }));
        answer
    }

    /// The word of a refusal; its sentence ends, and is no essay.
    pub fn refused(answer: &Answer) -> String {
        let error = &answer.json()["error"];
        let message = error["message"].as_str().unwrap();
        assert!(!message.is_empty() && message.len() < 500, "{message}");
        error["code"].as_str().unwrap().to_owned()
    }
}

/// Holds answers against the document, which is held against OpenAPI first. Every route must have been tried.
pub fn check(desk: &Desk, answers: &[Value]) {
    held_against_the_document(desk, answers, &["--all"]);
}

/// The same, of some routes.
pub fn check_only(desk: &Desk, answers: &[Value]) {
    held_against_the_document(desk, answers, &[]);
}

fn held_against_the_document(desk: &Desk, answers: &[Value], more: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lines: String = answers.iter().map(|answer| format!("{answer}\n")).collect();
    let file = desk.world.write("answers.jsonl", lines);
    let output = Command::new(python())
        .arg(root.join("tests/desk/openapi/check.py"))
        .arg(root.join("docs/openapi.json"))
        .arg(file)
        .args(more)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{said}");
    assert!(output.status.success(), "{said}{}", stderr(&output));
}

/// Python with what the check needs, installed once for each target folder, however many tests want it.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(installed)
}

fn installed() -> PathBuf {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/desk/openapi/requirements.txt");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("desk-openapi");
    let (python, has) = (folder.join("bin/python"), folder.join("has.txt"));
    let wanted = fs::read_to_string(&requirements).unwrap();
    if fs::read_to_string(&has).ok().as_ref() != Some(&wanted) {
        well(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        let quiet = ["install", "--quiet", "--disable-pip-version-check", "--requirement"];
        well(Command::new(folder.join("bin/pip")).args(quiet).arg(requirements));
        fs::write(has, wanted).unwrap();
    }
    python
}

fn well(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}
