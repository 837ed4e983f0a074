//! The command line of somebody who has a server and a token, and no ledger.

use std::process::{Command, Output};

use super::browser::Desk;
use super::program::new_token;
use super::world::*;

pub struct Shell {
    pub world: World,
    url: String,
    pub token: String,
}

impl Shell {
    /// One that asks there, by this token.
    pub fn at(url: &str, token: &str) -> Self {
        Self {
            world: World::new(),
            url: url.to_owned(),
            token: token.to_owned(),
        }
    }

    /// One that asks a desk, by a new token.
    pub fn of(desk: &Desk, name: &str, role: &str) -> Self {
        Self::at(&format!("http://{}", desk.asked.0), &new_token(desk, name, role))
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command(arguments);
        command.env_remove("LAZARET_STATE");
        command
            .env("LAZARET_SERVER", &self.url)
            .env("LAZARET_TOKEN", &self.token);
        command
    }

    /// Runs, and says nothing of the token.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        for said in [&output.stdout, &output.stderr] {
            let said = String::from_utf8_lossy(said);
            assert!(self.token.is_empty() || !said.contains(&self.token), "{said}");
        }
        output
    }

    /// What a command prints; it must end well.
    pub fn well(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Why a command does not do its work, with its exit code. It prints nothing else.
    pub fn refused(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.run(arguments);
        assert!(output.stdout.is_empty(), "{arguments:?}");
        (output.status.code(), stderr(&output))
    }
}

/// The same command with the desk's ledger.
pub fn near(desk: &Desk, arguments: &[&str]) -> Output {
    let config = desk.world.config();
    let mut command = desk
        .world
        .command(&[arguments[0], "--config", config.to_str().unwrap()]);
    command
        .args(&arguments[1..])
        .env_remove("LAZARET_STATE")
        .output()
        .unwrap()
}

/// All that a command says: code, output, errors.
pub fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (output.status.code(), text, stderr(output))
}
