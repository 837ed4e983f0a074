//! `lazaret quarantine`: what is held, why, and what is done about it.

mod retest;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, Subcommand};
use serde_json::json;

use self::retest::Retest;
use super::office::{Office, OfficeArguments};
use super::why::Why;
use super::{Ending, Failure, show};
use crate::digest::Digest;
use crate::ledger::{Dossier, Exported, Filter};
use crate::quarantine::{Action, State};
use crate::verdict::Reason;

/// Review the quarantine: list, show, decide. In a ledger, or over the API of a worker's desk (--server).
#[derive(Debug, Args)]
pub struct Quarantine {
    #[command(flatten)]
    office: OfficeArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    /// Show one entry: what it is, its strikes with their evidence, its attempts, its audit trail.
    Show {
        /// A digest, or its first digits.
        digest: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Let an upload go: it runs again under the usual limits, and may be convicted again.
    Release(Act),
    /// Let an upload go under raised limits: four times the usual memory, CPU, wall time and output, until its state changes next.
    Raise(Act),
    /// Agree with a conviction: it never expires.
    Confirm(Act),
    /// Vouch for an upload: it runs, and is never convicted.
    Allow(Act),
    /// Say something about an entry: it is kept with it, and nothing else changes.
    Note(Act),
    Retest(Retest),
    /// Put a digest on the list by hand, whether its upload was seen or not.
    Add(Act),
    /// Write entries and their strikes as JSON lines.
    Export {
        /// Digests or their first digits; none: all.
        digests: Vec<String>,
    },
    /// Take over entries that `export` wrote: all or none. What is stricter here stays.
    Import {
        /// The file; `-` for standard input.
        file: PathBuf,
        #[command(flatten)]
        reason: Why,
    },
}

/// List entries, newest change first.
#[derive(Debug, Args)]
struct List {
    /// Only these states; may be repeated.
    #[arg(long, value_enum)]
    state: Vec<State>,
    /// Only this reason: memory, cpu, wall, output, violation, crash, worker-loss, listed.
    #[arg(long, value_parser = reason)]
    reason: Option<Reason>,
    /// Only this tenant's.
    #[arg(long)]
    tenant: Option<String>,
    /// Only entries that changed at least this long ago: 30min, 7days.
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    older_than: Option<Duration>,
    /// Only entries that changed at most this long ago.
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    newer_than: Option<Duration>,
    /// At most this many; 0: all.
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Print one JSON object per entry.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Act {
    /// Digests, or their first digits.
    #[arg(required = true)]
    digests: Vec<String>,
    #[command(flatten)]
    reason: Why,
}

impl Quarantine {
    pub(super) async fn run(self) -> Result<Ending, Failure> {
        let office = self.office.open().await?;
        let ending = match self.command {
            Command::List(list) => list.run(&office).await,
            Command::Show { digest, json } => show(&office, &digest, json).await,
            Command::Release(act) => act.run(&office, Action::Release).await,
            Command::Raise(act) => act.run(&office, Action::Raise).await,
            Command::Confirm(act) => act.run(&office, Action::Confirm).await,
            Command::Allow(act) => act.run(&office, Action::Allow).await,
            Command::Note(act) => act.run(&office, Action::Note).await,
            Command::Retest(retest) => retest.run(&office).await,
            Command::Add(act) => act.add(&office).await,
            Command::Export { digests } => export(&office, &digests).await,
            Command::Import { file, reason } => import(&office, &file, reason).await,
        };
        office.close().await;
        ending
    }
}

impl List {
    async fn run(self, office: &Office) -> Result<Ending, Failure> {
        let filter = Filter {
            states: self.state,
            reason: self.reason,
            tenant: self.tenant,
            older_than: self.older_than,
            newer_than: self.newer_than,
            limit: self.limit,
        };
        let entries = office.entries(&filter).await?;
        if self.json {
            entries.iter().for_each(|entry| println!("{}", json!(entry)));
            return Ok(Ending::Well);
        }
        let columns = [
            "digest", "state", "reason", "scope", "tenant", "name", "size", "strikes", "repeats", "changed",
        ];
        let mut table = show::table(&columns);
        for entry in &entries {
            table.add_row([
                entry.digest.short(),
                entry.state.word().to_owned(),
                show::reason(entry.reason),
                show::word(&entry.scope),
                show::harmless(&entry.tenant, 20),
                show::tail(&entry.name, 40),
                ByteSize(entry.looks.bytes).to_string(),
                entry.strikes.to_string(),
                entry.repeats.to_string(),
                show::moment(entry.changed),
            ]);
        }
        show::print(&table)?;
        Ok(Ending::Well)
    }
}

async fn show(office: &Office, digest: &str, json: bool) -> Result<Ending, Failure> {
    let digest = resolve(office, digest).await?;
    let dossier = office.dossier(&digest).await?;
    let dossier = dossier.ok_or_else(|| Failure::Other(format!("there is no entry for {digest}")))?;
    match json {
        true => println!("{}", json!(dossier)),
        false => print_dossier(&dossier),
    }
    Ok(Ending::Well)
}

fn print_dossier(dossier: &Dossier) {
    let Dossier {
        entry,
        strikes,
        attempts,
        audit,
        senders,
        refusals,
    } = dossier;
    let looks = &entry.looks;
    let size = looks
        .width
        .zip(looks.height)
        .map(|(width, height)| format!(", {width}×{height}"));
    let format = looks.format.map(|format| format!(", {format}"));
    println!("{}", entry.digest);
    println!("  state     {} ({})", entry.state.word(), show::reason(entry.reason));
    println!("  detail    {}", show::harmless(&entry.detail, 200));
    println!("  covers    {}", show::word(&entry.scope));
    let (format, size) = (format.unwrap_or_default(), size.unwrap_or_default());
    println!("  upload    {}{format}{size}", ByteSize(looks.bytes));
    println!(
        "  sent by   {} as {}",
        show::harmless(&entry.tenant, 80),
        show::harmless(&entry.name, 200)
    );
    println!(
        "  since     {}, changed {}",
        show::moment(entry.since),
        show::moment(entry.changed)
    );
    println!("  expires   {}", entry.expires.map_or("never".to_owned(), show::moment));
    if let Some(times) = entry.raised {
        println!("  limits    {times} times the usual ones");
    }
    println!("  repeats   {} refused by digest", entry.repeats);
    let specimen = entry.specimen.as_deref().unwrap_or("not kept");
    println!("  specimen  {}", show::harmless(specimen, 200));
    let [build, limits] = [&entry.epoch.build, &entry.epoch.limits].map(|text| show::harmless(text, 80));
    println!("  epoch     build {build}, limits {limits}");
    println!("\nStrikes");
    for strike in strikes {
        println!("  {}  {}", show::moment(strike.at), show::reason(strike.reason));
        println!("    {}", show::harmless(&strike.evidence.to_string(), 2000));
    }
    println!("\nTenants, by attempts and refusals that are kept");
    for sent in &refusals.tenants {
        let tenant = sent.tenant.as_deref().map(|tenant| show::harmless(tenant, 80));
        println!(
            "  {}  {}, attempts: {}, refusals: {}",
            show::moment(sent.last),
            tenant.as_deref().unwrap_or("(others)"),
            sent.attempts,
            sent.refusals
        );
    }
    println!("\nRefusals by digest, by day");
    for day in &refusals.days {
        println!("  {}  {}", day.from.format("%Y-%m-%d"), day.times);
    }
    println!("\nSenders, by attempts that are kept");
    for sender in senders {
        println!(
            "  {}  {} as {}, attempts: {}",
            show::moment(sender.last),
            show::harmless(&sender.tenant, 80),
            show::harmless(&sender.name, 200),
            sender.times
        );
    }
    println!("\nAttempts");
    for attempt in attempts {
        let usage = attempt.usage;
        println!(
            "  {}  {:<11} {}{}{}  {} ms CPU, {} ms wall, {} peak",
            show::moment(attempt.started),
            show::harmless(&attempt.outcome, 40),
            show::harmless(&attempt.worker.0, 200),
            if attempt.solo { " (solo)" } else { "" },
            attempt.renews.map_or("", |_| " (renewal)"),
            usage.cpu_ms,
            usage.wall_ms,
            ByteSize(usage.peak_memory_bytes)
        );
    }
    println!("\nAudit");
    for record in audit {
        println!(
            "  {}  {} by {}: {} → {}  {}",
            show::moment(record.at),
            show::harmless(&record.action, 40),
            show::harmless(&record.who, 40),
            record.before.map_or("–", State::word),
            record.after.word(),
            show::harmless(&record.why, 200)
        );
    }
}

impl Act {
    /// Acts on each digest; one that cannot be acted on does not keep the others from it.
    async fn run(self, office: &Office, action: Action) -> Result<Ending, Failure> {
        let operator = office.operator(self.reason)?;
        if action == Action::Note && operator.why.trim().is_empty() {
            return Err(Failure::Usage("a note has words: give --why".to_owned()));
        }
        let mut ending = Ending::Well;
        for digest in &self.digests {
            let acted = async {
                let digest = resolve(office, digest).await?;
                office.act(&digest, action, &operator).await
            };
            match acted.await {
                Ok(entry) => println!("{}  {}", entry.digest, entry.state.word()),
                Err(failure) => {
                    eprintln!("lazaret: {failure}");
                    ending = Ending::NotAll;
                }
            }
        }
        Ok(ending)
    }

    async fn add(self, office: &Office) -> Result<Ending, Failure> {
        let parse = |text: &String| {
            text.parse::<Digest>()
                .map_err(|error| Failure::Usage(error.to_string()))
        };
        let digests = self.digests.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let operator = office.operator(self.reason)?;
        let added = office.add(&digests, &operator).await?;
        println!("{added} added");
        Ok(Ending::Well)
    }
}

async fn export(office: &Office, digests: &[String]) -> Result<Ending, Failure> {
    let digests = match digests {
        [] => {
            let all = office.entries(&Filter::default()).await?;
            all.into_iter().map(|entry| entry.digest).collect()
        }
        some => {
            let mut resolved = Vec::with_capacity(some.len());
            for digest in some {
                resolved.push(resolve(office, digest).await?);
            }
            resolved
        }
    };
    let mut out = io::stdout().lock();
    for digest in digests {
        if let Some(Dossier { entry, strikes, .. }) = office.dossier(&digest).await? {
            writeln!(out, "{}", json!(Exported { entry, strikes })).map_err(Failure::other)?;
        }
    }
    Ok(Ending::Well)
}

async fn import(office: &Office, file: &PathBuf, reason: Why) -> Result<Ending, Failure> {
    let operator = office.operator(reason)?;
    let name = file.display();
    let lines: Box<dyn BufRead> = match file.as_os_str() == "-" {
        true => Box::new(io::stdin().lock()),
        false => Box::new(BufReader::new(
            File::open(file).map_err(|error| Failure::Other(format!("{name}: {error}")))?,
        )),
    };
    let mut entries = Vec::new();
    for (number, line) in lines.lines().enumerate() {
        let wrong = |error: String| Failure::Other(format!("{name}:{}: {error}; nothing was imported", number + 1));
        let line = line.map_err(|error| wrong(error.to_string()))?;
        let exported: Exported = serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?;
        exported.check().map_err(wrong)?;
        entries.push(exported);
    }
    let count = entries.len();
    let changed = office.import(entries, &operator).await?;
    println!("{changed} of {count} imported");
    Ok(Ending::Well)
}

/// A digest from its first digits.
async fn resolve(office: &Office, text: &str) -> Result<Digest, Failure> {
    if let Ok(digest) = text.parse() {
        return Ok(digest);
    }
    if text.len() < 4 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Failure::Usage(format!(
            "{text:?} is not a digest, nor its first 4 or more digits"
        )));
    }
    match office.resolve(&text.to_lowercase()).await?[..] {
        [digest] => Ok(digest),
        [] => Err(Failure::Other(format!("there is no entry for {text}"))),
        _ => Err(Failure::Other(format!(
            "more than one entry starts with {text}; give more digits"
        ))),
    }
}

fn reason(text: &str) -> Result<Reason, String> {
    serde_json::from_value(json!(text)).map_err(|_| format!("{text:?} is no reason"))
}
