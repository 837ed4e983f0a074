//! ICO and CUR: a directory of pictures, of which the largest counts, and its own headers behind that.

use super::bytes::Bytes;
use super::{Ending, Headers, Traits, area, corrupt, png};
use crate::format::{Format, Switch};
use crate::sandbox::limits::Limits;
use crate::verdict::{Reason, Refusal};

/// Bytes before the entries, and of each.
const DIRECTORY: usize = 6;
const ENTRY: usize = 16;
/// The header of a bitmap within an icon: that of Windows 3, with twice the height.
const BITMAP: u32 = 40;

/// One picture of the directory.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Width × height as the directory says.
    area: u64,
    start: u32,
    length: u32,
}

pub(super) fn read(upload: &[u8], limits: &Limits) -> Result<Headers, Refusal> {
    let bytes = Bytes::little(upload);
    let count = usize::from(bytes.u16(4).unwrap_or(0));
    // Of two that are as large the one of more bytes has more colours.
    let largest = (0..count).filter_map(|index| Entry::read(bytes, DIRECTORY + index * ENTRY));
    let largest = largest.max_by_key(|entry| (entry.area, entry.length));
    let entry = largest.ok_or_else(|| corrupt("an icon without a picture"))?;
    let picture = bytes
        .part(entry.start as usize, entry.length as usize)
        .ok_or_else(|| corrupt("an icon that ends within its largest picture"))?;
    let traits = |png| Traits::Icon {
        start: entry.start,
        length: entry.length,
        png,
    };
    if Format::sniff(picture) == Some(Format::Png) {
        if limits.formats.png == Switch::Off {
            let detail = "a PNG within an icon; png is switched off by limits.formats.png";
            return Err(Refusal::new(Reason::UnsupportedFormat, detail));
        }
        let nested = png::read(picture, limits)?;
        if let Ending::Cut(why) = nested.ending {
            return Err(corrupt(why));
        }
        let start = entry.start as usize;
        return Ok(Headers {
            format: Format::Ico,
            frames: 1,
            exif: nested.exif.map(|exif| exif.behind(start)),
            ending: Ending::Whole,
            colours: nested.colours.behind(start),
            traits: traits(true),
            ..nested
        });
    }
    let (width, height) = bitmap(picture)?;
    // The bitmap as the decoder writes it, and the copy that the decoder reads.
    let decode_bytes = area(width, height).saturating_mul(4) + u64::from(entry.length);
    let still = Headers::still(Format::Ico, (width, height), 4, decode_bytes);
    Ok(Headers {
        traits: traits(false),
        ..still
    })
}

impl Entry {
    fn read(bytes: Bytes<'_>, at: usize) -> Option<Self> {
        // 0 stands for 256.
        let edge = |at: usize| bytes.u8(at).map(|edge| if edge == 0 { 256 } else { u32::from(edge) });
        Some(Self {
            area: area(edge(at)?, edge(at + 1)?),
            length: bytes.u32(at + 8)?,
            start: bytes.u32(at + 12)?,
        })
    }
}

/// Size of the bitmap, its mask of transparency left out.
fn bitmap(picture: &[u8]) -> Result<(u32, u32), Refusal> {
    let bytes = Bytes::little(picture);
    let fields = (bytes.u32(0), bytes.u32(4), bytes.u32(8), bytes.u16(14));
    let (Some(header), Some(width), Some(twice), Some(bits)) = fields else {
        return Err(corrupt("a bitmap header that is cut short"));
    };
    if header < BITMAP || width > i32::MAX as u32 {
        return Err(corrupt("an icon whose largest picture is neither PNG nor bitmap"));
    }
    let height = twice.cast_signed().unsigned_abs() / 2;
    let needed = area(width, height).saturating_mul(bits.into()) / 8;
    let there = picture.len() as u64;
    if needed > there {
        return Err(corrupt(format_args!(
            "bitmap rows of {needed} bytes, {there} in the icon"
        )));
    }
    Ok((width, height))
}
