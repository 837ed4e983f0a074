//! Frames of a GIF.
#![forbid(unsafe_code)]

use std::io::Cursor;

use gif::{ColorOutput, DecodeOptions, Decoder, DisposalMethod, Repeat};

use super::canvas::{Blend, Canvas, Disposal, Drawing, Rect};
use super::timing::Plays;
use crate::convert::Failure;
use crate::convert::decode::corrupt;

/// A GIF that is read frame by frame.
pub(super) struct Reader<'a> {
    decoder: Decoder<Cursor<&'a [u8]>>,
    /// The frame, four channels.
    buffer: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn open(upload: &'a [u8]) -> Result<Self, Failure> {
        let mut options = DecodeOptions::new();
        options.set_color_output(ColorOutput::RGBA);
        // The default would refuse frames of more than 50 MB; the preflight has counted them.
        options.set_memory_limit(gif::MemoryLimit::Unlimited);
        let decoder = options.read_info(Cursor::new(upload)).map_err(corrupt)?;
        let buffer = Vec::new();
        Ok(Self { decoder, buffer })
    }

    /// How often it is shown: a count in the file says how often it is *repeated*.
    pub(super) fn plays(&self) -> Plays {
        match self.decoder.repeat() {
            Repeat::Infinite => Plays::Forever,
            Repeat::Finite(count) => Plays::Times(u32::from(count) + 1),
        }
    }

    /// Draws the next frame; tells how long it is shown, in microseconds.
    pub(super) fn next(&mut self, canvas: &mut Canvas) -> Result<Option<u64>, Failure> {
        let Some(frame) = self.decoder.next_frame_info().map_err(corrupt)? else {
            return Ok(None);
        };
        let rect = Rect {
            left: frame.left.into(),
            top: frame.top.into(),
            width: frame.width.into(),
            height: frame.height.into(),
        };
        let disposal = match frame.dispose {
            DisposalMethod::Any | DisposalMethod::Keep => Disposal::Keep,
            DisposalMethod::Background => Disposal::Clear,
            DisposalMethod::Previous => Disposal::Restore,
        };
        let (width, delay) = (usize::from(frame.width), u64::from(frame.delay) * 10_000);
        // Not grown: that would take twice as much.
        self.buffer = Vec::new();
        self.buffer = vec![0; self.decoder.buffer_size()];
        self.decoder.read_into_buffer(&mut self.buffer).map_err(corrupt)?;
        let (pixels, _) = self.buffer.as_chunks::<4>();
        let drawing = Drawing {
            rect,
            blend: Blend::Over,
            disposal,
        };
        canvas.draw(drawing, |x, y| pixels[y * width + x]);
        Ok(Some(delay))
    }
}
