//! Specimens: the bytes of uploads that tripped, kept as evidence in a folder of their own, mode 0600, capped in bytes and days.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::store::{Access, Store};

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
}

impl Specimens {
    /// Keeps specimens in `folder`, which is made with mode 0700 where it is missing.
    pub fn open(folder: &Path, keep: Keep) -> io::Result<Self> {
        Ok(Self {
            store: Store::open("specimens", folder, Access::Private)?,
            keep,
        })
    }

    /// The store they are in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Keeps `bytes` bytes of `file` under `key`, and drops what is too old or too much. Blocks.
    pub fn keep(&self, key: &str, file: &File, bytes: u64, now: SystemTime) -> io::Result<()> {
        if bytes > self.keep.bytes.as_u64() {
            return Err(io::Error::other(format!(
                "{bytes} bytes are more than all specimens may have, {}",
                self.keep.bytes
            )));
        }
        self.make_room(bytes, now)?;
        self.store.write(key, file, 0, bytes, Access::Private).map(drop)
    }

    fn make_room(&self, bytes: u64, now: SystemTime) -> io::Result<()> {
        let mut kept = Vec::new();
        collect(&self.store.path(""), &mut kept)?;
        kept.sort_by_key(|(_, metadata)| metadata.modified().ok());
        let mut total: u64 = kept.iter().map(|(_, metadata)| metadata.len()).sum();
        for (path, metadata) in kept {
            let age = metadata
                .modified()
                .ok()
                .and_then(|at| now.duration_since(at).ok())
                .unwrap_or_default();
            if total + bytes <= self.keep.bytes.as_u64() && age <= self.keep.time {
                continue;
            }
            total -= metadata.len();
            // Another worker may have dropped it at the same moment.
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Objects are two levels deep: the digest's first two digits, then the digest. Staging is left alone.
fn collect(folder: &Path, kept: &mut Vec<(PathBuf, Metadata)>) -> io::Result<()> {
    for shard in fs::read_dir(folder)? {
        let shard = shard?;
        if shard.file_name().len() != 2 || !shard.file_type()?.is_dir() {
            continue;
        }
        for object in fs::read_dir(shard.path())? {
            let object = object?;
            kept.push((object.path(), object.metadata()?));
        }
    }
    Ok(())
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
    fn keep_at(specimens: &Specimens, key: &str, second: u64) {
        let stamp = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        specimens.keep(key, &file(40), 40, stamp).unwrap();
        let kept = File::options().write(true).open(specimens.store().path(key)).unwrap();
        kept.set_modified(stamp).unwrap();
    }

    #[test]
    fn the_oldest_go_when_there_is_too_much() {
        let folder = tempfile::tempdir().unwrap();
        let keep = Keep {
            bytes: ByteSize(100),
            ..Keep::default()
        };
        let specimens = Specimens::open(folder.path(), keep).unwrap();
        for (second, key) in ["aa/1", "bb/2", "cc/3"].into_iter().enumerate() {
            keep_at(&specimens, key, second as u64);
        }
        let there = |key| specimens.store().has(key, 40);
        assert_eq!((there("aa/1"), there("bb/2"), there("cc/3")), (false, true, true));
        assert!(specimens.keep("dd/4", &file(101), 101, SystemTime::UNIX_EPOCH).is_err());
    }

    #[test]
    fn the_old_go_when_their_time_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let keep = Keep {
            time: Duration::from_secs(3600),
            ..Keep::default()
        };
        let specimens = Specimens::open(folder.path(), keep).unwrap();
        keep_at(&specimens, "aa/1", 0);
        keep_at(&specimens, "bb/2", 7200);
        assert!(!specimens.store().has("aa/1", 40) && specimens.store().has("bb/2", 40));
    }
}
