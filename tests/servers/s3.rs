//! A private S3-compatible server.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

/// Who its only account is: the server has it built in.
pub const ACCOUNT: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "S3RVER"), ("AWS_SECRET_ACCESS_KEY", "S3RVER")];
/// Its only bucket.
pub const BUCKET: &str = "pictures";

pub struct S3 {
    process: Child,
    /// Open as long as the server shall live.
    _alive: Option<ChildStdin>,
    pub port: u16,
}

impl S3 {
    /// Starts one that keeps its objects in a folder.
    pub fn start(folder: &Path) -> Self {
        Self::with_buckets(folder, &[BUCKET])
    }

    /// The same with other buckets.
    pub fn with_buckets(folder: &Path, buckets: &[&str]) -> Self {
        let mut command = Command::new("node");
        command.arg(script()).arg(folder).args(buckets);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut port = String::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        lines.read_line(&mut port).unwrap();
        Self {
            _alive: process.stdin.take(),
            port: port.trim().parse().unwrap(),
            process,
        }
    }

    /// A store of it in a configuration, with a prefix.
    pub fn store(&self, prefix: &str) -> String {
        let port = self.port;
        format!("{{ at = \"s3://{BUCKET}/{prefix}\", endpoint = \"http://127.0.0.1:{port}\" }}")
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
