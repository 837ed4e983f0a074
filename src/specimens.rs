//! Specimens: the bytes of uploads that tripped, kept as evidence in a store of their own, capped in bytes and days.
//!
//! In a folder they are its owner's alone, mode 0600, and there is room before one is kept. A bucket is listed once a minute at most: it may hold
//! more for so long.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::clock::Stopwatch;
use crate::expiry::{Caps, surplus};
use crate::store::{Access, Store};

/// How often a bucket is listed.
const LIST: Duration = Duration::from_secs(60);
/// Most objects that are removed from a bucket at a time.
const REMOVED: usize = 100;

/// How much is kept, and for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// Most bytes of all specimens; the oldest go first.
    pub bytes: ByteSize,
    /// Longest time a specimen is kept.
    #[serde(with = "humantime_serde")]
    pub time: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            bytes: ByteSize::gib(1),
            time: Duration::from_secs(90 * 24 * 3600),
        }
    }
}

/// The specimens' store and its caps.
#[derive(Debug)]
pub struct Specimens {
    store: Store,
    keep: Keep,
    listed: Mutex<Option<Stopwatch>>,
}

impl Specimens {
    /// Keeps specimens in `folder`, which is made with mode 0700 where it is missing.
    pub fn open(folder: &Path, keep: Keep) -> io::Result<Self> {
        Ok(Self::of(Store::open("specimens", folder, Access::Private)?, keep))
    }

    /// Keeps specimens in a store.
    pub fn of(store: Store, keep: Keep) -> Self {
        Self {
            store,
            keep,
            listed: Mutex::default(),
        }
    }

    /// The store they are in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Keeps `bytes` bytes of `file` under `key`, and drops what is too old or too much.
    pub async fn keep(&self, key: &str, file: &File, bytes: u64, now: SystemTime) -> io::Result<()> {
        if bytes > self.keep.bytes.as_u64() {
            return Err(io::Error::other(format!(
                "{bytes} bytes are more than all specimens may have, {}",
                self.keep.bytes
            )));
        }
        if self.is_time_to_list() {
            self.make_room(bytes, now).await?;
        }
        let written = self.store.write(key, file, 0, bytes, Access::Private).await;
        written.map(drop)
    }

    async fn make_room(&self, bytes: u64, now: SystemTime) -> io::Result<()> {
        let mut kept = self.store.objects("").await?;
        // Two parts, the digest's first two digits and the digest; all else is somebody else's.
        kept.retain(|object| object.key.find('/') == Some(2) && object.key.rfind('/') == Some(2));
        let caps = Caps {
            bytes: Some(self.keep.bytes.as_u64()),
            time: Some(self.keep.time),
        };
        let surplus = surplus(caps, kept, bytes, now);
        let most = if self.store.is_remote() { REMOVED } else { usize::MAX };
        for object in surplus.into_iter().take(most) {
            // Another worker may have dropped it at the same moment, which is no error.
            self.store.remove(&object.key).await?;
        }
        Ok(())
    }

    fn is_time_to_list(&self) -> bool {
        if !self.store.is_remote() {
            return true;
        }
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if listed.is_some_and(|listed| listed.elapsed() < LIST) {
            return false;
        }
        *listed = Some(Stopwatch::start());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(bytes: usize) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![1; bytes]).unwrap();
        file
    }

    /// Keeps an object of 40 bytes, written at this second of 1970.
    async fn keep_at(specimens: &Specimens, key: &str, second: u64) {
        let stamp = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        specimens.keep(key, &file(40), 40, stamp).await.unwrap();
        let kept = File::options().write(true).open(specimens.store().place(key)).unwrap();
        kept.set_modified(stamp).unwrap();
    }

    async fn there<const N: usize>(specimens: &Specimens, keys: [&str; N]) -> [bool; N] {
        let mut there = [false; N];
        for (there, key) in there.iter_mut().zip(keys) {
            *there = specimens.store().has(key, 40).await.unwrap();
        }
        there
    }

    #[tokio::test]
    async fn the_oldest_go_when_there_is_too_much() {
        let folder = tempfile::tempdir().unwrap();
        let keep = Keep {
            bytes: ByteSize(100),
            ..Keep::default()
        };
        let specimens = Specimens::open(folder.path(), keep).unwrap();
        for (second, key) in ["aa/1", "bb/2", "cc/3"].into_iter().enumerate() {
            keep_at(&specimens, key, second as u64).await;
        }
        assert_eq!(there(&specimens, ["aa/1", "bb/2", "cc/3"]).await, [false, true, true]);
        let much = specimens.keep("dd/4", &file(101), 101, SystemTime::UNIX_EPOCH).await;
        assert!(much.is_err());
    }

    #[tokio::test]
    async fn the_old_go_when_their_time_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let keep = Keep {
            time: Duration::from_secs(3600),
            ..Keep::default()
        };
        let specimens = Specimens::open(folder.path(), keep).unwrap();
        std::fs::write(folder.path().join("somebody-elses"), "x").unwrap();
        keep_at(&specimens, "aa/1", 0).await;
        keep_at(&specimens, "bb/2", 7200).await;
        assert_eq!(there(&specimens, ["aa/1", "bb/2"]).await, [false, true]);
        assert!(folder.path().join("somebody-elses").exists());
    }
}
