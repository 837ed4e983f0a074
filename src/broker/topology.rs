//! What there must be on RabbitMQ: exchanges, queues, bindings and policies, as data. `[pure]`
//!
//! In: what the management API found. Out: what is missing, different or unexpected, each with its remedy. Names are here and nowhere else.
//! A queue's sole argument is its type, which can never change; all else is policy, because a changed argument fails at the next declaration.

mod compare;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use compare::{Difference, Finding, Remedy, differences};

use super::Lane;
use crate::service::LADDER;

/// Exchange of jobs: a direct one, [`lane_key`] leads to a queue.
pub const JOBS: &str = "lazaret.jobs";
/// Exchange of jobs of noisy tenants: a direct one, [`side_key`] leads to a queue.
pub const SIDE: &str = "lazaret.side";
/// Exchange and queue of what needs an operator.
pub const DEAD: &str = "lazaret.dead";
/// Exchange of result events: a topic, `<tenant>.<status>`. Web apps bind queues of their own.
pub const RESULTS: &str = "lazaret.results";
/// Exchange of what every worker must hear at once. Workers bind queues of their own.
pub const CONTROL: &str = "lazaret.control";
/// What exchanges and queues of waiting jobs begin with.
pub const RETRY: &str = "lazaret.retry";
/// How many sidelines there are.
pub const SIDELINES: u8 = 16;

/// Most messages of a queue; what is beyond is not confirmed.
const MAX_LENGTH: u32 = 1_000_000;
/// After so many lost deliveries a message is dead: far beyond what workers that crash can cause, so that only a fault of ours gets there.
const DELIVERY_LIMIT: u32 = 50;
/// Dead messages are looked at and given back again and again. Without a limit of its own the queue would have 20, from RabbitMQ 4.0 on.
const DEAD_DELIVERY_LIMIT: u32 = 1_000_000;
/// Above the policies that match everything, which usually have 0.
const PRIORITY: i64 = 10;

/// Every lane, the most urgent first.
const LANES: [Lane; 3] = [Lane::Interactive, Lane::Bulk, Lane::Suspect];

/// A lane's routing key on [`JOBS`].
pub fn lane_key(lane: Lane) -> &'static str {
    match lane {
        Lane::Interactive => "interactive",
        Lane::Bulk => "bulk",
        Lane::Suspect => "suspect",
    }
}

/// The lane with a routing key.
pub fn lane(key: &str) -> Option<Lane> {
    LANES.into_iter().find(|lane| lane_key(*lane) == key)
}

/// A lane's queue.
pub fn lane_queue(lane: Lane) -> String {
    format!("{JOBS}.{}", lane_key(lane))
}

/// Routing key of a sideline on [`SIDE`]: `00` to `15`.
pub fn side_key(sideline: u8) -> String {
    format!("{sideline:02}")
}

/// Queue of a sideline.
pub fn side_queue(sideline: u8) -> String {
    format!("{SIDE}.{sideline:02}")
}

/// Exchange, and queue of the same name, where a job waits after its failure number `rung`, from 0. None where the ladder has ended.
pub fn retry_exchange(rung: usize) -> Option<String> {
    LADDER.get(rung).map(|wait| retry_name(*wait))
}

fn retry_name(wait: Duration) -> String {
    format!("{RETRY}.{}", humantime::format_duration(wait))
}

/// What there must be, or what there is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Topology {
    /// Exchanges.
    pub exchanges: Vec<Exchange>,
    /// Queues.
    pub queues: Vec<Queue>,
    /// Bindings.
    pub bindings: Vec<Binding>,
    /// Policies.
    pub policies: Vec<Policy>,
}

/// An exchange, as the management API writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// `direct`, `fanout`, `topic`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it survives a restart.
    pub durable: bool,
    /// Whether it goes with its last binding.
    pub auto_delete: bool,
    /// Whether nobody may publish to it.
    pub internal: bool,
    /// Its arguments.
    pub arguments: Map<String, Value>,
}

/// A queue, as the management API writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Whether it survives a restart.
    pub durable: bool,
    /// Whether it goes with its last consumer.
    pub auto_delete: bool,
    /// Its arguments.
    pub arguments: Map<String, Value>,
    /// `quorum`, `classic`, `stream`: found, never written.
    #[serde(rename = "type", default, skip_serializing)]
    pub kind: Option<String>,
    /// The policy that applies: found, never written.
    #[serde(default, skip_serializing)]
    pub policy: Option<String>,
}

/// A binding of a queue, as the management API writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// The exchange.
    pub source: String,
    /// The queue.
    pub destination: String,
    /// `queue`, `exchange`.
    pub destination_type: String,
    /// What leads there.
    pub routing_key: String,
    /// Its arguments.
    pub arguments: Map<String, Value>,
}

/// A policy, as the management API writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Regular expression of the names it applies to.
    pub pattern: String,
    /// `queues`.
    #[serde(rename = "apply-to")]
    pub apply_to: String,
    /// What it sets.
    pub definition: Map<String, Value>,
    /// The highest one that matches applies, alone.
    pub priority: i64,
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// An exchange.
    Exchange(Exchange),
    /// A queue.
    Queue(Queue),
    /// A binding.
    Binding(Binding),
    /// A policy.
    Policy(Policy),
}

impl Topology {
    /// What there must be.
    pub fn wanted() -> Self {
        let rungs: Vec<String> = LADDER.iter().copied().map(retry_name).collect();
        let jobs = LANES.map(|lane| Binding::of(JOBS, &lane_queue(lane), lane_key(lane)));
        let sides = (0..SIDELINES).map(|side| Binding::of(SIDE, &side_queue(side), &side_key(side)));
        let fanouts = rungs.iter().map(String::as_str).chain([DEAD]);
        let bindings: Vec<_> = jobs
            .into_iter()
            .chain(sides)
            .chain(fanouts.clone().map(|name| Binding::of(name, name, "")))
            .collect();
        let direct = [JOBS, SIDE].map(|name| Exchange::of(name, "direct"));
        let fanout = fanouts.chain([CONTROL]).map(|name| Exchange::of(name, "fanout"));
        let exchanges = direct.into_iter().chain(fanout);
        Self {
            exchanges: exchanges.chain([Exchange::of(RESULTS, "topic")]).collect(),
            queues: bindings.iter().map(|binding| Queue::of(&binding.destination)).collect(),
            bindings,
            policies: policies(),
        }
    }

    /// As definitions that RabbitMQ imports: `rabbitmqctl import_definitions`. No virtual host, no users.
    pub fn definitions(&self, vhost: &str) -> Value {
        json!({
            "exchanges": within(vhost, &self.exchanges),
            "queues": within(vhost, &self.queues),
            "bindings": within(vhost, &self.bindings),
            "policies": within(vhost, &self.policies),
        })
    }
}

/// Objects that say which virtual host they are in.
fn within<T: Serialize>(vhost: &str, objects: &[T]) -> Vec<Value> {
    let placed = |object: &T| {
        let mut value = json!(object);
        value["vhost"] = json!(vhost);
        value
    };
    objects.iter().map(placed).collect()
}

fn policies() -> Vec<Policy> {
    let kept = json!({ "overflow": "reject-publish", "max-length": MAX_LENGTH });
    let moved = |to: &str| json!({ "dead-letter-exchange": to, "dead-letter-strategy": "at-least-once" });
    let limited = |limit: u32| json!({ "delivery-limit": limit });
    let work = [kept.clone(), moved(DEAD), limited(DELIVERY_LIMIT)];
    let waits = LADDER.iter().map(|wait| {
        let ttl = json!({ "message-ttl": wait.as_millis() as u64 });
        let name = retry_name(*wait);
        Policy::of(&name, exactly(&name), &[kept.clone(), moved(JOBS), ttl])
    });
    [JOBS, SIDE]
        .map(|name| Policy::of(name, below(name), &work))
        .into_iter()
        .chain(waits)
        .chain([Policy::of(
            DEAD,
            exactly(DEAD),
            &[kept.clone(), limited(DEAD_DELIVERY_LIMIT)],
        )])
        .collect()
}

fn exactly(name: &str) -> String {
    format!("^{}$", name.replace('.', "\\."))
}

fn below(name: &str) -> String {
    format!("^{}\\.", name.replace('.', "\\."))
}

impl Exchange {
    fn of(name: &str, kind: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            durable: true,
            auto_delete: false,
            internal: false,
            arguments: Map::new(),
        }
    }
}

impl Queue {
    fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            durable: true,
            auto_delete: false,
            arguments: Map::from_iter([("x-queue-type".to_owned(), json!("quorum"))]),
            kind: Some("quorum".to_owned()),
            policy: None,
        }
    }
}

impl Binding {
    fn of(source: &str, destination: &str, routing_key: &str) -> Self {
        Self {
            source: source.to_owned(),
            destination: destination.to_owned(),
            destination_type: "queue".to_owned(),
            routing_key: routing_key.to_owned(),
            arguments: Map::new(),
        }
    }
}

impl Policy {
    fn of(name: &str, pattern: String, parts: &[Value]) -> Self {
        let keys = parts.iter().filter_map(Value::as_object).flatten();
        Self {
            name: name.to_owned(),
            pattern,
            apply_to: "queues".to_owned(),
            definition: keys.map(|(key, value)| (key.clone(), value.clone())).collect(),
            priority: PRIORITY,
        }
    }
}

#[cfg(test)]
mod tests;
