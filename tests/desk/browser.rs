//! A browser without a window: keeps cookies, fills in forms, follows nothing by itself.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Output, Stdio};

use super::asked::{Answer, Asked};
use super::world::*;

pub const PASSWORD: &str = "correct horse battery";

/// A worker with a desk, and one operator and one viewer.
pub struct Desk {
    pub world: World,
    pub asked: Asked,
    pub service: Running,
}

pub struct Browser {
    asked: Asked,
    pub cookies: BTreeMap<String, String>,
}

impl Desk {
    pub fn new() -> Self {
        Self::with(World::new(), "", &[])
    }

    /// One whose configuration says more, in an environment.
    pub fn with(world: World, more: &str, environment: &[(&str, &str)]) -> Self {
        let asked = Asked::free();
        let base = "broker = \"spool:./spool\"\nledger = \"sqlite:./state/ledger.sqlite\"\n";
        let desk = "[desk]\naccounts = \"./accounts.toml\"\n";
        world.write("lazaret.toml", format!("{base}admin = \"{}\"\n{desk}{more}", asked.0));
        for (name, role) in [("olga", "operator"), ("vera", "viewer")] {
            add(&world, name, role, PASSWORD);
        }
        let service = world.serve_as_configured(environment);
        wait_for("work to be taken", || asked.get("/readyz").status == 200);
        Self { world, asked, service }
    }

    pub fn browser(&self) -> Browser {
        Browser {
            asked: self.asked,
            cookies: BTreeMap::new(),
        }
    }

    /// A browser that is logged in.
    pub fn as_user(&self, name: &str) -> Browser {
        let mut browser = self.browser();
        let answer = browser.log_in(name, PASSWORD);
        assert_eq!(answer.status, 303, "{}", answer.body);
        browser
    }

    /// The command line's own look at the ledger.
    pub fn quarantine(&self, arguments: &[&str]) -> Output {
        let config = self.world.config();
        let mut command = self
            .world
            .command(&["quarantine", "--config", config.to_str().unwrap()]);
        command.args(arguments).env_remove("LAZARET_STATE").output().unwrap()
    }

    pub fn dossier(&self, digest: &str) -> serde_json::Value {
        lines(&self.quarantine(&["show", digest, "--json"])).remove(0)
    }

    /// What the worker has logged.
    pub fn log(&self) -> String {
        let entries = fs::read_dir(self.world.path("."))
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let logs = entries.filter(|path| path.extension().is_some_and(|it| it == "log"));
        logs.map(|log| fs::read_to_string(log).unwrap()).collect()
    }
}

/// Adds somebody, as an operator of the host would.
pub fn add(world: &World, name: &str, role: &str, password: &str) {
    world.write("password", format!("{password}\n"));
    let config = world.path("lazaret.toml");
    let mut command = world.command(&["desk", "add", name, "--role", role, "--password-stdin", "--config"]);
    let stdin = Stdio::from(fs::File::open(world.path("password")).unwrap());
    let output = command
        .arg(config)
        .env_remove("LAZARET_STATE")
        .stdin(stdin)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

impl Browser {
    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_with(path, &[("Sec-Fetch-Site", "same-origin")], fields)
    }

    pub fn post_with(&mut self, path: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Answer {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let body = form.finish();
        let mut all = vec![("Content-Type", "application/x-www-form-urlencoded")];
        all.extend(headers);
        self.send("POST", path, &all, &body)
    }

    /// Each of these paths is answered with its status, and with nothing that a browser would run.
    pub fn finds(&mut self, paths: impl IntoIterator<Item = (String, u16)>) {
        for (path, status) in paths {
            let answer = self.get(&path);
            let beginning = &path[..path.len().min(80)];
            assert_eq!(answer.status, status, "{beginning}: {}", answer.body);
            assert!(!answer.body.contains("<script"), "{beginning}");
        }
    }

    /// Opens the entrance, fills it in, and sends it.
    pub fn log_in(&mut self, name: &str, password: &str) -> Answer {
        let page = self.get("/login");
        let entrance = field(&page.body, "entrance");
        self.post(
            "/login",
            &[
                ("entrance", &entrance),
                ("next", "/"),
                ("name", name),
                ("password", password),
            ],
        )
    }

    fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let host = self.asked.0;
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n",
            body.len()
        );
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            text.push_str(&format!("Cookie: {}\r\n", pairs.join("; ")));
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let answer = self.asked.say(&format!("{text}\r\n{body}"));
        for line in answer.head_as_it_came.lines() {
            if let Some(cookie) = line.strip_prefix("set-cookie: ") {
                let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }
}

/// The value of a page's hidden field.
pub fn field(page: &str, name: &str) -> String {
    let (_, rest) = page
        .split_once(&format!("name=\"{name}\" value=\""))
        .unwrap_or_else(|| panic!("{name} in {page}"));
    rest.split('"').next().unwrap().to_owned()
}
