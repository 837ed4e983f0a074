//! Whether the broker has what a worker needs. Nothing is made: that is `lazaret topology apply`.
//!
//! Exchanges and queues are declared passively. That tells what is missing, not what is of another kind; where the worker's user may
//! declare, what is there is declared once more with its arguments, which changes nothing and tells.

use std::fmt;

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};
use tokio::time::timeout;

use super::dial::{ANSWER, Server};
use crate::broker::BrokerError;
use crate::broker::topology::{Exchange, Queue, Topology};

/// How an object is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Only looked for.
    Passively,
    /// Compared, as it is there already.
    WithArguments,
}

/// Fails with everything that is missing or different.
pub(super) async fn verify(server: &Server, connection: &Connection) -> Result<(), BrokerError> {
    let wanted = Topology::wanted();
    let exchanges = wanted.exchanges.iter().map(Object::Exchange);
    let queues = wanted.queues.iter().map(Object::Queue);
    let mut wrong = Vec::new();
    let mut manners = vec![Manner::Passively, Manner::WithArguments];
    for object in exchanges.chain(queues) {
        for manner in manners.clone() {
            match refused(server, connection, &object, manner).await? {
                None => continue,
                Some(Refused::Missing) => wrong.push(format!("{object} is missing")),
                Some(Refused::Different(how)) => wrong.push(format!("{object} is different: {how}")),
                // Each try would be an error in the broker's log.
                Some(Refused::NoRight) => manners.retain(|other| *other != manner),
            }
            break;
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(server.error(format!(
            "{}; `lazaret topology plan` shows all, `lazaret topology apply` makes it",
            wrong.join("; ")
        ))),
    }
}

/// What a worker needs.
enum Object<'a> {
    Exchange(&'a Exchange),
    Queue(&'a Queue),
}

impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exchange(exchange) => write!(f, "exchange {}", exchange.name),
            Self::Queue(queue) => write!(f, "queue {}", queue.name),
        }
    }
}

impl Object<'_> {
    async fn declare(&self, channel: &Channel, manner: Manner) -> lapin::Result<()> {
        let passive = manner == Manner::Passively;
        match self {
            Self::Exchange(exchange) => {
                let options = ExchangeDeclareOptions {
                    passive,
                    durable: true,
                    ..ExchangeDeclareOptions::default()
                };
                let (name, kind) = (exchange.name.as_str().into(), kind_of(&exchange.kind));
                channel
                    .exchange_declare(name, kind, options, FieldTable::default())
                    .await
            }
            Self::Queue(queue) => {
                let options = QueueDeclareOptions {
                    passive,
                    durable: true,
                    ..QueueDeclareOptions::default()
                };
                let mut arguments = FieldTable::default();
                arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
                let declared = channel.queue_declare(queue.name.as_str().into(), options, arguments);
                declared.await.map(drop)
            }
        }
    }
}

fn kind_of(word: &str) -> ExchangeKind {
    match word {
        "direct" => ExchangeKind::Direct,
        "fanout" => ExchangeKind::Fanout,
        "topic" => ExchangeKind::Topic,
        other => ExchangeKind::Custom(other.to_owned()),
    }
}

/// Why a declaration was refused.
enum Refused {
    Missing,
    Different(String),
    /// This user may not declare: what is there cannot be compared.
    NoRight,
}

/// Fails where the broker does not answer; an answer that refuses is a finding.
async fn refused(
    server: &Server,
    connection: &Connection,
    object: &Object<'_>,
    manner: Manner,
) -> Result<Option<Refused>, BrokerError> {
    // A refused declaration closes its channel.
    let channel = server.channel(connection).await?;
    let Ok(answer) = timeout(ANSWER, object.declare(&channel, manner)).await else {
        return Err(server.error(format!("does not answer within {} s", ANSWER.as_secs())));
    };
    let error = match answer {
        Ok(()) => {
            let _ = server.within(ANSWER, channel.close(200, "done".into())).await;
            return Ok(None);
        }
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::ProtocolError(refusal) => match refusal.get_id() {
            404 => Ok(Some(Refused::Missing)),
            406 => Ok(Some(Refused::Different(refusal.get_message().to_string()))),
            403 => Ok(Some(Refused::NoRight)),
            _ => Err(server.error(error)),
        },
        _ => Err(server.error(error)),
    }
}
