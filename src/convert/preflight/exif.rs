//! What is read of EXIF: orientation, which changes pixels, and the time that a picture was taken, where a job asks for it.

use super::bytes::Bytes;
use crate::convert::orientation::Orientation;
use crate::info::Captured;

const ORIENTATION: u16 = 274;
const CHANGED: u16 = 306;
const EXIF_DIRECTORY: u16 = 34_665;
const TAKEN: u16 = 36_867;
const DIGITISED: u16 = 36_868;
const ASCII: u16 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;
/// Length of a time.
const TIME: usize = 19;
/// Entries that are looked at; cameras write about 15.
const MOST_ENTRIES: usize = 512;

/// The orientation in an EXIF block, which is a TIFF header with or without `Exif\0\0` before it; upright where there is none.
pub(super) fn orientation(block: &[u8]) -> Orientation {
    find(block).map_or(Orientation::UPRIGHT, Orientation::from_exif)
}

/// When the picture was taken: its own time, else when it was digitised, else when the file was changed.
pub(super) fn captured(block: &[u8]) -> Option<Captured> {
    let bytes = tiff(block)?;
    let first = bytes.u32(4)? as usize;
    let text = |directory: usize, tag: u16| {
        let entry = entry(bytes, directory, tag, ASCII)?;
        let place = bytes.u32(entry + 8)? as usize;
        Captured::from_exif(bytes.part(place, TIME)?)
    };
    let own = entry(bytes, first, EXIF_DIRECTORY, LONG).and_then(|entry| bytes.u32(entry + 8));
    own.and_then(|own| text(own as usize, TAKEN).or_else(|| text(own as usize, DIGITISED)))
        .or_else(|| text(first, CHANGED))
}

/// The first value of a tag of the first directory, where it is a short one.
pub(super) fn short(block: &[u8], tag: u16) -> Option<u16> {
    let bytes = tiff(block)?;
    let entry = entry(bytes, bytes.u32(4)? as usize, tag, SHORT)?;
    let inline = bytes.u32(entry + 4)? <= 2;
    let place = if inline {
        entry + 8
    } else {
        bytes.u32(entry + 8)? as usize
    };
    bytes.u16(place)
}

fn find(block: &[u8]) -> Option<u32> {
    let bytes = tiff(block)?;
    let entry = entry(bytes, bytes.u32(4)? as usize, ORIENTATION, SHORT)?;
    bytes.u16(entry + 8).map(u32::from)
}

/// A TIFF header, with or without `Exif\0\0` before it.
fn tiff(block: &[u8]) -> Option<Bytes<'_>> {
    let tiff = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    match tiff {
        [b'I', b'I', 42, 0, ..] => Some(Bytes::little(tiff)),
        [b'M', b'M', 0, 42, ..] => Some(Bytes::big(tiff)),
        _ => None,
    }
}

/// Where the directory at `start` has the entry of a tag and a type.
fn entry(bytes: Bytes<'_>, start: usize, tag: u16, kind: u16) -> Option<usize> {
    let count = usize::from(bytes.u16(start)?).min(MOST_ENTRIES);
    (0..count)
        .map(|index| start + 2 + index * 12)
        .find(|&entry| bytes.u16(entry) == Some(tag) && bytes.u16(entry + 2) == Some(kind))
}
