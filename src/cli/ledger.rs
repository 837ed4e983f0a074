//! `lazaret ledger`: the ledger as a whole: its schema, its size, its move to PostgreSQL.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Args, Subcommand};
use serde_json::json;

use super::place::{PlaceArguments, open_ledger};
use super::{Ending, Failure, show};
use crate::config::{Config, LedgerAddress};
use crate::ledger::postgres::{KNOWN, Postgres};
use crate::ledger::sqlite::Sqlite;
use crate::ledger::{self, Copied, Count, Inventory};

/// Look after the ledger: its schema, its size, its move from SQLite to PostgreSQL.
///
/// From one host to a fleet: make a database and its user, name it in the configuration (`ledger = "postgres://…"`), stop the workers,
/// `lazaret ledger migrate`, `lazaret ledger copy OLD-FILE`, `lazaret check`, start the workers.
#[derive(Debug, Args)]
pub struct LedgerCommand {
    #[command(flatten)]
    place: PlaceArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the ledger, or bring its schema up to this program's.
    ///
    /// A worker does the same when it starts, where its database user may. Steps go forward only, and workers of the version before go on
    /// beside them: migrate first, then upgrade one worker after the other. For a worker's user that may not change schemas, see
    /// docs/postgresql.md.
    Migrate {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Show schema, size and rows. Changes nothing in PostgreSQL.
    ///
    /// Rows of a large table in PostgreSQL are the server's estimate, marked with ~.
    Status {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Copy a ledger from an SQLite file into the PostgreSQL ledger of the configuration, which must be empty.
    ///
    /// All or nothing: verdicts, strikes, audit trails, jobs that wait, and what was decided about tenants. Rows are counted on both sides
    /// before they count. The workers of the file must be stopped; a copy that was cut short is simply run again. The file stays as it is.
    Copy {
        /// The SQLite file to copy from.
        #[arg(value_name = "FILE")]
        from: PathBuf,
        /// Print one JSON object per table.
        #[arg(long)]
        json: bool,
    },
}

impl LedgerCommand {
    pub(super) async fn run(self) -> Result<Ending, Failure> {
        let config = self.place.config()?;
        match self.command {
            Command::Migrate { json } => migrate(&config, json).await,
            Command::Status { json } => status(&config, json).await,
            Command::Copy { from, json } => copy(&config, &from, json).await,
        }
    }
}

async fn migrate(config: &Config, json: bool) -> Result<Ending, Failure> {
    let before = match &config.ledger {
        LedgerAddress::Postgres(address) => {
            let schema = Postgres::look(address, &config.postgres).await;
            Some(schema.map_err(Failure::other)?.version)
        }
        // A file is brought up by whoever opens it.
        LedgerAddress::Sqlite(_) => None,
    };
    let ledger = open_ledger(config).await?;
    ledger.close().await;
    let inventory = inventory(config).await?;
    let after = inventory.schema;
    if json {
        show::line(&json!({ "place": inventory.place, "before": before, "schema": after }))?;
    } else if before == Some(after) {
        show::line(&format!("{}: schema {after}, nothing to do", inventory.place))?;
    } else {
        show::line(&format!("{}: schema {after}", inventory.place))?;
    }
    Ok(Ending::Well)
}

async fn status(config: &Config, json: bool) -> Result<Ending, Failure> {
    let inventory = inventory(config).await?;
    if json {
        show::line(&json!(inventory))?;
        return Ok(Ending::Well);
    }
    let Inventory {
        place,
        schema,
        known,
        bytes,
        tables,
    } = &inventory;
    show::line(&format!(
        "{place}\nschema {schema}; this program makes {known}\n{}\n",
        ByteSize(*bytes)
    ))?;
    let mut table = show::table(&["table", "rows", "size"]);
    for one in tables {
        let about = match one.count {
            Count::Exact => "",
            Count::Estimate => "~",
        };
        let size = one.bytes.map_or(String::new(), |bytes| ByteSize(bytes).to_string());
        table.add_row([one.name.to_owned(), format!("{about}{}", one.rows), size]);
    }
    show::print(&table)?;
    Ok(Ending::Well)
}

/// The ledger that is there: none is made.
async fn inventory(config: &Config) -> Result<Inventory, Failure> {
    let counted = match &config.ledger {
        LedgerAddress::Sqlite(file) => {
            let ledger = Sqlite::open_existing(file).await.map_err(Failure::other)?;
            ledger.inventory().await
        }
        LedgerAddress::Postgres(address) => {
            let ledger = Postgres::open_existing(address, &config.postgres).await;
            ledger.map_err(Failure::other)?.inventory().await
        }
    };
    counted.map_err(Failure::other)
}

async fn copy(config: &Config, from: &std::path::Path, json: bool) -> Result<Ending, Failure> {
    let LedgerAddress::Postgres(address) = &config.ledger else {
        return Err(Failure::Usage(format!(
            "the ledger of this configuration is {}; copying goes from an SQLite file to PostgreSQL: \
             give --config FILE with ledger = \"postgres://…\"",
            config.ledger
        )));
    };
    let to = Postgres::open(address, &config.postgres)
        .await
        .map_err(Failure::other)?;
    let copied = ledger::copy(from, &to).await.map_err(Failure::other)?;
    if json {
        copied.iter().try_for_each(|table| show::line(&json!(table)))?;
    } else {
        report(&copied, address)?;
    }
    Ok(Ending::Well)
}

fn report(copied: &[Copied], to: &crate::config::PostgresAddress) -> Result<(), Failure> {
    let mut table = show::table(&["table", "rows"]);
    for one in copied {
        table.add_row([one.table.to_owned(), one.rows.to_string()]);
    }
    show::print(&table)?;
    let replaced: u64 = copied.iter().map(|table| table.replaced).sum();
    if replaced > 0 {
        show::line(&format!(
            "\n{replaced} NUL characters, which PostgreSQL does not keep, became U+FFFD"
        ))?;
    }
    let rows: u64 = copied.iter().map(|table| table.rows).sum();
    show::line(&format!(
        "\n{rows} rows copied to {to}, schema {KNOWN}; as many were counted on both sides"
    ))
}
