//! `lazaret health`: asks the worker of this host how it is, for container engines and for people.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::{Ending, Failure, show};
use crate::config::Config;
use crate::http::{self, Patience};

/// The worker's own limit is a second.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(3),
    call: Duration::from_secs(3),
};
/// Most bytes of an answer.
const ANSWER: u64 = 1 << 20;

/// Ask the worker of this host whether it lives, or whether it takes work.
///
/// Asks its listener, at the address that the configuration names, over the network of this host. Exits with 0 where the answer is yes, with 1
/// where it is no or where there is none. A worker whose ledger or broker is silent lives, and takes no work.
#[derive(Debug, Args)]
pub struct Health {
    /// The worker's configuration; without it, the worker is where the default one is.
    #[arg(long, value_name = "FILE", env = "LAZARET_CONFIG")]
    config: Option<PathBuf>,
    /// Ask whether it takes work, not only whether it lives.
    #[arg(long)]
    ready: bool,
    /// Print the whole answer, one JSON object.
    #[arg(long)]
    json: bool,
}

impl Health {
    pub(super) async fn run(self) -> Result<Ending, Failure> {
        let config = match &self.config {
            Some(file) => Config::load(file)?,
            None => Config::of_environment()?,
        };
        let Some(address) = config.admin.from_this_host().filter(|address| address.port() != 0) else {
            let problem = "no address to ask at; give the worker one with a port";
            return Err(Failure::Usage(format!("admin is {}: {problem}", config.admin)));
        };
        let question = if self.ready { "readyz" } else { "livez" };
        let url = format!("http://{address}/{question}");
        // Blocks, and nothing else is to be done meanwhile.
        let answer = tokio::task::spawn_blocking(move || ask(&url))
            .await
            .map_err(Failure::other)??;
        self.tell(&answer)
    }

    fn tell(&self, answer: &Value) -> Result<Ending, Failure> {
        let key = if self.ready { "ready" } else { "live" };
        let Some(well) = answer[key].as_bool() else {
            return Err(Failure::Other(
                "what answers there is not a worker of Lazaret".to_owned(),
            ));
        };
        if self.json {
            show::line(answer)?;
        } else {
            let words = if well { "" } else { "not " };
            let mut text = format!("{words}{key}\n");
            for reason in answer["reasons"].as_array().into_iter().flatten() {
                let part = |name: &str| show::harmless(reason[name].as_str().unwrap_or_default(), 300);
                text.push_str(&format!("  {}: {}\n", part("cause"), part("why")));
            }
            io::stdout().write_all(text.as_bytes()).map_err(Failure::other)?;
        }
        Ok(if well { Ending::Well } else { Ending::NotAll })
    }
}

fn ask(url: &str) -> Result<Value, Failure> {
    let agent = http::client(PATIENCE, None);
    let failed = |error: ureq::Error| Failure::Other(format!("{url}: {error}; is the worker started?"));
    let mut response = agent.get(url).call().map_err(failed)?;
    let body = response.body_mut().with_config().limit(ANSWER).read_to_string();
    serde_json::from_str(&body.map_err(failed)?)
        .map_err(|_| Failure::Other(format!("{url}: what answers there is not a worker of Lazaret")))
}
