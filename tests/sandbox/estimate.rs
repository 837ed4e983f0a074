//! What a child declares and what it then takes: never less than it takes, and not more than twice as much.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use bytesize::ByteSize;
use lazaret::recipe::{Recipe, Rendition, Target};
use lazaret::sandbox::protocol::Task;
use lazaret::sandbox::{Attempted, Watch};

use super::bench::*;
use super::corpus::{self, Upload, jpeg};

/// Pages of codecs that a small picture does not touch.
const CODE: u64 = 3 << 20;
/// What must be declared at least for the share that is taken to say something. Beside less, constants decide: the pages of a child, the
/// tables of its codecs (up to 5 MiB), and 8 MiB for a colour transform that a profile may ask for.
const TELLING: u64 = 16 << 20;

/// What was declared, and what of it was taken.
pub struct Taken {
    declared: u64,
    taken: u64,
}

impl Taken {
    /// Beside what an empty child takes; the upload is mapped and read.
    pub fn of(attempted: &Attempted, empty: u64, upload: usize) -> Self {
        let beside = empty + upload as u64;
        Self {
            declared: attempted.facts.declared.as_ref().unwrap().memory_bytes,
            taken: attempted.facts.usage.peak_memory_bytes.saturating_sub(beside),
        }
    }

    /// Not more than was declared, and not less than half of it.
    pub fn is_honest(&self) -> bool {
        self.is_more_than_one_in(2)
    }

    fn is_more_than_one_in(&self, parts: u64) -> bool {
        self.taken <= self.declared + CODE && self.taken + CODE >= self.declared / parts
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { declared, taken } = self;
        let share = *taken as f64 / *declared as f64;
        write!(f, "declared {declared:>12} taken {taken:>12} {share:.2}")
    }
}

fn sized(format: Target, width: u32) -> Rendition {
    Rendition {
        format,
        width: Some(width),
        ..Rendition::named(&format!("{format:?}{width}"))
    }
}

/// One whose quality is found by trying on a sample.
fn found(format: Target) -> Rendition {
    Rendition {
        quality: Some(lazaret::recipe::Quality::Auto),
        ..sized(format, 640)
    }
}

fn recipes() -> Vec<(&'static str, Vec<Rendition>)> {
    let whole = |format| sized(format, 2400);
    vec![
        ("thumb", vec![sized(Target::Jpeg, 300)]),
        ("half", vec![sized(Target::Jpeg, 1200)]),
        ("whole jpeg", vec![whole(Target::Jpeg)]),
        (
            "whole progressive",
            vec![Rendition {
                progressive: true,
                quality: Some(lazaret::recipe::Quality::Fixed(95)),
                ..whole(Target::Jpeg)
            }],
        ),
        ("whole webp", vec![whole(Target::Webp)]),
        ("found jpeg", vec![found(Target::Jpeg)]),
        ("found webp", vec![found(Target::Webp)]),
        (
            "several",
            [320, 800, 1600]
                .into_iter()
                .flat_map(|width| [sized(Target::Webp, width), sized(Target::Jpeg, width)])
                .collect(),
        ),
        (
            "shared and turned",
            vec![
                sized(Target::Jpeg, 400),
                Rendition {
                    name: "turned".to_owned(),
                    rotate: lazaret::recipe::Rotate::Right,
                    ..whole(Target::Jpeg)
                },
                Rendition {
                    sharpen: lazaret::recipe::Hundredths(100),
                    ..whole(Target::Jpeg)
                },
            ],
        ),
    ]
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_declared_is_what_is_taken() {
    let bench = Bench::new().limited(|limits| {
        limits.memory = ByteSize::mib(512);
        limits.output = ByteSize::mib(64);
        limits.input = ByteSize::mib(64);
        limits.cpu = std::time::Duration::from_secs(20);
    });
    let empty = bench.convert_control().await.facts.usage.peak_memory_bytes;
    let mut wrong = Vec::new();
    for (kind, noise, progressive) in [
        ("photo", 8, false),
        ("photo, progressive", 8, true),
        ("noise", u8::MAX, true),
    ] {
        let source = jpeg(noise, progressive);
        for (name, renditions) in recipes() {
            let recipe = Recipe::new(renditions).unwrap();
            let upload = bench.upload(&source);
            let attempted = bench.attempt(&upload, Task::Convert(recipe), Watch::Both).await;
            assert!(converted(&attempted), "{kind}, {name}: {}", story(&attempted));
            let share = Taken::of(&attempted, empty, source.len());
            eprintln!("{kind:<20} {name:<20} {share}");
            // A photo as lossy WebP of up to 2 MP has half the tokens of noise, which the buffer for them is for.
            let parts = if name == "whole webp" && kind != "noise" { 3 } else { 2 };
            if !share.is_more_than_one_in(parts) {
                wrong.push(format!("{kind}, {name}: {share}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What was taken of what was declared.
#[derive(Debug, Clone)]
struct Share {
    name: String,
    recipe: &'static str,
    declared: u64,
    taken: u64,
}

impl Share {
    fn of_declared(&self) -> f64 {
        self.taken as f64 / self.declared as f64
    }

    fn is_honest(&self) -> bool {
        self.taken <= self.declared + CODE && (!self.tells() || self.taken + CODE >= self.declared / 2)
    }

    /// Whether it must be at least half of what was declared. The counts of a drawing do not tell how its elements lie over each other.
    fn tells(&self) -> bool {
        self.declared >= TELLING && !self.name.contains(".svg")
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = self.of_declared();
        let Self {
            name,
            recipe,
            declared,
            taken,
        } = self;
        write!(out, "{share:.2} {name} as {recipe}: {taken} of {declared}")
    }
}

fn usual() -> [(&'static str, Rendition); 3] {
    let sized = |format, width| Rendition {
        width: Some(width),
        ..sized(format, width)
    };
    [
        (
            "PNG of its size",
            Rendition {
                width: None,
                ..sized(Target::Png, 1)
            },
        ),
        ("JPEG of 512", sized(Target::Jpeg, 512)),
        ("WebP of 320", sized(Target::Webp, 320)),
    ]
}

#[tokio::test(flavor = "current_thread")]
async fn every_format_takes_what_it_declares() {
    let bench = Bench::new().limited(|limits| {
        limits.memory = ByteSize::mib(768);
        limits.output = ByteSize::mib(64);
        limits.input = ByteSize::mib(64);
        limits.cpu = std::time::Duration::from_secs(30);
    });
    let empty = bench.convert_control().await.facts.usage.peak_memory_bytes;
    let mut shares: BTreeMap<String, Vec<Share>> = BTreeMap::new();
    let mut uploads = corpus::large();
    let lossy = lossy_webp(&bench).await;
    uploads.push(lossy);
    uploads.extend(corpus::fixtures());
    for upload in &uploads {
        for (recipe, rendition) in usual() {
            let file = bench.upload(&upload.bytes);
            let task = Task::Convert(Recipe::new(vec![rendition]).unwrap());
            let attempted = bench.attempt(&file, task, Watch::Both).await;
            // What is refused takes nothing, and what must trip is not here: all else is to convert.
            let Some(format) = attempted
                .facts
                .declared
                .as_ref()
                .filter(|_| converted(&attempted))
                .map(|of| of.format)
            else {
                assert!(is_refused(&attempted), "{}: {}", upload.name, story(&attempted));
                continue;
            };
            let Taken { declared, taken } = Taken::of(&attempted, empty, upload.bytes.len());
            shares.entry(format.to_string()).or_default().push(Share {
                name: upload.name.clone(),
                recipe,
                declared,
                taken,
            });
        }
    }
    for (format, shares) in &shares {
        let telling: Vec<&Share> = shares.iter().filter(|share| share.declared >= TELLING).collect();
        let by = |one: &&&Share, other: &&&Share| one.of_declared().total_cmp(&other.of_declared());
        let worst = [telling.iter().min_by(by), telling.iter().max_by(by)];
        let count = (shares.len(), telling.len());
        eprintln!(
            "{format}: {} attempts, {} that declare {TELLING} bytes or more",
            count.0, count.1
        );
        worst.into_iter().flatten().for_each(|share| eprintln!("    {share}"));
    }
    let wrong = shares.values().flatten().filter(|share| !share.is_honest());
    let wrong: Vec<String> = wrong.map(Share::to_string).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(shares.len() >= 12, "only {} formats were measured", shares.len());
}

fn is_refused(attempted: &lazaret::sandbox::Attempted) -> bool {
    matches!(attempted.outcome, lazaret::sandbox::outcome::Outcome::Refused(_))
}

/// The large picture as lossy WebP, which this program itself writes.
async fn lossy_webp(bench: &Bench) -> Upload {
    let upload = bench.upload(&jpeg(8, false));
    let recipe = Recipe::new(vec![sized(Target::Webp, corpus::LARGE.0)]).unwrap();
    let mut attempted = bench.attempt(&upload, Task::Convert(recipe), Watch::Both).await;
    assert!(converted(&attempted), "{}", story(&attempted));
    let mut bytes = Vec::new();
    std::io::Seek::rewind(&mut attempted.output).unwrap();
    attempted.output.read_to_end(&mut bytes).unwrap();
    Upload {
        name: "large/lossy.webp".to_owned(),
        bytes,
    }
}
