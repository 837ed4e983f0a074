//! `lazaret desk token`: with what programs come to the API.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::place::open_ledger;
use crate::cli::{Ending, Failure, show};
use crate::config::Config;
use crate::desk::{Role, bearer_token, check_name};
use crate::digest::Digest;
use crate::ledger::{Ledger, NewToken, TokenMade, TokenRevoked};

/// Seconds of a day.
const DAY: u64 = 24 * 3600;

/// With what programs come to the API.
///
/// Tokens are in the ledger: each is good for every worker of the fleet, until it expires or is revoked. What is kept of one is its hash.
#[derive(Debug, Args)]
pub(super) struct Token {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a token and print it. It is shown this once, and kept nowhere.
    Add {
        /// Name, as audit trails will have it, after `token:`. No other token ever had it.
        name: String,
        /// What it may do.
        #[arg(long, value_enum, default_value = "viewer")]
        role: Role,
        /// Good for so many days; absent: until it is revoked.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=3650))]
        expires: Option<u64>,
        #[command(flatten)]
        who: Who,
    },
    /// All tokens, with roles and who made and revoked them; never their texts.
    List {
        /// Print one JSON object per token.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token: it opens nothing from the next request on.
    Revoke {
        /// Which.
        name: String,
        #[command(flatten)]
        who: Who,
    },
}

#[derive(Debug, Args)]
struct Who {
    /// Who does it [default: the user's name].
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator", hide_env = true)]
    who: String,
}

impl Token {
    pub(super) async fn run(self, config: &Config) -> Result<Ending, Failure> {
        let ledger = open_ledger(config).await?;
        let ending = match self.what {
            What::Add {
                name,
                role,
                expires,
                who,
            } => add(&*ledger, name, role, expires, who).await,
            What::List { json } => list(&*ledger, json).await,
            What::Revoke { name, who } => revoke(&*ledger, &name, who).await,
        };
        ledger.close().await;
        ending
    }
}

async fn add(ledger: &dyn Ledger, name: String, role: Role, expires: Option<u64>, who: Who) -> Result<Ending, Failure> {
    check_name(&name).map_err(super::usage)?;
    let text = bearer_token().map_err(Failure::other)?;
    let token = NewToken {
        name,
        hash: Digest::of(text.as_bytes()),
        role,
        made_by: who.who,
        lasts: expires.map(|days| Duration::from_secs(days * DAY)),
    };
    match ledger.add_token(&token).await.map_err(Failure::other)? {
        TokenMade::Made => {
            show::line(&text)?;
            Ok(Ending::Well)
        }
        TokenMade::NameTaken => Err(Failure::Other(format!(
            "there is, or was, a token {}: name this one otherwise, so that audit trails tell them apart",
            token.name
        ))),
    }
}

async fn list(ledger: &dyn Ledger, json: bool) -> Result<Ending, Failure> {
    let tokens = ledger.tokens().await.map_err(Failure::other)?;
    if json {
        tokens.iter().for_each(|token| println!("{}", json!(token)));
        return Ok(Ending::Well);
    }
    let mut table = show::table(&["name", "role", "standing", "made", "by", "expires", "revoked", "by"]);
    for token in &tokens {
        table.add_row([
            show::harmless(&token.name, 64),
            token.role.word().to_owned(),
            token.standing.word().to_owned(),
            show::moment(token.made),
            show::harmless(&token.made_by, 40),
            token.expires.map_or("never".to_owned(), show::moment),
            token.revoked.map_or(String::new(), show::moment),
            show::harmless(token.revoked_by.as_deref().unwrap_or_default(), 40),
        ]);
    }
    show::print(&table)?;
    Ok(Ending::Well)
}

async fn revoke(ledger: &dyn Ledger, name: &str, who: Who) -> Result<Ending, Failure> {
    match ledger.revoke_token(name, &who.who).await.map_err(Failure::other)? {
        TokenRevoked::Now => Ok(Ending::Well),
        TokenRevoked::Before => {
            eprintln!("lazaret: {name} was revoked before");
            Ok(Ending::Well)
        }
        TokenRevoked::Unknown => Err(Failure::Other(format!(
            "there is no token {}; `lazaret desk token list` shows all",
            show::harmless(name, 64)
        ))),
    }
}
