//! `lazaret submit`: put files into the upload store and enqueue a job for each.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::recipe::RecipeArguments;
use super::{Ending, Failure, show};
use crate::broker::spool::{Lane, Spool};
use crate::clock::{self, Stopwatch};
use crate::config::{Address, Config};
use crate::event::Event;
use crate::job::{Body, Source, check_name};
use crate::store::{Access, Store};
use crate::verdict::Status;

/// How often results are looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Put files into the upload store and enqueue a job for each.
#[derive(Debug, Args)]
pub struct Submit {
    /// Files to submit.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The configuration of the workers.
    #[arg(long, value_name = "FILE", env = "LAZARET_CONFIG")]
    config: PathBuf,
    /// Whose uploads these are.
    #[arg(long, value_name = "NAME", default_value = "local")]
    tenant: String,
    /// Which queue: interactive jobs go first.
    #[arg(long, value_enum, default_value_t = Lane::Interactive)]
    lane: Lane,
    #[command(flatten)]
    recipe: RecipeArguments,
    /// Wait for the results and print them; exits with 1 where one is not `converted`.
    #[arg(long)]
    wait: bool,
    /// Give up waiting after this time.
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Print one JSON object per job.
    #[arg(long)]
    json: bool,
}

impl Submit {
    pub(super) async fn run(self) -> Result<Ending, Failure> {
        let config = Config::load(&self.config)?;
        check_name("--tenant", &self.tenant).map_err(Failure::Usage)?;
        // Checked here, so that a wrong recipe is an error now and not a rejection later.
        let recipe = self.recipe.recipe(&config.recipes())?;
        let uploads =
            Store::open("uploads", config.stores["uploads"].path(), Access::Shared).map_err(Failure::other)?;
        let spool = Spool::open(config.broker.path()).map_err(Failure::other)?;

        let mut ending = Ending::Well;
        let mut jobs = Vec::new();
        for path in &self.paths {
            match upload(path, config.limits.input).and_then(|(file, bytes)| put(&uploads, path, &file, bytes)) {
                Ok(key) => {
                    let body = self.body(key, recipe.clone().into());
                    let json = serde_json::to_vec(&body).map_err(Failure::other)?;
                    spool.submit(&json, self.lane).map_err(Failure::other)?;
                    jobs.push((path, body.job));
                }
                Err(error) => {
                    eprintln!("lazaret: {}: {error}", show::tail(&path.display().to_string(), 300));
                    ending = Ending::NotAll;
                }
            }
        }
        if !self.wait {
            for (path, job) in jobs {
                match self.json {
                    true => println!("{}", json!({ "path": path.to_string_lossy(), "job": job })),
                    false => println!("{job}  {}", show::harmless(&path.display().to_string(), 120)),
                }
            }
            return Ok(ending);
        }
        match (self.wait_for(&spool, jobs).await?, ending) {
            (Ending::Well, Ending::Well) => Ok(Ending::Well),
            _ => Ok(Ending::NotAll),
        }
    }

    fn body(&self, key: String, renditions: Vec<crate::recipe::Rendition>) -> Body {
        Body {
            job: uuid::Uuid::now_v7().to_string(),
            tenant: self.tenant.clone(),
            source: Source {
                store: "uploads".to_owned(),
                key,
                sha256: None,
                bytes: None,
            },
            renditions: Some(renditions),
            preset: None,
            metadata: Value::Null,
        }
    }

    /// Prints each result as it comes; a table for people at the end.
    async fn wait_for(&self, spool: &Spool, jobs: Vec<(&PathBuf, String)>) -> Result<Ending, Failure> {
        let progress = if jobs.len() > 1 {
            ProgressBar::new(jobs.len() as u64)
        } else {
            ProgressBar::hidden()
        };
        let waited = Stopwatch::start();
        let mut open: BTreeSet<usize> = (0..jobs.len()).collect();
        let mut events: Vec<Option<Event>> = vec![None; jobs.len()];
        while !open.is_empty() && waited.elapsed() < self.timeout {
            for index in open.clone() {
                let (path, job) = &jobs[index];
                if let Some(event) = spool.result(job).map_err(Failure::other)? {
                    if self.json {
                        let mut line = json!(event.data);
                        line["path"] = json!(path.to_string_lossy());
                        progress.suspend(|| println!("{line}"));
                    }
                    events[index] = Some(event);
                    open.remove(&index);
                    progress.inc(1);
                }
            }
            sleep(LOOK_AGAIN).await;
        }
        progress.finish_and_clear();
        if !self.json {
            print_table(&jobs, &events)?;
        }
        let converted = |event: &Option<Event>| {
            event
                .as_ref()
                .is_some_and(|event| event.data.status == Status::Converted)
        };
        Ok(if events.iter().all(converted) {
            Ending::Well
        } else {
            Ending::NotAll
        })
    }
}

/// Opens a file and tells its size; what no worker would fetch is not copied first. A FIFO is not waited for.
fn upload(path: &Path, most: ByteSize) -> io::Result<(File, u64)> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("is not a regular file"));
    }
    let bytes = metadata.len();
    if bytes > most.as_u64() {
        return Err(io::Error::other(format!(
            "is {bytes} bytes, more than limits.input, {most}"
        )));
    }
    Ok((file, bytes))
}

/// Copies a file into the store, under a key that nobody else uses.
fn put(uploads: &Store, path: &Path, file: &File, bytes: u64) -> io::Result<String> {
    let legal = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
            c
        } else {
            '_'
        }
    };
    let name: String = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .chars()
        .map(legal)
        .take(100)
        .collect();
    let key = format!(
        "{}/{}-{name}",
        clock::now().format("%Y/%m/%d"),
        uuid::Uuid::now_v7().simple()
    );
    uploads.write(&key, file, 0, bytes, Access::Shared)?;
    Ok(key)
}

fn print_table(jobs: &[(&PathBuf, String)], events: &[Option<Event>]) -> Result<(), Failure> {
    let mut table = show::table(&["file", "verdict", "", "detail"]);
    for ((path, _), event) in jobs.iter().zip(events) {
        let path = show::tail(&path.display().to_string(), 60);
        match event {
            None => drop(table.add_row([path.as_str(), "no answer yet", "", ""])),
            Some(Event { data, .. }) => {
                let known = if data.repeat { "known" } else { "" };
                table.add_row([path.as_str(), &show::verdict(data), known, &show::detail(data)]);
            }
        }
    }
    show::print(&table)
}
