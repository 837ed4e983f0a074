//! `lazaret dead`: messages that nobody could make sense of, and jobs that failed: look, put back, drop.

mod list;
mod requeue;
mod which;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Ending, Failure, broker};
use crate::broker::amqp::Client;
use crate::broker::dead::DeadLetters;
use crate::broker::spool::Spool;
use crate::config::{BrokerAddress, Config};

use list::List;
use which::Which;

/// Review dead messages: list, requeue, drop.
///
/// A message is dead when nobody can be told of it (it cannot be read, or its id belongs to another tenant's job), when its job `failed`
/// after all retries, or when RabbitMQ gave it up (delivered too often, waited too long). Dead messages wait in the queue lazaret.dead, or
/// in the spool's folder `dead`, until somebody decides.
///
/// To look takes nothing away. While a round lasts, its messages are hidden from other rounds.
#[derive(Debug, Args)]
pub struct Dead {
    /// The configuration of the workers.
    #[arg(long, value_name = "FILE", env = "LAZARET_CONFIG", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    /// Put messages back into the queue they came from, to be run as if they were new.
    ///
    /// What failed may run again once its cause is mended: the ledger forgets that it failed, its retries begin anew, and its answer is
    /// an event with a new id. It is safe in its queue before it is gone here: a crash leaves a copy, which is answered and not run again.
    ///
    /// Stays where it is: a job that waits in the ledger, or whose id is another tenant's. Stays without --force: what is no
    /// job, and a job that has ended with a verdict meanwhile; put back, it is answered or set aside again.
    Requeue {
        #[command(flatten)]
        which: Which,
        /// Put back what is no job or has a verdict, too.
        #[arg(long)]
        force: bool,
    },
    /// Drop messages for good.
    Drop {
        #[command(flatten)]
        which: Which,
        /// With --all: yes, all of them.
        #[arg(long)]
        yes: bool,
    },
}

/// Whether what had better stay goes back too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Force {
    Yes,
    No,
}

/// Where dead letters are.
enum Office {
    Spool(Spool),
    Amqp(Client),
}

impl Dead {
    pub(super) async fn run(self) -> Result<Ending, Failure> {
        let Some(file) = &self.config else {
            return Err(Failure::Usage("name a configuration with --config".to_owned()));
        };
        let config = Config::load(file)?;
        let office = Office::open(&config)?;
        let mut round = office.round().await?;
        let ending = match self.command {
            Command::List(list) => list.run(&mut *round).await,
            Command::Requeue { which, force } => which.requeue(&config, &mut *round, force).await,
            Command::Drop { which, yes } => match which.all && !yes {
                true => Err(Failure::Usage("--all drops for good; say --yes too".to_owned())),
                false => which.drop_them(&mut *round).await,
            },
        };
        round.end().await;
        ending
    }
}

impl Office {
    fn open(config: &Config) -> Result<Self, Failure> {
        Ok(match &config.broker {
            BrokerAddress::Spool(folder) => Self::Spool(Spool::open(folder).map_err(Failure::other)?),
            BrokerAddress::Amqp(address) => Self::Amqp(Client::new(broker::server(config, address, "dead")?)),
        })
    }

    async fn round(&self) -> Result<Box<dyn DeadLetters + '_>, Failure> {
        Ok(match self {
            Self::Spool(spool) => Box::new(spool.dead().map_err(Failure::other)?),
            Self::Amqp(client) => Box::new(client.dead().await.map_err(Failure::other)?),
        })
    }
}
