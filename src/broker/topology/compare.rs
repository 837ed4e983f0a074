//! Wanted against found. `[pure]`
//!
//! In the order in which things are made: exchanges, policies, queues, bindings; so that no queue is ever without its policy.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Binding, Exchange, Object, Policy, Queue, Topology};

/// What is not as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// In which way.
    pub finding: Finding,
    /// Kind and name: `queue lazaret.dead`.
    pub subject: String,
    /// Found and wanted.
    pub detail: String,
    /// What makes it right.
    pub remedy: Remedy,
}

/// In which way something is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// It is not there.
    Missing,
    /// It is there, and is something else.
    Different,
    /// It is there, and should not be.
    Unexpected,
}

/// What makes it right.
#[derive(Debug, Clone, PartialEq)]
pub enum Remedy {
    /// `lazaret topology apply` makes this, or puts it in place of what is there.
    Apply(Box<Object>),
    /// Only an operator can: what to do. Nothing is ever deleted by us.
    Hand(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, detail, .. } = self;
        match &self.remedy {
            Remedy::Apply(_) => write!(f, "{subject}: {detail}"),
            Remedy::Hand(what) => write!(f, "{subject}: {detail}; remedy: {what}"),
        }
    }
}

/// All that is not as it should be. None: workers can start.
pub fn differences(wanted: &Topology, found: &Topology) -> Vec<Difference> {
    let exchanges = wanted.exchanges.iter().filter_map(|want| exchange(want, found));
    let policies = wanted.policies.iter().filter_map(|want| policy(want, found));
    let queues = wanted.queues.iter().filter_map(|want| queue(want, wanted, found));
    let bindings = wanted.bindings.iter().filter_map(|want| binding(want, found));
    let unexpected = found.bindings.iter().filter_map(|found| unexpected(found, wanted));
    exchanges
        .chain(policies)
        .chain(queues)
        .chain(bindings)
        .chain(unexpected)
        .collect()
}

fn exchange(want: &Exchange, found: &Topology) -> Option<Difference> {
    let subject = format!("exchange {}", want.name);
    let Some(is) = found.exchanges.iter().find(|is| is.name == want.name) else {
        return Some(missing(subject, Object::Exchange(want.clone())));
    };
    let what = format!(
        "stop publishers and workers, delete it, `lazaret topology apply`; its bindings to our queues are made again, others are not \
         (rabbitmqctl list_bindings | grep {})",
        want.name
    );
    different(subject, &json!(is), &json!(want), Remedy::Hand(what))
}

fn policy(want: &Policy, found: &Topology) -> Option<Difference> {
    let subject = format!("policy {}", want.name);
    let remedy = Object::Policy(want.clone());
    match found.policies.iter().find(|is| is.name == want.name) {
        None => Some(missing(subject, remedy)),
        Some(is) => different(subject, &json!(is), &json!(want), Remedy::Apply(Box::new(remedy))),
    }
}

fn queue(want: &Queue, wanted: &Topology, found: &Topology) -> Option<Difference> {
    let subject = format!("queue {}", want.name);
    let Some(is) = found.queues.iter().find(|is| is.name == want.name) else {
        return Some(missing(subject, Object::Queue(want.clone())));
    };
    let by_hand =
        Remedy::Hand("a queue cannot be changed: let workers drain it, delete it, `lazaret topology apply`".to_owned());
    if is.kind.is_some() && is.kind != want.kind {
        let kind = is.kind.as_deref().unwrap_or_default();
        return Some(Difference {
            finding: Finding::Different,
            subject,
            detail: format!("type {kind}, wanted quorum"),
            remedy: by_hand,
        });
    }
    different(subject, &json!(is), &json!(want), by_hand).or_else(|| shadowed(is, wanted, found))
}

/// Of the policies that match, the one with the highest priority applies alone.
fn shadowed(is: &Queue, wanted: &Topology, found: &Topology) -> Option<Difference> {
    let applies = is.policy.as_ref()?;
    let ours = wanted.policies.iter().any(|policy| policy.name == *applies);
    // One that we have just made, or that was just deleted, is not known to the queue yet.
    let known = found.policies.iter().any(|policy| policy.name == *applies);
    (!ours && known).then(|| Difference {
        finding: Finding::Different,
        subject: format!("queue {}", is.name),
        detail: format!("policy {applies} applies instead of ours"),
        remedy: Remedy::Hand(format!(
            "give {applies} a pattern that does not match lazaret.*, or a priority below {}",
            super::PRIORITY
        )),
    })
}

fn binding(want: &Binding, found: &Topology) -> Option<Difference> {
    let there = found.bindings.iter().any(|is| is == want);
    (!there).then(|| missing(subject_of(want), Object::Binding(want.clone())))
}

/// A binding to one of our queues by which messages come that are none of ours. That of the default exchange is always there.
fn unexpected(is: &Binding, wanted: &Topology) -> Option<Difference> {
    let ours = wanted.queues.iter().any(|queue| queue.name == is.destination);
    let other = ours && is.destination_type == "queue" && !is.source.is_empty() && !wanted.bindings.contains(is);
    other.then(|| Difference {
        finding: Finding::Unexpected,
        subject: subject_of(is),
        detail: "is none of ours".to_owned(),
        remedy: Remedy::Hand("find out who made it, and delete it".to_owned()),
    })
}

fn subject_of(binding: &Binding) -> String {
    let Binding {
        source,
        destination,
        routing_key,
        ..
    } = binding;
    match routing_key.as_str() {
        "" => format!("binding {source} → {destination}"),
        key => format!("binding {source} → {destination} by {key}"),
    }
}

fn missing(subject: String, object: Object) -> Difference {
    Difference {
        finding: Finding::Missing,
        subject,
        detail: "is missing".to_owned(),
        remedy: Remedy::Apply(Box::new(object)),
    }
}

/// Compares all that is written of two things.
fn different(subject: String, is: &Value, want: &Value, remedy: Remedy) -> Option<Difference> {
    let [is, want] = [is, want].map(|value| value.as_object().cloned().unwrap_or_default());
    let detail = changes(&is, &want);
    (!detail.is_empty()).then(|| Difference {
        finding: Finding::Different,
        subject,
        detail: detail.join(", "),
        remedy,
    })
}

/// `max-length 3, wanted 1000000`; what is nested is named by its own keys.
fn changes(is: &Map<String, Value>, want: &Map<String, Value>) -> Vec<String> {
    let keys: BTreeSet<&String> = is.keys().chain(want.keys()).collect();
    let written = |value: Option<&Value>| match value {
        None => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    let change = |key: &String| match (is.get(key), want.get(key)) {
        (Some(Value::Object(is)), Some(Value::Object(want))) => changes(is, want),
        (is, want) if is == want => Vec::new(),
        (is, want) => vec![format!("{key} {}, wanted {}", written(is), written(want))],
    };
    keys.into_iter().flat_map(change).collect()
}
