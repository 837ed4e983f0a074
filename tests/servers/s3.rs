//! A private S3-compatible server, and the weather at it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

/// Who its only account is: the server has it built in.
pub const ACCOUNT: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "S3RVER"), ("AWS_SECRET_ACCESS_KEY", "S3RVER")];
/// Its only bucket.
pub const BUCKET: &str = "pictures";

pub struct S3 {
    process: Child,
    /// Open as long as the server shall live.
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    host: String,
    pub port: u16,
}

impl S3 {
    /// Starts one that keeps its objects in a folder.
    pub fn start(folder: &Path) -> Self {
        Self::start_as("127.0.0.1", folder, &[BUCKET])
    }

    /// The same at another address of this host, with other buckets.
    pub fn start_as(host: &str, folder: &Path, buckets: &[&str]) -> Self {
        let mut command = Command::new("node");
        command.arg(script()).arg(folder).args(buckets).env("HOST", host);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut port = String::new();
        let mut answers = BufReader::new(process.stdout.take().unwrap());
        answers.read_line(&mut port).unwrap();
        Self {
            orders: process.stdin.take().unwrap(),
            answers,
            host: host.to_owned(),
            port: port.trim().parse().unwrap(),
            process,
        }
    }

    /// What becomes of every request from now on: `fair`, or the word of a bad day.
    pub fn weather(&mut self, word: &str) {
        writeln!(self.orders, "{word}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim(), word, "the server knows no such weather");
    }

    /// It takes and answers nothing (`STOP`), or goes on (`CONT`).
    pub fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        let sent = kill.args(["-s", name, &self.process.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// A store of it in a configuration, with a prefix.
    pub fn store(&self, prefix: &str) -> String {
        let (host, port) = (&self.host, self.port);
        let at = format!("at = \"s3://{BUCKET}/{prefix}\", endpoint = \"http://{host}:{port}\"");
        match host.as_str() {
            "127.0.0.1" => format!("{{ {at} }}"),
            _ => format!("{{ {at}, http = \"allowed\" }}"),
        }
    }

    /// Where it keeps an object below the folder that it was started with.
    pub fn kept(key: &str) -> PathBuf {
        Path::new(BUCKET).join(format!("{key}._S3rver_object"))
    }

    pub fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The script and what it needs, installed once for each target folder.
fn script() -> &'static Path {
    static SCRIPT: OnceLock<PathBuf> = OnceLock::new();
    SCRIPT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("s3");
        fs::create_dir_all(&folder).unwrap();
        for file in ["package.json", "package-lock.json", "server.mjs"] {
            fs::copy(root.join("tests/servers/s3").join(file), folder.join(file)).unwrap();
        }
        let (lock, installed) = (
            fs::read(folder.join("package-lock.json")).unwrap(),
            folder.join("installed"),
        );
        if fs::read(&installed).is_ok_and(|installed| installed == lock) {
            return folder.join("server.mjs");
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--silent", "--no-fund", "--no-audit", "--ignore-scripts"]);
        assert!(npm.current_dir(&folder).status().unwrap().success(), "npm");
        fs::write(installed, lock).unwrap();
        folder.join("server.mjs")
    })
}
