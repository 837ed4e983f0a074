//! The tax: CPU time of converting in the sandbox, all processes counted, over that of the same code in this process.
//!
//! Both sides run in turn in one run, several times; the ratio of their medians is what counts.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use std::path::PathBuf;
use std::time::Duration;

use lazaret::admission::Budget;
use lazaret::convert;
use lazaret::recipe::{Recipe, Rendition, Target};
use lazaret::sandbox::control::unlinked;
use lazaret::sandbox::layers::Policy;
use lazaret::sandbox::limits::Limits;
use lazaret::sandbox::outcome::Outcome;
use lazaret::sandbox::protocol::Task;
use lazaret::sandbox::{Sandbox, Watch};
use tokio::sync::watch;

mod usage;
use usage::cpu_time;

const ROUNDS: usize = 31;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox {
        program: PathBuf::from(env!("CARGO_BIN_EXE_lazaret")),
        policy: Policy::default(),
        limits: Limits::default(),
        times: 1,
        staging: folder.path().to_owned(),
        budget: Budget::new(2 << 30, 0),
    };
    let recipe = recipe();
    println!(
        "{:<22} {:>12} {:>12} {:>8}   (median of {ROUNDS})",
        "JPEG → 2 renditions", "in process", "sandboxed", "tax"
    );
    for (name, width, height) in [("1 MP", 1200, 800), ("4 MP", 2400, 1700), ("12 MP", 4000, 3000)] {
        let jpeg = photo(width, height);
        let (mut inside, mut sandboxed) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            inside.push(in_process(&jpeg, &recipe));
            sandboxed.push(in_sandbox(&sandbox, &jpeg, &recipe).await);
        }
        let (inside, sandboxed) = (median(inside), median(sandboxed));
        let tax = sandboxed.as_secs_f64() / inside.as_secs_f64() - 1.0;
        println!(
            "{name:<22} {:>12} {:>12} {:>7.1}%",
            ms(inside),
            ms(sandboxed),
            tax * 100.0
        );
    }
}

fn recipe() -> Recipe {
    let rendition = |name, format, width| Rendition {
        format,
        width: Some(width),
        ..Rendition::named(name)
    };
    Recipe::new(vec![
        rendition("thumb", Target::Webp, 320),
        rendition("large", Target::Jpeg, 1600),
    ])
    .unwrap()
}

fn in_process(jpeg: &[u8], recipe: &Recipe) -> Duration {
    let before = cpu_time();
    let limits = Limits::default();
    convert::inspect(jpeg, recipe, &limits).unwrap();
    let mut output = Vec::new();
    convert::convert(jpeg, recipe, &limits, &mut |_| (), &mut output).unwrap();
    cpu_time() - before
}

async fn in_sandbox(sandbox: &Sandbox, jpeg: &[u8], recipe: &Recipe) -> Duration {
    let (_keep, release) = watch::channel(false);
    let upload = unlinked(&sandbox.staging, jpeg).unwrap();
    let before = cpu_time();
    let attempted = sandbox
        .attempt(&upload, Task::Convert(recipe.clone()), Watch::Both, release)
        .await
        .unwrap();
    assert!(
        matches!(attempted.outcome, Outcome::Converted(_)),
        "{:?}",
        attempted.outcome
    );
    cpu_time() - before
}

/// A JPEG with gradients, edges and a little noise, as a camera makes them.
fn photo(width: u16, height: u16) -> Vec<u8> {
    let mut noise = fastrand::Rng::with_seed(7);
    let mut pixels = Vec::with_capacity(usize::from(width) * usize::from(height) * 3);
    for y in 0..u32::from(height) {
        for x in 0..u32::from(width) {
            let wave = ((f64::from(x) / 90.0).sin() + (f64::from(y) / 70.0).cos()) * 50.0;
            let edge = if (x / 160 + y / 120) % 2 == 0 { 30.0 } else { 0.0 };
            for channel in 0..3u32 {
                let value = 110.0 + wave + edge + f64::from(channel) * 10.0 + f64::from(noise.u8(0..12));
                pixels.push(value.clamp(0.0, 255.0) as u8);
            }
        }
    }
    let mut jpeg = Vec::new();
    jpeg_encoder::Encoder::new(&mut jpeg, 85)
        .encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    jpeg
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
