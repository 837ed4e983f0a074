//! Icons: the one picture that the headers chose, whatever else the directory holds.
#![forbid(unsafe_code)]

use std::io::Cursor;

use image::codecs::ico::IcoDecoder;
use image::codecs::png::PngDecoder;

use super::{corrupt, read};
use crate::convert::Failure;
use crate::convert::colour::Source;
use crate::convert::pixels::Pixels;
use crate::convert::preflight::Headers;

/// Bytes of a directory with one entry.
const DIRECTORY: u32 = 22;

/// Decodes the `length` bytes at `start`: a PNG of any kind, or a bitmap with its mask.
pub(super) fn decode(
    upload: &[u8],
    headers: &Headers,
    (start, length): (u32, u32),
    png: bool,
    source: &mut Source<'_>,
) -> Result<Pixels, Failure> {
    let (from, end) = (start as usize, (start as usize).saturating_add(length as usize));
    let picture = upload
        .get(from..end)
        .ok_or_else(|| corrupt("an icon that ends within its largest picture"))?;
    if png {
        return read(PngDecoder::new(Cursor::new(picture)), headers, source);
    }
    let icon = [&directory(headers, length)[..], picture].concat();
    read(IcoDecoder::new(Cursor::new(&icon[..])), headers, source)
}

/// The directory of an icon with this one picture: the decoder has no choice left that the headers did not make.
fn directory(headers: &Headers, length: u32) -> [u8; DIRECTORY as usize] {
    // 0 stands for 256 and more.
    let edge = |edge: u32| u8::try_from(edge).unwrap_or(0);
    let mut bytes = [0; DIRECTORY as usize];
    bytes[2] = 1;
    bytes[4] = 1;
    bytes[6] = edge(headers.width);
    bytes[7] = edge(headers.height);
    bytes[14..18].copy_from_slice(&length.to_le_bytes());
    bytes[18..].copy_from_slice(&DIRECTORY.to_le_bytes());
    bytes
}
