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
use crate::convert::colour::{Inks, Source};
use crate::convert::pixels::{Layout, Pixels};
use crate::convert::preflight::Headers;
use crate::convert::scale::Scale;

/// What is decoded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Grey,
    Rgb,
    /// Four inks, as they are stored.
    Inks,
}

/// Whether a JPEG is decoded at other scales than the whole.
pub(super) const SCALES: bool = library::SCALES;

/// Decodes a JPEG of 1, 3 or 4 components at `scale`; four inks are stored inverted where an Adobe marker says who wrote them.
pub(super) fn decode(
    upload: &[u8],
    headers: &Headers,
    scale: Scale,
    (components, adobe): (u8, bool),
    scans: u64,
    source: &Source<'_>,
) -> Result<Pixels, Failure> {
    let (target, layout) = match components {
        1 => (Target::Grey, Layout::Grey),
        4 => (Target::Inks, Layout::Rgb),
        _ => (Target::Rgb, Layout::Rgb),
    };
    let mut bytes = library::decode(upload, headers, scale, target, scans)?;
    if target == Target::Inks {
        bytes = source.paint(bytes, if adobe { Inks::Inverted } else { Inks::Full });
    }
    Ok(Pixels::new(scale.size((headers.width, headers.height)), layout, bytes))
}
