//! What was decided about a tenant, for people.

use std::fmt::Display;

use chrono::DateTime;

use super::{Block, Over, SomeLimits, Standing};

impl Block {
    /// Its word in configuration, commands and forms.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Refuse => "refuse",
            Self::Drop => "drop",
        }
    }
}

impl Over {
    /// Its word in configuration, commands and forms.
    pub fn word(self) -> &'static str {
        match self {
            Self::Park => "park",
            Self::Refuse => "refuse",
        }
    }
}

impl Standing {
    /// Whether its jobs run one at a time.
    pub fn is_on_probation(&self, now_ms: u64) -> bool {
        self.probation_until_ms.is_some_and(|until| until > now_ms)
    }

    /// All that holds now, separated by commas; empty where nothing was decided.
    pub fn told(&self, now_ms: u64) -> String {
        let until = self.probation_until_ms.filter(|_| self.is_on_probation(now_ms));
        let block = self.block.map(|block| format!("blocked ({})", block.word()));
        let purged = self.purged_before_ms.map(|at| format!("purged before {}", moment(at)));
        let probation = until.map(|until| format!("on probation until {}", moment(until)));
        let limits = self.limits.told();
        let limits = (!limits.is_empty()).then_some(limits);
        let said: Vec<String> = [block, purged, probation, limits].into_iter().flatten().collect();
        said.join(", ")
    }
}

impl SomeLimits {
    /// Those that are set, separated by commas.
    pub fn told(&self) -> String {
        let said = [
            named("jobs/min", self.jobs_per_minute),
            named("CPU s/min", self.cpu_seconds_per_minute),
            named("bytes/day", self.bytes_per_day),
            named("in flight", self.in_flight),
            named("queued", self.queued),
            named("over", self.over.map(Over::word)),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        said.join(", ")
    }
}

fn named(name: &str, limit: Option<impl Display>) -> Option<String> {
    limit.map(|limit| format!("{name} {limit}"))
}

/// In UTC.
fn moment(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(DateTime::from_timestamp_millis);
    at.map_or("ever".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_is_told_and_what_is_over_is_not() {
        assert_eq!(Standing::default().told(0), "");
        let standing = Standing {
            block: Some(Block::Refuse),
            limits: SomeLimits {
                queued: Some(7),
                over: Some(Over::Park),
                ..SomeLimits::default()
            },
            purged_before_ms: Some(u64::MAX),
            probation_until_ms: Some(1000),
        };
        let told = "blocked (refuse), purged before ever, on probation until 1970-01-01 00:00:01, queued 7, over park";
        assert_eq!(standing.told(999), told);
        assert!(!standing.told(1000).contains("probation"));
    }
}
