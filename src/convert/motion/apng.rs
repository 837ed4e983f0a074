//! Frames of an APNG.
#![forbid(unsafe_code)]

use std::io::Cursor;

use png::{BlendOp, ColorType, Decoder, DisposeOp, Limits, Transformations};

use super::canvas::{Blend, Canvas, Disposal, Drawing, Rect};
use super::timing::Plays;
use crate::convert::Failure;
use crate::convert::decode::corrupt;

/// An APNG that is read frame by frame.
pub(super) struct Reader<'a> {
    reader: png::Reader<Cursor<&'a [u8]>>,
    /// Frames that are left.
    left: u32,
    plays: Plays,
    /// The frame, at 8 bits a channel.
    buffer: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn open(upload: &'a [u8]) -> Result<Self, Failure> {
        // The preflight has counted what it would limit.
        let limits = Limits { bytes: usize::MAX };
        let mut decoder = Decoder::new_with_limits(Cursor::new(upload), limits);
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
        let mut reader = decoder.read_info().map_err(corrupt)?;
        let info = reader.info();
        let control = info.animation_control().copied();
        let control = control.ok_or_else(|| corrupt("an animation without its control chunk"))?;
        // A picture that stands for the animation where that is not understood, and is no part of it.
        let is_apart = info.frame_control().is_none();
        let length = reader.output_buffer_size().ok_or(Failure::OutOfMemory)?;
        let mut buffer = vec![0; length];
        if is_apart {
            reader.next_frame(&mut buffer).map_err(corrupt)?;
        }
        Ok(Self {
            reader,
            left: control.num_frames,
            plays: Plays::of(control.num_plays),
            buffer,
        })
    }

    pub(super) fn plays(&self) -> Plays {
        self.plays
    }

    /// Draws the next frame; tells how long it is shown, in microseconds.
    pub(super) fn next(&mut self, canvas: &mut Canvas) -> Result<Option<u64>, Failure> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        let frame = self.reader.next_frame(&mut self.buffer).map_err(corrupt)?;
        let info = self.reader.info();
        let control = info.frame_control().copied();
        let control = control.ok_or_else(|| corrupt("a frame without its control chunk"))?;
        if (control.width, control.height) != (frame.width, frame.height) {
            return Err(corrupt("a frame of another size than it says"));
        }
        // Interlaced rows are as far apart as those of the canvas.
        let stride = match info.interlaced {
            true => self.reader.output_line_size(info.width).ok_or(Failure::OutOfMemory)?,
            false => frame.line_size,
        };
        let drawing = Drawing {
            rect: Rect {
                left: control.x_offset,
                top: control.y_offset,
                width: frame.width,
                height: frame.height,
            },
            blend: match control.blend_op {
                BlendOp::Source => Blend::Source,
                BlendOp::Over => Blend::Over,
            },
            disposal: match control.dispose_op {
                DisposeOp::None => Disposal::Keep,
                DisposeOp::Background => Disposal::Clear,
                DisposeOp::Previous => Disposal::Restore,
            },
        };
        let row = |y: usize| &self.buffer[y * stride..];
        match frame.color_type {
            ColorType::Rgba => canvas.draw(drawing, |x, y| taken(row(y), x)),
            ColorType::Rgb => canvas.draw(drawing, |x, y| {
                let [r, g, b] = taken(row(y), x);
                [r, g, b, 255]
            }),
            ColorType::GrayscaleAlpha => canvas.draw(drawing, |x, y| {
                let [grey, alpha] = taken(row(y), x);
                [grey, grey, grey, alpha]
            }),
            ColorType::Grayscale => canvas.draw(drawing, |x, y| {
                let [grey] = taken(row(y), x);
                [grey, grey, grey, 255]
            }),
            ColorType::Indexed => return Err(corrupt("indices that were not looked up")),
        }
        // A denominator of 0 is 100.
        let parts = match control.delay_den {
            0 => 100,
            parts => u64::from(parts),
        };
        Ok(Some(u64::from(control.delay_num) * 1_000_000 / parts))
    }
}

/// A pixel of a row.
fn taken<const CHANNELS: usize>(row: &[u8], x: usize) -> [u8; CHANNELS] {
    let (pixels, _) = row.as_chunks::<CHANNELS>();
    pixels[x]
}
