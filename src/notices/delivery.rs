//! What is posted: one CloudEvents 1.0 event in structured JSON, as results are. `[pure]`
//!
//! Its id is made from what it tells, and stays through all tries: a receiver that has it already drops the copy.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::gather::Gathered;
use super::notice::{Kind, NAMESPACE, Notice, written};

/// The event's `type`.
pub const TYPE: &str = "lazaret.notices.v1";

/// A delivery, ready to be signed and posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    /// The same through all tries.
    pub(super) id: String,
    /// The event.
    pub(super) body: Vec<u8>,
}

#[derive(Serialize)]
struct Event<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    datacontenttype: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    worker: &'a str,
    counts: BTreeMap<&'static str, u64>,
    notices: &'a [Notice],
    omitted: u64,
    undelivered: u64,
}

impl Delivery {
    /// The delivery of what was gathered.
    pub(super) fn of(gathered: &Gathered, now: DateTime<Utc>) -> Self {
        let id = id(gathered);
        let count = |kind: Kind| gathered.counts.get(&kind).copied().unwrap_or(0);
        let worker = gathered.told.first().map_or("", |notice| notice.worker.as_str());
        let event = Event {
            specversion: "1.0",
            id: &id,
            source: format!("/lazaret/{worker}"),
            kind: TYPE,
            time: written(now),
            datacontenttype: "application/json",
            data: Data {
                worker,
                counts: Kind::ALL.into_iter().map(|kind| (kind.word(), count(kind))).collect(),
                notices: &gathered.told,
                omitted: gathered.omitted(),
                undelivered: gathered.undelivered,
            },
        };
        // Texts and numbers in structs: nothing in it fails to be written.
        let body = serde_json::to_vec(&event).unwrap_or_default();
        Self { id, body }
    }
}

fn id(gathered: &Gathered) -> String {
    let mut named = format!("delivery/{}", gathered.count());
    for notice in &gathered.told {
        named.push('/');
        named.push_str(&notice.id);
    }
    Uuid::new_v5(&NAMESPACE, named.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ledger::WorkerId;
    use crate::notices::notice::What;

    fn of(lost: &[&str], undelivered: u64) -> Delivery {
        let mut gathered = Gathered::default();
        for name in lost {
            let what = What::WorkerLost {
                lost: (*name).to_owned(),
                attempts: 1,
            };
            let worker = WorkerId("w1".to_owned());
            gathered.add(Notice::of(&worker, what, DateTime::UNIX_EPOCH), Duration::ZERO);
        }
        gathered.undelivered = undelivered;
        Delivery::of(&gathered, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn it_is_a_cloud_event_that_counts_what_it_does_not_tell() {
        let names: Vec<String> = (0..25).map(|number| format!("w{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let delivery = of(&names, 3);
        let json: serde_json::Value = serde_json::from_slice(&delivery.body).unwrap();
        let head = ["specversion", "id", "source", "type", "time", "datacontenttype"];
        let head = head.map(|field| json[field].as_str().unwrap().to_owned());
        let expected = [
            "1.0",
            &delivery.id,
            "/lazaret/w1",
            TYPE,
            "1970-01-01T00:00:00.000Z",
            "application/json",
        ];
        assert_eq!(head, expected);
        let data = &json["data"];
        assert_eq!(
            data["counts"],
            serde_json::json!({ "quarantined": 0, "violation": 0, "breaker": 0, "worker-lost": 25 })
        );
        assert_eq!(
            (
                data["notices"].as_array().unwrap().len(),
                &data["omitted"],
                &data["undelivered"]
            ),
            (20, &5.into(), &3.into())
        );
    }

    #[test]
    fn its_id_is_that_of_what_it_tells() {
        assert_eq!(of(&["w1"], 0).id, of(&["w1"], 9).id);
        assert_ne!(of(&["w1"], 0).id, of(&["w2"], 0).id);
        assert_ne!(of(&["w1"], 0).id, of(&["w1", "w2"], 0).id);
    }
}
