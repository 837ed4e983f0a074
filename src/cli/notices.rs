//! `lazaret notices`: whether notices arrive where they shall.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::show::harmless;
use super::{Ending, Failure};
use crate::clock::Stopwatch;
use crate::config::Config;
use crate::ledger::WorkerId;
use crate::notices::{self, Answer, Post};

/// Who a trial says it is from.
const SENDER: &str = "lazaret-notices-test";
/// Longest text of a receiver's that is shown, in characters.
const SAID: usize = 300;

/// What is told to whoever wants to know when something goes wrong.
///
/// With notices.url set, a worker posts there what an operator should know of at once: an upload convicted, a violation, the breaker opened or closed,
/// a worker lost. Deliveries are signed as Standard Webhooks has it (webhook-id, webhook-timestamp, webhook-signature), gathered, and tried again.
/// The secret is in the file that notices.secret_file names, or in LAZARET_NOTICES_SECRET; to make one:
///
///   (umask 077; (printf whsec_; openssl rand -base64 32) > notices.secret)
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct NoticesCommand {
    #[command(subcommand)]
    what: What,
    /// The worker's configuration.
    #[arg(long, value_name = "FILE", env = "LAZARET_CONFIG", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Send one signed notice of the kind `test`, once, and print what came back.
    ///
    /// Exits with 0 where the receiver has taken it (any status from 200 to 299), with 1 where it has not, and with 78 where the secret or the CA is
    /// not as it must be. Nothing else is opened: neither broker nor ledger.
    Test,
}

impl NoticesCommand {
    pub(super) async fn run(self) -> Result<Ending, Failure> {
        let config = match &self.config {
            Some(file) => Config::load(file)?,
            None => Config::of_environment()?,
        };
        match self.what {
            What::Test => test(&config).await,
        }
    }
}

async fn test(config: &Config) -> Result<Ending, Failure> {
    let Some(post) = Post::new(&config.notices)? else {
        let words = "notices.url is not set: nobody is told; set it to https://HOST/PATH";
        return Err(Failure::Usage(words.to_owned()));
    };
    let address = post.address().clone();
    let trial = notices::trial(&WorkerId(SENDER.to_owned()));
    let id = trial.id().to_owned();
    let since = Stopwatch::start();
    // Blocks, and nothing else is to be done meanwhile.
    let answer = tokio::task::spawn_blocking(move || trial.send(&post)).await;
    let (answer, took_ms) = (answer.map_err(Failure::other)?, since.elapsed_ms());
    match &answer {
        Answer::Taken(_) => {
            writeln!(io::stdout(), "{address}: {answer}, in {took_ms} ms; webhook-id {id}").map_err(Failure::other)?;
            Ok(Ending::Well)
        }
        Answer::Refused { said, .. } if !said.trim().is_empty() => Err(Failure::Other(format!(
            "{address}: {answer}; it says: {}",
            harmless(said.trim(), SAID)
        ))),
        Answer::Refused { .. } | Answer::Nothing(_) => Err(Failure::Other(format!("{address}: {answer}"))),
    }
}
