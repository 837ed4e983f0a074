//! How much memory a conversion needs, from headers and recipe alone. `[pure]`
//!
//! An upper bound that noise keeps, too, for a trip convicts. Measured peaks are 0.5 to 1.0 of it for pictures over a megapixel,
//! less where an encoder's worst case is far from its usual one (lossy WebP up to 2 MP, opaque pictures with alpha). The heap of
//! Rust and the `malloc` of libwebp count alike. It follows [`super::convert`] step by step: change them together.
#![forbid(unsafe_code)]

use super::encode::webp::TOKEN_PIXELS;
use super::orientation::Orientation;
use super::preflight::Headers;
use super::transform::{may_premultiply, resizes};
use crate::format::Format;
use crate::recipe::{Geometry, Recipe, Rendition};

/// Tables, buffers and small allocations of all codecs.
const FIXED: u64 = 1 << 20;

/// Peak heap of the whole conversion, in bytes.
pub(super) fn peak(headers: &Headers, recipe: &Recipe) -> u64 {
    let (width, height) = headers.displayed();
    let master = headers.pixels() * headers.channels;
    let premultiplied = may_premultiply(recipe.renditions(), headers);
    let last = recipe.renditions().len() - 1;
    let each = recipe.renditions().iter().enumerate().map(|(index, rendition)| {
        let step = Step::of(headers, rendition, &rendition.geometry(width, height), premultiplied);
        let encoding = step.result + step.encoder;
        // The last one is encoded without the master, unless it is the master.
        let shared = step.result == 0;
        let beside = if index == last && !shared { 0 } else { master };
        u64::max(master + step.scratch, beside + encoding)
    });
    each.fold(headers.decode_bytes, u64::max) + FIXED
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
        let turned = if headers.orientation == Orientation::UPRIGHT {
            0
        } else {
            resized
        };
        let padded = geometry.canvas != geometry.resized;
        // Padding in colour makes grey pixels coloured first.
        let canvas = if padded {
            area(geometry.canvas) * channels.max(3)
        } else {
            0
        };
        let coloured = if padded && channels == 1 {
            area(geometry.resized) * 3
        } else {
            0
        };

        let resampling = cut
            + if resizes(geometry) {
                resampler(headers, geometry, premultiplied)
            } else {
                0
            };
        let before = if turned > 0 { turned } else { cut };
        let scratch = resampling.max(cut + turned).max(before + coloured + canvas);
        let result = if canvas > 0 { canvas } else { before };
        let pixels = area(geometry.canvas);
        let depth = if padded { channels.max(3) } else { channels };
        let format = rendition.format.resolve(headers.format);
        Self {
            scratch,
            result,
            encoder: encoder(format, rendition, pixels, geometry.canvas.0, depth, result == 0),
        }
    }
}

/// What the resampler holds beside both pictures: the picture after the upright pass, the weights, and, unless that was done
/// in place before, a copy with colours multiplied by alpha.
fn resampler(headers: &Headers, geometry: &Geometry, premultiplied: bool) -> u64 {
    let (width, _) = headers.orientation.turn(geometry.crop_size());
    let (_, height) = headers.orientation.turn(geometry.resized);
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

impl Geometry {
    fn crop_size(&self) -> (u32, u32) {
        (self.crop.2, self.crop.3)
    }
}
