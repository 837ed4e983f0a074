//! Uploads of every format: the good fixtures, the odd files, and one picture that is large enough to be measured beside a child's own pages.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageFormat, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::bench::fixture;

#[allow(
    dead_code,
    unreachable_pub,
    reason = "the example as a module: its main is not called here"
)]
#[path = "../../fixtures/generate.rs"]
mod generate;

/// Width and height of the large picture.
pub const LARGE: (u32, u32) = (2400, 1600);

/// An upload: its name, whose ending is the format's, and its bytes.
pub struct Upload {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// A photograph's slopes and edges with some noise, or nothing but noise.
pub fn pixels((width, height): (u32, u32), noise: u8) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let slope = (x / 16 + y / 24) % 160 + if (x / 160 + y / 120) % 2 == 0 { 30 } else { 0 };
            let slope = if noise == u8::MAX { 0 } else { slope };
            pixels.extend([0; 3].map(|_: u8| slope as u8 + random.u8(0..=noise)));
        }
    }
    pixels
}

pub fn jpeg(noise: u8, progressive: bool) -> Vec<u8> {
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, 85);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    encoder.set_progressive(progressive);
    let (width, height) = (LARGE.0 as u16, LARGE.1 as u16);
    encoder
        .encode(&pixels(LARGE, noise), width, height, ColorType::Rgb)
        .unwrap();
    jpeg
}

/// The large picture in every format that can be written here; those that cannot are among the fixtures of `codec`.
pub fn large() -> Vec<Upload> {
    let rgb = DynamicImage::from(RgbImage::from_raw(LARGE.0, LARGE.1, pixels(LARGE, 8)).unwrap());
    let mut rgba = rgb.to_rgba8();
    rgba.enumerate_pixels_mut()
        .for_each(|(x, _, pixel)| pixel[3] = (x % 256) as u8);
    let rgba = DynamicImage::from(rgba);
    let small = rgb.crop_imm(0, 0, 256, 256);
    let encode = |name: &str, picture: &DynamicImage, format: ImageFormat| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        Upload {
            name: format!("large/{name}"),
            bytes: bytes.into_inner(),
        }
    };
    let wide = DynamicImage::from(rgb.to_rgb16());
    let grey = DynamicImage::from(rgb.to_luma8());
    let drawing = generate::drawings::drawing(1600, &r#"<circle cx="800" cy="800" r="700" opacity=".5"/>"#.repeat(50));
    let written = |name: &str, bytes: Vec<u8>| Upload {
        name: format!("large/{name}"),
        bytes,
    };
    vec![
        written("photo.jpg", jpeg(8, false)),
        written("progressive.jpg", jpeg(8, true)),
        encode("rgb.png", &rgb, ImageFormat::Png),
        encode("rgba.png", &rgba, ImageFormat::Png),
        encode("rgb16.png", &wide, ImageFormat::Png),
        encode("grey.png", &grey, ImageFormat::Png),
        encode("rgb.gif", &DynamicImage::from(rgb.to_rgba8()), ImageFormat::Gif),
        encode("lossless.webp", &rgb, ImageFormat::WebP),
        encode("lossless_alpha.webp", &rgba, ImageFormat::WebP),
        encode("rgb.bmp", &rgb, ImageFormat::Bmp),
        encode("rgba.bmp", &rgba, ImageFormat::Bmp),
        encode("rgb.tiff", &rgb, ImageFormat::Tiff),
        encode("rgba.tiff", &rgba, ImageFormat::Tiff),
        encode("rgb16.tiff", &wide, ImageFormat::Tiff),
        encode("small.ico", &small, ImageFormat::Ico),
        encode("rgb.qoi", &rgb, ImageFormat::Qoi),
        encode("rgba.qoi", &rgba, ImageFormat::Qoi),
        encode("rgb.ppm", &rgb, ImageFormat::Pnm),
        written("layers.svg", drawing.into_bytes()),
        written("flat.svg", generate::drawings::square(2000)),
        written("noise.webp", generate::webp::noise(LARGE.0, LARGE.1)),
    ]
}

/// Every good fixture, every pattern of `codec`, every odd file, and what is just within a limit.
pub fn fixtures() -> Vec<Upload> {
    let mut paths = Vec::new();
    for folder in ["valid/photos", "valid/drawings", "codec", "control"] {
        files(&fixture(folder), &mut paths);
    }
    let read = |path: &PathBuf| Upload {
        name: path.strip_prefix(fixture("")).unwrap().display().to_string(),
        bytes: fs::read(path).unwrap(),
    };
    let mut uploads: Vec<Upload> = paths.iter().map(read).collect();
    uploads.extend(generate::odd::files().into_iter().map(|odd| Upload {
        name: format!("odd/{}", odd.name),
        bytes: odd.bytes,
    }));
    let within = generate::fixtures().filter(|(name, _)| name.starts_with("hostile/within"));
    uploads.extend(within.map(|(name, bytes)| Upload { name, bytes }));
    uploads
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    found.extend(entries);
}
