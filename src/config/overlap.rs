//! Places that must not lie inside each other: what is written to one would be read from the other as an upload.
//!
//! Looks at the file system, for links: two names may be one folder.

use std::path::{Component, Path, PathBuf};

use super::{Config, ConfigError};

impl Config {
    /// Refuses a store, a spool or a ledger that lies inside another store. Paths must be absolute.
    ///
    /// # Errors
    /// Names both keys and both paths.
    pub(super) fn places_are_apart(&self) -> Result<(), ConfigError> {
        let places = self.places();
        for (index, one) in places.iter().enumerate() {
            for other in &places[index + 1..] {
                let [inner, outer] = if other.1.starts_with(&one.1) {
                    [other, one]
                } else if one.1.starts_with(&other.1) {
                    [one, other]
                } else {
                    continue;
                };
                let lies = if inner.1 == outer.1 {
                    "is the same folder as"
                } else {
                    "lies inside"
                };
                return Err(ConfigError {
                    place: inner.0.clone(),
                    problem: format!(
                        "{} {lies} {}, {}; give each a folder of its own",
                        inner.1.display(),
                        outer.0,
                        outer.1.display()
                    ),
                });
            }
        }
        self.buckets_are_apart()
    }

    fn buckets_are_apart(&self) -> Result<(), ConfigError> {
        let stores = self.stores.iter();
        let buckets: Vec<_> = stores
            .filter_map(|(name, address)| Some((name, address.bucket()?)))
            .collect();
        for (index, (one, bucket)) in buckets.iter().enumerate() {
            if let Some((other, same)) = buckets[index + 1..].iter().find(|(_, other)| other.overlaps(bucket)) {
                return Err(ConfigError {
                    place: format!("stores.{one}"),
                    problem: format!(
                        "{bucket} and stores.{other}, {same}, lie in one another; give each a bucket or a prefix of its own"
                    ),
                });
            }
        }
        Ok(())
    }

    fn places(&self) -> Vec<(String, PathBuf)> {
        let ledger = self.ledger.file().map(|file| ("ledger".to_owned(), real(file)));
        let flights = ("the ledger's flights".to_owned(), real(&self.flights()));
        let broker = self.broker.folder().map(|folder| ("broker".to_owned(), real(folder)));
        let stores = self.stores.iter();
        // That of a folder of renditions lies in it, and is left alone by all that reads there.
        let staging = self.worker.staging.as_deref();
        let staging = staging.map(|folder| ("worker.staging".to_owned(), real(folder)));
        stores
            .filter_map(|(name, address)| Some((format!("stores.{name}"), real(address.folder()?))))
            .chain(ledger)
            .chain(staging)
            .chain([flights])
            .chain(broker)
            .collect()
    }
}

/// A path without links and `..`, as far as it exists; what does not exist yet is taken as it is written.
fn real(path: &Path) -> PathBuf {
    let mut real = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(real.pop()),
            Component::CurDir => {}
            part => real.push(part),
        }
        real = real.canonicalize().unwrap_or(real);
    }
    real
}
