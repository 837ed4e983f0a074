//! Expiry: which objects are too old, or too much. `[pure]`
//!
//! Renditions are looked at by shard, the first two digits of the digests that their keys begin with: digests are spread evenly, so a shard may have
//! its share of all bytes, and no list is longer than that of one shard.

use std::time::{Duration, SystemTime};

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::store::Object;

/// How many shards there are.
pub const SHARDS: u64 = 256;

/// How long renditions are kept, and how much of them. What is dropped is made again when it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Most bytes of all; 0: any.
    pub bytes: ByteSize,
    /// Longest time since one was made; 0: for ever.
    #[serde(with = "humantime_serde")]
    pub time: Duration,
}

/// What some objects may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Most bytes of all; none: any.
    pub bytes: Option<u64>,
    /// Longest time since one was written; none: for ever.
    pub time: Option<Duration>,
}

impl Retention {
    /// What one shard may have; `None` where nothing is ever dropped.
    #[must_use]
    pub fn of_a_shard(&self) -> Option<Caps> {
        let caps = Caps {
            bytes: Some(self.bytes.as_u64().div_ceil(SHARDS)).filter(|bytes| *bytes > 0),
            time: Some(self.time).filter(|time| !time.is_zero()),
        };
        (caps.bytes.is_some() || caps.time.is_some()).then_some(caps)
    }
}

/// The name of a shard; they follow each other for ever.
#[must_use]
pub fn shard(number: u64) -> String {
    format!("{:02x}", number % SHARDS)
}

/// What is too old, or stands in the way of so many bytes more; the oldest first.
#[must_use]
pub fn surplus(caps: Caps, mut kept: Vec<Object>, room: u64, now: SystemTime) -> Vec<Object> {
    kept.sort_by_key(|object| object.written);
    let mut total: u64 = kept.iter().map(|object| object.bytes).sum();
    kept.retain(|object| {
        let age = now.duration_since(object.written).unwrap_or_default();
        let much = caps.bytes.is_some_and(|most| total + room > most);
        let goes = much || caps.time.is_some_and(|most| age > most);
        if goes {
            total -= object.bytes;
        }
        goes
    });
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, second: u64) -> Object {
        Object {
            key: key.to_owned(),
            bytes: 30,
            written: SystemTime::UNIX_EPOCH + Duration::from_secs(second),
        }
    }

    fn goes(bytes: Option<u64>, seconds: Option<u64>, room: u64, now: u64) -> String {
        let caps = Caps {
            bytes,
            time: seconds.map(Duration::from_secs),
        };
        let kept = vec![object("c", 30), object("a", 10), object("b", 20)];
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
        let goes = surplus(caps, kept, room, now);
        goes.into_iter().map(|object| object.key).collect()
    }

    #[test]
    fn what_stands_in_the_way_goes_and_no_more() {
        assert_eq!(goes(Some(100), None, 10, 40), "");
        assert_eq!(goes(Some(100), None, 11, 40), "a");
        assert_eq!(goes(Some(89), None, 0, 40), "a");
        assert_eq!(goes(Some(100), None, 100, 40), "abc");
    }

    #[test]
    fn what_is_too_old_goes_and_what_is_from_the_future_stays() {
        assert_eq!(goes(None, Some(50), 0, 60), "");
        assert_eq!(goes(None, Some(50), 0, 61), "a");
        assert_eq!(goes(Some(60), Some(50), 0, 71), "ab");
        assert_eq!(goes(None, Some(50), 0, 0), "");
        assert_eq!(goes(None, None, 1 << 40, 1 << 40), "");
    }

    #[test]
    fn a_shard_may_have_its_share() {
        assert_eq!(Retention::default().of_a_shard(), None);
        let retention = |bytes, seconds| Retention {
            bytes: ByteSize(bytes),
            time: Duration::from_secs(seconds),
        };
        let caps = |bytes, seconds: Option<u64>| Caps {
            bytes,
            time: seconds.map(Duration::from_secs),
        };
        assert_eq!(retention(2560, 0).of_a_shard(), Some(caps(Some(10), None)));
        assert_eq!(retention(1, 7).of_a_shard(), Some(caps(Some(1), Some(7))));
        assert_eq!([0, 10, 255, 256].map(shard), ["00", "0a", "ff", "00"]);
    }
}
