//! What a child declares and what it then takes: never less than it takes, and not more than twice as much.

use bytesize::ByteSize;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use lazaret::recipe::{Recipe, Rendition, Target};
use lazaret::sandbox::Watch;
use lazaret::sandbox::protocol::Task;

use super::bench::*;

/// Pages of codecs that a small picture does not touch.
const CODE: u64 = 3 << 20;

/// A photograph's slopes and edges with some noise, or nothing but noise.
fn pixels(width: u16, height: u16, noise: u8) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut pixels = Vec::new();
    for y in 0..u32::from(height) {
        for x in 0..u32::from(width) {
            let slope = (x / 16 + y / 24) % 160 + if (x / 160 + y / 120) % 2 == 0 { 30 } else { 0 };
            let slope = if noise == u8::MAX { 0 } else { slope };
            pixels.extend([0; 3].map(|_: u8| slope as u8 + random.u8(0..=noise)));
        }
    }
    pixels
}

fn jpeg(noise: u8, progressive: bool) -> Vec<u8> {
    let (width, height) = (2400, 1600);
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, 85);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    encoder.set_progressive(progressive);
    encoder
        .encode(&pixels(width, height, noise), width, height, ColorType::Rgb)
        .unwrap();
    jpeg
}

fn sized(format: Target, width: u32) -> Rendition {
    Rendition {
        format,
        width: Some(width),
        ..Rendition::named(&format!("{format:?}{width}"))
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
            let declared = attempted.facts.declared.as_ref().unwrap().memory_bytes;
            // The upload is mapped and read.
            let beside = empty + source.len() as u64;
            let taken = attempted.facts.usage.peak_memory_bytes.saturating_sub(beside);
            let share = taken as f64 / declared as f64;
            eprintln!("{kind:<20} {name:<20} declared {declared:>12} taken {taken:>12} {share:.2}");
            if taken > declared + CODE || taken + CODE < declared / 2 {
                wrong.push(format!("{kind}, {name}: {taken} of {declared}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
