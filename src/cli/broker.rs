//! The broker that a configuration names.

use std::sync::Arc;

use super::Failure;
use crate::broker::Broker;
use crate::broker::amqp::{Amqp, Server};
use crate::broker::pem::Pem;
use crate::broker::spool::Spool;
use crate::config::{AmqpAddress, BrokerAddress, Config};
use crate::ledger::WorkerId;

/// Takes part in the broker as a worker.
pub(super) fn join(config: &Config, worker: &WorkerId) -> Result<Arc<dyn Broker>, Failure> {
    match &config.broker {
        BrokerAddress::Spool(folder) => {
            let spool = Spool::open(folder).map_err(Failure::other)?;
            let most_held = config.amqp.window(config.slots());
            Ok(Arc::new(spool.consume(worker, most_held).map_err(Failure::other)?))
        }
        BrokerAddress::Amqp(address) => Ok(Arc::new(Amqp::start(server(config, address, &worker.0)?))),
    }
}

/// Whether a worker could consume. A spool is looked at with the other folders.
pub(super) async fn look(config: &Config) -> Result<(), Failure> {
    match &config.broker {
        BrokerAddress::Spool(_) => Ok(()),
        BrokerAddress::Amqp(address) => Amqp::look(server(config, address, "check")?)
            .await
            .map_err(Failure::other),
    }
}

/// How to reach the configured RabbitMQ.
pub(super) fn server(config: &Config, address: &AmqpAddress, name: &str) -> Result<Server, Failure> {
    let amqp = &config.amqp;
    let mut uri = address.uri();
    uri.query.heartbeat = u16::try_from(amqp.heartbeat.as_secs()).ok();
    let pem = Pem::read(amqp)?;
    Ok(Server {
        uri,
        place: address.to_string(),
        authority: pem.ca,
        identity: pem.identity.map(|it| (it.chain.into_bytes(), it.key.into_bytes())),
        prefetch: amqp.window(config.slots()),
        confirm: amqp.confirm_timeout,
        name: format!("lazaret {name}"),
    })
}
