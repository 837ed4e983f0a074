//! `lazaret topology`: what workers need on RabbitMQ, compared with what is there, and made.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Ending, Failure};
use crate::broker::management::Management;
use crate::broker::topology::{Difference, Object, Remedy, Topology, differences};
use crate::config::{AmqpAddress, BrokerAddress, Config};

/// Compare RabbitMQ with what workers need, and make what is missing.
///
/// Workers declare none of it: they look, and say what differs. Exchanges, queues, bindings and policies are made
/// here, by somebody who may, through the management API (amqp.management). Queues have no argument but their type; all else is
/// policy, so that it can be changed while workers run. See docs/rabbitmq.md for users and permissions.
///
/// Where nobody may use the management API, import the definitions: lazaret topology definitions --config F > lazaret.json;
/// rabbitmqctl import_definitions lazaret.json
#[derive(Debug, Args)]
pub struct TopologyCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print what `apply` would make, and what only an operator can change. Changes nothing.
    Plan(Where),
    /// Make what is missing and put our policies right. Deletes nothing; exits with 1 where something is left to be done by hand.
    Apply(Where),
    /// Print what is not as it should be, and exit with 1 where anything is not.
    Check(Where),
    /// Print all of it as definitions for `rabbitmqctl import_definitions`, for the configured virtual host. Connects to nothing.
    Definitions(Where),
}

#[derive(Debug, Args)]
struct Where {
    /// The configuration of the workers.
    #[arg(long, value_name = "FILE", env = "LAZARET_CONFIG")]
    config: PathBuf,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
}

impl TopologyCommand {
    pub(super) async fn run(self) -> Result<Ending, Failure> {
        // The client of the management API blocks.
        tokio::task::spawn_blocking(|| self.action.run())
            .await
            .map_err(Failure::other)?
    }
}

impl Action {
    fn run(self) -> Result<Ending, Failure> {
        let (Self::Plan(place) | Self::Apply(place) | Self::Check(place) | Self::Definitions(place)) = &self;
        let config = Config::load(&place.config)?;
        let broker = amqp(&config)?;
        if let Self::Definitions(_) = self {
            return definitions(broker, place);
        }
        let management = Management::new(&config.amqp, broker)?;
        let found = management.read().map_err(Failure::other)?;
        let differences = differences(&Topology::wanted(), &found);
        match self {
            Self::Apply(_) => apply(&management, &differences, place),
            Self::Check(_) if differences.is_empty() => Ok(well(place, "as it should be")),
            Self::Check(_) => {
                place.print("", &differences);
                Ok(Ending::NotAll)
            }
            _ if differences.is_empty() => Ok(well(place, "nothing to do")),
            _ => {
                place.print("to apply: ", &differences);
                Ok(Ending::Well)
            }
        }
    }
}

fn amqp(config: &Config) -> Result<&AmqpAddress, Failure> {
    match &config.broker {
        BrokerAddress::Amqp(address) => Ok(address),
        BrokerAddress::Spool(_) => Err(Failure::Usage(format!(
            "the broker is {}: a spool is a folder and has no topology; only amqp:// and amqps:// have one",
            config.broker
        ))),
    }
}

fn definitions(broker: &AmqpAddress, place: &Where) -> Result<Ending, Failure> {
    let definitions = Topology::wanted().definitions(broker.vhost());
    match place.json {
        true => println!("{definitions}"),
        false => println!(
            "{}",
            serde_json::to_string_pretty(&definitions).map_err(Failure::other)?
        ),
    }
    Ok(Ending::Well)
}

/// Makes what can be made; then what is left is looked at afresh, so that what is printed is what is.
fn apply(management: &Management, found: &[Difference], place: &Where) -> Result<Ending, Failure> {
    for difference in found {
        if let Remedy::Apply(object) = &difference.remedy {
            management.make(object).map_err(Failure::other)?;
            place.line("made ", difference);
        }
    }
    let now = management.read().map_err(Failure::other)?;
    let left = differences(&Topology::wanted(), &now);
    if left.is_empty() {
        return Ok(well(place, "as it should be"));
    }
    place.print("", &left);
    Ok(Ending::NotAll)
}

fn well(place: &Where, what: &str) -> Ending {
    if !place.json {
        println!("{what}");
    }
    Ending::Well
}

impl Where {
    fn print(&self, before: &str, differences: &[Difference]) {
        for difference in differences {
            let before = match difference.remedy {
                Remedy::Apply(_) => before,
                Remedy::Hand(_) => "",
            };
            self.line(before, difference);
        }
    }

    fn line(&self, before: &str, difference: &Difference) {
        if !self.json {
            println!("{before}{difference}");
            return;
        }
        let (by, remedy) = match &difference.remedy {
            Remedy::Apply(object) => ("apply", change(object)),
            Remedy::Hand(what) => ("hand", json!(what)),
        };
        let line = json!({
            "finding": difference.finding,
            "subject": difference.subject,
            "detail": difference.detail,
            "by": by,
            "remedy": remedy,
        });
        println!("{line}");
    }
}

/// What would be put there.
fn change(object: &Object) -> serde_json::Value {
    match object {
        Object::Exchange(exchange) => json!(exchange),
        Object::Queue(queue) => json!(queue),
        Object::Binding(binding) => json!(binding),
        Object::Policy(policy) => json!(policy),
    }
}
