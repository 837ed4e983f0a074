//! BMP: one header in several lengths.

use super::bytes::Bytes;
use super::{Ending, Headers, Traits, area, corrupt};
use crate::convert::colour::{Colours, Kind, Told};
use crate::convert::orientation::Orientation;
use crate::format::Format;
use crate::sandbox::limits::Limits;
use crate::verdict::Refusal;

/// OS/2 1.x: 16-bit sizes.
const CORE: u32 = 12;
/// Windows 4: the first with a mask for alpha.
const VERSION_4: u32 = 108;
/// Windows 5: the first with room for a profile.
const VERSION_5: u32 = 124;
/// The name of colours by an embedded profile.
const EMBEDDED: u32 = u32::from_be_bytes(*b"MBED");
/// Run-length coding of 8 and of 4 bits.
const RUN_LENGTH: [u32; 2] = [1, 2];

pub(super) fn read(upload: &[u8], limits: &Limits) -> Result<Headers, Refusal> {
    let bytes = Bytes::little(upload);
    let cut = || corrupt("a BMP header that is cut short");
    let start = bytes.u32(10).ok_or_else(cut)?;
    let header = bytes.u32(14).ok_or_else(cut)?;
    let (width, height, bits, coding) = if header == CORE {
        let (width, height) = (bytes.u16(18).ok_or_else(cut)?, bytes.u16(20).ok_or_else(cut)?);
        (u32::from(width), u32::from(height), bytes.u16(24).ok_or_else(cut)?, 0)
    } else {
        let (width, height) = (bytes.u32(18).ok_or_else(cut)?, bytes.u32(22).ok_or_else(cut)?);
        let (bits, coding) = (bytes.u16(28).ok_or_else(cut)?, bytes.u32(30).ok_or_else(cut)?);
        // A negative height means rows from the top; a negative width means nothing.
        (width, height.cast_signed().unsigned_abs(), bits, coding)
    };
    if width > i32::MAX as u32 {
        return Err(corrupt("a BMP of negative width"));
    }
    // Rows that are not packed cannot be more than the file holds. Their padding is not counted: some writers forget the last.
    let needed = area(width, height).saturating_mul(bits.into()) / 8;
    let there = (upload.len() as u64).saturating_sub(start.into());
    let hollow = !RUN_LENGTH.contains(&coding) && needed > there;
    // More pixels than the limit are refused as such by the caller, whatever the file holds.
    if hollow && area(width, height) <= limits.pixels {
        return Err(corrupt(format_args!("BMP rows of {needed} bytes, {there} in the file")));
    }
    let channels = if bits >= 16 && (header >= VERSION_4 || coding != 0 || bits == 32) {
        4
    } else {
        3
    };
    Ok(Headers {
        format: Format::Bmp,
        width,
        height,
        frames: 1,
        largest: 0,
        orientation: Orientation::UPRIGHT,
        channels,
        decode_bytes: area(width, height)
            .saturating_mul(channels)
            .saturating_add(u64::from(width) * 8),
        exif: None,
        ending: Ending::Whole,
        colours: colours(bytes, header, upload.len()),
        traits: Traits::Plain,
    })
}

/// The embedded profile of a version 5, if there is one and it lies in the file.
fn colours(bytes: Bytes<'_>, header: u32, end: usize) -> Colours {
    let told = match (bytes.u32(70), bytes.u32(126), bytes.u32(130)) {
        (Some(EMBEDDED), Some(offset), Some(length)) if header >= VERSION_5 => {
            let at = 14 + offset as usize;
            let length = (length as usize).min(end.saturating_sub(at));
            Told::Profile { at, length }
        }
        _ => Told::Nothing,
    };
    Colours { kind: Kind::Rgb, told }
}
