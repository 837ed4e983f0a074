//! `lazaret tenant`: what tenants use, and what is done about one that uses too much.

mod print;

use std::io::{self, BufRead, IsTerminal, Write};

use bytesize::ByteSize;
use clap::{Args, Subcommand};
use serde_json::json;

use super::office::{Office, OfficeArguments, Tenants};
use super::why::Why;
use super::{Ending, Failure, broker};
use crate::broker::amqp::Client;
use crate::config::{BrokerAddress, Config};
use crate::job::check_name;
use crate::ledger::{Ledger, TenantAction};
use crate::tenants::{Block, Over, SomeLimits};

/// Review tenants: list, show, limit, block, purge. In a ledger, or over the API of a worker's desk (--server).
#[derive(Debug, Args)]
pub struct Tenant {
    #[command(flatten)]
    office: OfficeArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List tenants that are limited, blocked, purged or on probation, that wait or run, or that used something in the last hour.
    List {
        /// Print one JSON object per tenant.
        #[arg(long)]
        json: bool,
    },
    /// Show one tenant: what was decided, what it uses, its audit trail.
    Show {
        /// Which.
        #[arg(value_parser = name)]
        tenant: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    Limit(Limit),
    Block(BlockArguments),
    /// Let a blocked tenant go on: its waiting jobs are tried at once.
    Unblock(Act),
    Purge(Purge),
    /// End a tenant's probation early. The next upload of it that is convicted may begin another.
    EndProbation(Act),
}

/// Set limits of a tenant, over those of the configuration. Those that are not named stay as they are. 0: no limit.
#[derive(Debug, Args)]
struct Limit {
    /// Which.
    #[arg(value_parser = name)]
    tenant: String,
    /// Jobs begun per minute.
    #[arg(long, value_name = "N")]
    jobs_per_minute: Option<u64>,
    /// CPU seconds of its attempts per minute.
    #[arg(long, value_name = "N")]
    cpu_seconds_per_minute: Option<u64>,
    /// Bytes of uploads fetched per day: 10GiB.
    #[arg(long, value_name = "SIZE")]
    bytes_per_day: Option<ByteSize>,
    /// Attempts running at once.
    #[arg(long, value_name = "N")]
    in_flight: Option<u32>,
    /// Jobs that wait.
    #[arg(long, value_name = "N")]
    queued: Option<u64>,
    /// What becomes of a job that is over a limit.
    #[arg(long, value_enum)]
    over: Option<Over>,
    /// First take back all that was set before.
    #[arg(long)]
    clear: bool,
    #[command(flatten)]
    reason: Why,
}

/// Block a tenant. Without a further word, its jobs wait.
#[derive(Debug, Args)]
struct BlockArguments {
    /// Which.
    #[arg(value_parser = name)]
    tenant: String,
    /// Its jobs wait until it is unblocked. The default.
    #[arg(long, group = "how")]
    hold: bool,
    /// Its jobs end `refused: tenant-blocked`.
    #[arg(long, group = "how")]
    refuse: bool,
    /// Its messages are taken away without a word.
    #[arg(long, group = "how")]
    drop: bool,
    #[command(flatten)]
    reason: Why,
}

/// Give up all jobs that a tenant has enqueued so far: they end `refused: purged`. Later ones are not touched.
#[derive(Debug, Args)]
struct Purge {
    /// Which.
    #[arg(value_parser = name)]
    tenant: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    reason: Why,
}

#[derive(Debug, Args)]
struct Act {
    /// Which.
    #[arg(value_parser = name)]
    tenant: String,
    #[command(flatten)]
    reason: Why,
}

impl Tenant {
    pub(super) async fn run(self) -> Result<Ending, Failure> {
        let office = self.office.open().await?;
        let desk = Desk { office: &office };
        let ending = match self.command {
            Command::List { json } => desk.list(json).await,
            Command::Show { tenant, json } => desk.show(&tenant, json).await,
            Command::Limit(limit) => desk.limit(limit).await,
            Command::Block(block) => {
                let action = TenantAction::Block(block.how());
                desk.act(&block.tenant, &[action], block.reason).await
            }
            Command::Unblock(act) => desk.act(&act.tenant, &[TenantAction::Unblock], act.reason).await,
            Command::EndProbation(act) => desk.act(&act.tenant, &[TenantAction::EndProbation], act.reason).await,
            Command::Purge(purge) => desk.purge(purge).await,
        };
        office.close().await;
        ending
    }
}

/// Where an operator works.
struct Desk<'a> {
    office: &'a Office,
}

impl Desk<'_> {
    async fn list(&self, json: bool) -> Result<Ending, Failure> {
        let Tenants { listed, count } = self.office.tenants().await?;
        match json {
            true => listed.iter().for_each(|tenant| println!("{}", json!(tenant))),
            false => print::list(&listed)?,
        }
        if count > listed.len() {
            let listed = listed.len();
            eprintln!(
                "lazaret: these are the busiest {listed} of {count} tenants; `tenant list` where the ledger is has all"
            );
        }
        Ok(Ending::Well)
    }

    async fn show(&self, tenant: &str, json: bool) -> Result<Ending, Failure> {
        let (summary, audit) = self.office.tenant(tenant).await?;
        if json {
            let mut object = json!(summary);
            object["audit"] = json!(audit);
            println!("{object}");
        } else {
            print::one(&summary, &audit);
        }
        Ok(Ending::Well)
    }

    async fn limit(&self, limit: Limit) -> Result<Ending, Failure> {
        let limits = limit.limits();
        let set = limits != SomeLimits::default();
        let actions: Vec<TenantAction> = [
            limit.clear.then_some(TenantAction::Unlimit),
            set.then_some(TenantAction::Limit(limits)),
        ]
        .into_iter()
        .flatten()
        .collect();
        if actions.is_empty() {
            return Err(Failure::Usage(
                "name a limit, such as --jobs-per-minute 100, or --clear".to_owned(),
            ));
        }
        self.act(&limit.tenant, &actions, limit.reason).await
    }

    async fn purge(&self, purge: Purge) -> Result<Ending, Failure> {
        let tenant = &purge.tenant;
        let (summary, _) = self.office.tenant(tenant).await?;
        let waiting = summary.waiting;
        let what =
            format!("{waiting} jobs of {tenant} wait in the ledger; those, and all that wait in queues, are given up");
        if !purge.yes && agreed(&what)? == Answer::No {
            println!("nothing was purged");
            return Ok(Ending::NotAll);
        }
        println!("{what}");
        self.act(tenant, &[TenantAction::Purge], purge.reason).await
    }

    async fn act(&self, tenant: &str, actions: &[TenantAction], reason: Why) -> Result<Ending, Failure> {
        let operator = self.office.operator(reason)?;
        for action in actions {
            let standing = self.office.tenant_act(tenant, action, &operator).await?;
            println!("{tenant}  {}: {}", action.word(), print::standing(&standing));
            // A server's workers learn it from their ledger.
            if let Office::Ledger { config, ledger } = self.office {
                tell_the_fleet(config, &**ledger, tenant, action).await?;
            }
        }
        Ok(Ending::Well)
    }
}

/// Tells workers at once what the ledger says by now, and empties the sideline of a tenant that is purged. Who is not told learns it
/// from the ledger, within a second.
async fn tell_the_fleet(
    config: &Config,
    ledger: &dyn Ledger,
    tenant: &str,
    action: &TenantAction,
) -> Result<(), Failure> {
    let address = match &config.broker {
        // Nobody listens there: its workers look into the ledger.
        BrokerAddress::Spool(_) => return Ok(()),
        BrokerAddress::Amqp(address) => address,
    };
    let client = Client::new(broker::server(config, address, "tenant")?);
    let told = async {
        client.tell().await?;
        match (action, line_of(ledger, tenant).await) {
            (TenantAction::Purge, Some(line)) => client.purge_sideline(line).await.map(Some),
            _ => Ok(None),
        }
    };
    match told.await {
        Ok(None) => {}
        Ok(Some(purged)) => println!("{tenant}  {purged} jobs dropped from its sideline"),
        // It holds all the same.
        Err(error) => eprintln!("lazaret: written, but the fleet was not told at once: {error}"),
    }
    Ok(())
}

async fn line_of(ledger: &dyn Ledger, tenant: &str) -> Option<u8> {
    let lines = ledger.sidelines().await.unwrap_or_default();
    let mut own = lines.into_iter().filter(|(_, owner)| owner == tenant);
    own.next().map(|(line, _)| line)
}

impl Limit {
    fn limits(&self) -> SomeLimits {
        SomeLimits {
            jobs_per_minute: self.jobs_per_minute,
            cpu_seconds_per_minute: self.cpu_seconds_per_minute,
            bytes_per_day: self.bytes_per_day,
            in_flight: self.in_flight,
            queued: self.queued,
            over: self.over,
        }
    }
}

impl BlockArguments {
    fn how(&self) -> Block {
        match (self.refuse, self.drop) {
            (true, _) => Block::Refuse,
            (_, true) => Block::Drop,
            _ => Block::Hold,
        }
    }
}

/// What a person says to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
}

/// Asks whoever sits at the terminal. A program that runs this must say `--yes`.
fn agreed(what: &str) -> Result<Answer, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "{what}: say --yes, for nobody is there to be asked"
        )));
    }
    eprint!("{what}. Go on? [y/N] ");
    io::stderr().flush().map_err(Failure::other)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(Failure::other)?;
    Ok(match line.trim() {
        "y" | "Y" | "yes" => Answer::Yes,
        _ => Answer::No,
    })
}

fn name(text: &str) -> Result<String, String> {
    check_name("tenant", text).map(|()| text.to_owned())
}
