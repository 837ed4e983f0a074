//! One configuration at work: a worker, its broker, its service.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::super::place::{open_sources, prove, sandbox, sign_on};
use super::super::{Failure, broker};
use crate::admin::{Admin, Pages, Work};
use crate::admission::Budget;
use crate::broker::Broker;
use crate::config::{Config, Exposure};
use crate::desk::{Accounts, Proxied};
use crate::notices::Notices;
use crate::notify::Supervisor;
use crate::pipeline::{Sources, Worker};
use crate::service::{Parts, Service};
use crate::vitals::Vitals;

/// How long notices may take when the process ends. The worker has signed off by then: whoever kills it meanwhile loses notices and nothing else.
const FAREWELL: Duration = Duration::from_secs(2);

pub(super) struct Generation {
    pub(super) config: Config,
    pub(super) broker: Arc<dyn Broker>,
    admin: Arc<Admin>,
    worker: Arc<Worker>,
    service: Arc<Service>,
}

impl Generation {
    /// Listens before all else: whoever asks is told that it starts. Then it is proven, signed on and joined; no job is taken yet.
    pub(super) async fn first(
        config: Config,
        supervisor: &Arc<Supervisor>,
        vitals: Arc<Vitals>,
    ) -> Result<Self, Failure> {
        let admin = listen(&config, supervisor, &vitals)?;
        Self::found(config, None, admin, vitals).await
    }

    /// The one that is to take over. It shares the memory budget of the one before: what that one still uses is not there for both.
    pub(super) async fn successor(&self, config: Config, supervisor: &Arc<Supervisor>) -> Result<Self, Failure> {
        let vitals = self.worker.vitals.successor();
        let admin = match config.admin == self.config.admin {
            true => Arc::clone(&self.admin),
            false => listen(&config, supervisor, &self.worker.vitals)?,
        };
        Self::found(config, Some(self.budget()), admin, vitals).await
    }

    /// Proves the sandbox, signs on and joins the broker.
    async fn found(
        config: Config,
        budget: Option<Budget>,
        admin: Arc<Admin>,
        vitals: Arc<Vitals>,
    ) -> Result<Self, Failure> {
        let sources = open_sources(&config)?;
        let stores = sources.keys().cloned().collect();
        let sandbox = sandbox(&config, budget)?;
        let layers = prove(&sandbox, "not consuming").await?.layers;
        let notices = Notices::open(&config.notices, &vitals.tally)?;
        let worker = sign_on(&config, Sources::Stores(sources), sandbox, layers, vitals, notices).await?;
        let broker = broker::join(&config, &worker.id)?;
        let service = Service::new(Parts {
            worker: Arc::clone(&worker),
            broker: Arc::clone(&broker),
            presets: config.recipes(),
            stores,
            slots: config.slots(),
            window: usize::from(config.amqp.window(config.slots())),
            fairness: config.fairness,
            retention: config.renditions.clone(),
            limits: Box::new({
                let config = config.clone();
                move |tenant| config.limits_of(tenant)
            }),
        });
        tracing::info!(
            worker = worker.id.0,
            broker = %config.broker,
            ledger = %config.ledger,
            slots = config.slots(),
            memory_budget_bytes = worker.sandbox.budget.total(),
            "started"
        );
        Ok(Self {
            config,
            broker,
            admin,
            worker,
            service,
        })
    }

    /// Takes jobs until `stop`, then drains.
    pub(super) async fn run(&self, stop: impl Future<Output = ()>, stop_now: impl Future<Output = ()>) {
        let work = Work {
            ledger: Arc::clone(&self.worker.ledger),
            specimens: Arc::clone(&self.worker.stores.specimens),
            worker: Arc::clone(&self.worker),
        };
        self.admin.show(&self.worker.vitals, work);
        self.service.run(stop, stop_now, self.config.worker.drain).await;
    }

    pub(super) fn budget(&self) -> Budget {
        self.worker.sandbox.budget.clone()
    }

    /// Another one has taken over: what is still to be told is told in its own time.
    pub(super) fn retire(&self) {
        self.worker.notices.close();
    }

    /// The process ends: what is still to be told gets one try, and little time.
    pub(super) async fn farewell(&self) {
        self.worker.notices.farewell(FAREWELL).await;
    }

    /// Ends one that has taken nothing.
    pub(super) async fn give_up(&self) {
        self.broker.close().await;
        if let Err(error) = self.worker.sign_off().await {
            tracing::warn!(%error, "not signed off; the lease will run out");
        }
        self.retire();
    }
}

/// The listener of a configuration.
fn listen(config: &Config, supervisor: &Arc<Supervisor>, vitals: &Arc<Vitals>) -> Result<Arc<Admin>, Failure> {
    let pages = pages(config)?;
    let admin = Admin::open(config.admin, pages, Arc::clone(supervisor), Arc::clone(vitals)).map_err(|error| {
        Failure::Other(format!(
            "admin: {}: {error}; give each worker of a host an address of its own, or \"off\"",
            config.admin
        ))
    })?;
    match admin.address() {
        Some(address) => tracing::info!(%address, "listening"),
        None => tracing::info!("not listening: admin is off"),
    }
    Ok(Arc::new(admin))
}

/// The operators' pages, where the configuration has accounts. A file that is not there yet lets nobody in; one that is wrong is an error.
fn pages(config: &Config) -> Result<Option<Pages>, Failure> {
    let Some(file) = &config.desk.accounts else {
        return Ok(None);
    };
    if file.exists() {
        Accounts::read(file).map_err(Failure::other)?;
    } else {
        tracing::warn!(file = %file.display(), "nobody has an account; `lazaret desk add` makes one");
    }
    Ok(Some(Pages {
        accounts: file.clone(),
        proxied: match config.desk.exposure {
            Exposure::Proxy => Proxied::Yes,
            Exposure::Loopback | Exposure::Plain => Proxied::No,
        },
        runtime: Handle::current(),
    }))
}
