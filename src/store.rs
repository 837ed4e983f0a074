//! Stores: uploads, renditions and specimens, each in a folder or a bucket that the configuration names.
//!
//! In: keys. Out: bytes to read, and objects written whole or not at all. What is spoken to a bucket has a time to answer and a time to be over,
//! so that one that hangs keeps nobody; what it says is told without what it repeats of a request. A job that asks for what is not there learns
//! so by the kind of the error, `NotFound`; all other errors are our own trouble and may pass.

mod folder;
mod terms;

#[cfg(feature = "buckets")]
mod bucket;
#[cfg(feature = "buckets")]
mod pace;
#[cfg(feature = "buckets")]
mod words;

#[cfg(not(feature = "buckets"))]
#[path = "store/no_bucket.rs"]
mod bucket;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::task::spawn_blocking;

use crate::config::BucketAddress;
use crate::digest::Digest;
use crate::job::check_key;

pub use bucket::Stream;
pub use terms::Terms;

use bucket::Bucket;
use folder::Folder;

/// A named place of objects.
#[derive(Debug, Clone)]
pub struct Store {
    name: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Folder(Arc<Folder>),
    Bucket(Arc<Bucket>),
}

/// Who may read what is written. In a bucket that is the bucket's own affair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody may read: mode 0644.
    Shared,
    /// Only the owner: mode 0600.
    Private,
}

/// An object that is open for reading.
#[derive(Debug)]
pub enum Opened {
    /// A regular file.
    File(File),
    /// What a bucket sends.
    Stream(Stream),
}

/// An object in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written.
    pub written: SystemTime,
}

impl Store {
    /// Opens a folder to write to, and makes it where it is missing. Drops what processes that died left unfinished in it.
    ///
    /// # Errors
    /// Names the folder.
    pub fn open(name: &str, folder: &Path, access: Access) -> io::Result<Self> {
        Ok(Self::of(name, Folder::open(name, folder, access)?))
    }

    /// Opens a folder to read from, which must exist: one made in place of a share that is not mounted would answer every job
    /// with `source-missing`.
    ///
    /// # Errors
    /// Names the folder and what to do.
    pub fn open_source(name: &str, folder: &Path) -> io::Result<Self> {
        Ok(Self::of(name, Folder::open_source(name, folder)?))
    }

    /// A bucket, to read from and to write to. Nothing is connected yet.
    ///
    /// # Errors
    /// Credentials or certificates are named that cannot be read; or this build knows no such buckets.
    pub fn bucket(name: &str, address: &BucketAddress, terms: &Terms) -> io::Result<Self> {
        let bucket = Bucket::open(address, terms)
            .map_err(|error| io::Error::new(error.kind(), format!("store {name}: {address}: {error}")))?;
        Ok(Self {
            name: name.to_owned(),
            kind: Kind::Bucket(Arc::new(bucket)),
        })
    }

    fn of(name: &str, folder: Folder) -> Self {
        Self {
            name: name.to_owned(),
            kind: Kind::Folder(Arc::new(folder)),
        }
    }

    /// The store's name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where an object is, for people: a path, or an address.
    pub fn place(&self, key: &str) -> PathBuf {
        match &self.kind {
            Kind::Folder(folder) => folder.path(key),
            Kind::Bucket(bucket) => PathBuf::from(bucket.place(key)),
        }
    }

    /// A folder in the same file system, for files that are not whole yet. Only of folders that are written; a bucket has none.
    pub fn staging(&self) -> Option<PathBuf> {
        match &self.kind {
            Kind::Folder(folder) => Some(folder.staging()),
            Kind::Bucket(_) => None,
        }
    }

    /// Whether asking for its objects takes requests that are paid for and take their time.
    pub fn is_remote(&self) -> bool {
        matches!(self.kind, Kind::Bucket(_))
    }

    /// Opens an object for reading.
    ///
    /// # Errors
    /// `NotFound`; or the key is not a plain one, leads outside, or is no regular file.
    pub async fn open_object(&self, key: &str) -> io::Result<Opened> {
        match &self.kind {
            Kind::Folder(folder) => {
                let key = key.to_owned();
                in_folder(folder, move |folder| folder.read(&key))
                    .await
                    .map(Opened::File)
            }
            Kind::Bucket(bucket) => {
                plain(key)?;
                bucket.read(key).await.map(Opened::Stream)
            }
        }
    }

    /// Whether an object of this size is there.
    ///
    /// # Errors
    /// A bucket does not say.
    pub async fn has(&self, key: &str, bytes: u64) -> io::Result<bool> {
        match &self.kind {
            Kind::Folder(folder) => {
                let key = key.to_owned();
                in_folder(folder, move |folder| Ok(folder.has(&key, bytes))).await
            }
            Kind::Bucket(bucket) => {
                plain(key)?;
                Ok(bucket.size(key).await? == Some(bytes))
            }
        }
    }

    /// Writes `bytes` bytes of `from`, starting at `start`, as one object; returns its digest. An older object is replaced, whole.
    pub async fn write(&self, key: &str, from: &File, start: u64, bytes: u64, access: Access) -> io::Result<Digest> {
        let from = from.try_clone()?;
        match &self.kind {
            Kind::Folder(folder) => {
                let key = key.to_owned();
                in_folder(folder, move |folder| folder.write(&key, &from, start, bytes, access)).await
            }
            Kind::Bucket(bucket) => {
                plain(key)?;
                bucket.write(key, from, start, bytes).await
            }
        }
    }

    /// Removes an object; one that is gone already is no error.
    pub async fn remove(&self, key: &str) -> io::Result<()> {
        match &self.kind {
            Kind::Folder(folder) => {
                let key = key.to_owned();
                in_folder(folder, move |folder| folder.remove(&key)).await
            }
            Kind::Bucket(bucket) => {
                plain(key)?;
                bucket.remove(key).await
            }
        }
    }

    /// The objects whose keys have this first part; all of them where it is empty.
    pub async fn objects(&self, first: &str) -> io::Result<Vec<Object>> {
        match &self.kind {
            Kind::Folder(folder) => {
                let first = first.to_owned();
                in_folder(folder, move |folder| folder.objects(&first)).await
            }
            Kind::Bucket(bucket) => bucket.objects(first).await,
        }
    }

    /// An address under which anybody may read an object for a while, where the configuration asks for one.
    ///
    /// # Errors
    /// There are no credentials to sign it with.
    pub async fn url(&self, key: &str) -> io::Result<Option<String>> {
        match &self.kind {
            Kind::Folder(_) => Ok(None),
            Kind::Bucket(bucket) => bucket.url(key).await,
        }
    }

    /// Whether a bucket answers, and to whom we say that we are. A folder is not asked: reading it tells.
    ///
    /// # Errors
    /// It does not.
    pub async fn look(&self) -> io::Result<()> {
        match &self.kind {
            Kind::Folder(_) => Ok(()),
            Kind::Bucket(bucket) => bucket.look().await,
        }
    }
}

/// Folders block, and may hang where they are shares.
async fn in_folder<T: Send + 'static>(
    folder: &Arc<Folder>,
    work: impl FnOnce(&Folder) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let folder = Arc::clone(folder);
    spawn_blocking(move || work(&folder)).await.map_err(io::Error::other)?
}

/// Refuses a key that no job may name.
fn plain(key: &str) -> io::Result<()> {
    check_key(key).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))
}
