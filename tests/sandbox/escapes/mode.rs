//! The three ways to be started.

use std::os::unix::process::CommandExt;
use std::process::Command;

use super::row::Tried;
use crate::sandbox::bench::{NO_NAME_SPACES, PLAIN_USER, PROGRAM, again, is_root, must_succeed, open_to_all};

/// Begins a line that tells of one drill.
const TOLD: &str = "escape: ";

/// A careless parent: a file left open, and a stack larger than a child's.
const CARELESS: [&str; 4] = [
    "sh",
    "-c",
    "exec 7</etc/passwd; ulimit -Ss 131072 2>/dev/null; exec \"$@\"",
    "sh",
];
/// Who runs the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Root,
    PlainUser,
    NoNameSpaces,
}

impl Mode {
    pub const ALL: [Self; 3] = [Self::Root, Self::PlainUser, Self::NoNameSpaces];

    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::PlainUser => "plain user",
            Self::NoNameSpaces => "plain user, name spaces refused",
        }
    }

    fn prefix(self) -> Vec<&'static str> {
        let user: &[&str] = if is_root() { &PLAIN_USER } else { &[] };
        match self {
            Self::Root => CARELESS.to_vec(),
            Self::PlainUser => [user, &CARELESS].concat(),
            Self::NoNameSpaces => [user, &NO_NAME_SPACES, &["sh"], &CARELESS].concat(),
        }
    }

    /// Whether the host lets it be set up at all.
    pub fn is_possible(self) -> bool {
        if self == Self::Root && !is_root() {
            return false;
        }
        let prefix = self.prefix();
        let ran = Command::new(prefix[0]).args(&prefix[1..]).arg("true").output();
        ran.is_ok_and(|output| output.status.success())
    }

    /// Tries every drill in a process that is started so.
    pub async fn try_all(self) -> Vec<Tried> {
        // Where every user may run it: the folder that it was built in may be closed to others.
        let (folder, program) = open_to_all();
        let test = folder.path().join("test");
        std::fs::copy(std::env::current_exe().unwrap(), &test).unwrap();
        let mut command = again(super::TEST, &self.prefix());
        command
            .current_dir(folder.path())
            .env(PROGRAM_IS, &program)
            .env("TMPDIR", folder.path());
        let mut command = in_place_of_this(command, &test);
        // What one mode does to its group must not be seen by another.
        command.process_group(0);
        let output = must_succeed(command).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let told = text.lines().filter_map(|line| line.split_once(TOLD));
        told.map(|(_, json)| serde_json::from_str(json).unwrap()).collect()
    }
}

/// Names the program under test, where it is not the one that was built.
pub const PROGRAM_IS: &str = "SANDBOX_TEST_PROGRAM";

/// The program under test.
pub fn program() -> std::path::PathBuf {
    std::env::var_os(PROGRAM_IS).map_or_else(|| PROGRAM.into(), Into::into)
}

/// The same command with another test program.
fn in_place_of_this(command: Command, test: &std::path::Path) -> Command {
    let this = std::env::current_exe().unwrap();
    let mut same = Command::new(command.get_program());
    same.args(
        command
            .get_args()
            .map(|word| if word == this { test.as_os_str() } else { word }),
    );
    same.current_dir(command.get_current_dir().unwrap());
    same.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    same
}

/// Says to the process that gathers what came of a drill.
pub fn tell(tried: &Tried) {
    println!("\n{TOLD}{}", serde_json::to_string(tried).unwrap());
}
