//! One configuration at work: a worker, its broker, its service.

use std::sync::Arc;

use super::super::place::{open_sources, prove, sandbox, sign_on};
use super::super::{Failure, broker};
use crate::admission::Budget;
use crate::broker::Broker;
use crate::config::Config;
use crate::pipeline::{Sources, Worker};
use crate::service::{Parts, Service};

pub(super) struct Generation {
    pub(super) config: Config,
    pub(super) broker: Arc<dyn Broker>,
    worker: Arc<Worker>,
    service: Arc<Service>,
}

impl Generation {
    /// Proves the sandbox, signs on and joins the broker; takes no job yet. A successor shares the memory budget of the one before:
    /// what that one still uses is not there for both.
    pub(super) async fn found(config: Config, budget: Option<Budget>) -> Result<Self, Failure> {
        let sources = open_sources(&config)?;
        let stores = sources.keys().cloned().collect();
        let sandbox = sandbox(&config, budget)?;
        prove(&sandbox, "not consuming").await?;
        let worker = sign_on(&config, Sources::Stores(sources), sandbox).await?;
        let broker = broker::join(&config, &worker.id)?;
        let service = Service::new(Parts {
            worker: Arc::clone(&worker),
            broker: Arc::clone(&broker),
            presets: config.recipes(),
            stores,
            slots: config.slots(),
            window: usize::from(config.amqp.window(config.slots())),
            fairness: config.fairness,
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
            worker,
            service,
        })
    }

    /// Takes jobs until `stop`, then drains.
    pub(super) async fn run(&self, stop: impl Future<Output = ()>, stop_now: impl Future<Output = ()>) {
        self.service.run(stop, stop_now, self.config.worker.drain).await;
    }

    pub(super) fn budget(&self) -> Budget {
        self.worker.sandbox.budget.clone()
    }

    /// Ends one that has taken nothing.
    pub(super) async fn give_up(&self) {
        self.broker.close().await;
        if let Err(error) = self.worker.sign_off().await {
            tracing::warn!(%error, "not signed off; the lease will run out");
        }
    }
}
