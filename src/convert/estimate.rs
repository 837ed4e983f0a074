//! How much memory a conversion needs, from headers and recipe alone. `[pure]`
//!
//! An upper bound that noise keeps, too, for a trip convicts. Measured peaks are 0.5 to 1.0 of it for pictures over a megapixel,
//! less where an encoder's worst case is far from its usual one (lossy WebP up to 2 MP, opaque pictures with alpha). The heap of
//! Rust and the `malloc` of libwebp count alike. It follows [`super::convert`] step by step: change them together.
#![forbid(unsafe_code)]

use super::encode::keeps_alpha;
use super::encode::search::buffer;
use super::encode::webp::TOKEN_PIXELS;
use super::orientation::Orientation;
use super::placeholder;
use super::preflight::Headers;
use super::transform::{blur, is_filtered, may_premultiply, resizes, sharpen};
use crate::format::Format;
use crate::recipe::work::SAMPLE;
use crate::recipe::{Geometry, Quality, Recipe, Rendition};

/// Tables, buffers and small allocations of all codecs.
const FIXED: u64 = 1 << 20;

/// Peak heap of the whole conversion, in bytes.
pub(super) fn peak(headers: &Headers, recipe: &Recipe) -> u64 {
    let (width, height) = headers.displayed();
    let master = headers.pixels() * headers.channels;
    if recipe.needs_no_pixels() {
        return FIXED;
    }
    let premultiplied = may_premultiply(recipe.renditions(), headers);
    let last = recipe.renditions().len().saturating_sub(1);
    let each = recipe.renditions().iter().enumerate().map(|(index, rendition)| {
        let step = Step::of(headers, rendition, &rendition.geometry(width, height), premultiplied);
        let encoding = step.result + step.encoder;
        // The last one is encoded without the master, unless it is the master.
        let shared = step.result == 0;
        let beside = if index == last && !shared { 0 } else { master };
        u64::max(master + step.scratch, beside + encoding)
    });
    let small = recipe.placeholder().map_or(0, |_| {
        let rendition = placeholder::rendition();
        master + Step::of(headers, &rendition, &rendition.geometry(width, height), premultiplied).scratch
    });
    each.fold(headers.decode_bytes.max(small), u64::max) + FIXED
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
    fn of(headers: &Headers, rendition: &Rendition, geometry: &Geometry, premultiplied: bool) -> Self {
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
                resampler(headers, orientation, geometry, premultiplied)
            } else {
                0
            };
        let filtered = is_filtered(rendition);
        let before = match turned.max(cut) {
            // The master itself is copied before it is changed.
            0 if filtered => resized,
            before => before,
        };
        let filters = if filtered { filters(geometry) } else { 0 };
        let scratch = resampling
            .max(cut + turned)
            .max(before + filters)
            .max(before + coloured + canvas);
        let result = if canvas > 0 { canvas } else { before };
        let pixels = area(geometry.canvas);
        Self {
            scratch,
            result,
            encoder: search(format, rendition, geometry.canvas, depth)
                + encoder(format, rendition, pixels, geometry.canvas.0, depth, result == 0),
        }
    }
}

/// What the resampler holds beside both pictures: the picture after the upright pass, the weights, and, unless that was done
/// in place before, a copy with colours multiplied by alpha.
fn resampler(headers: &Headers, orientation: Orientation, geometry: &Geometry, premultiplied: bool) -> u64 {
    let (width, _) = orientation.turn(geometry.crop_size());
    let (_, height) = orientation.turn(geometry.resized);
    let between = area((width, height)) * headers.channels;
    let edges = [headers.width, headers.height, geometry.resized.0, geometry.resized.1];
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

/// What the encoder holds beside the pixels it is given.
fn encoder(format: Format, rendition: &Rendition, pixels: u64, width: u32, channels: u64, shared: bool) -> u64 {
    let alpha = channels == 4;
    match format {
        // Rows of one stripe; a shared picture is copied before it is laid on the background.
        Format::Jpeg => u64::from(width) * 16 * 4 + if alpha && shared { pixels * 4 } else { 0 },
        Format::Webp => {
            let coloured = if channels == 1 { pixels * 3 } else { 0 };
            coloured
                + if rendition.lossless {
                    webp_lossless(pixels)
                } else {
                    webp_lossy(pixels, alpha)
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
            let pixels = area(canvas).min(SAMPLE);
            let decoded = 20 * pixels;
            pixels * channels + buffer(pixels) + decoded + encoder(format, rendition, pixels, canvas.0, channels, false)
        }
        _ => 0,
    };
    buffers + sample
}

/// Measured with noise at quality 100, the worst case: tokens of 28 bytes a pixel, without them 5; an alpha plane is coded as
/// a lossless picture. Photos at quality 80 need a third of that.
fn webp_lossy(pixels: u64, alpha: bool) -> u64 {
    match (alpha, pixels <= TOKEN_PIXELS) {
        (true, _) => pixels * 34 + histograms(pixels) / 2,
        (false, true) => pixels * 30,
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
