//! Result events: CloudEvents 1.0, structured JSON. `[pure]`
//!
//! The id is made from the job's id: a job that is answered twice is answered with the same id, so that a consumer can drop the copy.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::broker::Envelope;
use crate::verdict::{Report, Status};

/// Namespace of event ids (UUID version 5 of the job's id), made once for this project.
const NAMESPACE: Uuid = Uuid::from_u128(0x8c1d_53a0_5f0b_4e0e_9d5e_6c61_7a61_7265);

/// The event's `type`.
pub const TYPE: &str = "lazaret.result.v1";

/// A result event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Always `1.0`.
    pub specversion: String,
    /// The same for every answer to the same job.
    pub id: String,
    /// Who answers: `/lazaret/` and the worker.
    pub source: String,
    /// [`TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The job's id.
    pub subject: String,
    /// When, RFC 3339.
    pub time: String,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// The publisher's trace, where the job came with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The report.
    pub data: Report,
}

impl Event {
    /// The event that tells of a report. A job that an operator had run again is told of by another event than before.
    pub fn of(report: Report, envelope: &Envelope, now: DateTime<Utc>) -> Self {
        let named = match envelope.requeued {
            0 => report.job.clone(),
            again => format!("{}#{again}", report.job),
        };
        Self {
            specversion: "1.0".to_owned(),
            id: Uuid::new_v5(&NAMESPACE, named.as_bytes()).to_string(),
            source: format!("/lazaret/{}", report.worker),
            kind: TYPE.to_owned(),
            subject: report.job.clone(),
            time: now.to_rfc3339_opts(SecondsFormat::Millis, true),
            datacontenttype: "application/json".to_owned(),
            traceparent: envelope.traceparent.clone(),
            data: report,
        }
    }

    /// `<tenant>.<status>`.
    pub fn routing_key(&self) -> String {
        format!("{}.{}", self.data.tenant, word(self.data.status))
    }
}

/// The status's word, as in messages.
pub fn word(status: Status) -> &'static str {
    match status {
        Status::Converted => "converted",
        Status::Rejected => "rejected",
        Status::Quarantined => "quarantined",
        Status::Refused => "refused",
        Status::Failed => "failed",
    }
}
