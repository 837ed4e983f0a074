//! A store in a folder. All of it blocks.
//!
//! In: keys. Out: open files, and objects written whole or not at all: to a temporary file in `.staging`, synced, then renamed. No key
//! that is read leads out of its store, not even through a link; keys that are written or removed are this program's own.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Access, Object, plain};
use crate::clock;
use crate::digest::{Digest, Hasher};
use crate::job::STAGING;
use crate::sandbox::sys;

/// How long a temporary file is left alone: what is older was left by a process that died.
const KEEP_UNFINISHED: Duration = Duration::from_secs(24 * 3600);

/// A folder of objects.
#[derive(Debug)]
pub(super) struct Folder {
    folder: PathBuf,
    handle: File,
}

impl Folder {
    /// Opens a folder to write to, and makes it where it is missing. Drops what processes that died left unfinished in it.
    ///
    /// # Errors
    /// Names the folder.
    pub fn open(name: &str, folder: &Path, access: Access) -> io::Result<Self> {
        let named = |error: io::Error| named(name, folder, &error);
        let mode = match access {
            Access::Shared => 0o777,
            Access::Private => 0o700,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(folder.join(STAGING))
            .map_err(named)?;
        let store = Self {
            folder: folder.to_owned(),
            handle: File::open(folder).map_err(named)?,
        };
        store.drop_unfinished().map_err(named)?;
        Ok(store)
    }

    /// Opens a folder to read from, which must exist: one made in place of a share that is not mounted would answer every job
    /// with `source-missing`.
    ///
    /// # Errors
    /// Names the folder and what to do.
    pub fn open_source(name: &str, folder: &Path) -> io::Result<Self> {
        let mut options = fs::OpenOptions::new();
        let handle = options.read(true).custom_flags(libc::O_DIRECTORY).open(folder);
        let handle = handle.map_err(|error| {
            let error = named(name, folder, &error);
            io::Error::new(error.kind(), format!("{error}; make this folder, or mount it"))
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            handle,
        })
    }

    /// Where an object is.
    pub fn path(&self, key: &str) -> PathBuf {
        self.folder.join(key)
    }

    /// A folder in the same file system, for files that are not whole yet. Only of stores that are written.
    pub fn staging(&self) -> PathBuf {
        self.folder.join(STAGING)
    }

    /// Opens an object for reading.
    ///
    /// # Errors
    /// `NotFound`; or the key is not a plain one, leads outside, or is no regular file.
    pub fn read(&self, key: &str) -> io::Result<File> {
        plain(key)?;
        let file = sys::open_beneath(&self.handle, Path::new(key))?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{key} is not a regular file"),
            ));
        }
        Ok(file)
    }

    /// Whether an object of this size is there.
    pub fn has(&self, key: &str, bytes: u64) -> bool {
        self.read(key)
            .and_then(|file| file.metadata())
            .is_ok_and(|metadata| metadata.len() == bytes)
    }

    /// Writes `bytes` bytes of `from`, starting at `start`, as one object; returns its digest. An older object is replaced, whole.
    pub fn write(&self, key: &str, from: &File, start: u64, bytes: u64, access: Access) -> io::Result<Digest> {
        plain(key)?;
        let target = self.folder.join(key);
        let parent = target.parent().unwrap_or(&self.folder);
        make_durably(parent)?;
        let mut whole = tempfile::NamedTempFile::new_in(self.staging())?;
        let digest = copy(&mut Stretch { from, at: start }.take(bytes), whole.as_file_mut(), bytes)?;
        if access == Access::Shared {
            whole.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        }
        // The bytes, then the name: what is found under the name is whole, also after a power cut.
        whole.as_file().sync_data()?;
        if let Err(unplaced) = whole.persist(&target) {
            if unplaced.error.kind() != io::ErrorKind::NotFound {
                return Err(unplaced.error);
            }
            // Its folder was empty, and went with the last object that was removed from it.
            make_durably(parent)?;
            unplaced.file.persist(&target).map_err(|error| error.error)?;
        }
        File::open(parent)?.sync_all()?;
        Ok(digest)
    }

    /// Removes an object, and the folders that nothing is left in; one that is gone already is no error.
    pub fn remove(&self, key: &str) -> io::Result<()> {
        plain(key)?;
        let target = self.folder.join(key);
        match fs::remove_file(&target) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let above = target.ancestors().skip(1).take_while(|folder| *folder != self.folder);
        // One that is not empty is not removed, nor are those above it.
        let _ = above.map(fs::remove_dir).take_while(Result::is_ok).count();
        Ok(())
    }

    /// What is here, below a first part of keys; all of it where that is empty. Links and what is not whole are left alone.
    pub fn objects(&self, first: &str) -> io::Result<Vec<Object>> {
        let mut found = Vec::new();
        let above = match first {
            "" => String::new(),
            first => format!("{first}/"),
        };
        match collect(&self.folder.join(first), &above, &mut found) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(found),
        }
    }

    fn drop_unfinished(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.staging())? {
            let entry = entry?;
            // What is gone meanwhile was finished by another process.
            let Ok(metadata) = entry.metadata() else { continue };
            let age = clock::system_time().duration_since(metadata.modified()?);
            if metadata.is_file() && age.is_ok_and(|age| age > KEEP_UNFINISHED) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}

fn named(name: &str, folder: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("store {name}: {}: {error}", folder.display()))
}

/// Makes a folder and those above it; the name of each new one is on disk when this returns.
fn make_durably(folder: &Path) -> io::Result<()> {
    let new: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::create_dir_all(folder)?;
    for parent in new.iter().filter_map(|folder| folder.parent()) {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

fn collect(folder: &Path, above: &str, found: &mut Vec<Object>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        // Another program's: our own names are UTF-8.
        let Some(name) = name.to_str().filter(|name| *name != STAGING) else {
            continue;
        };
        // What is gone meanwhile was dropped by another process.
        let Ok(metadata) = entry.metadata() else { continue };
        let key = format!("{above}{name}");
        if metadata.is_dir() {
            collect(&entry.path(), &format!("{key}/"), found)?;
        } else if metadata.is_file() {
            found.push(Object {
                key,
                bytes: metadata.len(),
                written: metadata.modified()?,
            });
        }
    }
    Ok(())
}

/// A file from a place on, whoever else reads it meanwhile: its own place in the file is one for all that hold it.
struct Stretch<'f> {
    from: &'f File,
    at: u64,
}

impl Read for Stretch<'_> {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read_at(block, self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

fn copy(from: &mut impl Read, to: &mut File, expected: u64) -> io::Result<Digest> {
    let mut hasher = Hasher::default();
    let mut block = vec![0; 256 * 1024];
    let mut copied = 0;
    loop {
        let length = from.read(&mut block)?;
        if length == 0 {
            break;
        }
        hasher.update(&block[..length]);
        to.write_all(&block[..length])?;
        copied += length as u64;
    }
    if copied != expected {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("{copied} bytes, {expected} expected"),
        ));
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn store() -> (tempfile::TempDir, Folder) {
        let folder = tempfile::tempdir().unwrap();
        let store = Folder::open("uploads", &folder.path().join("u"), Access::Shared).unwrap();
        (folder, store)
    }

    fn source(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn an_object_is_written_whole_and_read_back() {
        let (_folder, store) = store();
        let digest = store
            .write("a/b.webp", &source(b"xxhello"), 2, 5, Access::Shared)
            .unwrap();
        assert_eq!(digest, Digest::of(b"hello"));
        let mut text = String::new();
        store.read("a/b.webp").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        assert!(store.has("a/b.webp", 5) && !store.has("a/b.webp", 6));
    }

    #[test]
    fn objects_of_one_file_are_written_at_the_same_time() {
        let (_folder, store) = store();
        let bytes: Vec<u8> = (0..8u8).flat_map(|number| vec![number; 1 << 20]).collect();
        let file = source(&bytes);
        std::thread::scope(|scope| {
            for number in 0..8u8 {
                let (store, file) = (&store, file.try_clone().unwrap());
                scope.spawn(move || {
                    let (key, start) = (number.to_string(), u64::from(number) << 20);
                    let digest = store.write(&key, &file, start, 1 << 20, Access::Shared).unwrap();
                    assert_eq!(digest, Digest::of(&vec![number; 1 << 20]), "{number}");
                });
            }
        });
    }

    #[test]
    fn a_source_that_is_too_short_leaves_nothing() {
        let (_folder, store) = store();
        assert!(store.write("a", &source(b"abc"), 0, 4, Access::Shared).is_err());
        assert!(store.read("a").is_err());
        assert_eq!(fs::read_dir(store.staging()).unwrap().count(), 0);
    }

    #[test]
    fn private_objects_are_for_their_owner_alone() {
        let (_folder, store) = store();
        store.write("s", &source(b"abc"), 0, 3, Access::Private).unwrap();
        assert_eq!(
            fs::metadata(store.path("s")).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn no_key_leads_outside() {
        let (folder, store) = store();
        fs::write(folder.path().join("secret"), "x").unwrap();
        symlink(folder.path(), store.path("out")).unwrap();
        symlink("/etc/passwd", store.path("passwd")).unwrap();
        for key in ["out/secret", "passwd", "../secret", "/etc/passwd", "a/../../secret"] {
            assert!(store.read(key).is_err(), "{key}");
        }
    }

    #[test]
    fn a_folder_is_not_an_object() {
        let (_folder, store) = store();
        fs::create_dir(store.path("d")).unwrap();
        assert_eq!(store.read("d").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_source_must_exist_and_nothing_is_made_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("share");
        let error = Folder::open_source("uploads", &missing).unwrap_err().to_string();
        assert!(
            error.starts_with("store uploads: ") && error.ends_with("make this folder, or mount it"),
            "{error}"
        );
        assert!(!missing.exists());
        fs::create_dir(&missing).unwrap();
        fs::write(missing.join("a"), "x").unwrap();
        assert!(Folder::open_source("uploads", &missing).unwrap().has("a", 1));
        assert!(!missing.join(STAGING).exists());
        assert!(Folder::open_source("uploads", &missing.join("a")).is_err());
    }

    #[test]
    fn what_is_not_whole_cannot_be_read_and_is_dropped_after_a_day() {
        let (folder, store) = store();
        for (name, hours) in [("old", 25), ("new", 1)] {
            let file = File::create(store.staging().join(name)).unwrap();
            let then = clock::system_time() - Duration::from_secs(hours * 3600);
            file.set_modified(then).unwrap();
        }
        assert!(store.read(".staging/new").is_err());
        let store = Folder::open("uploads", &folder.path().join("u"), Access::Shared).unwrap();
        assert!(!store.staging().join("old").exists() && store.staging().join("new").exists());
    }

    #[test]
    fn what_is_whole_is_listed_and_what_lies_elsewhere_is_not() {
        let (folder, store) = store();
        store.write("aa/b/c", &source(b"abc"), 0, 3, Access::Shared).unwrap();
        store.write("d", &source(b"de"), 0, 2, Access::Shared).unwrap();
        fs::write(store.staging().join("half"), "x").unwrap();
        fs::write(folder.path().join("secret"), "x").unwrap();
        symlink(folder.path(), store.path("out")).unwrap();
        symlink(folder.path().join("secret"), store.path("link")).unwrap();
        let listed = |first| {
            let listed = store.objects(first).unwrap();
            let mut listed: Vec<_> = listed.into_iter().map(|object| (object.key, object.bytes)).collect();
            listed.sort();
            listed
        };
        assert_eq!(listed(""), [("aa/b/c".to_owned(), 3), ("d".to_owned(), 2)]);
        assert_eq!(listed("aa"), [("aa/b/c".to_owned(), 3)]);
        assert_eq!(listed("bb"), []);
    }

    #[test]
    fn folders_on_the_way_are_made_and_go_with_the_last_object() {
        let (_folder, store) = store();
        store.write("a/b/c/d", &source(b"abc"), 0, 3, Access::Shared).unwrap();
        store.write("a/e", &source(b"abc"), 0, 3, Access::Shared).unwrap();
        assert!(store.has("a/b/c/d", 3));
        store.remove("a/b/c/d").unwrap();
        assert!(!store.path("a/b").exists() && store.has("a/e", 3));
        store.remove("a/e").unwrap();
        store.remove("a/e").unwrap();
        assert!(!store.path("a").exists() && store.path("").exists());
    }
}
