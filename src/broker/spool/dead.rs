//! A round through the spool's folder `dead`.
//!
//! A message goes back by a rename, under a name that says how often it did (`…-r1`): there is no moment in which it is nowhere.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use async_trait::async_trait;

use super::{Spool, envelope, message_name, read_message, unless_gone};
use crate::broker::BrokerError;
use crate::broker::dead::{DeadLetter, DeadLetters, Hold, Name, nameless, reborn};
use crate::clock;

/// How the name ends of the file that says why.
const WHY: &str = ".why";

/// A round through the dead letters of a spool.
#[derive(Debug)]
pub struct DeadFolder {
    spool: Spool,
    /// Names of those that were there at its beginning, oldest first.
    names: VecDeque<String>,
}

impl Spool {
    /// Begins a round through the dead letters.
    pub fn dead(&self) -> Result<DeadFolder, BrokerError> {
        let names = self.dead_names().map_err(|error| self.error(error))?;
        Ok(DeadFolder {
            spool: self.clone(),
            names,
        })
    }

    fn dead_names(&self) -> io::Result<VecDeque<String>> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(self.folder.join("dead"))? {
            let entry = entry?;
            // What is not UTF-8 nobody could name.
            if let Ok(name) = entry.file_name().into_string() {
                found.insert(name, entry.metadata()?.modified()?);
            }
        }
        let says_why = |name: &str| name.strip_suffix(WHY).is_some_and(|of| found.contains_key(of));
        let mut names: Vec<_> = found.iter().filter(|(name, _)| !says_why(name)).collect();
        names.sort_by_key(|(_, modified)| **modified);
        Ok(names.into_iter().map(|(name, _)| name.clone()).collect())
    }
}

impl DeadFolder {
    fn letter(&self, name: String) -> io::Result<DeadLetter> {
        let folder = self.spool.folder.join("dead");
        let path = folder.join(&name);
        let metadata = path.symlink_metadata()?;
        let body = read_message(&path)?.ok();
        let Name { id, job, tenant } = match &body {
            Some(body) => Name::of(body),
            None => Name {
                id: nameless(name.as_bytes()),
                job: None,
                tenant: None,
            },
        };
        let since = fs::metadata(folder.join(format!("{name}{WHY}"))).and_then(|why| why.modified());
        let since = since.ok().and_then(|since| since.duration_since(UNIX_EPOCH).ok());
        Ok(DeadLetter {
            id,
            job,
            tenant,
            why: why(&folder.join(format!("{name}{WHY}"))),
            since_ms: since.and_then(|since| u64::try_from(since.as_millis()).ok()),
            envelope: envelope(&name),
            body,
            bytes: metadata.len(),
            hold: Hold::File(name),
        })
    }

    fn requeue_now(&self, letter: &DeadLetter) -> io::Result<()> {
        let Hold::File(name) = &letter.hold else { return Ok(()) };
        let again = reborn(&letter.envelope, clock::unix_ms());
        let new = self.spool.folder.join("new");
        let dead = self.spool.folder.join("dead");
        fs::rename(dead.join(name), new.join(message_name(again.lane, again.requeued)))?;
        fs::File::open(new)?.sync_all()?;
        unless_gone(fs::remove_file(dead.join(format!("{name}{WHY}"))))
    }

    fn drop_now(&self, letter: &DeadLetter) -> io::Result<()> {
        let Hold::File(name) = &letter.hold else { return Ok(()) };
        let dead = self.spool.folder.join("dead");
        let path = dead.join(name);
        match path.symlink_metadata()?.is_dir() {
            true => fs::remove_dir_all(path)?,
            false => fs::remove_file(path)?,
        }
        unless_gone(fs::remove_file(dead.join(format!("{name}{WHY}"))))
    }
}

#[async_trait]
impl DeadLetters for DeadFolder {
    async fn next(&mut self) -> Result<Option<DeadLetter>, BrokerError> {
        while let Some(name) = self.names.pop_front() {
            match self.letter(name) {
                Ok(letter) => return Ok(Some(letter)),
                // Somebody else dealt with it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(self.spool.error(error)),
            }
        }
        Ok(None)
    }

    async fn requeue(&mut self, letter: &DeadLetter) -> Result<(), BrokerError> {
        self.requeue_now(letter).map_err(|error| self.spool.error(error))
    }

    async fn drop_letter(&mut self, letter: &DeadLetter) -> Result<(), BrokerError> {
        self.drop_now(letter).map_err(|error| self.spool.error(error))
    }

    async fn end(self: Box<Self>) {}
}

/// The reason that was written beside a message.
fn why(path: &Path) -> String {
    match read_message(path) {
        Ok(Ok(why)) => String::from_utf8_lossy(&why).into_owned(),
        _ => "nobody wrote why".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::broker::{Broker, Envelope, Lane};
    use crate::ledger::WorkerId;

    async fn all(spool: &Spool) -> Vec<DeadLetter> {
        let mut round = spool.dead().unwrap();
        let mut letters = Vec::new();
        while let Some(letter) = round.next().await.unwrap() {
            letters.push(letter);
        }
        letters
    }

    #[tokio::test]
    async fn a_job_that_failed_goes_back_and_says_how_often() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path()).unwrap();
        let worker = spool.consume(&WorkerId("a".to_owned()), 64).unwrap();
        let mut envelope = Envelope {
            lane: Lane::Bulk,
            ..Envelope::default()
        };
        for requeued in 1..=2 {
            let body = br#"{"job":"a-1","tenant":"acme"}"#;
            worker.keep_failed(body, &envelope, "store: gone").await.unwrap();
            let letter = all(&spool).await.remove(0);
            assert_eq!((letter.id.as_str(), letter.why.as_str()), ("a-1", "store: gone"));
            spool.dead().unwrap().requeue(&letter).await.unwrap();
            assert_eq!(fs::read_dir(folder.path().join("dead")).unwrap().count(), 0);
            let delivery = worker.next().await.unwrap();
            assert_eq!(
                (delivery.body.as_slice(), delivery.envelope.lane),
                (&body[..], Lane::Bulk)
            );
            assert_eq!(delivery.envelope.requeued, requeued);
            envelope = delivery.envelope.clone();
            worker.acknowledge(&delivery).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_no_message_is_listed_and_can_be_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path()).unwrap();
        let dead = folder.path().join("dead");
        let elsewhere = folder.path().join("elsewhere");
        fs::write(&elsewhere, "kept").unwrap();
        symlink(&elsewhere, dead.join("0-1-link")).unwrap();
        fs::create_dir(dead.join("0-2-folder")).unwrap();
        let letters = all(&spool).await;
        assert_eq!(letters.len(), 2);
        let mut round = spool.dead().unwrap();
        for letter in &letters {
            assert_eq!((&letter.body, letter.id.starts_with('+')), (&None, true));
            round.drop_letter(letter).await.unwrap();
        }
        assert_eq!(fs::read_dir(dead).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(elsewhere).unwrap(), "kept");
    }
}
