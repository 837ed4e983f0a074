//! The one EXIF field that changes pixels: orientation, from the first directory.

use super::bytes::Bytes;
use crate::convert::orientation::Orientation;

const ORIENTATION: u16 = 274;
const SHORT: u16 = 3;
/// Entries that are looked at; cameras write about 15.
const MOST_ENTRIES: usize = 512;

/// The orientation in an EXIF block, which is a TIFF header with or without `Exif\0\0` before it; upright where there is none.
pub(super) fn orientation(block: &[u8]) -> Orientation {
    let tiff = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    find(tiff).map_or(Orientation::UPRIGHT, Orientation::from_exif)
}

fn find(tiff: &[u8]) -> Option<u32> {
    let bytes = match tiff {
        [b'I', b'I', 42, 0, ..] => Bytes::little(tiff),
        [b'M', b'M', 0, 42, ..] => Bytes::big(tiff),
        _ => return None,
    };
    let start = bytes.u32(4)? as usize;
    let count = usize::from(bytes.u16(start)?).min(MOST_ENTRIES);
    let entry = (0..count)
        .map(|index| start + 2 + index * 12)
        .find(|&entry| bytes.u16(entry) == Some(ORIENTATION) && bytes.u16(entry + 2) == Some(SHORT))?;
    bytes.u16(entry + 8).map(u32::from)
}
