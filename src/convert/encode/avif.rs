//! AVIF, by rav1e: 10 bits, 4:4:4 from quality 90, else 4:2:0, unless the recipe says; grey stays grey. Transparency is a second
//! picture beside the first, where there is any.
//!
//! Absent on purpose: sequences, and lossless coding, which WebP and PNG do better.
#![forbid(unsafe_code)]

mod boxes;
#[cfg(feature = "avif-out")]
mod rav1e;
mod samples;

use std::io::Write;

#[cfg(not(feature = "avif-out"))]
use self::without as library;
#[cfg(feature = "avif-out")]
use rav1e as library;

use super::Order;
use crate::convert::Failure;
use crate::convert::pixels::{Layout, Pixels};
use crate::format::Format;
use crate::recipe::Rendition;
use boxes::File;
use samples::Samples;

/// Longest edge of a tile, in pixels: what the encoder knows of a tile, it holds until the tile is done.
const TILE: u32 = 640;
/// Quality, and the quantizer that goes with it, of 0 to 255; what is between is on a line. The numbers mean what they mean to users of
/// ravif and cavif: 80 looks about as WebP's 80 does.
const QUANTIZERS: [(u32, u32); 4] = [(0, 255), (25, 191), (82, 119), (100, 0)];

/// Bits of a sample.
const DEPTH: u8 = 10;
/// Side of the largest blocks, of which tiles are made; border of a frame on each side; tables of each tile, in bytes.
const BLOCK: u32 = 64;
const BORDER: u32 = 80;
const TABLES: u64 = 450 << 10;

/// Which planes a picture has beside brightness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chroma {
    None,
    /// 4:2:0.
    Quarter,
    /// 4:4:4.
    Full,
}

impl Chroma {
    fn of(grey: bool, full: bool) -> Self {
        match (grey, full) {
            (true, _) => Self::None,
            (false, true) => Self::Full,
            (false, false) => Self::Quarter,
        }
    }
}

/// One picture as the encoder takes it: colours, or alpha.
#[cfg_attr(
    not(feature = "avif-out"),
    allow(dead_code, reason = "only the encoder asks for all of it")
)]
#[derive(Debug, Clone, Copy)]
struct Plan {
    size: (u32, u32),
    chroma: Chroma,
    quantizer: u8,
    /// Whether colours are sRGB, or those of a profile.
    srgb: bool,
    tiles: (u32, u32),
}

/// Encodes grey, RGB or RGBA.
pub(super) fn encode(pixels: &Pixels, order: Order<'_>, quality: u8, output: &mut dyn Write) -> Result<(), Failure> {
    let size = (pixels.width, pixels.height);
    let plan = Plan {
        size,
        chroma: Chroma::of(pixels.layout == Layout::Grey, order.rendition.keeps_chroma(quality)),
        quantizer: quantizer(quality),
        srgb: order.kept.profile.is_none(),
        tiles: tiles(size),
    };
    let samples = Samples::of(pixels);
    let colour = library::stream(&plan, &mut |plane, y, row| samples.colour(plan.chroma, plane, y, row))?;
    let alpha = match samples.is_translucent() {
        true => {
            let plan = Plan {
                chroma: Chroma::None,
                quantizer: quantizer(of_alpha(quality)),
                ..plan
            };
            Some(library::stream(&plan, &mut |_, y, row| samples.alpha(y, row))?)
        }
        false => None,
    };
    let file = File {
        plan,
        colour: &colour,
        alpha: alpha.as_deref(),
        kept: order.kept,
    };
    file.write(output).map_err(Failure::Output)
}

/// What the encoder holds beside the pixels it is given, in bytes, at most. Colours and transparency are encoded one after another.
pub(in crate::convert) fn holds(rendition: &Rendition, size: (u32, u32), channels: u64) -> u64 {
    let quality = rendition.quality().most(Format::Avif);
    let chroma = Chroma::of(channels == 1, rendition.keeps_chroma(quality));
    let colour = encoder(size, chroma, quality);
    if channels < 4 {
        return colour;
    }
    let squares = area(size) / 64;
    squares + colour.max(encoder(size, Chroma::None, of_alpha(quality)) + written(size, chroma, quality))
}

/// Measured with noise: frames, with their borders, and what is known of each block; what is known of symbols within a tile; tables of each
/// tile; and the stream, in three places.
fn encoder(size: (u32, u32), chroma: Chroma, quality: u8) -> u64 {
    let (columns, rows) = tiles(size);
    let blocks = |edge: u32, tiles: u32| edge.div_ceil(BLOCK).div_ceil(tiles) * BLOCK;
    let tile = area((blocks(size.0, columns), blocks(size.1, rows)));
    let (frames, symbols) = match (chroma, quality) {
        (Chroma::None, ..=95) => (14, 58),
        (Chroma::None, _) => (14, 200),
        (Chroma::Quarter, ..=95) => (16, 60),
        (Chroma::Quarter, _) => (16, 202),
        (Chroma::Full, ..=95) => (24, 115),
        (Chroma::Full, _) => (24, 400),
    };
    let bordered = area((size.0 + 2 * BORDER, size.1 + 2 * BORDER));
    let tables = u64::from(columns) * u64::from(rows) * TABLES;
    bordered * frames + tile * symbols + tables + 3 * written(size, chroma, quality)
}

/// The longest stream, of noise.
fn written(size: (u32, u32), chroma: Chroma, quality: u8) -> u64 {
    // Hundredths of a byte for each pixel.
    let hundredths = match (chroma, quality) {
        (Chroma::None, ..=95) => 80,
        (Chroma::None, _) => 180,
        (Chroma::Quarter, ..=95) => 110,
        (Chroma::Quarter, _) => 260,
        (Chroma::Full, ..=95) => 220,
        (Chroma::Full, _) => 540,
    };
    area(size) * hundredths / 100 + 4096
}

fn area((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

#[cfg(not(feature = "avif-out"))]
mod without {
    use super::{Failure, Plan};
    use crate::verdict::{Reason, Refusal};

    /// Recipes are checked before; see [`crate::recipe::Target::is_built`].
    pub(super) fn stream(_: &Plan, _: &mut dyn FnMut(usize, usize, &mut [u16])) -> Result<Vec<u8>, Failure> {
        Err(Refusal::new(Reason::InvalidJob, "AVIF is not written by this build").into())
    }
}

/// The quality of a transparency: edges of what is cut out are seen first.
fn of_alpha(quality: u8) -> u8 {
    quality + (100 - quality.min(100)) / 2
}

fn quantizer(quality: u8) -> u8 {
    let quality = u32::from(quality.min(100));
    let above = QUANTIZERS.iter().position(|&(to, _)| quality <= to).unwrap_or(0).max(1);
    let ((low, first), (high, last)) = (QUANTIZERS[above - 1], QUANTIZERS[above]);
    let part = (quality - low) * (first - last);
    (first - (part + (high - low) / 2) / (high - low)) as u8
}

/// Columns and rows of tiles, powers of two.
fn tiles((width, height): (u32, u32)) -> (u32, u32) {
    let count = |edge: u32| edge.div_ceil(TILE).next_power_of_two();
    (count(width), count(height))
}
