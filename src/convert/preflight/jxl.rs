//! JPEG XL: the image header, as it stands or in a container.
//!
//! Frames are not walked: only the first is decoded, and an animation costs no more than that. What a frame holds that is larger
//! than the picture (a patch, a reference) no header tells.

use jxl_bitstream::{Bitstream, ContainerParser, ParseEvent};
use jxl_oxide::ExtraChannelType;
use jxl_oxide::image::ImageHeader;
use jxl_oxide_common::Bundle;

use super::{Headers, area, corrupt, unsupported};
use crate::convert::colour::{Colours, Kind, Told};
use crate::format::Format;
use crate::sandbox::limits::Limits;
use crate::verdict::Refusal;

/// Bytes of codestream within which the image header ends: with 256 named extra channels it is under 20 KiB.
const MOST_HEADER: usize = 64 * 1024;
/// Bytes of the file that are looked at for them: boxes of metadata may come first.
const MOST_LOOKED_AT: usize = 1 << 20;
/// Heap of a pixel: planes of floats before and after each filter, and the result. Measured: 21 to 27 bytes; 15 where it is grey and
/// coded without loss. Noise that the file asks for takes 12 more.
const COLOURED: u64 = 40;
const GREY: u64 = 22;
/// The same of an extra channel. Measured: up to 6.
const EXTRA: u64 = 8;
/// Tables, groups in the making, borders.
const FIXED: u64 = 4 << 20;

pub(super) fn read(upload: &[u8], _limits: &Limits) -> Result<Headers, Refusal> {
    let codestream = beginning(upload)?;
    let mut bits = Bitstream::new(&codestream);
    let header = ImageHeader::parse(&mut bits, ());
    let header = header.map_err(|error| corrupt(format_args!("JPEG XL: {error}")))?;
    let metadata = &header.metadata;
    if metadata
        .ec_info
        .iter()
        .any(|extra| matches!(extra.ty, ExtraChannelType::Black))
    {
        return Err(unsupported("JPEG XL with inks is not read"));
    }
    let colours = if metadata.grayscale() { 1 } else { 3 };
    let extras = metadata.ec_info.len() as u64;
    let channels = if metadata.alpha().is_some() { 4 } else { colours };
    let (width, height) = (header.width_with_orientation(), header.height_with_orientation());
    let pixels = area(width, height);
    let each = if colours == 1 && !metadata.xyb_encoded {
        GREY
    } else {
        COLOURED
    };
    let planes = pixels.saturating_mul(each + extras * EXTRA);
    let decode_bytes = planes.saturating_add(FIXED + upload.len() as u64);
    let told = match metadata.colour_encoding.want_icc() {
        // Its length follows, as the bytes that it is coded in.
        true => Told::Packed {
            most: bits.read_u64().map_or(0, profile),
        },
        false => Told::Nothing,
    };
    let kind = if colours == 1 { Kind::Grey } else { Kind::Rgb };
    Ok(Headers {
        colours: Colours { kind, told },
        ..Headers::still(Format::Jxl, (width, height), channels, decode_bytes)
    })
}

/// Bytes of a profile, at most, by those that it is coded in: what is spared in honest ones is some of the head and of the list of tags.
fn profile(coded: u64) -> u64 {
    coded.saturating_mul(2).saturating_add(4096)
}

/// The first bytes of the codestream.
fn beginning(upload: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut codestream = Vec::new();
    let mut parser = ContainerParser::new();
    for event in parser.feed_bytes(upload.get(..MOST_LOOKED_AT).unwrap_or(upload)) {
        let event = event.map_err(|error| corrupt(format_args!("JPEG XL container: {error}")))?;
        if let ParseEvent::Codestream(part) = event {
            let wanted = part.len().min(MOST_HEADER - codestream.len());
            codestream.extend_from_slice(&part[..wanted]);
            if codestream.len() == MOST_HEADER {
                break;
            }
        }
    }
    Ok(codestream)
}
