//! What operators see of dead letters. Text that came with a message is shown harmlessly.

use bytesize::ByteSize;
use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::json;

use crate::broker::dead::{DeadLetter, DeadLetters};
use crate::cli::{Ending, Failure, show};

/// List dead messages, oldest first.
#[derive(Debug, Args)]
pub(super) struct List {
    /// At most this many; 0: all.
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Only those whose reason has this text in it.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Print one JSON object per message.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) async fn run(self, round: &mut dyn DeadLetters) -> Result<Ending, Failure> {
        let mut table = show::table(&["id", "tenant", "why", "since", "from", "size"]);
        let mut listed = 0;
        while (self.limit == 0 || listed < self.limit)
            && let Some(letter) = round.next().await.map_err(Failure::other)?
        {
            if !tells(&letter, self.reason.as_deref()) {
                continue;
            }
            listed += 1;
            match self.json {
                true => show::line(&as_json(&letter))?,
                false => drop(table.add_row([
                    letter.id.clone(),
                    show::harmless(letter.tenant.as_deref().unwrap_or("–"), 20),
                    show::harmless(&letter.why, 90),
                    moment(letter.since_ms).map_or("–".to_owned(), show::moment),
                    show::word(&letter.envelope.lane),
                    ByteSize(letter.bytes).to_string(),
                ])),
            }
        }
        if !self.json {
            show::print(&table)?;
        }
        Ok(Ending::Well)
    }
}

/// Whether a letter's reason has this text in it.
pub(super) fn tells(letter: &DeadLetter, reason: Option<&str>) -> bool {
    reason.is_none_or(|part| letter.why.contains(part))
}

fn moment(since_ms: Option<u64>) -> Option<DateTime<Utc>> {
    since_ms.and_then(|ms| DateTime::from_timestamp_millis(i64::try_from(ms).ok()?))
}

fn as_json(letter: &DeadLetter) -> serde_json::Value {
    json!({
        "id": letter.id,
        "job": letter.job,
        "tenant": letter.tenant,
        "why": letter.why,
        "since": moment(letter.since_ms),
        "from": letter.envelope.lane,
        "bytes": letter.bytes,
        "tries": letter.envelope.tries,
        "requeued": letter.envelope.requeued,
    })
}
