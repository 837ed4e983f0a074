//! JPEG: 4:4:4 from quality 90, else 4:2:0, unless the recipe says; grey stays grey. By libjpeg-turbo, or without it by jpeg-encoder.
#![forbid(unsafe_code)]

#[cfg(not(feature = "turbo"))]
mod pure;
#[cfg(feature = "turbo")]
mod turbo;

use std::io::Write;

#[cfg(not(feature = "turbo"))]
use pure as library;
#[cfg(feature = "turbo")]
use turbo as library;

use super::over;
use crate::convert::Failure;
use crate::convert::pixels::Pixels;
use crate::format::Format;
use crate::recipe::Rendition;

/// Most pixels for which Huffman tables are fitted without being asked for by `progressive`: that holds all coefficients in memory
/// and doubles the encoder's time, for 2 to 6 % fewer bytes. Small renditions are sent often, large ones seldom.
const FITTED_PIXELS: u64 = 4 << 20;

/// What the library is told.
#[derive(Debug, Clone, Copy)]
struct Settings {
    quality: u8,
    full_chroma: bool,
    fitted_tables: bool,
    progressive: bool,
}

impl Settings {
    fn of(rendition: &Rendition, quality: u8, pixels: u64) -> Self {
        Self {
            quality,
            full_chroma: rendition.keeps_chroma(quality),
            fitted_tables: rendition.progressive || pixels <= FITTED_PIXELS,
            progressive: rendition.progressive,
        }
    }
}

/// Encodes grey or RGB.
pub(super) fn encode(
    pixels: &Pixels,
    rendition: &Rendition,
    quality: u8,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let edge = |edge: u32| u16::try_from(edge).map_err(|_| over("jpeg_edge", edge, u16::MAX.into()));
    let size = (edge(pixels.width)?, edge(pixels.height)?);
    let settings = Settings::of(rendition, quality, u64::from(pixels.width) * u64::from(pixels.height));
    library::encode(pixels, size, settings, output)
}

/// What the encoder holds beside the pixels it is given, in bytes, at most: all coefficients (16 bits each) where tables are fitted,
/// and the file while it grows, of which noise makes the most.
pub(in crate::convert) fn holds(rendition: &Rendition, (width, height): (u32, u32), channels: u64) -> u64 {
    let pixels = u64::from(width) * u64::from(height);
    let settings = Settings::of(rendition, rendition.quality().most(Format::Jpeg), pixels);
    // Whole blocks, twice as wide and high where chroma is not full.
    let padded = u64::from(width.next_multiple_of(16)) * u64::from(height.next_multiple_of(16));
    let samples = match (channels, settings.full_chroma) {
        (1, _) => padded,
        (_, true) => padded * 3,
        (_, false) => padded * 3 / 2,
    };
    let coefficients = if settings.fitted_tables { samples * 2 } else { 0 };
    let rows = u64::from(width) * 16 * 8;
    coefficients + rows + library::written(samples, settings.quality)
}
