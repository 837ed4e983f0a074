//! TIFF of four inks, through the `tiff` crate itself: `image` turns inks into light before a profile could say how.
//!
//! Absent on purpose: planes of one ink each, and inks beside a fifth sample.

use std::io::Cursor;

use tiff::ColorType;
use tiff::TiffError;
use tiff::decoder::{Decoder, DecodingResult, Limits};

use super::{corrupt, samples};
use crate::convert::Failure;
use crate::convert::colour::{Inks, Source};
use crate::convert::pixels::{Layout, Pixels};
use crate::convert::preflight::Headers;
use crate::verdict::{Reason, Refusal};

/// Decodes inks of 8 or 16 bits.
pub(super) fn decode(upload: &[u8], headers: &Headers, source: &Source<'_>) -> Result<Pixels, Failure> {
    // Memory is the allocator's business.
    let mut decoder = Decoder::new(Cursor::new(upload))
        .map_err(failure)?
        .with_limits(Limits::unlimited());
    let size = decoder.dimensions().map_err(failure)?;
    if size != (headers.width, headers.height) {
        return Err(corrupt("the decoder finds another size than the headers say"));
    }
    let kind = decoder.colortype().map_err(failure)?;
    let bytes = match (kind, decoder.read_image().map_err(failure)?) {
        (ColorType::CMYK(8), DecodingResult::U8(bytes)) => bytes,
        (ColorType::CMYK(16), DecodingResult::U16(words)) => words.into_iter().map(samples::from_16).collect(),
        _ => return Err(unsupported("TIFF inks of this kind are not read")),
    };
    if bytes.len() as u64 != headers.pixels() * 4 {
        return Err(unsupported("TIFF inks in planes are not read"));
    }
    Ok(Pixels::new(size, Layout::Rgb, source.paint(bytes, Inks::Full)))
}

fn failure(error: TiffError) -> Failure {
    match error {
        TiffError::UnsupportedError(error) => unsupported(error),
        TiffError::LimitsExceeded => Failure::OutOfMemory,
        error => corrupt(error),
    }
}

fn unsupported(detail: impl std::fmt::Display) -> Failure {
    Refusal::new(Reason::UnsupportedFormat, detail).into()
}
