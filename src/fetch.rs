//! Fetching: an upload is copied into an unlinked file and hashed while it streams, bounded. Nothing of it is parsed.
//!
//! In: an open source. Out: an [`Upload`] that nobody can change any more, or why it cannot be had. The copy makes sure that
//! the bytes that were hashed are the bytes that are decoded, whatever happens to the source meanwhile.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use hyper::body::Bytes;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::digest::{Digest, Hasher};
use crate::format::{Format, Formats, unread};
use crate::job::Source;
use crate::store::{Opened, Store, Stream};
use crate::verdict::{Reason, Refusal};

/// Blocks of a bucket that wait to be written.
const BLOCKS: usize = 16;

/// A fetched upload.
#[derive(Debug)]
pub struct Upload {
    /// Its bytes, in an unlinked file.
    pub file: File,
    /// How many.
    pub bytes: u64,
    /// Their SHA-256.
    pub digest: Digest,
    /// The format that its magic bytes promise.
    pub format: Option<Format>,
    /// Why it is not read, where its magic bytes promise no format.
    pub unread: &'static str,
}

/// Why an upload cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It is not acceptable as it is: too large, or not there.
    #[error("{0}")]
    Refused(Refusal),
    /// It grew, shrank or was rewritten while it was read.
    #[error("{name}: changed while it was read ({before} bytes, then {after}); try again when it is complete")]
    Changed {
        /// Key or path.
        name: String,
        /// Size when it was opened.
        before: u64,
        /// Size at the end.
        after: u64,
    },
    /// It, or the staging folder, cannot be read or written.
    #[error("{name}: {error}")]
    Failed {
        /// Key or path, or the staging folder.
        name: String,
        /// What the system said.
        error: io::Error,
    },
}

/// Copies and hashes `source`, at most `most` bytes of it. `name` is its key or path, for errors.
pub async fn fetch(source: Opened, name: &str, most: u64, staging: &Path) -> Result<Upload, FetchError> {
    match source {
        Opened::File(source) => {
            let (of, staging) = (name.to_owned(), staging.to_owned());
            let copied = spawn_blocking(move || copy(source, &of, most, &staging)).await;
            copied.unwrap_or_else(|panic| Err(failed(name, io::Error::other(panic))))
        }
        Opened::Stream(source) => receive(source, name, most, staging).await,
    }
}

impl Store {
    /// An object's bytes, at most `most` of them, in a file: its own, or a copy without a name in `staging`.
    ///
    /// # Errors
    /// `NotFound`; or the store, or `staging`, does not do its part.
    pub async fn file(&self, key: &str, most: u64, staging: &Path) -> io::Result<File> {
        match self.open_object(key).await? {
            Opened::File(file) => Ok(file),
            stream @ Opened::Stream(_) => {
                let fetched = fetch(stream, key, most, staging).await;
                let mut file = fetched.map_err(io::Error::other)?.file;
                file.rewind()?;
                Ok(file)
            }
        }
    }
}

/// From a file. Blocks.
fn copy(mut source: File, name: &str, most: u64, staging: &Path) -> Result<Upload, FetchError> {
    let reading = |error| failed(name, error);
    let before = source.metadata().map_err(reading)?;
    if before.len() > most {
        return Err(too_large(before.len(), most));
    }

    let mut intake = Intake::begin(most, staging)?;
    let mut block = vec![0; 256 * 1024];
    loop {
        match source.read(&mut block) {
            Ok(0) => break,
            Ok(length) => intake.take(&block[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(reading(error)),
        }
    }

    let after = source.metadata().map_err(reading)?;
    let bytes = intake.bytes;
    if bytes != before.len() || after.len() != bytes || after.modified().ok() != before.modified().ok() {
        return Err(changed(name, before.len(), after.len().max(bytes)));
    }
    Ok(intake.done())
}

/// From a bucket. What comes is written by a thread that may wait for the disk; how long that takes is not held against the sender.
async fn receive(mut source: Stream, name: &str, most: u64, staging: &Path) -> Result<Upload, FetchError> {
    let declared = source.bytes();
    if declared > most {
        return Err(too_large(declared, most));
    }
    let (blocks, mut arrived) = mpsc::channel::<Bytes>(BLOCKS);
    let staging = staging.to_owned();
    let writing = spawn_blocking(move || {
        let mut intake = Intake::begin(most, &staging)?;
        while let Some(block) = arrived.blocking_recv() {
            intake.take(&block)?;
        }
        Ok(intake)
    });
    let read = loop {
        match source.next().await {
            Ok(Some(block)) => {
                if blocks.send(block).await.is_err() {
                    // Whoever takes them has given up, and says why below.
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    drop(blocks);
    let intake = writing.await.map_err(|panic| failed(name, io::Error::other(panic)))??;
    read.map_err(|error| failed(name, error))?;
    if intake.bytes != declared {
        return Err(changed(name, declared, intake.bytes));
    }
    Ok(intake.done())
}

/// An upload on its way into a file without a name.
struct Intake {
    file: File,
    bytes: u64,
    most: u64,
    hasher: Hasher,
    head: Vec<u8>,
    staging: PathBuf,
}

impl Intake {
    fn begin(most: u64, staging: &Path) -> Result<Self, FetchError> {
        let file = tempfile::tempfile_in(staging).map_err(|error| failed(&staging.display().to_string(), error))?;
        Ok(Self {
            file,
            bytes: 0,
            most,
            hasher: Hasher::default(),
            head: Vec::with_capacity(Format::MAGIC_BYTES),
            staging: staging.to_owned(),
        })
    }

    fn take(&mut self, block: &[u8]) -> Result<(), FetchError> {
        self.bytes += block.len() as u64;
        if self.bytes > self.most {
            return Err(too_large(self.bytes, self.most));
        }
        let wanted = Format::MAGIC_BYTES.saturating_sub(self.head.len()).min(block.len());
        self.head.extend_from_slice(&block[..wanted]);
        self.hasher.update(block);
        let written = self.file.write_all(block);
        written.map_err(|error| failed(&self.staging.display().to_string(), error))
    }

    fn done(self) -> Upload {
        Upload {
            file: self.file,
            bytes: self.bytes,
            digest: self.hasher.finish(),
            format: Format::sniff(&self.head),
            unread: unread(&self.head),
        }
    }
}

fn failed(name: &str, error: io::Error) -> FetchError {
    FetchError::Failed {
        name: name.to_owned(),
        error,
    }
}

fn changed(name: &str, before: u64, after: u64) -> FetchError {
    FetchError::Changed {
        name: name.to_owned(),
        before,
        after,
    }
}

fn too_large(seen: u64, allowed: u64) -> FetchError {
    FetchError::Refused(Refusal::over(Reason::TooLarge, "input", seen, allowed))
}

impl Upload {
    /// What the job claims of its upload and is not so: the wrong bytes were put where it points, or the wrong job was sent.
    pub fn contradicts(&self, source: &Source) -> Option<Refusal> {
        let differs = |what: String| Some(Refusal::new(Reason::DigestMismatch, what));
        match (source.sha256, source.bytes) {
            (Some(claimed), _) if claimed != self.digest => differs(format!("the upload's digest is {}", self.digest)),
            (_, Some(claimed)) if claimed != self.bytes => {
                differs(format!("the upload has {} bytes, the job claims {claimed}", self.bytes))
            }
            _ => None,
        }
    }

    /// What can be refused without a child: no bytes, magic bytes of nothing that is read, or of a format that is off.
    pub fn refusal(&self, formats: &Formats) -> Option<Refusal> {
        if self.bytes == 0 {
            return Some(Refusal::new(Reason::Empty, "the upload has no bytes"));
        }
        match self.format {
            None => Some(Refusal::new(Reason::UnsupportedFormat, self.unread)),
            Some(format) => formats.refusal(format),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Switch;
    use std::fs;

    fn fetched(bytes: &[u8], most: u64) -> Result<Upload, FetchError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("upload");
        fs::write(&path, bytes).unwrap();
        copy(File::open(&path).unwrap(), "upload", most, folder.path())
    }

    #[test]
    fn the_copy_has_the_digest_of_the_source() {
        let upload = fetched(b"GIF89a...", 100).unwrap();
        assert_eq!((upload.bytes, upload.format), (9, Some(Format::Gif)));
        assert_eq!(upload.digest, Digest::of(b"GIF89a..."));
        assert_eq!(upload.refusal(&Formats::default()), None);
    }

    #[test]
    fn both_sides_of_the_limit() {
        assert!(fetched(&[b'x'; 100], 100).is_ok());
        let error = fetched(&[b'x'; 101], 100).unwrap_err();
        assert_eq!(error.to_string(), "input: 101 bytes seen, 100 allowed");
    }

    #[test]
    fn empty_and_unknown_are_refused_without_a_child() {
        let refusal = |bytes| fetched(bytes, 9).unwrap().refusal(&Formats::default()).unwrap();
        assert_eq!(refusal(b"").reason, Reason::Empty);
        assert_eq!(refusal(b"hello").reason, Reason::UnsupportedFormat);
    }

    #[test]
    fn a_format_that_is_off_is_refused_without_a_child() {
        let formats = Formats {
            gif: Switch::Off,
            ..Formats::default()
        };
        let refusal = fetched(b"GIF89a", 9).unwrap().refusal(&formats).unwrap();
        assert_eq!(refusal.reason, Reason::UnsupportedFormat);
        assert!(refusal.detail.contains("limits.formats.gif"), "{refusal}");
    }

    #[test]
    fn a_folder_cannot_be_fetched() {
        let folder = tempfile::tempdir().unwrap();
        let error = copy(File::open(folder.path()).unwrap(), "d", 1 << 20, folder.path()).unwrap_err();
        assert!(error.to_string().starts_with("d: "), "{error}");
    }

    /// A file that says it is shorter than it is, as one does that grows while it is read: /proc/self/status has length 0.
    #[test]
    fn a_source_that_grows_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = copy(
            File::open("/proc/self/status").unwrap(),
            "status",
            1 << 20,
            folder.path(),
        )
        .unwrap_err();
        assert!(
            matches!(&error, FetchError::Changed { name, .. } if name == "status"),
            "{error}"
        );
    }
}
