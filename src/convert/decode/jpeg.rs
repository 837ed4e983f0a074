//! JPEG, strictly: a file that ends early is an error and not half grey. By libjpeg-turbo, or without it by zune-jpeg.
#![forbid(unsafe_code)]

#[cfg(not(feature = "turbo"))]
mod pure;
#[cfg(feature = "turbo")]
mod turbo;

#[cfg(not(feature = "turbo"))]
use pure as library;
#[cfg(feature = "turbo")]
use turbo as library;

use crate::convert::Failure;
use crate::convert::pixels::{Layout, Pixels};
use crate::convert::preflight::Headers;
use crate::convert::scale::Scale;

/// What is decoded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Grey,
    Rgb,
    /// Four inks, 255 for full: nobody said that they are inverted.
    Inks,
    /// Four inks, 0 for full, as Adobe's programs write them.
    InvertedInks,
}

/// Whether a JPEG is decoded at other scales than the whole.
pub(super) const SCALES: bool = library::SCALES;

/// Decodes a JPEG of 1, 3 or 4 components at `scale`; four inks are inverted where an Adobe marker says who wrote them.
pub(super) fn decode(
    upload: &[u8],
    headers: &Headers,
    scale: Scale,
    (components, adobe): (u8, bool),
    scans: u64,
) -> Result<Pixels, Failure> {
    let (target, layout) = match (components, adobe) {
        (1, _) => (Target::Grey, Layout::Grey),
        (4, true) => (Target::InvertedInks, Layout::Rgb),
        (4, false) => (Target::Inks, Layout::Rgb),
        _ => (Target::Rgb, Layout::Rgb),
    };
    let bytes = library::decode(upload, headers, scale, target, scans)?;
    Ok(Pixels::new(scale.size((headers.width, headers.height)), layout, bytes))
}

/// Four inks to light, in place; `light` says how much is left by an ink of this value.
fn paint(mut inks: Vec<u8>, light: impl Fn(u8) -> u8) -> Vec<u8> {
    let count = inks.len() / 4;
    for index in 0..count {
        let from = index * 4;
        let paper = u32::from(light(inks[from + 3]));
        for channel in 0..3 {
            let light = u32::from(light(inks[from + channel]));
            inks[index * 3 + channel] = ((light * paper + 127) / 255) as u8;
        }
    }
    inks.truncate(count * 3);
    inks.shrink_to_fit();
    inks
}
