//! Colours: from what a file says of its pixels to sRGB, in which every rendition is written unless it keeps its profile.
//!
//! In: what the preflight found ([`Colours`]), the upload's bytes, and decoded pixels. Out: pixels in sRGB, and [`Notes`] where what
//! the file says could not be followed: then its pixels are taken for sRGB, as browsers do. Perceptual intent, no black point
//! compensation, also as browsers do.
//!
//! **Where it happens.** A master of three or four channels carries its [`Space`] with it. It is converted *after* a resize, on the
//! small picture, which for a phone's photo in Display P3 is a twentieth of the work; only where the renditions together have as
//! many pixels as the master, or one takes its pixels as they are, the master is converted once, before. Both orders mix
//! gamma-encoded samples in the resampler, so neither is truer; on a photo they differ by a third of a level, and by more than
//! four at one sample in a hundred, at edges of colours that sRGB does not have. Inks are converted as they are decoded, for
//! nothing behind the decoder knows four inks. All of it runs in place, a few thousand pixels at a time.
//!
//! A profile is never handed to the colour library as it came: `icc.rs` reads its few tags that matter, matrices and curves are
//! evaluated here, and a look-up table goes on in a fresh profile that holds nothing else. So texts, measurements and whatever
//! else a profile may be stuffed with are never parsed.
//!
//! Absent on purpose: HDR (PQ, HLG), named colours, device links, profiles of more than 4 MiB, BMP's calibrated colours, GIF's profiles.
#![forbid(unsafe_code)]

mod curve;
mod icc;
mod inks;
mod matrix;
pub(super) mod png;
mod source;
mod space;
#[cfg(test)]
mod tests;

use crate::verdict::{Note, Notes};

pub(super) use curve::from_srgb;
pub(super) use inks::Inks;
pub(super) use source::{SEGMENT as ICC_SEGMENT, Source};
pub(super) use space::Space;

/// Largest profile that is read, in bytes; those of printing conditions have up to 3 MiB.
pub(super) const MAX_PROFILE: usize = 4 << 20;

/// Tables of a conversion, and what it takes to build them: from four inks by curves, 3.4 MB.
const TABLES: u64 = 4 << 20;
/// The same where there are but three curves and a matrix.
const CURVES: u64 = 1 << 20;

/// What the samples of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Light, one channel; alpha beside it.
    Grey,
    /// Light, three channels; alpha beside them.
    Rgb,
    /// Cyan, magenta, yellow, black.
    Inks,
}

/// What a file says of its colours, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing, or that they are sRGB.
    Nothing,
    /// An ICC profile, as it is.
    Profile {
        /// Where it starts in the upload.
        at: usize,
        /// Its length.
        length: usize,
    },
    /// An ICC profile in a zlib stream.
    Deflated {
        /// Where the stream starts in the upload.
        at: usize,
        /// Length of the stream.
        length: usize,
        /// What it inflates to.
        inflated: u64,
    },
    /// An ICC profile that only the decoder can unpack, and hands to [`Source::learn`].
    #[cfg_attr(not(feature = "jxl"), allow(dead_code, reason = "only JPEG XL packs profiles"))]
    Packed {
        /// Its length, at most: a longer one is not followed.
        most: u64,
    },
    /// An ICC profile in segments of a JPEG.
    Segments {
        /// Where the marker of the first one is.
        at: usize,
        /// Bytes of all of them.
        length: u64,
    },
    /// Gamma and, perhaps, the chromaticities of white, red, green and blue, each times 100,000.
    Curve {
        /// What light is raised to.
        gamma: u32,
        /// x and y of white, red, green, blue.
        corners: Option<[u32; 8]>,
    },
    /// Code points of ITU-T H.273.
    Coded {
        /// Colour primaries.
        primaries: u8,
        /// Transfer characteristics.
        transfer: u8,
    },
}

/// What the preflight finds out about colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colours {
    /// What the samples are.
    pub(super) kind: Kind,
    /// What is said of them.
    pub(super) told: Told,
}

impl Colours {
    /// Samples of this kind of which nothing is said.
    pub(super) fn plain(kind: Kind) -> Self {
        Self {
            kind,
            told: Told::Nothing,
        }
    }

    /// The same in a file that has `start` bytes before the one in which it was seen.
    pub(super) fn behind(mut self, start: usize) -> Self {
        if let Told::Profile { at, .. } | Told::Deflated { at, .. } | Told::Segments { at, .. } = &mut self.told {
            *at = at.saturating_add(start);
        }
        self
    }

    /// Heap that converting needs beside the pixels, in bytes, at most: the profile itself where it has to be put together, its table
    /// in a fresh profile, that table as the library reads it and as floats, and the tables it makes; where it `stays`, its way into
    /// renditions, too.
    pub(super) fn memory(&self, stays: bool) -> u64 {
        let profile = match self.told {
            Told::Nothing => return 0,
            Told::Curve { .. } | Told::Coded { .. } => return CURVES,
            Told::Profile { length, .. } => length as u64,
            Told::Deflated { inflated, .. } => inflated,
            Told::Segments { length, .. } | Told::Packed { most: length } => length,
        };
        profile.min(MAX_PROFILE as u64) * if stays { 10 } else { 7 } + TABLES
    }
}

/// Why pixels are taken for sRGB although the file says something else.
fn noted(note: Note) -> Notes {
    Notes::NONE.with(note)
}
