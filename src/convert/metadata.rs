//! Metadata that survives where a rendition asks for it: a colour profile, and EXIF with artist and copyright in it.
//!
//! In: where the preflight saw EXIF, and bytes as an encoder writes them. Out: the same bytes with what is kept put in its place. EXIF is
//! never copied: two texts are read and a fresh block is written, so that no place, serial number or thumbnail comes along.
//!
//! Absent on purpose: XMP and IPTC.
#![forbid(unsafe_code)]

mod credits;
mod embed;
#[cfg(test)]
mod tests;

pub(super) use credits::credits;
pub(super) use embed::{Canvas, Embedding};

/// Where EXIF lies in an upload: a TIFF header with or without `Exif\0\0` before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exif {
    /// Where it starts.
    pub(super) at: usize,
    /// How long it is; may run past the end of the upload.
    pub(super) length: usize,
}

impl Exif {
    /// The same in a file that has `start` bytes before the one in which it was seen.
    pub(super) fn behind(self, start: usize) -> Self {
        Self {
            at: self.at.saturating_add(start),
            ..self
        }
    }
}

/// What is kept for one rendition.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kept<'a> {
    /// An ICC profile.
    pub(super) profile: Option<&'a [u8]>,
    /// A fresh EXIF block, from its TIFF header on.
    pub(super) exif: Option<&'a [u8]>,
}
