//! PNG and APNG: chunks, frames, and compressed metadata.

use super::bytes::Bytes;
use super::exif::orientation as orientation_of;
use super::inflate::Meter;
use super::{Ending, Headers, Traits, corrupt};
use crate::convert::colour::{Colours, Kind, png::Chunks};
use crate::convert::metadata::Exif;
use crate::convert::orientation::Orientation;
use crate::format::Format;
use crate::sandbox::limits::Limits;
use crate::verdict::Refusal;

/// Length, type and checksum of a chunk.
const FRAMING: usize = 12;

/// The image header (IHDR).
#[derive(Debug, Clone, Copy)]
struct Image {
    width: u32,
    height: u32,
    depth: u8,
    colour: u8,
}

pub(super) fn read(upload: &[u8], limits: &Limits) -> Result<Headers, Refusal> {
    let image = Image::read(upload)?;
    let mut meter = Meter::new(limits);
    let (mut claimed, mut controls, mut other) = (0, 0_u64, 0_u64);
    let mut orientation = None;
    let mut transparent = false;
    let mut colours = Chunks::default();
    let (mut exif, mut ending) = (None, Ending::Open);
    let bytes = Bytes::big(upload);
    let mut at = 8;
    while let (Some(length), Some(kind)) = (bytes.u32(at), bytes.part(at + 4, 4)) {
        let length = length as usize;
        let Some(body) = bytes.part(at + 8, length) else {
            ending = Ending::Cut("a PNG that ends within a chunk");
            break;
        };
        match kind {
            b"IEND" => {
                ending = Ending::Whole;
                break;
            }
            b"acTL" => claimed = claimed.max(bytes.u32(at + 8).unwrap_or(0).into()),
            b"fcTL" => controls += 1,
            b"tRNS" => transparent = true,
            b"eXIf" if orientation.is_none() => {
                orientation = Some(orientation_of(body));
                exif = Some(Exif { at: at + 8, length });
            }
            b"iCCP" => {
                let (before, stream) = (meter.total(), stream(body, 1));
                meter.compressed(stream)?;
                let start = at + 8 + body.len() - stream.len();
                colours.profile(start, stream.len(), meter.total() - before);
            }
            b"zTXt" => meter.compressed(stream(body, 1))?,
            b"iTXt" if compressed_text(body) => meter.compressed(international(body))?,
            _ => colours.take(kind, body),
        }
        if kind != b"IDAT" && kind != b"fdAT" {
            other += body.len() as u64;
        }
        at += length + FRAMING;
    }
    Ok(Headers {
        format: Format::Png,
        width: image.width,
        height: image.height,
        frames: controls.max(claimed).max(1),
        largest: 0,
        orientation: orientation.unwrap_or(Orientation::UPRIGHT),
        channels: image.channels(transparent),
        decode_bytes: image
            .decode_bytes(transparent)
            .saturating_add(2 * other + meter.total()),
        exif,
        ending,
        colours: Colours {
            kind: if matches!(image.colour, 0 | 4) {
                Kind::Grey
            } else {
                Kind::Rgb
            },
            told: colours.told(),
        },
        traits: Traits::Plain,
    })
}

/// What follows a Latin-1 keyword, its NUL and `fields` more bytes.
fn stream(body: &[u8], fields: usize) -> &[u8] {
    let keyword = body.iter().position(|&byte| byte == 0).unwrap_or(body.len());
    body.get(keyword + 1 + fields..).unwrap_or_default()
}

fn compressed_text(body: &[u8]) -> bool {
    stream(body, 0).first() == Some(&1)
}

/// The text of an iTXt: after flag and method come two more strings that end in NUL.
fn international(body: &[u8]) -> &[u8] {
    stream(stream(stream(body, 2), 0), 0)
}

impl Image {
    fn read(upload: &[u8]) -> Result<Self, Refusal> {
        let bytes = Bytes::big(upload);
        let fields = (bytes.u32(16), bytes.u32(20), bytes.u8(24), bytes.u8(25));
        let (Some(width), Some(height), Some(depth), Some(colour)) = fields else {
            return Err(corrupt("a PNG header that is cut short"));
        };
        let valid = match colour {
            0 => matches!(depth, 1 | 2 | 4 | 8 | 16),
            2 | 4 | 6 => matches!(depth, 8 | 16),
            3 => matches!(depth, 1 | 2 | 4 | 8),
            _ => false,
        };
        if bytes.part(12, 4) != Some(b"IHDR") || bytes.u32(8) != Some(13) {
            return Err(corrupt("a PNG that does not start with its header"));
        }
        if !valid {
            return Err(corrupt(format_args!("PNG colour type {colour} of {depth} bits")));
        }
        Ok(Self {
            width,
            height,
            depth,
            colour,
        })
    }

    /// Channels as the decoder writes them, alpha last.
    fn decoded(&self, transparent: bool) -> u64 {
        let colours = if matches!(self.colour, 2 | 3 | 6) { 3 } else { 1 };
        colours + u64::from(transparent || matches!(self.colour, 4 | 6))
    }

    fn channels(&self, transparent: bool) -> u64 {
        match self.decoded(transparent) {
            2 => 4,
            channels => channels,
        }
    }

    /// The decoded picture at its own depth; grey with alpha is spread over four channels after that.
    fn decode_bytes(&self, transparent: bool) -> u64 {
        let decoded = self.decoded(transparent) * if self.depth == 16 { 2 } else { 1 };
        let spread = if self.decoded(transparent) == 2 { 4 } else { 0 };
        let rows = u64::from(self.width) * decoded * 4;
        super::area(self.width, self.height)
            .saturating_mul(decoded + spread)
            .saturating_add(rows)
    }
}
