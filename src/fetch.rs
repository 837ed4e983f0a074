//! Fetching: an upload is copied into an unlinked file and hashed while it streams, bounded. Nothing of it is parsed.
//!
//! In: an open source file. Out: an [`Upload`] that nobody can change any more, or why it cannot be had. The copy makes sure that
//! the bytes that were hashed are the bytes that are decoded, whatever happens to the source meanwhile.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::digest::{Digest, Hasher};
use crate::format::{Format, Formats, unread};
use crate::job::Source;
use crate::verdict::{Reason, Refusal};

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

/// Copies and hashes `source`, at most `most` bytes of it. `name` is its key or path, for errors. Blocks.
pub fn fetch(mut source: File, name: &str, most: u64, staging: &Path) -> Result<Upload, FetchError> {
    let reading = |error| FetchError::Failed {
        name: name.to_owned(),
        error,
    };
    let writing = |error| FetchError::Failed {
        name: staging.display().to_string(),
        error,
    };
    let before = source.metadata().map_err(reading)?;
    if before.len() > most {
        return Err(too_large(before.len(), most));
    }

    let mut file = tempfile::tempfile_in(staging).map_err(writing)?;
    let mut hasher = Hasher::default();
    let mut head = Vec::with_capacity(Format::MAGIC_BYTES);
    let mut block = vec![0; 256 * 1024];
    let mut bytes = 0;
    loop {
        let length = match source.read(&mut block) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(reading(error)),
        };
        bytes += length as u64;
        if bytes > most {
            return Err(too_large(bytes, most));
        }
        let wanted = Format::MAGIC_BYTES.saturating_sub(head.len()).min(length);
        head.extend_from_slice(&block[..wanted]);
        hasher.update(&block[..length]);
        file.write_all(&block[..length]).map_err(writing)?;
    }

    let after = source.metadata().map_err(reading)?;
    if bytes != before.len() || after.len() != bytes || after.modified().ok() != before.modified().ok() {
        return Err(FetchError::Changed {
            name: name.to_owned(),
            before: before.len(),
            after: after.len().max(bytes),
        });
    }
    Ok(Upload {
        file,
        bytes,
        digest: hasher.finish(),
        format: Format::sniff(&head),
        unread: unread(&head),
    })
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
        fetch(File::open(&path).unwrap(), "upload", most, folder.path())
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
        let error = fetch(File::open(folder.path()).unwrap(), "d", 1 << 20, folder.path()).unwrap_err();
        assert!(error.to_string().starts_with("d: "), "{error}");
    }

    /// A file that says it is shorter than it is, as one does that grows while it is read: /proc/self/status has length 0.
    #[test]
    fn a_source_that_grows_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = fetch(
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
