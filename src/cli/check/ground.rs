//! Whether a configuration's places are there, or could be made. Nothing is made: a file without a name shows what can be written to.

use std::fs;
use std::io;
use std::path::Path;

use super::super::Failure;
use super::super::place::is_source;
use crate::broker::pem::Pem;
use crate::broker::spool;
use crate::config::{BrokerAddress, Config, ConfigError};
use crate::job::STAGING;
use crate::notices::Post;
use crate::store::Store;
use crate::traces::Traces;

/// Looks at every store, the spool or the certificates for RabbitMQ, the folders of the ledger and its flights, the secret of notices, and what a
/// collector of traces takes.
///
/// # Errors
/// Names the key and the path.
pub(super) fn look(config: &Config) -> Result<(), ConfigError> {
    for (name, address) in &config.stores {
        let key = format!("stores.{name}");
        let Some(folder) = address.folder() else { continue };
        if is_source(name) {
            wrong(&key, folder, readable(folder))?;
        } else {
            wrong(&key, folder, writable(folder))?;
            wrong(&key, folder, writable(&folder.join(STAGING)))?;
        }
    }
    match &config.broker {
        BrokerAddress::Spool(spool) => {
            for folder in spool::FOLDERS.map(|name| spool.join(name)) {
                wrong("broker", &folder, writable(&folder))?;
            }
        }
        BrokerAddress::Amqp(_) => drop(Pem::read(&config.amqp)?),
    }
    if let Some(file) = config.ledger.file() {
        let beside = file.parent().unwrap_or(Path::new("/"));
        wrong("ledger", beside, writable(beside))?;
    }
    // Nothing is sent.
    drop(Post::new(&config.notices)?);
    let (flights, staging) = (config.flights(), config.staging());
    wrong("worker.flights", &flights, writable(&flights))?;
    wrong("worker.staging", &staging, writable(&staging))?;
    Traces::look(&config.traces)
}

/// Asks every bucket for what is not there; nothing is written.
///
/// # Errors
/// Names the key, the bucket, and what it says.
pub(super) async fn look_at_buckets(config: &Config) -> Result<(), Failure> {
    for (name, address) in &config.stores {
        let Some(bucket) = address.bucket() else { continue };
        let store = Store::bucket(name, bucket, &config.buckets.terms()).map_err(Failure::other)?;
        let looked = store.look().await;
        looked.map_err(|error| Failure::Other(format!("stores.{name}: {error}")))?;
    }
    Ok(())
}

fn wrong(key: &str, path: &Path, result: Result<(), String>) -> Result<(), ConfigError> {
    result.map_err(|problem| ConfigError {
        place: key.to_owned(),
        problem: format!("{}: {problem}", path.display()),
    })
}

/// Workers do not make what they only read from.
fn readable(folder: &Path) -> Result<(), String> {
    match fs::read_dir(folder) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{error}; make this folder, or mount it")),
    }
}

/// Whether a folder can be written to; or be made, where it is missing.
fn writable(folder: &Path) -> Result<(), String> {
    let try_it = |folder: &Path| tempfile::tempfile_in(folder).map(drop);
    match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => {
            try_it(folder).map_err(|error| format!("cannot be written to: {}", without_path(&error)))
        }
        Ok(_) => Err("is no folder".to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
        Err(_) => {
            let Some(nearest) = folder.ancestors().find(|path| path.symlink_metadata().is_ok()) else {
                return Err("cannot be made".to_owned());
            };
            let cannot = |why: &str| format!("cannot be made: {}: {why}", nearest.display());
            match nearest.is_dir() {
                true => try_it(nearest).map_err(|error| cannot(&without_path(&error))),
                false => Err(cannot("is no folder")),
            }
        }
    }
}

/// Errors of temporary files carry a made-up name.
fn without_path(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::Other => error.to_string(),
        kind => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_writable_where_it_is_or_can_be_made_and_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", path("link")).unwrap();
        assert_eq!(writable(folder.path()), Ok(()));
        assert_eq!(writable(&path("a/b/c")), Ok(()));
        assert_eq!(writable(&path("file")).unwrap_err(), "is no folder");
        assert!(writable(&path("link")).unwrap_err().starts_with("cannot be made: "));
        assert!(writable(&path("file/below")).is_err());
        assert!(
            writable(Path::new("/proc/lazaret"))
                .unwrap_err()
                .starts_with("cannot be made: /proc: ")
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_source_must_be_there() {
        assert!(
            readable(Path::new("/nonexistent"))
                .unwrap_err()
                .ends_with("make this folder, or mount it")
        );
    }
}
