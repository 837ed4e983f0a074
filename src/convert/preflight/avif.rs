//! AVIF: the boxes of the container, which item is the picture, and what belongs to it. No AV1 is looked at.
//!
//! Read are still pictures of one AV1 item or of a grid of them, with an alpha plane, in any bit depth; of a sequence its still
//! picture. Refused are items in several parts and overlays. The decoder is held to the sizes found here.

mod boxes;
mod items;

use super::{Headers, area, unsupported};
use crate::convert::colour::{Colours, Kind};
use crate::format::Format;
use crate::sandbox::limits::Limits;
use crate::verdict::Refusal;

pub(in crate::convert) use items::{Nclx, Picture, Plane};

/// Bytes of a sample of more than 8 bits.
const WIDE: u64 = 2;
/// Tables, and buffers of one row of blocks.
const FIXED: u64 = 4 << 20;

pub(super) fn read(upload: &[u8], _limits: &Limits) -> Result<Headers, Refusal> {
    let picture = Picture::read(upload)?;
    let (width, height) = picture.colour.size;
    let planes = [Some(&picture.colour), picture.alpha.as_ref()];
    let largest = planes.into_iter().flatten().map(tile).max().unwrap_or(0);
    // One after another: the larger of two counts.
    let decoder = planes.into_iter().flatten().map(decoder).max().unwrap_or(0);
    let channels = if picture.alpha.is_some() { 4 } else { 3 };
    let pixels = area(width, height);
    let kind = if picture.colour.is_grey() {
        Kind::Grey
    } else {
        Kind::Rgb
    };
    let still = Headers::still(Format::Avif, (width, height), channels, 0);
    Ok(Headers {
        colours: Colours {
            kind,
            told: picture.colour.told(),
        },
        orientation: picture.orientation,
        largest,
        decode_bytes: pixels
            .saturating_mul(channels)
            .saturating_add(decoder)
            .saturating_add(upload.len() as u64),
        ..still
    })
}

/// Pixels of one tile of a grid, or of the whole.
fn tile(plane: &Plane) -> u64 {
    area(plane.tile.0, plane.tile.1)
}

/// Heap of the AV1 decoder for one tile: its planes, the same again where grain is put on them, which no box tells, and what it knows
/// of each block. Measured without grain: 1.7 (grey) to 7.6 bytes a pixel (4:4:4 of 12 bits).
fn decoder(plane: &Plane) -> u64 {
    let wide = if plane.depth > 8 { WIDE } else { 1 };
    tile(plane)
        .saturating_mul(plane.samples() * wide + 2)
        .saturating_add(FIXED)
}
