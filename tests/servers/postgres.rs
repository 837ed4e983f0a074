//! A private PostgreSQL server: own port and folder, nothing of the host's. Ends with its test process, however that ends.
//!
//! It writes to memory as much as to the disk (`fsync` is off) and gathers no statistics by itself: plans must not depend on them.

#[path = "private.rs"]
mod private;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use lazaret::config::PostgresAddress;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};

use self::private::{Keeper, certificates, free_ports};

/// Longest wait for a server: a second on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Its superuser.
const USER: &str = "lazaret";
const PASSWORD: &str = "s3cr3t-of-tests";
/// Who runs it where the tests are root.
const NOBODY: u32 = 65534;

static SHARED: LazyLock<Server> = LazyLock::new(|| Server::start(&[]));

/// A server.
pub struct Server {
    /// Its port on 127.0.0.1.
    pub port: u16,
    folder: PathBuf,
    keeper: Mutex<Keeper>,
}

impl Server {
    /// The server that the tests of this binary share. No test may stop it.
    pub fn shared() -> &'static Self {
        &SHARED
    }

    /// A server of one's own, for tests that stop it, with further settings.
    pub fn start(settings: &[&str]) -> Self {
        Self::on(|folder, port| make_cluster(folder, port, settings))
    }

    /// A streaming replica of another one, which it hears through a port; the other one knows it as `standby`.
    pub fn standby_of(primary: &Self, through: u16) -> Self {
        Self::on(|folder, port| copy_cluster(folder, port, primary, through))
    }

    fn on(make: impl FnOnce(&Path, u16)) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("lazaret-postgres-")
            .tempdir()
            .unwrap()
            .keep();
        let [port] = free_ports();
        make(&folder, port);
        let mut command = Command::new("setsid");
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("PGBIN", binaries());
        let server = Self {
            keeper: Mutex::new(Keeper::start(command, "tests/servers/postgres.sh", &folder)),
            folder,
            port,
        };
        server.up();
        server
    }

    /// Gives its keeper an order: stop, kill, freeze, thaw.
    pub fn order(&self, order: &str) {
        self.keeper.lock().unwrap().order(order);
    }

    /// Starts it; returns when it listens.
    #[allow(clippy::disallowed_methods, reason = "a test waits for processes of its own")]
    pub fn up(&self) {
        self.order("start");
        let since = Instant::now();
        while !self.is_ready() {
            assert!(since.elapsed() < PATIENCE, "PostgreSQL does not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A database of one test, with nothing in it.
    pub async fn database(&self) -> Database<'_> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let database = Database { server: self, name };
        self.execute("postgres", &format!("CREATE DATABASE {}", database.name))
            .await;
        database
    }

    /// PEM file of the CA that signed its certificate, which is for `localhost` and 127.0.0.1.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Where all that is its own lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }

    /// Does statements as the superuser.
    pub async fn execute(&self, database: &str, sql: &str) {
        let mut connection = self.connect(database).await;
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }

    /// An operator's `psql`.
    pub async fn connect(&self, database: &str) -> PgConnection {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username(USER)
            .password(PASSWORD)
            .database(database)
            .application_name("a test");
        options.disable_statement_logging().connect().await.unwrap()
    }

    /// Whether it lets clients in.
    pub fn is_ready(&self) -> bool {
        let mut command = Command::new(binaries().join("pg_isready"));
        command.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string(), "-d", "postgres"]);
        command.status().unwrap().success()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.keeper.get_mut().unwrap().end();
    }
}

/// Settings of a server whose commits wait for a standby that there is not, where a transaction asks for that.
pub const STANDBY: [&str; 2] = ["synchronous_standby_names = 'nobody'", "synchronous_commit = local"];

/// A database of one test.
pub struct Database<'s> {
    /// Where it is.
    pub server: &'s Server,
    /// Its name.
    pub name: String,
}

impl Database<'_> {
    /// Its address for a worker, without encryption.
    pub fn address(&self) -> PostgresAddress {
        self.url().parse().unwrap()
    }

    /// The same as text.
    pub fn url(&self) -> String {
        self.url_of(&format!("{USER}:{PASSWORD}"), "disable")
    }

    /// Its address for somebody else, or with another `sslmode`.
    pub fn url_of(&self, user: &str, sslmode: &str) -> String {
        format!(
            "postgres://{user}@127.0.0.1:{}/{}?sslmode={sslmode}",
            self.server.port, self.name
        )
    }

    /// Does statements as the superuser.
    pub async fn execute(&self, sql: &str) {
        self.server.execute(&self.name, sql).await;
    }

    /// An operator's `psql`.
    pub async fn connect(&self) -> PgConnection {
        self.server.connect(&self.name).await
    }

    /// From now on claims are committed and not answered, on a server with [`STANDBY`].
    pub async fn hold_back_claims(&self) {
        let sql = "CREATE FUNCTION lazaret.hold_back() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                PERFORM set_config('synchronous_commit', 'on', true); RETURN NEW; END $$;
            CREATE TRIGGER hold_back BEFORE INSERT ON lazaret.attempts FOR EACH ROW EXECUTE FUNCTION lazaret.hold_back()";
        self.execute(sql).await;
    }

    /// Waits until a claim is held back.
    pub async fn claim_is_held_back(&self) {
        self.wait_for(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()",
        )
        .await;
    }

    /// Ends the session of the claim that is held back: what it wrote stays, and its answer never comes.
    pub async fn lose_its_answer(&self) {
        self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
            .await;
    }

    /// Claims are answered again.
    pub async fn answer_claims(&self) {
        self.execute("DROP TRIGGER hold_back ON lazaret.attempts").await;
    }

    /// Waits until a statement that counts finds something.
    pub async fn wait_for(&self, sql: &'static str) {
        let mut connection = self.connect().await;
        for _ in 0..12_000 {
            let row = sqlx::query(sql).fetch_one(&mut connection).await.unwrap();
            if row.get::<i64, _>(0) > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("in vain: {sql}");
    }
}

/// The newest server that Debian's packages have installed, or whoever is in the path.
fn binaries() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| Some((version.file_name().to_str()?.parse().ok()?, version.path().join("bin"))))
        .filter(|(_, path)| path.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().expect("PostgreSQL is not installed: make need-tests").1
}

fn make_cluster(folder: &Path, port: u16, settings: &[&str]) {
    certificates(folder);
    fs::write(folder.join("password"), PASSWORD).unwrap();
    belongs_to_it(folder);
    fs::set_permissions(folder.join("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
    run(
        folder,
        "initdb",
        &[
            "-D",
            "data",
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            "--pwfile=password",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ],
    );
    let path = folder.display();
    let mut text = format!(
        "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nmax_connections = 300\n\
         fsync = off\nautovacuum = off\nshared_buffers = 64MB\nmax_wal_size = 4GB\n\
         ssl = on\nssl_cert_file = '{path}/server.pem'\nssl_key_file = '{path}/server.key'\nssl_ca_file = '{path}/ca.pem'\n"
    );
    for setting in settings {
        text.push_str(setting);
        text.push('\n');
    }
    configure(folder, &text);
}

fn copy_cluster(folder: &Path, port: u16, primary: &Server, through: u16) {
    belongs_to_it(folder);
    let (from, user) = (format!("--port={}", primary.port), format!("--username={USER}"));
    let host = "--host=127.0.0.1";
    run(
        folder,
        "pg_basebackup",
        &[host, &from, &user, "--pgdata=data", "--checkpoint=fast", "--no-sync"],
    );
    configure(
        folder,
        &format!(
            "port = {port}\nssl = off\n\
             primary_conninfo = 'host=127.0.0.1 port={through} user={USER} password={PASSWORD} application_name=standby'\n"
        ),
    );
    fs::write(folder.join("data/standby.signal"), "").unwrap();
}

/// Adds to its configuration: what is said last holds.
fn configure(folder: &Path, text: &str) {
    let configuration = folder.join("data/postgresql.conf");
    let before = fs::read_to_string(&configuration).unwrap();
    fs::write(configuration, before + text).unwrap();
}

/// The server refuses to run as root: there its files are nobody's.
fn belongs_to_it(folder: &Path) {
    if is_root() {
        for entry in fs::read_dir(folder).unwrap() {
            chown(entry.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// Runs a program of PostgreSQL to its end, as whoever runs the server.
fn run(folder: &Path, program: &str, arguments: &[&str]) {
    let program = binaries().join(program);
    let root = is_root();
    let mut command = Command::new(if root { Path::new("setpriv") } else { &program });
    if root {
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&program);
    }
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("PGPASSWORD", PASSWORD);
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", program.display());
}

/// Whose the tests' own files are.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}
