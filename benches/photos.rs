//! Photos as a web app gets them: what converting costs here, in the sandbox and without it. `benches/photos/compare.py` sets it beside others.
//!
//! In: `sandboxed` or `in-process`, a recipe as JSON, a folder for the renditions, and uploads. Out: one line of JSON, with CPU time of all
//! processes, wall time and the largest resident set of any, for all uploads, one after another. `stages` takes one upload instead of the
//! folder, and prints where its time goes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark that cannot go on stops")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures time itself")]

use std::fs;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lazaret::admission::Budget;
use lazaret::convert;
use lazaret::recipe::Recipe;
use lazaret::sandbox::control::unlinked;
use lazaret::sandbox::layers::Policy;
use lazaret::sandbox::limits::Limits;
use lazaret::sandbox::outcome::Outcome;
use lazaret::sandbox::protocol::{Made, Task};
use lazaret::sandbox::{Sandbox, Watch};
use tokio::sync::watch;

#[path = "photos/stages.rs"]
mod stages;
mod usage;

const HELP: &str =
    "usage: cargo bench --bench photos -- sandboxed|in-process RECIPE FOLDER UPLOAD… | stages RECIPE UPLOAD";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // Cargo says `--bench` first, or last.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [mode, recipe, folder, uploads @ ..] = &words[..] else {
        println!("{HELP}");
        return;
    };
    let recipe: Recipe = serde_json::from_str(recipe).unwrap_or_else(|problem| panic!("{recipe}: {problem}"));
    if mode == "stages" {
        let upload = fs::read(folder).unwrap_or_else(|problem| panic!("{folder}: {problem}"));
        return stages::table(&upload, &recipe);
    }
    let folder = Path::new(folder);
    let converter = Converter::new(mode);
    let mut peak = 0;
    let (cpu, start) = (usage::cpu_time(), Instant::now());
    for upload in uploads {
        let bytes = fs::read(upload).unwrap_or_else(|problem| panic!("{upload}: {problem}"));
        let (made, output, used) = converter
            .convert(&bytes, &recipe)
            .await
            .unwrap_or_else(|problem| panic!("{upload}: {problem}"));
        peak = peak.max(used);
        let mut output = &output[..];
        for (made, rendition) in made.iter().zip(recipe.renditions()) {
            let (bytes, rest) = output.split_at(made.bytes as usize);
            let stem = Path::new(upload).file_stem().unwrap().to_string_lossy();
            fs::write(folder.join(format!("{stem}-{}.{}", rendition.name, made.format)), bytes).unwrap();
            output = rest;
        }
    }
    report(usage::cpu_time() - cpu, start.elapsed(), peak.max(own_peak()));
}

/// The largest resident set of this process, in bytes. That of `getrusage` may be the one of the program that started it.
fn own_peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

fn report(cpu: Duration, wall: Duration, peak: u64) {
    let figures = serde_json::json!({
        "cpu_s": cpu.as_secs_f64(),
        "wall_s": wall.as_secs_f64(),
        "peak_bytes": peak,
    });
    println!("{figures}");
}

enum Converter {
    InProcess(Limits),
    /// With the folder that it stages in, for as long.
    Sandboxed(
        Box<Sandbox>,
        #[expect(dead_code, reason = "held until the end")] tempfile::TempDir,
    ),
}

impl Converter {
    fn new(mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        match mode {
            "in-process" => Self::InProcess(Limits::default()),
            "sandboxed" => Self::Sandboxed(
                Box::new(Sandbox {
                    program: PathBuf::from(env!("CARGO_BIN_EXE_lazaret")),
                    policy: Policy::default(),
                    limits: Limits::default(),
                    times: 1,
                    staging: folder.path().to_owned(),
                    budget: Budget::new(2 << 30, 0),
                }),
                folder,
            ),
            other => panic!("{other}: neither sandboxed nor in-process\n{HELP}"),
        }
    }

    /// The renditions, and the largest resident set of the child, in bytes.
    async fn convert(&self, upload: &[u8], recipe: &Recipe) -> Result<(Vec<Made>, Vec<u8>, u64), String> {
        match self {
            Self::InProcess(limits) => {
                convert::inspect(upload, recipe, limits).map_err(|refusal| format!("{refusal:?}"))?;
                let mut output = Vec::new();
                let product = convert::convert(upload, recipe, limits, &mut |_| (), &mut output);
                product
                    .map(|product| (product.made, output, 0))
                    .map_err(|failure| format!("{failure:?}"))
            }
            Self::Sandboxed(sandbox, _) => {
                let (_keep, release) = watch::channel(false);
                let upload = unlinked(&sandbox.staging, upload).unwrap();
                let task = Task::Convert(recipe.clone());
                let mut attempted = sandbox.attempt(&upload, task, Watch::Both, release).await.unwrap();
                let Outcome::Converted(made) = attempted.outcome else {
                    return Err(format!("{:?}", attempted.outcome));
                };
                let mut output = Vec::new();
                attempted.output.rewind().unwrap();
                attempted.output.read_to_end(&mut output).unwrap();
                Ok((made, output, attempted.facts.usage.peak_memory_bytes))
            }
        }
    }
}
