//! A store in a bucket: S3 and what is compatible with it, Google Cloud Storage, Azure Blob Storage, through `object_store`.
//!
//! In: keys. Out: streams, and objects that are there whole or not at all: written by one request, or in parts that become an object when all
//! have come. Each question has a time to be answered in, tries included, and each object one to be over in. Absent on purpose: lists of rights.
//! Who may read a bucket is set where the bucket is.

mod client;

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use hyper::body::Bytes;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::pace::Pace;
use super::{Object, Terms, words};
use crate::clock::Stopwatch;
use crate::config::BucketAddress;
use crate::digest::{Digest, Hasher};

/// Bytes of a part; what has no more is written by one request.
const PART: u64 = 8 << 20;
/// Most objects of a list: whoever has more expires them by the bucket's own rules.
const LISTED: usize = 100_000;
/// What nobody writes: asked for to see whether a bucket answers.
const NOBODYS: &str = ".lazaret-is-not-here";
/// Codes of answers that know us, and do not tell what is not there to whoever may not list.
const KNOWN: &str = "(AccessDenied";

/// A bucket, and the prefix of all keys in it.
pub struct Bucket {
    place: String,
    prefix: Path,
    client: Arc<dyn ObjectStore>,
    signer: Arc<dyn Signer>,
    terms: Terms,
}

impl fmt::Debug for Bucket {
    /// Without the client, which holds credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({})", self.place)
    }
}

/// An object that comes.
pub struct Stream {
    place: String,
    bytes: u64,
    body: BoxStream<'static, Result<Bytes, Error>>,
    pace: Pace,
    age: Stopwatch,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({}, {} bytes)", self.place, self.bytes)
    }
}

impl Stream {
    /// How many bytes the bucket says there are.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What comes next; `None` at the end.
    ///
    /// # Errors
    /// The sender fails, or is too slow.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let named = |error: &dyn fmt::Display| io::Error::other(format!("{}: {error}", self.place));
        let asked = Stopwatch::start();
        let patience = self.pace.patience(self.age.elapsed());
        match timeout(patience, self.body.next()).await {
            Ok(Some(Ok(block))) => {
                let came = self.pace.came(block.len() as u64, asked.elapsed(), self.age.elapsed());
                came.map_err(|slow| named(&slow))?;
                Ok(Some(block))
            }
            Ok(Some(Err(error))) => Err(words::of(&self.place, &error)),
            Ok(None) => Ok(None),
            Err(_) => Err(named(&self.pace.silence(self.age.elapsed()))),
        }
    }
}

impl Bucket {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// Credentials or certificates that are named cannot be read; or this build knows no such buckets.
    pub fn open(address: &BucketAddress, terms: &Terms) -> io::Result<Self> {
        let (client, signer) = client::open(address, terms)?;
        Ok(Self {
            place: address.to_string(),
            prefix: Path::parse(address.prefix()).map_err(io::Error::other)?,
            client,
            signer,
            terms: terms.clone(),
        })
    }

    /// Where an object is, for people.
    pub fn place(&self, key: &str) -> String {
        match key {
            "" => self.place.clone(),
            key => format!("{}/{key}", self.place),
        }
    }

    /// Asks for an object. What comes of it is read from the stream.
    pub async fn read(&self, key: &str) -> io::Result<Stream> {
        let age = Stopwatch::start();
        let path = self.path(key)?;
        let got = self.answered(key, self.client.get(&path)).await?;
        Ok(Stream {
            place: self.place(key),
            bytes: got.meta.size,
            body: got.into_stream(),
            pace: Pace::new(&self.terms),
            age,
        })
    }

    /// An object's size; `None` where there is none.
    pub async fn size(&self, key: &str) -> io::Result<Option<u64>> {
        let path = self.path(key)?;
        match self.answered(key, self.client.head(&path)).await {
            Ok(head) => Ok(Some(head.size)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes an object whole, and looks whether it has arrived so.
    pub async fn write(&self, key: &str, from: File, start: u64, bytes: u64) -> io::Result<Digest> {
        let path = self.path(key)?;
        let digest = self
            .in_time(key, self.put(key, &path, Arc::new(from), start, bytes))
            .await?;
        match self.size(key).await? {
            Some(there) if there == bytes => Ok(digest),
            there => Err(io::Error::other(format!(
                "{}: {bytes} bytes were written, {} are there",
                self.place(key),
                there.unwrap_or(0)
            ))),
        }
    }

    /// Removes an object; one that is gone already is no error.
    pub async fn remove(&self, key: &str) -> io::Result<()> {
        let path = self.path(key)?;
        match self.answered(key, self.client.delete(&path)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// What is here, below a first part of keys; all of it where that is empty.
    pub async fn objects(&self, first: &str) -> io::Result<Vec<Object>> {
        let within = self.path(first)?;
        let below = match self.prefix.as_ref() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let listed = self.client.list(Some(&within)).take(LISTED);
        let listed = listed.map_err(|error| words::of(&self.place, &error));
        let listed = listed.try_filter_map(|meta| {
            let key = meta.location.as_ref().strip_prefix(&below).map(str::to_owned);
            let (bytes, written) = (meta.size, SystemTime::from(meta.last_modified));
            std::future::ready(Ok(key.map(|key| Object { key, bytes, written })))
        });
        self.in_time(first, listed.try_collect()).await
    }

    /// An address under which anybody may read an object for a while, where such are asked for.
    pub async fn url(&self, key: &str) -> io::Result<Option<String>> {
        let Some(lifetime) = self.terms.presign else {
            return Ok(None);
        };
        let path = self.path(key)?;
        let signed = self
            .signer
            .signed_url(object_store::signer::Method::GET, &path, lifetime);
        Ok(Some(self.answered(key, signed).await?.into()))
    }

    /// Asks for what is not there.
    pub async fn look(&self) -> io::Result<()> {
        let path = self.path(NOBODYS)?;
        match self.answered("", self.client.get(&path)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound && !error.to_string().contains(KNOWN) => Err(error),
            _ => Ok(()),
        }
    }

    async fn put(&self, key: &str, path: &Path, from: Arc<File>, start: u64, bytes: u64) -> io::Result<Digest> {
        let mut hasher = Hasher::default();
        if bytes <= PART {
            let block = block(from, start, bytes).await?;
            hasher.update(&block);
            let put = self.client.put(path, PutPayload::from_bytes(block)).await;
            put.map_err(|error| words::of(&self.place(key), &error))?;
            return Ok(hasher.finish());
        }
        let begun = self.client.put_multipart(path).await;
        let mut parts = begun.map_err(|error| words::of(&self.place(key), &error))?;
        match put_parts(parts.as_mut(), &mut hasher, from, start, bytes).await {
            Ok(()) => Ok(hasher.finish()),
            Err(error) => {
                // Parts that no object is made of are paid for. Where this fails too, the bucket's own rules drop them.
                let _ = timeout(self.terms.patience, parts.abort()).await;
                Err(error.told(&self.place(key)))
            }
        }
    }

    /// An answer, if it comes in time.
    async fn answered<T>(&self, key: &str, answer: impl Future<Output = Result<T, Error>>) -> io::Result<T> {
        match timeout(self.terms.patience, answer).await {
            Ok(answer) => answer.map_err(|error| words::of(&self.place(key), &error)),
            Err(_) => Err(self.late(key, self.terms.patience, "buckets.patience")),
        }
    }

    /// A transfer, if it is over in time.
    async fn in_time<T>(&self, key: &str, transfer: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        match timeout(self.terms.deadline, transfer).await {
            Ok(done) => done,
            Err(_) => Err(self.late(key, self.terms.deadline, "buckets.deadline")),
        }
    }

    fn late(&self, key: &str, time: Duration, setting: &str) -> io::Error {
        let time = humantime::format_duration(time);
        let words = format!("{}: no answer within {time} ({setting})", self.place(key));
        io::Error::new(io::ErrorKind::TimedOut, words)
    }

    /// Names of objects are taken as they are: what is not fit for a URL is encoded on its way.
    fn path(&self, key: &str) -> io::Result<Path> {
        let whole = match self.prefix.as_ref() {
            "" => key.to_owned(),
            prefix => format!("{prefix}/{key}"),
        };
        Path::parse(whole).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }
}

/// Why an object in parts is not there.
enum Unfinished {
    /// Our own file.
    File(io::Error),
    /// The bucket.
    Bucket(Error),
}

impl Unfinished {
    fn told(self, place: &str) -> io::Error {
        match self {
            Self::File(error) => error,
            Self::Bucket(error) => words::of(place, &error),
        }
    }
}

/// One part after the other: the memory is that of one.
async fn put_parts(
    parts: &mut dyn MultipartUpload,
    hasher: &mut Hasher,
    from: Arc<File>,
    start: u64,
    bytes: u64,
) -> Result<(), Unfinished> {
    let mut done = 0;
    while done < bytes {
        let length = PART.min(bytes - done);
        let block = block(Arc::clone(&from), start + done, length).await;
        let block = block.map_err(Unfinished::File)?;
        hasher.update(&block);
        let put = parts.put_part(PutPayload::from_bytes(block)).await;
        put.map_err(Unfinished::Bucket)?;
        done += length;
    }
    parts.complete().await.map(drop).map_err(Unfinished::Bucket)
}

/// A stretch of a file, in memory.
async fn block(from: Arc<File>, start: u64, bytes: u64) -> io::Result<Bytes> {
    let read = move || {
        let length = usize::try_from(bytes).map_err(io::Error::other)?;
        let mut block = vec![0; length];
        from.read_exact_at(&mut block, start)?;
        Ok(Bytes::from(block))
    };
    spawn_blocking(read).await.map_err(io::Error::other)?
}
