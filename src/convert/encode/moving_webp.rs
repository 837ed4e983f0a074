//! Animated WebP: pictures as [`super::webp`] writes them, in a container that is put together here.
//!
//! In: canvases of four channels, one after another. Out: of each frame the part that changed, which takes the place of what was there.
//! The length of the file stands at its start: frames are kept until the last is there, up to a bound that the estimate knows.
#![forbid(unsafe_code)]

use std::io::Write;

use super::changes::{Part, changed};
use super::webp;
use crate::convert::Failure;
use crate::convert::motion::{Clock, Plays};
use crate::convert::pixels::{Layout, Pixels};
use crate::recipe::Rendition;
use crate::verdict::{Reason, Refusal};

/// Header of the file, extended header, and parameters of the animation.
const HEAD: u64 = 12 + 18 + 14;
/// Header of a still file, and its extended header.
const RIFF: usize = 12;
const EXTENDED: usize = 18;
/// Most milliseconds of a frame.
const MOST: u64 = (1 << 24) - 1;
/// Flags of the extended header, and of a frame that takes the place of what was there.
const MOVES: u8 = 0x02;
const HAS_ALPHA: u8 = 0x10;
const REPLACES: u8 = 0x02;

/// Keeps frames as they come.
pub(in crate::convert) struct Writer<'a> {
    rendition: &'a Rendition,
    quality: u8,
    size: (u32, u32),
    plays: Plays,
    clock: Clock,
    shown: Option<Vec<[u8; 4]>>,
    /// Whether a pixel was not opaque.
    alpha: bool,
    frames: Vec<Vec<u8>>,
    /// Bytes of the file up to now, and how many it may have.
    bytes: u64,
    most: u64,
}

/// Most bytes that are kept of so many frames: lossless noise takes 4 a pixel. What takes more is refused.
pub(in crate::convert) fn buffer(frames: u64, pixels: u64, output: u64) -> u64 {
    let frame = pixels.saturating_mul(5).saturating_add(1024);
    frame.saturating_mul(frames).saturating_add(HEAD).min(output)
}

impl<'a> Writer<'a> {
    /// At most `most` bytes.
    pub(in crate::convert) fn new(
        rendition: &'a Rendition,
        quality: u8,
        size: (u32, u32),
        plays: Plays,
        most: u64,
    ) -> Self {
        Self {
            rendition,
            quality,
            size,
            plays,
            clock: Clock::new(1000, 0),
            shown: None,
            alpha: false,
            frames: Vec::new(),
            bytes: HEAD,
            most,
        }
    }

    /// The next canvas, and how long it is shown, in microseconds.
    pub(in crate::convert) fn push(&mut self, canvas: &[u8], microseconds: u64) -> Result<(), Failure> {
        let (pixels, _) = canvas.as_chunks::<4>();
        let part = match &self.shown {
            None => Part::whole(self.size),
            Some(shown) => changed(shown, pixels, self.size.0).evened(),
        };
        let width = self.size.0;
        let bytes = (0..part.pixels()).flat_map(|index| pixels[part.place(index, width)]);
        let mut cut = Vec::with_capacity(part.pixels() * 4);
        cut.extend(bytes);
        self.alpha |= cut.chunks_exact(4).any(|pixel| pixel[3] != 255);
        let cut = Pixels::new((part.width, part.height), Layout::Rgba, cut);
        let milliseconds = self.clock.step(microseconds, MOST);
        let mut file = Vec::new();
        webp::encode(&cut, self.rendition, self.quality, &mut file)?;
        drop(cut);

        let frame = framed(&file, part, milliseconds as u32);
        self.bytes += frame.len() as u64;
        if self.bytes > self.most {
            return Err(Refusal::over(Reason::TooComplex, "animation_bytes", self.bytes, self.most).into());
        }
        self.frames.push(frame);
        match &mut self.shown {
            Some(shown) => shown.copy_from_slice(pixels),
            None => self.shown = Some(pixels.to_vec()),
        }
        Ok(())
    }

    /// Writes all of it.
    pub(in crate::convert) fn finish(self, output: &mut dyn Write) -> Result<(), Failure> {
        let count = match self.plays {
            Plays::Forever => 0,
            Plays::Times(count) => u16::try_from(count).unwrap_or(u16::MAX),
        };
        let edge = |edge: u32| edge.saturating_sub(1).to_le_bytes();
        let (width, height) = (edge(self.size.0), edge(self.size.1));
        let flags = MOVES | if self.alpha { HAS_ALPHA } else { 0 };
        let mut head = b"RIFF".to_vec();
        head.extend(((self.bytes - 8) as u32).to_le_bytes());
        head.extend(b"WEBPVP8X\x0a\0\0\0");
        head.extend([flags, 0, 0, 0]);
        head.extend(&width[..3]);
        head.extend(&height[..3]);
        head.extend(b"ANIM\x06\0\0\0\0\0\0\0");
        head.extend(count.to_le_bytes());
        let mut parts = std::iter::once(&head).chain(&self.frames);
        parts
            .try_for_each(|part| output.write_all(part))
            .map_err(Failure::Output)
    }
}

/// A still file as a frame: its chunks without the headers before them.
fn framed(file: &[u8], part: Part, milliseconds: u32) -> Vec<u8> {
    let chunks = file.get(RIFF..).unwrap_or_default();
    let chunks = match chunks.starts_with(b"VP8X") {
        true => chunks.get(EXTENDED..).unwrap_or_default(),
        false => chunks,
    };
    let fields = [
        part.left / 2,
        part.top / 2,
        part.width - 1,
        part.height - 1,
        milliseconds,
    ];
    let length = 16 + chunks.len() as u32;
    let mut frame = Vec::with_capacity(8 + length as usize);
    frame.extend(b"ANMF");
    frame.extend(length.to_le_bytes());
    fields.iter().for_each(|field| frame.extend(&field.to_le_bytes()[..3]));
    frame.push(REPLACES);
    frame.extend(chunks);
    frame
}
