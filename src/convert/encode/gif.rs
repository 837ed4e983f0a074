//! GIF: one frame or many, each with a palette of its own.
//!
//! In: canvases of four channels, one after another. Out: of each frame the part that changed, in which what did not is transparent, so
//! that it compresses to nothing and shows no other colours than before. A pixel is transparent or not: from an alpha of 128 it is
//! opaque. Where a pixel becomes transparent, the frame before has to clear the canvas: frames are written when the next is known.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::io::Write;

use gif::{DisposalMethod, Encoder, EncodingError, Frame, Repeat};

use super::changes::{Part, changed};
use super::palette::{self, Indexed};
use super::{odd, over};
use crate::convert::Failure;
use crate::convert::motion::{Clock, Plays};
use crate::convert::pixels::Pixels;
use crate::format::Format;

/// Longest edge of the format.
const MAX_EDGE: u32 = 65_535;
/// Microseconds of its unit of time.
const UNIT: u64 = 10_000;
/// Browsers show a frame of less than this for ten times as long.
const LEAST: u64 = 2;

/// A still picture of four channels.
pub(super) fn encode(pixels: &Pixels, output: &mut dyn Write) -> Result<(), Failure> {
    let mut writer = Writer::new(output, (pixels.width, pixels.height), Plays::Times(1), Format::Gif)?;
    writer.push(&pixels.bytes, 0)?;
    writer.finish()
}

/// Writes frames as they come.
pub(in crate::convert) struct Writer<'a> {
    encoder: Encoder<&'a mut dyn Write>,
    size: (u32, u32),
    clock: Clock,
    /// The canvas without the frame that waits; nothing where all of it is transparent.
    shown: Option<Vec<[u8; 4]>>,
    /// The canvas with the frame that waits, and how long it is shown.
    waiting: Option<(Vec<[u8; 4]>, u16)>,
}

impl<'a> Writer<'a> {
    /// Frames of this size, from an upload of format `source`, whose short frames stay as short where it is a GIF.
    pub(in crate::convert) fn new(
        output: &'a mut dyn Write,
        size: (u32, u32),
        plays: Plays,
        source: Format,
    ) -> Result<Self, Failure> {
        let edge = |edge: u32| u16::try_from(edge).map_err(|_| over("gif_edge", edge, MAX_EDGE));
        let mut encoder = Encoder::new(output, edge(size.0)?, edge(size.1)?, &[]).map_err(failure)?;
        let repeat = match plays {
            Plays::Forever => Repeat::Infinite,
            // None is written for 0: it is shown once.
            Plays::Times(count) => Repeat::Finite(u16::try_from(count.saturating_sub(1)).unwrap_or(u16::MAX)),
        };
        encoder.set_repeat(repeat).map_err(failure)?;
        let least = if source == Format::Gif { 0 } else { LEAST };
        Ok(Self {
            encoder,
            size,
            clock: Clock::new(UNIT, least),
            shown: None,
            waiting: None,
        })
    }

    /// The next canvas, and how long it is shown, in microseconds.
    pub(in crate::convert) fn push(&mut self, canvas: &[u8], microseconds: u64) -> Result<(), Failure> {
        let (pixels, _) = canvas.as_chunks::<4>();
        let next: Vec<[u8; 4]> = pixels.iter().map(|&pixel| on_or_off(pixel)).collect();
        self.write(Some(&next))?;
        let delay = self.clock.step(microseconds, u16::MAX.into()) as u16;
        self.waiting = Some((next, delay));
        Ok(())
    }

    /// Writes the last frame and the end.
    pub(in crate::convert) fn finish(mut self) -> Result<(), Failure> {
        self.write(None)?;
        self.encoder.into_inner().map_err(failure)?;
        Ok(())
    }

    /// Writes the frame that waits, now that the one after it is known.
    fn write(&mut self, next: Option<&[[u8; 4]]>) -> Result<(), Failure> {
        let Some((canvas, delay)) = self.waiting.take() else {
            return Ok(());
        };
        let uncovers = next.is_some_and(|next| canvas.iter().zip(next).any(|(now, then)| now[3] > then[3]));
        let part = match &self.shown {
            Some(shown) if !uncovers => changed(shown, &canvas, self.size.0),
            // All of it: it is all cleared afterwards, or there is nothing before it.
            _ => Part::whole(self.size),
        };
        let Indexed { colours, indices } = indexed(self.shown.as_deref(), &canvas, part, self.size.0);
        let clear = colours.iter().position(|colour| colour[3] == 0);
        let frame = Frame {
            delay,
            dispose: if uncovers {
                DisposalMethod::Background
            } else {
                DisposalMethod::Keep
            },
            transparent: clear.map(|index| index as u8),
            left: part.left as u16,
            top: part.top as u16,
            width: part.width as u16,
            height: part.height as u16,
            palette: Some(colours.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect()),
            buffer: Cow::Owned(indices),
            ..Frame::default()
        };
        self.encoder.write_frame(&frame).map_err(failure)?;
        self.shown = (!uncovers).then_some(canvas);
        Ok(())
    }
}

/// The part of a canvas, without what is shown already; with it where that alone keeps the colours exact.
fn indexed(shown: Option<&[[u8; 4]]>, canvas: &[[u8; 4]], part: Part, width: u32) -> Indexed {
    let place = move |index: usize| part.place(index, width);
    let fresh = |index: usize| {
        let (at, pixel) = (place(index), canvas[place(index)]);
        match shown {
            Some(shown) if shown[at] == pixel => [0; 4],
            _ => pixel,
        }
    };
    let all = 0..part.pixels();
    palette::exactly(all.clone().map(fresh), palette::MOST)
        .or_else(|| palette::exactly(all.clone().map(|index| canvas[place(index)]), palette::MOST))
        .unwrap_or_else(|| palette::nearly(all.map(fresh), palette::MOST))
}

/// Opaque, or nothing.
fn on_or_off([r, g, b, alpha]: [u8; 4]) -> [u8; 4] {
    if alpha < 128 { [0; 4] } else { [r, g, b, 255] }
}

fn failure(error: EncodingError) -> Failure {
    match error {
        EncodingError::Io(error) => Failure::Output(error),
        EncodingError::OutOfMemory => Failure::OutOfMemory,
        error => odd("GIF", error),
    }
}
