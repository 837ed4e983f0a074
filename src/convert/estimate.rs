//! How much memory a conversion needs, from headers and recipe alone. `[pure]`
//!
//! An upper bound that noise keeps, too, for a trip convicts. Measured peaks are 0.5 to 1.0 of it for pictures over a megapixel,
//! less where an encoder's worst case is far from its usual one (lossy WebP up to 2 MP, opaque pictures with alpha). The heap of
//! Rust and the `malloc` of C libraries count alike. It follows [`super::convert`] step by step: change them together.
#![forbid(unsafe_code)]

use super::colour::Told;
use super::encode::search::{SIDE, buffer};
use super::encode::webp::TOKEN_PIXELS;
use super::encode::{jpeg, keeps_alpha};
use super::orientation::Orientation;
use super::placeholder;
use super::preflight::Headers;
use super::scale::Scale;
use super::transform::{blur, is_filtered, may_premultiply, resizes, sharpen};
use crate::format::Format;
use crate::recipe::{Geometry, Keep, Quality, Recipe, Rendition};

/// Tables, buffers and small allocations of all codecs.
const FIXED: u64 = 1 << 20;

/// Peak heap of the whole conversion, in bytes.
pub(super) fn peak(headers: &Headers, scale: Scale, recipe: &Recipe) -> u64 {
    let (width, height) = headers.displayed();
    let master = area(scale.size((headers.width, headers.height))) * headers.channels;
    if recipe.needs_no_pixels() {
        return FIXED;
    }
    let premultiplied = may_premultiply(recipe, headers);
    let last = recipe.renditions().len().saturating_sub(1);
    let keeps_profile = |rendition: &Rendition| rendition.keep.contains(&Keep::Icc);
    // Where the master stays in colours of its own, a rendition that takes its pixels as they are converts a copy.
    let own = recipe.renditions().iter().any(keeps_profile) && headers.colours.told != Told::Nothing;
    let each = recipe.renditions().iter().enumerate().map(|(index, rendition)| {
        let handling = Handling {
            scale,
            premultiplied,
            converted: own && !keeps_profile(rendition),
        };
        let step = Step::of(headers, rendition, &rendition.geometry(width, height), handling);
        let encoding = step.result + step.encoder;
        // The last one is encoded without the master, unless it is the master.
        let shared = step.result == 0;
        let beside = if index == last && !shared { 0 } else { master };
        u64::max(master + step.scratch, beside + encoding)
    });
    let small = recipe.placeholder().map_or(0, |_| {
        let rendition = placeholder::rendition();
        let handling = Handling {
            scale,
            premultiplied,
            converted: true,
        };
        master + Step::of(headers, &rendition, &rendition.geometry(width, height), handling).scratch
    });
    let keeps = recipe.renditions().iter().any(|rendition| !rendition.keep.is_empty());
    each.fold(headers.decode_bytes_at(scale).max(small), u64::max) + headers.colours.memory(keeps) + FIXED
}

/// How the master is held.
#[derive(Clone, Copy)]
struct Handling {
    /// At which scale it was decoded.
    scale: Scale,
    /// Whether its colours are multiplied by alpha.
    premultiplied: bool,
    /// Whether its colours are converted for this rendition alone.
    converted: bool,
}

/// One rendition's needs beside the master.
struct Step {
    /// Until its pixels are there, these included.
    scratch: u64,
    /// Its pixels; 0 where they are the master's own.
    result: u64,
    /// The encoder's.
    encoder: u64,
}

impl Step {
    fn of(headers: &Headers, rendition: &Rendition, geometry: &Geometry, handling: Handling) -> Self {
        let channels = headers.channels;
        let resized = area(geometry.resized) * channels;
        let cut = if resizes(geometry) || area(geometry.crop_size()) != headers.pixels() {
            resized
        } else {
            0
        };
        let orientation = headers.orientation.then(Orientation::of(rendition));
        let turned = if orientation == Orientation::UPRIGHT {
            0
        } else {
            resized
        };
        let padded = geometry.canvas != geometry.resized;
        // Padding in colour makes grey pixels coloured first; transparent padding adds alpha.
        let format = rendition.format.resolve(headers.format);
        let depth = match padded {
            true if keeps_alpha(format) && !rendition.background.is_opaque() => 4,
            true => channels.max(3),
            false => channels,
        };
        let canvas = if padded { area(geometry.canvas) * depth } else { 0 };
        let coloured = if depth > channels {
            area(geometry.resized) * depth
        } else {
            0
        };

        let resampling = cut
            + if resizes(geometry) {
                if rendition.linear {
                    in_light(headers, orientation, geometry, handling)
                } else {
                    resampler(headers, orientation, geometry, handling)
                }
            } else {
                0
            };
        let filtered = is_filtered(rendition);
        let before = match turned.max(cut) {
            // The master itself is copied before it is changed.
            0 if filtered || handling.converted => resized,
            before => before,
        };
        let filters = if filtered { filters(geometry) } else { 0 };
        let scratch = resampling
            .max(cut + turned)
            .max(before + filters)
            .max(before + coloured + canvas);
        let result = if canvas > 0 { canvas } else { before };
        Self {
            scratch,
            result,
            encoder: search(format, rendition, geometry.canvas, depth)
                + encoder(format, rendition, geometry.canvas, depth, result == 0),
        }
    }
}

/// What the resampler holds beside both pictures: the picture after the upright pass, the weights, and, unless that was done
/// in place before, a copy with colours multiplied by alpha.
fn resampler(
    headers: &Headers,
    orientation: Orientation,
    geometry: &Geometry,
    Handling {
        scale, premultiplied, ..
    }: Handling,
) -> u64 {
    let (width, _) = orientation.turn(geometry.crop_size());
    let (_, height) = orientation.turn(geometry.resized);
    let between = area((scale.edge(width), height)) * headers.channels;
    let edges = [
        scale.edge(headers.width),
        scale.edge(headers.height),
        geometry.resized.0,
        geometry.resized.1,
    ];
    let weights: u64 = edges.into_iter().map(|edge| u64::from(edge) * 96).sum();
    let copy = if headers.channels == 4 && !premultiplied {
        headers.pixels() * 4
    } else {
        0
    };
    between + weights + copy
}

/// What blurring or sharpening holds beside the picture.
fn filters(geometry: &Geometry) -> u64 {
    let (width, height) = geometry.resized;
    blur::scratch(width.max(height)).max(sharpen::scratch(width))
}

/// What the resampler holds beside both pictures where it mixes light: the part that it resizes, the picture after the upright pass, and
/// the result, all in 16 bits, and the weights.
fn in_light(headers: &Headers, orientation: Orientation, geometry: &Geometry, handling: Handling) -> u64 {
    let samples = area(geometry.crop_size()) + area(geometry.resized);
    // Light is multiplied by alpha in place.
    let handling = Handling {
        premultiplied: true,
        ..handling
    };
    2 * (samples * headers.channels + resampler(headers, orientation, geometry, handling))
}

/// What the encoder holds beside the pixels it is given.
fn encoder(format: Format, rendition: &Rendition, canvas: (u32, u32), channels: u64, shared: bool) -> u64 {
    let pixels = area(canvas);
    let alpha = channels == 4;
    match format {
        // A shared picture is copied before it is laid on the background.
        Format::Jpeg => jpeg::holds(rendition, canvas, channels) + if alpha && shared { pixels * 4 } else { 0 },
        Format::Webp => {
            let coloured = if channels == 1 { pixels * 3 } else { 0 };
            coloured
                + if rendition.lossless {
                    webp_lossless(pixels)
                } else {
                    webp_lossy(pixels, alpha, rendition.quality().most())
                }
        }
        // All compressed rows in one vector, which grows by doubling.
        _ => pixels * channels * 2,
    }
}

/// What is held while the quality is found: the sample, encoded, and decoded again; and with `max_bytes`, two encodings.
fn search(format: Format, rendition: &Rendition, canvas: (u32, u32), channels: u64) -> u64 {
    let buffers = match rendition.max_bytes {
        Some(most) => 2 * buffer(area(canvas)).min(most.into()),
        None => 0,
    };
    let sample = match rendition.quality() {
        Quality::Auto if rendition.is_lossy(format) => {
            let sample = (canvas.0.min(SIDE), canvas.1.min(SIDE));
            let pixels = area(sample);
            let decoded = 20 * pixels;
            pixels * channels + buffer(pixels) + decoded + encoder(format, rendition, sample, channels, false)
        }
        _ => 0,
    };
    buffers + sample
}

/// Measured with noise, the worst case: tokens of 28 bytes a pixel at quality 100, 17 at quality 80, without them 5; an alpha plane is coded
/// as a lossless picture. Photos need half of that, flat pictures a tenth.
fn webp_lossy(pixels: u64, alpha: bool, quality: u8) -> u64 {
    match (alpha, pixels <= TOKEN_PIXELS) {
        (true, _) => pixels * 34 + histograms(pixels) / 2,
        (false, true) => {
            let tokens = match quality {
                0..=80 => 20,
                81..=90 => 25,
                _ => 30,
            };
            pixels * tokens
        }
        (false, false) => pixels * 6,
    }
}

/// Two copies of the pixels, hash chains, and four lists of back references.
fn webp_lossless(pixels: u64) -> u64 {
    pixels * 41 + histograms(pixels)
}

/// libwebp keeps up to 2,600 histograms of symbols for parts of the picture, and as many clustered ones.
fn histograms(pixels: u64) -> u64 {
    u64::min(pixels * 80, 40 << 20)
}

fn area((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}
