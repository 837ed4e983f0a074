//! A specimen, tried once more because an operator asks: alone in this worker, under the usual limits or raised ones.
//!
//! Nobody is judged by it and nothing is kept of it: what came of it is a sentence. The ledger hears of no attempt, so a specimen that takes workers
//! with it takes this one, and nothing else: nothing runs beside it.

use std::borrow::Cow;
use std::fs::File;
use std::io;

use super::{Worker, evidence};
use crate::recipe::{Recipe, Rendition, Target};
use crate::sandbox::Watch;
use crate::sandbox::protocol::Task;

impl Worker {
    /// What comes of these bytes; in one sentence.
    ///
    /// # Errors
    /// No attempt could be made.
    pub async fn retest(&self, specimen: &File, raised: Option<u32>) -> io::Result<String> {
        let _alone = self.seats.alone().await;
        let sandbox = match raised {
            Some(times) => Cow::Owned(self.sandbox.raised(times)),
            None => Cow::Borrowed(&self.sandbox),
        };
        let task = Task::Convert(recipe()?);
        let attempted = sandbox.attempt(specimen, task, Watch::Both, self.release()).await?;
        let usage = attempted.facts.usage;
        Ok(format!(
            "{}: {}; {} ms of CPU, {} ms, {} bytes of memory",
            attempted.outcome.word(),
            evidence::sentence(&attempted.outcome),
            usage.cpu_ms,
            usage.wall_ms,
            usage.peak_memory_bytes
        ))
    }
}

/// What is asked for: a picture as large as a page shows.
fn recipe() -> io::Result<Recipe> {
    let mut page = Rendition::named("retest");
    page.format = Target::Jpeg;
    page.width = Some(1600);
    Recipe::new(vec![page]).map_err(io::Error::other)
}
