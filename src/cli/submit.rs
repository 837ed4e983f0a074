//! `lazaret submit`: put files into the upload store and enqueue a job for each.

mod desk;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use tokio::signal::unix::SignalKind;
use tokio::time::sleep;

use super::place::open_store;
use super::recipe::RecipeArguments;
use super::{Ending, Failure, show, signalled};
use crate::broker::Lane;
use crate::clock;
use crate::config::Config;
use crate::job::{Body, Source, check_name};
use crate::recipe::Recipe;
use crate::store::{Access, Store};
use crate::verdict::{Report, Status};

use desk::{Answers, Desk};

/// Put files into the upload store and enqueue a job for each.
///
/// The configuration is that of the workers: its store `uploads` takes the files, its broker (a spool or RabbitMQ) the jobs. Each job is
/// safe in the broker before the next file is looked at. Without --wait, the jobs' ids are printed; with it, the verdicts, and a lost
/// connection is opened again without a job run twice.
///
/// Ctrl-C and --timeout end the waiting and not the jobs.
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

/// What ends the waiting.
const STOP: [SignalKind; 2] = [SignalKind::interrupt(), SignalKind::terminate()];

/// A job that was handed in.
struct Submitted<'a> {
    path: &'a Path,
    job: String,
}

impl Submit {
    pub(super) async fn run(self) -> Result<Ending, Failure> {
        let config = Config::load(&self.config)?;
        check_name("--tenant", &self.tenant).map_err(Failure::Usage)?;
        // Checked here, so that a wrong recipe is an error now and not a rejection later.
        let recipe = self.recipe.recipe(&config.recipes())?;
        let uploads = open_store(&config, "uploads", Access::Shared)?;
        let answers = if self.wait { Answers::Wanted } else { Answers::Unwanted };
        let mut desk = Desk::open(&config, answers).await?;

        let mut ending = Ending::Well;
        let mut jobs = Vec::new();
        for path in &self.paths {
            let put = match upload(path, config.limits.input) {
                Ok((file, bytes)) => put(&uploads, path, &file, bytes).await,
                Err(error) => Err(error),
            };
            let key = match put {
                Ok(key) => key,
                Err(error) => {
                    ending = complain(path, &error);
                    continue;
                }
            };
            let body = self.body(key, &recipe);
            let json = serde_json::to_vec(&body).map_err(Failure::other)?;
            if let Err(error) = desk.hand_in(&body.job, json, self.lane).await {
                // The others would fare no better.
                ending = complain(path, &error);
                break;
            }
            let job = Submitted { path, job: body.job };
            if !self.wait {
                self.print_id(&job)?;
            }
            jobs.push(job);
        }
        if !self.wait {
            return Ok(ending);
        }
        match (self.wait_for(desk, &jobs).await?, ending) {
            (Ending::Well, Ending::Well) => Ok(Ending::Well),
            _ => Ok(Ending::NotAll),
        }
    }

    fn print_id(&self, Submitted { path, job }: &Submitted) -> Result<(), Failure> {
        match self.json {
            true => show::line(&json!({ "path": path.to_string_lossy(), "job": job })),
            false => show::line(&format!("{job}  {}", show::harmless(&path.display().to_string(), 120))),
        }
    }

    fn body(&self, key: String, recipe: &Recipe) -> Body {
        Body {
            job: uuid::Uuid::now_v7().to_string(),
            tenant: self.tenant.clone(),
            source: Source {
                store: "uploads".to_owned(),
                key,
                sha256: None,
                bytes: None,
            },
            renditions: Some(recipe.renditions().to_vec()),
            preset: None,
            placeholder: recipe.placeholder(),
            info: recipe.info(),
            metadata: Value::Null,
        }
    }

    /// Prints each result as it comes; a table for people at the end.
    async fn wait_for(&self, mut desk: Desk, jobs: &[Submitted<'_>]) -> Result<Ending, Failure> {
        let progress = if jobs.len() > 1 {
            ProgressBar::new(jobs.len() as u64)
        } else {
            ProgressBar::hidden()
        };
        let paths: BTreeMap<&str, &Path> = jobs.iter().map(|job| (job.job.as_str(), job.path)).collect();
        let mut reports: BTreeMap<String, Report> = BTreeMap::new();
        let (mut deadline, mut stop) = (pin!(sleep(self.timeout)), pin!(signalled(&STOP)));
        let mut cut_short = None;
        while desk.open_jobs() > 0 && cut_short.is_none() {
            tokio::select! {
                event = desk.answer() => {
                    let report = event?.data;
                    if self.json {
                        let mut line = json!(report);
                        line["path"] = json!(paths.get(report.job.as_str()).map(|path| path.to_string_lossy()));
                        progress.suspend(|| show::line(&line))?;
                    }
                    reports.insert(report.job.clone(), report);
                    progress.inc(1);
                }
                () = &mut deadline => {
                    cut_short = Some(format!("gave up after {}", humantime::format_duration(self.timeout)));
                }
                () = &mut stop => cut_short = Some("interrupted".to_owned()),
            }
        }
        progress.finish_and_clear();
        if !self.json {
            print_table(jobs, &reports)?;
        }
        if let Some(why) = cut_short {
            let open = desk.open_jobs();
            eprintln!(
                "lazaret: {why}: {open} of {} not answered; they stay enqueued",
                jobs.len()
            );
        }
        let converted = reports.values().filter(|report| report.status == Status::Converted);
        Ok(if converted.count() == jobs.len() {
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
async fn put(uploads: &Store, path: &Path, file: &File, bytes: u64) -> io::Result<String> {
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
    uploads.write(&key, file, 0, bytes, Access::Shared).await?;
    Ok(key)
}

fn complain(path: &Path, error: &dyn std::fmt::Display) -> Ending {
    eprintln!("lazaret: {}: {error}", show::tail(&path.display().to_string(), 300));
    Ending::NotAll
}

fn print_table(jobs: &[Submitted], reports: &BTreeMap<String, Report>) -> Result<(), Failure> {
    let mut table = show::table(&["file", "verdict", "", "detail"]);
    for Submitted { path, job } in jobs {
        let path = show::tail(&path.display().to_string(), 60);
        match reports.get(job) {
            None => drop(table.add_row([path.as_str(), "no answer yet", "", job])),
            Some(report) => {
                let known = if report.repeat { "known" } else { "" };
                table.add_row([path.as_str(), &show::verdict(report), known, &show::detail(report)]);
            }
        }
    }
    show::print(&table)
}
