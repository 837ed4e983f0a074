//! WebP: RIFF chunks, the canvas, and the bitstreams in it.

use super::bytes::Bytes;
use super::inflate::Meter;
use super::{Ending, Headers, Traits, area, corrupt, exif};
use crate::convert::colour::{Colours, Kind, Told};
use crate::convert::metadata::Exif;
use crate::convert::orientation::Orientation;
use crate::format::Format;
use crate::sandbox::limits::Limits;
use crate::verdict::Refusal;

/// Four bytes of name, four of length.
const CHUNK: usize = 8;
/// Position, size, duration and flags before the chunks of a frame.
const FRAME: usize = 16;

/// What the chunks say.
#[derive(Debug, Default)]
struct Walk {
    /// Canvas size, and whether there is alpha, from VP8X.
    canvas: Option<(u32, u32, bool)>,
    /// First bitstream: size, and whether it has alpha.
    stream: Option<(u32, u32, bool)>,
    frames: u64,
    /// Pixels of the largest lossy and of the largest lossless bitstream.
    lossy: u64,
    lossless: u64,
    /// Bytes of the largest alpha plane and of the largest lossy bitstream, which is copied.
    alpha: u64,
    copied: u64,
    largest: u64,
    orientation: Option<Orientation>,
    told: Option<Told>,
    exif: Option<Exif>,
}

pub(super) fn read(upload: &[u8], limits: &Limits) -> Result<Headers, Refusal> {
    let bytes = Bytes::little(upload);
    let announced = u64::from(bytes.u32(4).unwrap_or(0)) + CHUNK as u64;
    // One byte of padding is often forgotten.
    if announced > bytes.len() as u64 + 1 {
        return Err(corrupt(format_args!(
            "a WebP of {announced} bytes, {} in the file",
            bytes.len()
        )));
    }
    let mut walk = Walk::default();
    let mut meter = Meter::new(limits);
    for (name, at, length) in (Chunks {
        bytes,
        at: 12,
        end: bytes.len(),
    }) {
        match name {
            b"VP8X" => walk.canvas(bytes, at),
            b"ICCP" => {
                meter.stored(length as u64)?;
                let length = bytes.rest(at, length).len();
                walk.told.get_or_insert(Told::Profile { at, length });
            }
            b"EXIF" if walk.orientation.is_none() => {
                walk.orientation = Some(exif::orientation(bytes.rest(at, length)));
                walk.exif = Some(Exif { at, length });
            }
            b"ANMF" => walk.frame(bytes, at, length),
            _ => walk.bitstream(name, bytes, at, length),
        }
    }
    walk.headers()
}

/// The chunks between two places; the last may be cut short.
struct Chunks<'a> {
    bytes: Bytes<'a>,
    at: usize,
    end: usize,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = (&'a [u8], usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let (name, length) = (self.bytes.part(self.at, 4)?, self.bytes.u32(self.at + 4)? as usize);
        let body = self.at + CHUNK;
        self.at = body.saturating_add(length).saturating_add(length & 1);
        Some((name, body, length))
    }
}

impl Walk {
    fn canvas(&mut self, bytes: Bytes<'_>, at: usize) {
        let fields = (bytes.u8(at), bytes.u24_little(at + 4), bytes.u24_little(at + 7));
        if let (Some(flags), Some(width), Some(height)) = fields {
            self.largest = self.largest.max(area(width + 1, height + 1));
            self.canvas.get_or_insert((width + 1, height + 1, flags & 0x10 != 0));
        }
    }

    fn frame(&mut self, bytes: Bytes<'_>, at: usize, length: usize) {
        self.frames += 1;
        if let (Some(width), Some(height)) = (bytes.u24_little(at + 6), bytes.u24_little(at + 9)) {
            self.largest = self.largest.max(area(width + 1, height + 1));
        }
        let end = at.saturating_add(length).min(bytes.len());
        for (name, at, length) in (Chunks {
            bytes,
            at: at + FRAME,
            end,
        }) {
            self.bitstream(name, bytes, at, length);
        }
    }

    fn bitstream(&mut self, name: &[u8], bytes: Bytes<'_>, at: usize, length: usize) {
        match name {
            b"VP8 " => {
                self.copied = self.copied.max(length as u64);
                if let (Some(width), Some(height)) = (bytes.u16(at + 6), bytes.u16(at + 8)) {
                    let (width, height) = (u32::from(width & 0x3fff), u32::from(height & 0x3fff));
                    // Whole macroblocks of 16 × 16.
                    self.lossy = self
                        .lossy
                        .max(area(width.next_multiple_of(16), height.next_multiple_of(16)));
                    self.size(width, height, false);
                }
            }
            b"VP8L" => {
                if let Some(header) = bytes.u32(at + 1) {
                    let (width, height) = ((header & 0x3fff) + 1, (header >> 14 & 0x3fff) + 1);
                    self.lossless = self.lossless.max(area(width, height));
                    self.size(width, height, header >> 28 & 1 == 1);
                }
            }
            b"ALPH" => self.alpha = self.alpha.max(length as u64),
            _ => {}
        }
    }

    fn size(&mut self, width: u32, height: u32, alpha: bool) {
        self.largest = self.largest.max(area(width, height));
        self.stream.get_or_insert((width, height, alpha));
    }

    fn headers(self) -> Result<Headers, Refusal> {
        let known = self.canvas.or(self.stream);
        let (width, height, alpha) = known.ok_or_else(|| corrupt("a WebP without a picture"))?;
        let channels = if alpha { 4 } else { 3 };
        let output = area(width, height) * channels;
        let (decode_bytes, traits) = if self.frames > 0 {
            (self.animation_bytes(output, alpha), Traits::Plain)
        } else {
            let beside = self.beside(width);
            (output + beside, Traits::Webp { beside })
        };
        Ok(Headers {
            format: Format::Webp,
            width,
            height,
            frames: self.frames.max(1),
            largest: self.largest,
            orientation: self.orientation.unwrap_or(Orientation::UPRIGHT),
            channels,
            decode_bytes,
            exif: self.exif,
            // Decoded whole or not at all.
            ending: Ending::Whole,
            colours: Colours {
                kind: Kind::Rgb,
                told: self.told.unwrap_or(Told::Nothing),
            },
            traits,
        })
    }

    /// What libwebp holds beside the picture of a still.
    fn beside(&self, width: u32) -> u64 {
        // Some rows of luma and chroma, what their neighbours are predicted from, and tables.
        let lossy = u64::from(width) * 128 + (256 << 10);
        // Four channels, whatever is written; predictors, colours and codes for blocks of pixels.
        let lossless = self.lossless * 5;
        // An alpha plane is a lossless picture, whose green is then copied out.
        let plane = if self.alpha > 0 { self.lossy * 5 } else { 0 };
        lossy.max(lossless) + plane
    }

    /// What the decoder of an animation's frames holds, in Rust.
    fn animation_bytes(&self, output: u64, alpha: bool) -> u64 {
        // Luma and chroma planes, and the bitstream.
        let lossy = self.lossy * 3 / 2 + self.copied;
        // Four channels beside an output of three; predictors, colours and codes for blocks of pixels.
        let own = if alpha { 0 } else { 4 };
        let lossless = self.lossless * own + self.lossless;
        // An alpha plane is a lossless picture whose green is then copied out.
        let plane = if self.alpha > 0 { self.lossy * 6 } else { 0 };
        // The canvas, and a frame before it is laid there.
        output + lossy.max(lossless) + plane + self.largest * 8
    }
}
