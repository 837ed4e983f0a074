//! Configuration: TOML, then `LAZARET_…` from the environment. One struct per concern; unknown keys are errors.
//!
//! In: a file. Out: a [`Config`] whose fields are in range and fit each other, with relative paths made absolute, or a [`ConfigError`] with
//! file, line, the wrong value and the nearest right one. `config/example.toml` has every key with its default.

mod address;
mod amqp;
mod buckets;
mod desk;
mod environment;
mod notices;
mod optional;
mod overlap;
mod postgres;
mod sense;
mod traces;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use address::http;
pub use address::{
    AdminAddress, AmqpAddress, BrokerAddress, BucketAddress, CollectorAddress, LedgerAddress, ManagementAddress,
    PlainHttp, PostgresAddress, Provider, Reach, StoreAddress, Style, Tls, WebhookAddress,
};
pub use amqp::AmqpConfig;
pub use buckets::BucketsConfig;
pub use desk::{DeskConfig, Exposure};
pub use notices::{NoticesConfig, Plain};
pub use postgres::PostgresConfig;
pub use traces::TracesConfig;

use crate::expiry::Retention;
use crate::job::STAGING;
use crate::recipe::{Fit, Recipe, Rendition, Target};
use crate::sandbox::layers::Policy;
use crate::sandbox::limits::Limits;
use crate::specimens::Keep;
use crate::tenants::{self, SomeLimits};

/// Every key with its default and a line on it.
pub const EXAMPLE: &str = include_str!("../config/example.toml");

/// Name of the folder of flight records.
const FLIGHTS: &str = "flights";

/// Name of the folder of files without a name, where renditions go to a bucket.
const STAGED: &str = "staging";

/// Name of the table in `[tenants]` that lies under all others.
pub(crate) const TENANT_DEFAULT: &str = "default";

/// All settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where jobs come from and results go: `spool:DIR` or `amqp://USER:PASSWORD@HOST/VHOST`.
    pub broker: BrokerAddress,
    /// How RabbitMQ is spoken to.
    pub amqp: AmqpConfig,
    /// The fleet's memory: `sqlite:FILE` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub ledger: LedgerAddress,
    /// Who shares renditions.
    pub dedupe: Dedupe,
    /// Where health and metrics are told: `ADDRESS:PORT`, or `off`.
    pub admin: AdminAddress,
    /// Who may reach that, and the operators' accounts.
    pub desk: DeskConfig,
    /// Who is told when something goes wrong.
    pub notices: NoticesConfig,
    /// How PostgreSQL is spoken to.
    pub postgres: PostgresConfig,
    /// Named stores: `file:DIR`, `s3://BUCKET/PREFIX`, …. `uploads`, `renditions` and `specimens` are always there; further ones may be read
    /// from.
    pub stores: BTreeMap<String, StoreAddress>,
    /// How buckets are spoken to.
    pub buckets: BucketsConfig,
    /// Recipes by name.
    pub presets: BTreeMap<String, Recipe>,
    /// Limits on one upload and its attempt.
    pub limits: Limits,
    /// What each layer of the sandbox is worth.
    pub sandbox: Policy,
    /// How the worker runs.
    pub worker: WorkerConfig,
    /// Who goes first.
    pub fairness: FairnessConfig,
    /// What each tenant may use: `default`, and tenants by name over it.
    pub tenants: BTreeMap<String, SomeLimits>,
    /// How much evidence is kept.
    pub specimens: Keep,
    /// How long renditions are kept.
    pub renditions: Retention,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Where traces go.
    pub traces: TracesConfig,
}

/// How the worker runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerConfig {
    /// Most attempts at once, 0 to 1024; 0: one per processor.
    pub slots: usize,
    /// Most renewals at once in the whole fleet, 0 to 1024; 0: none.
    pub renewals: u32,
    /// Longest drain after TERM.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
    /// Folder of the local record of attempts in the air; none: see [`Config::flights`].
    #[serde(with = "optional")]
    pub flights: Option<PathBuf>,
    /// Folder of files without a name, which attempts read and write; none: see [`Config::staging`].
    #[serde(with = "optional")]
    pub staging: Option<PathBuf>,
    /// Time from TERM to KILL, as the supervisor has it; 0: not known.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
}

/// Who shares renditions of uploads that are the same. Verdicts about uploads are everybody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dedupe {
    /// Everybody.
    #[default]
    Fleet,
    /// Each tenant has its own.
    Tenant,
}

/// Who goes first. The other values are for comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FairnessConfig {
    /// In which order jobs run.
    pub order: Order,
    /// What becomes of tenants whose uploads are convicted one after another.
    pub probation: Probation,
}

/// In which order jobs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Tenants take turns; a noisy tenant's excess moves aside.
    #[default]
    Fair,
    /// First come, first served.
    Arrival,
}

/// What becomes of tenants whose uploads are convicted one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probation {
    /// One attempt at a time, and a small one.
    #[default]
    On,
    /// Nothing.
    Off,
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Least important level that is logged.
    pub level: Level,
    /// Lines for people or for programs.
    pub format: LogFormat,
}

/// A log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What needs somebody.
    Error,
    /// What may need somebody.
    Warn,
    /// One line per attempt.
    Info,
    /// What a developer wants to see.
    Debug,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    /// File, and line and column where they are known; or the variable.
    pub place: String,
    /// The wrong key or value, and the nearest right one.
    pub problem: String,
}

impl Default for Config {
    fn default() -> Self {
        let store = |folder: &str| StoreAddress::File(PathBuf::from(folder));
        Self {
            broker: BrokerAddress::Spool(PathBuf::from("./spool")),
            amqp: AmqpConfig::default(),
            ledger: LedgerAddress::Sqlite(PathBuf::from("./ledger.sqlite")),
            dedupe: Dedupe::default(),
            admin: AdminAddress::default(),
            desk: DeskConfig::default(),
            notices: NoticesConfig::default(),
            postgres: PostgresConfig::default(),
            stores: ["uploads", "renditions", "specimens"]
                .map(|name| (name.to_owned(), store(&format!("./{name}"))))
                .into(),
            buckets: BucketsConfig::default(),
            presets: BTreeMap::from([("web".to_owned(), web())]),
            limits: Limits::default(),
            sandbox: Policy::default(),
            worker: WorkerConfig::default(),
            fairness: FairnessConfig::default(),
            tenants: BTreeMap::from([(TENANT_DEFAULT.to_owned(), tenants::Limits::default().into())]),
            specimens: Keep::default(),
            renditions: Retention::default(),
            log: LogConfig::default(),
            traces: TracesConfig::default(),
        }
    }
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            slots: 0,
            renewals: 2,
            drain: Duration::from_secs(25),
            flights: None,
            staging: None,
            grace: Duration::ZERO,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: Level::Info,
            format: LogFormat::Text,
        }
    }
}

/// The recipe of the preset `web`: a thumbnail and a page-wide picture.
fn web() -> Recipe {
    let thumb = Rendition {
        format: Target::Webp,
        width: Some(320),
        height: Some(320),
        fit: Fit::Cover,
        ..Rendition::named("thumb")
    };
    let large = Rendition {
        format: Target::Jpeg,
        width: Some(1600),
        ..Rendition::named("large")
    };
    #[expect(clippy::expect_used, reason = "constant input: a test builds it")]
    Recipe::new(vec![thumb, large]).expect("two renditions with names and edges in range")
}

impl Config {
    /// Reads a file, then the environment, and checks that it makes sense on any host.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let place = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            place: place.clone(),
            problem: error.to_string(),
        })?;
        let mut config = Self::parse(&text, &place, environment::of_this_process()?)?;
        let base = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        config.relative_to(&std::path::absolute(base).unwrap_or_else(|_| base.to_owned()));
        config.places_are_apart()?;
        Ok(config)
    }

    /// The defaults with the environment over them, where no file is named.
    pub fn of_environment() -> Result<Self, ConfigError> {
        Self::parse("", "the environment", environment::of_this_process()?)
    }

    /// Reads a text; `environment` holds names without `LAZARET_` and values.
    pub fn parse(text: &str, place: &str, environment: Vec<(String, String)>) -> Result<Self, ConfigError> {
        // Once as it stands, so that errors have a line; then with the environment over it.
        let file: Self = toml::from_str(text).map_err(|error| environment::explain(&error, text, place))?;
        let mut config = if environment.is_empty() {
            file
        } else {
            environment::over(text, environment)?
        };
        for (name, address) in Self::default().stores {
            config.stores.entry(name).or_insert(address);
        }
        match sense::contradiction(&config) {
            Some(problem) => Err(ConfigError {
                place: place.to_owned(),
                problem,
            }),
            None => Ok(config),
        }
    }

    /// Presets as recipes.
    pub fn recipes(&self) -> BTreeMap<String, Recipe> {
        self.presets.clone()
    }

    /// What a tenant may use, before what an operator set: the program's limits, `[tenants.default]`, `[tenants.NAME]`.
    pub fn limits_of(&self, tenant: &str) -> tenants::Limits {
        let layers = [TENANT_DEFAULT, tenant]
            .into_iter()
            .filter_map(|name| self.tenants.get(name));
        layers.fold(tenants::Limits::default(), |limits, some| limits.with(some))
    }

    /// Attempts at once on this host.
    pub fn slots(&self) -> usize {
        match self.worker.slots {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            slots => slots,
        }
    }

    /// Folder of the local record of attempts in the air, the same for all workers of this host that share a ledger: as configured, or
    /// `flights` beside the ledger's file, or beside the configuration.
    pub fn flights(&self) -> PathBuf {
        let beside = || self.ledger.file().and_then(Path::parent).unwrap_or(Path::new("."));
        self.worker.flights.clone().unwrap_or_else(|| beside().join(FLIGHTS))
    }

    /// Folder of files without a name, which attempts read and write: as configured, or in the folder of the renditions; where those go to a
    /// bucket, `staging` beside the ledger's file, or beside the configuration.
    pub fn staging(&self) -> PathBuf {
        let of_renditions = || Some(self.stores.get("renditions")?.folder()?.join(STAGING));
        let beside = || self.ledger.file().and_then(Path::parent).unwrap_or(Path::new("."));
        let configured = self.worker.staging.clone();
        configured
            .or_else(of_renditions)
            .unwrap_or_else(|| beside().join(STAGED))
    }

    fn relative_to(&mut self, base: &Path) {
        if self.ledger.file().is_none() {
            self.worker.flights.get_or_insert_with(|| PathBuf::from(FLIGHTS));
            if self.stores["renditions"].folder().is_none() {
                self.worker.staging.get_or_insert_with(|| PathBuf::from(STAGED));
            }
        }
        let broker = match &mut self.broker {
            BrokerAddress::Spool(folder) => Some(folder),
            BrokerAddress::Amqp(_) => None,
        };
        let ledger = match &mut self.ledger {
            LedgerAddress::Sqlite(ledger) => Some(ledger),
            LedgerAddress::Postgres(_) => None,
        };
        let stores = self.stores.values_mut().filter_map(StoreAddress::file);
        for path in broker
            .into_iter()
            .chain(ledger)
            .chain(stores)
            .chain(&mut self.worker.flights)
            .chain(&mut self.worker.staging)
            .chain(self.amqp.files())
            .chain(&mut self.desk.accounts)
            .chain(self.notices.files())
            .chain(self.postgres.files())
            .chain(&mut self.traces.ca)
        {
            // Joining an absolute path gives that path; the components drop every `./` on the way.
            *path = base.join(&*path).components().collect();
        }
    }
}

#[cfg(test)]
mod tests;
