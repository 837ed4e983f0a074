//! `[buckets]`: how stores in buckets are spoken to.

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::Config;
use super::amqp::between;
use crate::store::Terms;

/// Longest that signed addresses can be good, as S3 has it.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// How buckets are spoken to. Not used where all stores are folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BucketsConfig {
    /// Longest wait for a connection, 100 ms to 60 s.
    #[serde(with = "humantime_serde")]
    pub connect: Duration,
    /// Longest wait for an answer, tries that failed included, 1 s to 60 s.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,
    /// Longest time for one object to be read or written, 1 s to 1 h.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// Fewest bytes per second that a bucket may send, over any 10 s; 0: any.
    pub slowest: ByteSize,
    /// How long an address is good under which anybody may read a rendition, at most 7 days; 0: results have no such addresses.
    #[serde(with = "humantime_serde")]
    pub presign: Duration,
}

impl Default for BucketsConfig {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            patience: Duration::from_secs(10),
            deadline: Duration::from_secs(120),
            slowest: ByteSize::kib(16),
            presign: Duration::ZERO,
        }
    }
}

impl BucketsConfig {
    /// Times and rates.
    pub fn terms(&self) -> Terms {
        Terms {
            connect: self.connect,
            patience: self.patience,
            deadline: self.deadline,
            slowest: self.slowest.as_u64(),
            presign: Some(self.presign).filter(|lifetime| !lifetime.is_zero()),
        }
    }
}

/// The first contradiction, or value that is out of bounds, with the way out.
pub(super) fn contradiction(config: &Config) -> Option<String> {
    let buckets = &config.buckets;
    let (moment, second, minute) = (
        Duration::from_millis(100),
        Duration::from_secs(1),
        Duration::from_secs(60),
    );
    between("buckets.connect", buckets.connect, moment, minute)
        .or_else(|| between("buckets.patience", buckets.patience, second, minute))
        .or_else(|| between("buckets.deadline", buckets.deadline, second, minute * 60))
        .or_else(|| between("buckets.presign", buckets.presign, Duration::ZERO, WEEK))
        .or_else(|| too_fast(config))
        .or_else(|| presigned_folder(config))
        .or_else(|| left_out(config))
}

/// A store in a bucket that this build cannot speak to.
fn left_out(config: &Config) -> Option<String> {
    config.stores.iter().find_map(|(name, address)| {
        let why = address.bucket()?.provider().left_out()?;
        Some(format!("stores.{name} is {address}: {why}, or name a folder"))
    })
}

/// A rate that no upload of the largest size could be as slow as, and still be read in time.
fn too_fast(config: &Config) -> Option<String> {
    let (slowest, most) = (config.buckets.slowest, ByteSize::mib(64));
    (slowest > most).then(|| format!("buckets.slowest is {slowest}, at most {most}"))
}

fn presigned_folder(config: &Config) -> Option<String> {
    let folder = config.stores.get("renditions")?.folder()?;
    (!config.buckets.presign.is_zero()).then(|| {
        format!(
            "buckets.presign is given, but stores.renditions is a folder, {}: it has no addresses to sign; drop the first, or name a bucket",
            folder.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_refused_with_its_feature_where_that_was_left_out() {
        for (address, feature, built) in [
            ("s3://bucket", "s3", cfg!(feature = "s3")),
            ("gs://bucket", "gs", cfg!(feature = "gs")),
            ("az://bucket", "azure", cfg!(feature = "azure")),
        ] {
            let text = format!("[stores]\nuploads = \"{address}\"\n");
            let refused = Config::parse(&text, "x.toml", Default::default()).err();
            let refused = refused.map(|error| error.to_string());
            assert_eq!(refused.is_none(), built, "{refused:?}");
            if let Some(words) = refused {
                let wanted = format!(
                    "stores.uploads is {address}: this build knows no such buckets; build with `--features {feature}`"
                );
                assert!(words.contains(&wanted), "{words}");
            }
        }
    }
}
