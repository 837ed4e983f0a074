//! `lazaret convert`: the whole flow without a broker, on files that are named.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::signal::unix::SignalKind;
use tokio::time::{interval, sleep};

use super::place::{PlaceArguments, sandbox, sign_on};
use super::recipe::RecipeArguments;
use super::{Ending, Failure, show};
use crate::clock::Stopwatch;
use crate::digest::Digest;
use crate::job::{Job, Source};
use crate::ledger::HEARTBEAT;
use crate::notices::Notices;
use crate::pipeline::{Retry, Sources, Step, Worker};
use crate::recipe::Recipe;
use crate::verdict::{Reason, Report, Status};
use crate::vitals::Vitals;

/// Waits between tries that failed for a reason of our own.
const LADDER: [Duration; 3] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(4),
];
/// Longest wait between two looks at a copy that is being converted elsewhere.
const LOOK_AGAIN: Duration = Duration::from_millis(400);
/// How often one that waits looks for lost workers.
const BURY_EVERY: Duration = Duration::from_secs(1);

/// Convert files here and now, without a broker.
///
/// Uses the same ledger and quarantine as the service: what tripped a limit once is refused at once the next time.
#[derive(Debug, Args)]
pub struct Convert {
    /// Images to convert: JPEG, PNG, GIF, WebP, BMP, TIFF, ICO, QOI, PNM, SVG, JPEG XL or AVIF, told by their content.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    place: PlaceArguments,
    /// Copy renditions into this folder, as STEM-NAME.EXT; otherwise they stay in the state folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    recipe: RecipeArguments,
    /// Whose uploads these are.
    #[arg(long, value_name = "NAME", default_value = "local")]
    tenant: String,
    /// Print one JSON object per input.
    #[arg(long)]
    json: bool,
}

impl Convert {
    pub(super) async fn run(self) -> Result<Ending, Failure> {
        let config = self.place.config()?;
        let recipe = self.recipe.recipe(&config.recipes())?;
        if let Some(out) = &self.out {
            fs::create_dir_all(out).map_err(|error| Failure::Other(format!("{}: {error}", out.display())))?;
        }
        // Whoever runs this sees what comes of it.
        let worker = sign_on(
            &config,
            Sources::Paths,
            sandbox(&config, None)?,
            Vec::new(),
            Vitals::new(),
            Notices::off(),
        )
        .await?;
        let heartbeat = tokio::spawn(heartbeat(Arc::clone(&worker)));
        let stop = tokio::spawn(stop_on_signal(Arc::clone(&worker)));

        let ending = self.convert_all(&worker, &recipe, config.slots() * 2).await;
        heartbeat.abort();
        stop.abort();
        // Whatever happened above: what this worker ran is not held against anybody.
        worker.sign_off().await.map_err(Failure::other)?;
        ending
    }

    async fn convert_all(&self, worker: &Arc<Worker>, recipe: &Recipe, at_once: usize) -> Result<Ending, Failure> {
        let progress = progress(self.paths.len());
        let mut results = stream::iter(&self.paths)
            .map(|path| self.convert(worker, path, recipe))
            .buffered(at_once);
        let mut names = HashMap::new();
        let mut table = show::table(&["file", "verdict", "", "detail", "cpu", "peak"]);
        let mut ending = Ending::Well;
        while let Some((path, report)) = results.next().await {
            let report = report?;
            let placed = self.place_renditions(worker, path, &report, &mut names).await?;
            if report.status != Status::Converted {
                ending = Ending::NotAll;
            }
            match self.json {
                true => progress.suspend(|| show::line(&json_line(path, &report, &placed)))?,
                false => drop(table.add_row(row(path, &report))),
            }
            progress.inc(1);
        }
        progress.finish_and_clear();
        if !self.json {
            show::print(&table)?;
        }
        Ok(ending)
    }

    async fn convert<'a>(
        &self,
        worker: &Arc<Worker>,
        path: &'a Path,
        recipe: &Recipe,
    ) -> (&'a Path, Result<Report, Failure>) {
        let Some(key) = path.to_str() else {
            let job = self.job("", recipe);
            let report = worker.give_up(&job, Reason::SourceMissing, "the path is not UTF-8; rename the file");
            return (path, Ok(report));
        };
        (path, settle(worker, &self.job(key, recipe)).await)
    }

    fn job(&self, key: &str, recipe: &Recipe) -> Job {
        Job {
            job: uuid::Uuid::now_v7().to_string(),
            tenant: self.tenant.clone(),
            source: Source {
                store: "path".to_owned(),
                key: key.to_owned(),
                sha256: None,
                bytes: None,
            },
            recipe: recipe.clone(),
            metadata: Value::Null,
        }
    }

    /// Copies renditions to `--out`, whole or not at all; returns where each one is.
    async fn place_renditions(
        &self,
        worker: &Worker,
        path: &Path,
        report: &Report,
        names: &mut HashMap<PathBuf, Option<Digest>>,
    ) -> Result<Vec<PathBuf>, Failure> {
        let store = &worker.stores.renditions;
        let Some(out) = &self.out else {
            return Ok(report
                .renditions
                .iter()
                .map(|stored| store.place(&stored.key))
                .collect());
        };
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut placed = Vec::with_capacity(report.renditions.len());
        for stored in &report.renditions {
            let file = |stem: &str| out.join(format!("{stem}-{}.{}", stored.name, stored.format.extension()));
            let mut target = file(&stem);
            // Two uploads of one name: the second one carries its digest.
            if names.get(&target).is_some_and(|digest| *digest != report.sha256) {
                let digest = report.sha256.map(|digest| digest.short()).unwrap_or_default();
                target = file(&format!("{stem}-{digest}"));
            }
            let staging = &worker.sandbox.staging;
            let copied = match store.file(&stored.key, stored.bytes, staging).await {
                Ok(from) => copy_whole(from, &target),
                Err(error) => Err(error),
            };
            copied.map_err(|error| Failure::Other(format!("{}: {error}", target.display())))?;
            names.insert(target.clone(), report.sha256);
            placed.push(target);
        }
        Ok(placed)
    }
}

/// Settles one job, and waits as long as it takes: for copies that run elsewhere, and for what is our own fault.
async fn settle(worker: &Arc<Worker>, job: &Job) -> Result<Report, Failure> {
    let mut tries = 0;
    let mut wait = Duration::from_millis(20);
    let mut digest = None;
    let mut buried = Stopwatch::start();
    loop {
        match worker.settle(job, digest.as_ref()).await {
            Step::Ended(report) => return Ok(*report),
            Step::Wait(found) | Step::Crowded(found) => {
                digest = Some(found);
                sleep(wait.mul_f64(0.5 + fastrand::f64())).await;
                wait = (wait * 2).min(LOOK_AGAIN);
                if buried.elapsed() > BURY_EVERY {
                    worker.bury_the_dead().await.map_err(Failure::other)?;
                    buried = Stopwatch::start();
                }
            }
            Step::Retry(Retry::Strike(_)) => {}
            Step::Retry(Retry::Ledger(error)) => return Err(Failure::other(error)),
            Step::Retry(retry) => match LADDER.get(tries) {
                Some(delay) if !worker.is_released() => {
                    sleep(*delay).await;
                    tries += 1;
                }
                _ => {
                    let reason = match &retry {
                        Retry::Store(_) => Reason::Store,
                        _ => Reason::Unavailable,
                    };
                    return Ok(worker.give_up(job, reason, &retry.to_string()));
                }
            },
        }
    }
}

/// A worker that does not renew its lease is taken for lost.
async fn heartbeat(worker: Arc<Worker>) {
    let mut beat = interval(HEARTBEAT);
    loop {
        beat.tick().await;
        if let Err(error) = worker.beat().await {
            tracing::error!(%error, "heartbeat");
        }
    }
}

/// The first signal releases what runs; the second one ends the process.
async fn stop_on_signal(worker: Arc<Worker>) {
    let all = [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
        SignalKind::quit(),
    ];
    super::signalled(&all).await;
    worker.release_all();
    super::signalled(&all).await;
    std::process::exit(130);
}

fn copy_whole(mut from: fs::File, to: &Path) -> io::Result<()> {
    let folder = to.parent().unwrap_or(Path::new("."));
    let mut whole = tempfile::NamedTempFile::new_in(folder)?;
    io::copy(&mut from, whole.as_file_mut())?;
    // What a rendition is, in a folder: everybody may read it.
    whole.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    whole.persist(to)?;
    Ok(())
}

/// Nothing for a single file, nor where standard error is no terminal.
fn progress(files: usize) -> ProgressBar {
    if files < 2 {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(files as u64);
    match ProgressStyle::with_template("{bar:32} {pos}/{len} files, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn row(path: &Path, report: &Report) -> Vec<String> {
    vec![
        show::tail(&path.display().to_string(), 60),
        show::verdict(report),
        if report.repeat { "known" } else { "" }.to_owned(),
        show::detail(report),
        report.cpu_ms.map(|ms| format!("{ms} ms")).unwrap_or_default(),
        report
            .peak_memory_bytes
            .map(|bytes| ByteSize(bytes).to_string())
            .unwrap_or_default(),
    ]
}

/// The fields of a result's `data`, with `path` in place of store and key.
fn json_line(path: &Path, report: &Report, placed: &[PathBuf]) -> Value {
    let mut line = json!(report);
    line["path"] = json!(path.to_string_lossy());
    if let Some(renditions) = line["renditions"].as_array_mut() {
        for (rendition, path) in renditions.iter_mut().zip(placed) {
            if let Some(fields) = rendition.as_object_mut() {
                fields.remove("store");
                fields.remove("key");
                fields.insert("path".to_owned(), json!(path.to_string_lossy()));
            }
        }
    }
    line
}
