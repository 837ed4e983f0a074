//! Frames of an animated WebP. Each is decoded as a picture of its own: `image` lays them on each other without clearing what is to be
//! cleared.
#![forbid(unsafe_code)]

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;
use image::{ColorType, ImageDecoder};

use super::canvas::{Blend, Canvas, Disposal, Drawing, Rect};
use super::timing::Plays;
use crate::convert::Failure;
use crate::convert::decode::{corrupt, failure};
use crate::convert::preflight::Bytes;

/// Name and length of a chunk.
const FRAMING: usize = 8;
/// Place, size, duration and flags of a frame, before its chunks.
const FRAME: usize = 16;
/// Most chunks of a frame that are looked at: alpha, picture, and some that are not known.
const CHUNKS: usize = 16;
/// Flags of a frame.
const CLEARS: u8 = 1;
const REPLACES: u8 = 2;
/// The flag of the extended header for alpha.
const HAS_ALPHA: u8 = 0x10;

/// An animated WebP that is read frame by frame.
pub(super) struct Reader<'a> {
    bytes: Bytes<'a>,
    /// Where the next chunk is.
    at: usize,
    plays: Plays,
    /// The frame as a file of its own, and its pixels.
    file: Vec<u8>,
    pixels: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn open(upload: &'a [u8]) -> Self {
        let bytes = Bytes::little(upload);
        let mut reader = Self {
            bytes,
            at: 12,
            plays: Plays::Forever,
            file: Vec::new(),
            pixels: Vec::new(),
        };
        if let Some(body) = reader.find(b"ANIM") {
            let count = Bytes::little(body).u16(4).unwrap_or(0);
            reader.plays = Plays::of(count.into());
        } else {
            reader.at = 12;
        }
        reader
    }

    pub(super) fn plays(&self) -> Plays {
        self.plays
    }

    /// The body of the next chunk of this name; what is between is skipped.
    fn find(&mut self, wanted: &[u8; 4]) -> Option<&'a [u8]> {
        loop {
            let (name, body, next) = chunk(self.bytes, self.at)?;
            self.at = next;
            if name == wanted {
                return Some(body);
            }
        }
    }

    /// Draws the next frame; tells how long it is shown, in microseconds.
    pub(super) fn next(&mut self, canvas: &mut Canvas) -> Result<Option<u64>, Failure> {
        let Some(body) = self.find(b"ANMF") else {
            return Ok(None);
        };
        let head = Bytes::little(body);
        let fields = [0, 3, 6, 9, 12].map(|at| head.u24_little(at));
        let ([Some(left), Some(top), Some(width), Some(height), Some(milliseconds)], Some(flags)) =
            (fields, head.u8(15))
        else {
            return Err(corrupt("a frame that is cut short"));
        };
        let rect = Rect {
            left: left * 2,
            top: top * 2,
            width: width + 1,
            height: height + 1,
        };
        self.alone(body, rect);
        let decoder = WebPDecoder::new(Cursor::new(self.file.as_slice())).map_err(failure)?;
        if decoder.dimensions() != (rect.width, rect.height) {
            return Err(corrupt("a frame of another size than it says"));
        }
        let colour = decoder.color_type();
        let length = usize::try_from(decoder.total_bytes()).map_err(|_| Failure::OutOfMemory)?;
        // Not grown: that would take twice as much.
        self.pixels = Vec::new();
        self.pixels = vec![0; length];
        decoder.read_image(&mut self.pixels).map_err(failure)?;
        let drawing = Drawing {
            rect,
            blend: if flags & REPLACES != 0 {
                Blend::Source
            } else {
                Blend::Over
            },
            disposal: if flags & CLEARS != 0 {
                Disposal::Clear
            } else {
                Disposal::Keep
            },
        };
        let width = rect.width as usize;
        match colour {
            ColorType::Rgba8 => {
                let (pixels, _) = self.pixels.as_chunks::<4>();
                canvas.draw(drawing, |x, y| pixels[y * width + x]);
            }
            ColorType::Rgb8 => {
                let (pixels, _) = self.pixels.as_chunks::<3>();
                canvas.draw(drawing, |x, y| {
                    let [r, g, b] = pixels[y * width + x];
                    [r, g, b, 255]
                });
            }
            _ => return Err(corrupt("a frame of other channels than WebP has")),
        }
        Ok(Some(u64::from(milliseconds) * 1000))
    }

    /// Makes a file of a frame's alpha and picture.
    fn alone(&mut self, frame: &[u8], rect: Rect) {
        let chunks = Bytes::little(frame);
        let (mut at, mut alpha, mut picture) = (FRAME, None, None);
        for _ in 0..CHUNKS {
            let Some((name, body, next)) = chunk(chunks, at) else {
                break;
            };
            match name {
                b"ALPH" => alpha = alpha.or(Some(body)),
                b"VP8 " | b"VP8L" => {
                    picture = Some((name, body));
                    break;
                }
                _ => {}
            }
            at = next;
        }
        self.file = Vec::new();
        self.file.reserve_exact(frame.len() + 64);
        self.file.extend(b"RIFF\0\0\0\0WEBP");
        if let (Some(alpha), Some((b"VP8 ", _))) = (alpha, picture) {
            let edge = |edge: u32| (edge - 1).to_le_bytes();
            let (width, height) = (edge(rect.width), edge(rect.height));
            let extended = [&[HAS_ALPHA, 0, 0, 0], &width[..3], &height[..3]].concat();
            self.put(b"VP8X", &extended);
            self.put(b"ALPH", alpha);
        }
        if let Some((name, body)) = picture {
            self.put(name, body);
        }
        let length = (self.file.len() - FRAMING) as u32;
        self.file[4..8].copy_from_slice(&length.to_le_bytes());
    }

    fn put(&mut self, name: &[u8], body: &[u8]) {
        self.file.extend(name);
        self.file.extend((body.len() as u32).to_le_bytes());
        self.file.extend(body);
        self.file.extend(&[0][..body.len() & 1]);
    }
}

/// Name and body of the chunk at a place, and the place after it; nothing where it does not end within `bytes`.
fn chunk(bytes: Bytes<'_>, at: usize) -> Option<(&[u8], &[u8], usize)> {
    let (name, length) = (bytes.part(at, 4)?, bytes.u32(at.checked_add(4)?)? as usize);
    let body = bytes.part(at + FRAMING, length)?;
    Some((name, body, at + FRAMING + length + (length & 1)))
}
