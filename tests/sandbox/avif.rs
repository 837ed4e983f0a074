//! AVIF out of the real sandbox: no call that is not allowed, no more CPU time than granted, no more memory than declared.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use lazaret::recipe::{Quality, Recipe, Rendition, Target};
use lazaret::sandbox::limits::Limits;
use lazaret::sandbox::outcome::Outcome;
use lazaret::sandbox::protocol::Task;
use lazaret::sandbox::{Attempted, Watch};
use png::BitDepth;

use super::bench::*;
use super::estimate::Taken;

/// A bench with the limits that a worker has by itself.
fn bench() -> Bench {
    Bench::new().limited(|limits| {
        *limits = Limits {
            wall_base: PATIENCE,
            preflight_wall: PATIENCE,
            admission_wait: PATIENCE,
            ..Limits::default()
        };
    })
}

fn whole(name: &str, quality: u8) -> Rendition {
    Rendition {
        format: Target::Avif,
        quality: Some(Quality::Fixed(quality)),
        ..Rendition::named(name)
    }
}

async fn made(bench: &Bench, source: &[u8], renditions: Vec<Rendition>) -> Attempted {
    let recipe = Recipe::new(renditions).unwrap();
    bench
        .attempt(&bench.upload(source), Task::Convert(recipe), Watch::Both)
        .await
}

/// Samples of a picture: slopes with some noise on them, or nothing but noise.
fn samples(count: usize, stride: usize, noise: u8) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let slope = |index: usize| {
        if noise == u8::MAX {
            0
        } else {
            (index % stride / 12 + index / stride / 3) % 160
        }
    };
    (0..count)
        .map(|index| slope(index) as u8 + random.u8(0..=noise))
        .collect()
}

fn png((width, height): (u32, u32), colour: png::ColorType, noise: u8) -> Vec<u8> {
    let stride = width as usize * colour.samples();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(colour);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().unwrap();
    writer
        .write_image_data(&samples(stride * height as usize, stride, noise))
        .unwrap();
    writer.finish().unwrap();
    file
}

fn jpeg((width, height): (u16, u16), noise: u8) -> Vec<u8> {
    let stride = usize::from(width) * 3;
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 90);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    let samples = samples(stride * usize::from(height), stride, noise);
    encoder.encode(&samples, width, height, ColorType::Rgb).unwrap();
    file
}

#[tokio::test(flavor = "current_thread")]
async fn every_size_and_kind_is_made_without_a_call_that_is_not_allowed() {
    let bench = bench();
    for size in [(1, 1), (1, 700), (700, 1), (33, 17), (1301, 77)] {
        for colour in [png::ColorType::Grayscale, png::ColorType::Rgb, png::ColorType::Rgba] {
            let source = png(size, colour, 40);
            let attempted = made(&bench, &source, vec![whole("a", 80), whole("b", 95)]).await;
            assert!(converted(&attempted), "{size:?}, {colour:?}: {}", story(&attempted));
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn noise_takes_less_time_than_is_granted() {
    let bench = bench();
    let alpha = png((1000, 700), png::ColorType::Rgba, u8::MAX);
    for (kind, source, quality) in [
        ("slopes", jpeg((1600, 1200), 8), 80),
        ("noise", jpeg((1600, 1200), u8::MAX), 80),
        ("noise", jpeg((1000, 700), u8::MAX), 95),
        ("noise", jpeg((800, 600), u8::MAX), 100),
        ("noise, alpha", alpha, 80),
    ] {
        let attempted = made(&bench, &source, vec![whole("a", quality)]).await;
        assert!(converted(&attempted), "{kind}, {quality}: {}", story(&attempted));
        let (used, granted) = (attempted.facts.usage.cpu_ms, attempted.facts.grant.cpu_ms);
        eprintln!("{kind:<14} {quality:>3} granted {granted:>6} ms, used {used:>6} ms");
    }
}

/// As in estimate.rs, of whose kinds these are more.
#[tokio::test(flavor = "current_thread")]
async fn noise_takes_the_memory_that_is_declared_and_slopes_half_of_it() {
    let bench = bench();
    let empty = bench.convert_control().await.facts.usage.peak_memory_bytes;
    let mut wrong = Vec::new();
    for (kind, colour, noise, quality) in [
        ("rgb", png::ColorType::Rgb, 8, 80),
        ("rgb", png::ColorType::Rgb, u8::MAX, 80),
        ("rgb", png::ColorType::Rgb, 8, 95),
        ("rgb", png::ColorType::Rgb, u8::MAX, 95),
        ("grey", png::ColorType::Grayscale, 8, 80),
        ("grey", png::ColorType::Grayscale, u8::MAX, 80),
        ("alpha", png::ColorType::Rgba, 8, 80),
        ("alpha", png::ColorType::Rgba, u8::MAX, 80),
    ] {
        let source = png((1500, 1000), colour, noise);
        let attempted = made(&bench, &source, vec![whole("a", quality)]).await;
        assert!(converted(&attempted), "{kind}, {quality}: {}", story(&attempted));
        let share = Taken::of(&attempted, empty, source.len());
        eprintln!("{kind:<6} {noise:>3} {quality:>3} {share}");
        if !share.is_honest() {
            wrong.push(format!("{kind}, {noise}, {quality}: {share}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "current_thread")]
async fn sixteen_of_the_full_size_are_refused_before_they_are_begun() {
    let bench = bench();
    let source = jpeg((4000, 3000), 8);
    let all = (0..16).map(|index| whole(&index.to_string(), 80)).collect();
    let attempted = made(&bench, &source, all).await;
    let Outcome::Refused(refusal) = &attempted.outcome else {
        panic!("{}", story(&attempted));
    };
    assert_eq!(refusal.exceeded.as_ref().unwrap().limit, "avif_work");
    // Headers alone were read.
    assert!(attempted.facts.usage.cpu_ms < 1000, "{}", story(&attempted));
}
