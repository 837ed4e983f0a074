//! What a job may be told of its upload: alpha, colours, date. Read only where it is asked for, and after the headers were
//! examined: the container has been walked once, so every walk here ends.

use super::bytes::Bytes;
use super::{Headers, Traits, exif, pnm};
use crate::convert::colour::Kind;
use crate::format::Format;
use crate::info::{ColourModel, Info};

/// Most chunks, segments and blocks that are looked at on the way to a date.
const MOST_PARTS: usize = 4096;

/// The facts of an upload whose headers these are.
pub(in crate::convert) fn read(upload: &[u8], headers: &Headers) -> Info {
    let colour = if headers.channels == 1 || headers.colours.kind == Kind::Grey {
        ColourModel::Grey
    } else {
        ColourModel::Rgb
    };
    let plain = Info {
        alpha: headers.channels == 4,
        colour,
        captured: None,
    };
    match headers.format {
        Format::Jpeg => Info {
            colour: match headers.traits {
                Traits::Jpeg { components: 4, .. } => ColourModel::Cmyk,
                _ => colour,
            },
            captured: exif_of_jpeg(upload).and_then(exif::captured),
            ..plain
        },
        Format::Png => Info {
            colour: match upload.get(25) {
                Some(0 | 4) => ColourModel::Grey,
                _ => ColourModel::Rgb,
            },
            captured: exif_of_png(upload).and_then(exif::captured),
            ..plain
        },
        Format::Webp => Info {
            captured: exif_of_webp(upload).and_then(exif::captured),
            ..plain
        },
        Format::Gif => Info {
            alpha: is_transparent(upload),
            ..plain
        },
        Format::Tiff => {
            let (colour, alpha) = tiff(upload);
            Info {
                alpha: alpha.unwrap_or(plain.alpha),
                colour,
                captured: exif::captured(upload),
            }
        }
        Format::Pnm if pnm::is_grey(upload) => Info {
            colour: ColourModel::Grey,
            ..plain
        },
        _ => plain,
    }
}

/// The first EXIF segment before the picture begins.
fn exif_of_jpeg(upload: &[u8]) -> Option<&[u8]> {
    let bytes = Bytes::big(upload);
    let mut at = 2;
    for _ in 0..MOST_PARTS {
        let (0xff, marker) = (bytes.u8(at)?, bytes.u8(at + 1)?) else {
            return None;
        };
        match marker {
            // Fill bytes; markers without a body.
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            0xd9 | 0xda => return None,
            _ => {
                let length = usize::from(bytes.u16(at + 2)?);
                let body = bytes.part(at + 4, length.checked_sub(2)?)?;
                if marker == 0xe1 && body.starts_with(b"Exif\0\0") {
                    return Some(body);
                }
                at += 2 + length;
            }
        }
    }
    None
}

fn exif_of_png(upload: &[u8]) -> Option<&[u8]> {
    let bytes = Bytes::big(upload);
    let mut at = 8;
    for _ in 0..MOST_PARTS {
        let length = bytes.u32(at)? as usize;
        if bytes.part(at + 4, 4)? == b"eXIf" {
            return bytes.part(at + 8, length);
        }
        at = at.checked_add(length)?.checked_add(12)?;
    }
    None
}

fn exif_of_webp(upload: &[u8]) -> Option<&[u8]> {
    let bytes = Bytes::little(upload);
    let mut at = 12;
    for _ in 0..MOST_PARTS {
        let length = bytes.u32(at + 4)? as usize;
        if bytes.part(at, 4)? == b"EXIF" {
            return Some(bytes.rest(at + 8, length));
        }
        at = at.checked_add(8)?.checked_add(length)?.checked_add(length & 1)?;
    }
    None
}

/// Whether a frame of a GIF says that one of its colours is none.
fn is_transparent(upload: &[u8]) -> bool {
    let bytes = Bytes::little(upload);
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut at = 13 + bytes.u8(10).map_or(0, table);
    for _ in 0..MOST_PARTS {
        match (bytes.u8(at), bytes.u8(at + 1)) {
            (Some(b'!'), Some(0xf9)) if bytes.u8(at + 3).is_some_and(|flags| flags & 1 == 1) => return true,
            (Some(b'!'), _) => at += 2,
            (Some(b','), _) => at += 11 + bytes.u8(at + 9).map_or(0, table),
            _ => return false,
        }
        // A chain of sub-blocks.
        while let Some(length) = bytes.u8(at) {
            at += 1 + usize::from(length);
            if length == 0 {
                break;
            }
        }
    }
    false
}

/// Colours by the first directory, and alpha, where it says what its extra samples are.
fn tiff(upload: &[u8]) -> (ColourModel, Option<bool>) {
    let colour = match exif::short(upload, 262) {
        Some(0 | 1) => ColourModel::Grey,
        Some(5) => ColourModel::Cmyk,
        _ => ColourModel::Rgb,
    };
    // 1 and 2 are alpha, 0 is something else.
    (colour, exif::short(upload, 338).map(|kind| matches!(kind, 1 | 2)))
}
