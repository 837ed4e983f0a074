//! Which dead letters are meant, and how far that is done.

use std::collections::BTreeSet;

use clap::Args;

use super::Force;
use super::list::tells;
use super::requeue::{Done, Requeuer};
use crate::broker::dead::{DeadLetter, DeadLetters};
use crate::cli::place::{is_source, open_ledger};
use crate::cli::{Ending, Failure, show};
use crate::config::Config;

/// Which messages.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Job ids, or `+…` of messages without one, as listed. Copies have the same.
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// All of them.
    #[arg(long)]
    pub(super) all: bool,
    /// With --all: only those whose reason has this text in it.
    #[arg(long, value_name = "TEXT", requires = "all")]
    reason: Option<String>,
}

impl Requeuer<'_> {
    async fn go_through(&self, round: &mut dyn DeadLetters, tally: &mut Tally) -> Result<(), Failure> {
        while let Some(letter) = tally.next(round).await? {
            let done = self.requeue(round, &letter).await?;
            tally.told(&letter, "requeued", done)?;
        }
        Ok(())
    }
}

impl Which {
    pub(super) async fn requeue(
        self,
        config: &Config,
        round: &mut dyn DeadLetters,
        force: bool,
    ) -> Result<Ending, Failure> {
        let presets = config.recipes();
        let stores: Vec<&str> = config
            .stores
            .keys()
            .map(String::as_str)
            .filter(|name| is_source(name))
            .collect();
        let ledger = open_ledger(config).await?;
        let requeuer = Requeuer {
            ledger: &*ledger,
            presets: &presets,
            stores: &stores,
            force: if force { Force::Yes } else { Force::No },
        };
        let mut tally = self.tally();
        let gone_through = requeuer.go_through(round, &mut tally).await;
        ledger.close().await;
        gone_through.and_then(|()| tally.end())
    }

    pub(super) async fn drop_them(self, round: &mut dyn DeadLetters) -> Result<Ending, Failure> {
        let mut tally = self.tally();
        while let Some(letter) = tally.next(round).await? {
            round.drop_letter(&letter).await.map_err(Failure::other)?;
            tally.told(&letter, "dropped", Done::Well)?;
        }
        tally.end()
    }

    fn tally(self) -> Tally {
        Tally {
            not_seen: self.ids.iter().cloned().collect(),
            which: self,
            seen: false,
            ending: Ending::Well,
        }
    }
}

/// What was asked for, and how far that is done.
struct Tally {
    which: Which,
    /// Whether any was one of those.
    seen: bool,
    not_seen: BTreeSet<String>,
    ending: Ending,
}

impl Tally {
    /// The next letter that was asked for.
    async fn next(&mut self, round: &mut dyn DeadLetters) -> Result<Option<DeadLetter>, Failure> {
        while let Some(letter) = round.next().await.map_err(Failure::other)? {
            if self.which.all && tells(&letter, self.which.reason.as_deref()) || self.which.ids.contains(&letter.id) {
                self.not_seen.remove(&letter.id);
                self.seen = true;
                return Ok(Some(letter));
            }
        }
        Ok(None)
    }

    fn told(&mut self, letter: &DeadLetter, what: &str, done: Done) -> Result<(), Failure> {
        match done {
            Done::Well => show::line(&format!("{}  {what}", letter.id)),
            Done::Left(why) => {
                eprintln!("lazaret: {}: {}", letter.id, show::harmless(&why, 400));
                self.ending = Ending::NotAll;
                Ok(())
            }
        }
    }

    fn end(self) -> Result<Ending, Failure> {
        if self.which.all && !self.seen {
            match &self.which.reason {
                Some(reason) => eprintln!(
                    "lazaret: found no dead message that tells of {}",
                    show::harmless(reason, 130)
                ),
                None => eprintln!("lazaret: found no dead message"),
            }
        }
        for id in &self.not_seen {
            eprintln!("lazaret: no dead message is called {}", show::harmless(id, 130));
        }
        Ok(match self.not_seen.is_empty() {
            true => self.ending,
            false => Ending::NotAll,
        })
    }
}
