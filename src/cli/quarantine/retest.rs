//! `lazaret quarantine retest`: specimens, tried once more. Here, from the store of the configuration, or in the worker whose desk is asked.

use clap::Args;
use serde::Serialize;
use tokio::signal::unix::SignalKind;
use tokio::sync::watch;

use super::resolve;
use crate::cli::office::{Client, Office};
use crate::cli::place::{open_specimens, prove, sandbox};
use crate::cli::why::Why;
use crate::cli::{Ending, Failure, show, signalled};
use crate::digest::Digest;
use crate::ledger::{Ledger, Operator};
use crate::pipeline::{Retested, retest};
use crate::quarantine::Action;
use crate::sandbox::Sandbox;
use crate::specimens::Specimens;

/// Longest text of what a child said that is shown, in characters.
const SAID: usize = 500;

/// Try the kept bytes of uploads once more, one after the other, in the sandbox and with nothing beside them.
///
/// What comes of one is printed, and is a note in its audit trail; nothing else changes. Here it takes the store of specimens that the configuration
/// names; with a server its worker does it. The exit code is 1 unless all were converted.
#[derive(Debug, Args)]
pub(super) struct Retest {
    /// Digests, or their first digits.
    #[arg(required = true)]
    digests: Vec<String>,
    /// Print one JSON object per digest.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reason: Why,
}

/// Where specimens are tried.
enum Bench<'o> {
    /// In this process.
    Here {
        ledger: &'o dyn Ledger,
        sandbox: Box<Sandbox>,
        specimens: Specimens,
        release: watch::Receiver<bool>,
    },
    /// In the worker of a desk.
    There(&'o Client),
}

/// One line of the answer.
#[derive(Serialize)]
struct Line<'a> {
    digest: Digest,
    #[serde(flatten)]
    retested: &'a Retested,
}

impl Retest {
    /// Tries each; one that cannot be tried does not keep the others from it.
    pub(super) async fn run(self, office: &Office) -> Result<Ending, Failure> {
        let operator = office.operator(self.reason)?;
        let bench = Bench::of(office).await?;
        let mut ending = Ending::Well;
        for digest in &self.digests {
            let tried = async {
                let digest = resolve(office, digest).await?;
                Ok::<_, Failure>((digest, bench.retest(&digest, &operator).await?))
            };
            match tried.await {
                Ok((digest, retested)) => {
                    if !retested.converted() {
                        ending = Ending::NotAll;
                    }
                    told(digest, &retested, self.json)?;
                }
                Err(failure) => {
                    eprintln!("lazaret: {failure}");
                    ending = Ending::NotAll;
                }
            }
        }
        Ok(ending)
    }
}

impl<'o> Bench<'o> {
    /// Nothing is tried in a sandbox that does not hold.
    async fn of(office: &'o Office) -> Result<Self, Failure> {
        match office {
            Office::Ledger { config, ledger } => {
                let sandbox = Box::new(sandbox(config, None)?);
                prove(&sandbox, "nothing was tried").await?;
                Ok(Self::Here {
                    ledger: &**ledger,
                    sandbox,
                    specimens: open_specimens(config)?,
                    release: on_signal(),
                })
            }
            Office::Server(client) => Ok(Self::There(client)),
        }
    }

    async fn retest(&self, digest: &Digest, operator: &Operator) -> Result<Retested, Failure> {
        let (ledger, sandbox, specimens, release) = match self {
            Self::There(client) => return client.retest(digest, &operator.why).await,
            Self::Here {
                ledger,
                sandbox,
                specimens,
                release,
            } => (ledger, sandbox, specimens, release),
        };
        let dossier = ledger.dossier(digest).await.map_err(Failure::other)?;
        let entry = dossier
            .ok_or_else(|| Failure::Other(format!("there is no entry for {digest}")))?
            .entry;
        let key = entry
            .specimen
            .ok_or_else(|| Failure::Other(format!("{digest}: the bytes of this upload were not kept")))?;
        let most = sandbox.limits.input.as_u64();
        let file = specimens.store().file(&key, most, &sandbox.staging).await;
        let file = file.map_err(|error| {
            let key = show::harmless(&key, 200);
            Failure::Other(format!(
                "{digest}: specimen {key}: {error}; it may be on another host, or its time was over"
            ))
        })?;
        let came = retest(sandbox, &file, entry.raised, release.clone()).await;
        let came = came.map_err(|error| Failure::Other(format!("{digest}: it could not be tried: {error}")))?;
        let note = Operator {
            who: operator.who.clone(),
            why: came.note(&operator.why),
        };
        let noted = ledger.act(digest, Action::Note, &note).await;
        noted.map_err(Failure::other)?;
        Ok(came)
    }
}

/// Turns true with the first signal, which ends what runs; the second one ends the process.
fn on_signal() -> watch::Receiver<bool> {
    let (release, released) = watch::channel(false);
    tokio::spawn(async move {
        let all = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        signalled(&all).await;
        let _ = release.send(true);
        signalled(&all).await;
        std::process::exit(130);
    });
    released
}

fn told(digest: Digest, retested: &Retested, json: bool) -> Result<(), Failure> {
    if json {
        let line = serde_json::to_string(&Line { digest, retested }).map_err(Failure::other)?;
        return show::line(&line);
    }
    let text = show::harmless(&retested.to_string(), SAID);
    show::line(&format_args!("{digest}  {text}"))
}
