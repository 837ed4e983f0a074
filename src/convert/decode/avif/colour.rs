//! From luma and chroma of 8, 10 or 12 bits to RGB of 8, chroma spread bilinearly. `[pure]`
#![forbid(unsafe_code)]

use super::av1::Frame;
use crate::convert::Failure;
use crate::convert::pixels::Pixels;
use crate::convert::preflight::avif::Nclx;
use crate::verdict::{Reason, Refusal};

/// The part of a picture that a tile covers.
pub(super) struct Canvas<'a> {
    pixels: &'a mut Pixels,
    left: u32,
    top: u32,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(pixels: &'a mut Pixels, (left, top): (u32, u32)) -> Self {
        Self { pixels, left, top }
    }

    /// Columns and rows of a tile of `size` that lie within the picture.
    fn within(&self, size: (u32, u32)) -> (u32, u32) {
        let within = |edge: u32, start: u32, length: u32| edge.saturating_sub(start).min(length);
        (
            within(self.pixels.width, self.left, size.0),
            within(self.pixels.height, self.top, size.1),
        )
    }

    /// `count` pixels of row `y` of the tile.
    fn row(&mut self, y: u32, count: u32) -> &mut [u8] {
        let channels = self.pixels.layout.channels();
        let start = (self.top + y) as usize * self.pixels.stride() + self.left as usize * channels;
        &mut self.pixels.bytes[start..start + count as usize * channels]
    }
}

/// How samples become light.
#[derive(Debug, Clone, Copy)]
enum Matrix {
    /// Green, blue, red.
    Identity,
    /// Luma, and differences in green and orange.
    YCgCo,
    /// Luma of red and of blue.
    Weighted(f32, f32),
}

impl Matrix {
    /// By the code points of ITU-T H.273.
    fn of(code: u16) -> Result<Self, Failure> {
        Ok(match code {
            0 => Self::Identity,
            1 => Self::Weighted(0.2126, 0.0722),
            // Unspecified is taken for BT.601, as the format's specification has it.
            2 | 5 | 6 => Self::Weighted(0.299, 0.114),
            4 => Self::Weighted(0.30, 0.11),
            7 => Self::Weighted(0.212, 0.087),
            8 => Self::YCgCo,
            9 => Self::Weighted(0.2627, 0.0593),
            code => {
                let detail = format_args!("AVIF with matrix coefficients {code} is not read").to_string();
                return Err(Refusal::new(Reason::UnsupportedFormat, detail).into());
            }
        })
    }

    fn light(self, luma: f32, first: f32, second: f32) -> [f32; 3] {
        match self {
            Self::Identity => [second, luma, first],
            Self::YCgCo => [luma - first + second, luma + first, luma - first - second],
            Self::Weighted(red, blue) => {
                let r = luma + 2.0 * (1.0 - red) * second;
                let b = luma + 2.0 * (1.0 - blue) * first;
                [r, (luma - red * r - blue * b) / (1.0 - red - blue), b]
            }
        }
    }
}

/// Samples to 0 … 1, differences to -0.5 … 0.5.
#[derive(Debug, Clone, Copy)]
struct Range {
    black: f32,
    luma: f32,
    middle: f32,
    chroma: f32,
}

impl Range {
    fn of(depth: u32, full: bool) -> Self {
        let step = (1u32 << (depth - 8)) as f32;
        let most = ((1u32 << depth) - 1) as f32;
        let middle = 128.0 * step;
        match full {
            true => Self {
                black: 0.0,
                luma: most.recip(),
                middle,
                chroma: most.recip(),
            },
            false => Self {
                black: 16.0 * step,
                luma: (219.0 * step).recip(),
                middle,
                chroma: (224.0 * step).recip(),
            },
        }
    }
}

fn byte(light: f32) -> u8 {
    (light * 255.0 + 0.5).clamp(0.0, 255.0) as u8
}

/// Paints a tile's colours; what it has beyond the picture is left out.
pub(super) fn paint(frame: &Frame, nclx: Option<Nclx>, canvas: &mut Canvas<'_>) -> Result<(), Failure> {
    let (code, full) = nclx.map_or((frame.matrix, frame.full_range), |nclx| (nclx.matrix, nclx.full_range));
    let matrix = Matrix::of(code)?;
    let range = Range::of(frame.depth(), full);
    let (columns, rows) = canvas.within(frame.size());
    let channels = canvas.pixels.layout.channels();
    let width = frame.size().0 as usize;
    let mut luma = vec![0_u16; width];
    let mut chroma = Chroma::new(width);
    for y in 0..rows {
        frame.row(0, y, &mut luma);
        let row = canvas.row(y, columns).chunks_exact_mut(channels).zip(&luma);
        let light = |sample: u16| (f32::from(sample) - range.black) * range.luma;
        if frame.chroma.is_none() {
            row.for_each(|(pixel, &sample)| pixel[..3].fill(byte(light(sample))));
            continue;
        }
        chroma.spread(frame, y);
        let difference = |sample: f32| match matrix {
            // Blue and red themselves.
            Matrix::Identity => (sample - range.black) * range.luma,
            _ => (sample - range.middle) * range.chroma,
        };
        for ((pixel, &sample), (&first, &second)) in row.zip(chroma.rows[0].iter().zip(&chroma.rows[1])) {
            let [r, g, b] = matrix.light(light(sample), difference(first), difference(second));
            pixel[..3].copy_from_slice(&[byte(r), byte(g), byte(b)]);
        }
    }
    Ok(())
}

/// Paints a tile's luma as transparency.
pub(super) fn paint_alpha(frame: &Frame, nclx: Option<Nclx>, canvas: &mut Canvas<'_>) -> Result<(), Failure> {
    let full = nclx.map_or(frame.full_range, |nclx| nclx.full_range);
    let range = Range::of(frame.depth(), full);
    let (columns, rows) = canvas.within(frame.size());
    let mut luma = vec![0_u16; frame.size().0 as usize];
    for y in 0..rows {
        frame.row(0, y, &mut luma);
        for (pixel, &sample) in canvas.row(y, columns).chunks_exact_mut(4).zip(&luma) {
            pixel[3] = byte((f32::from(sample) - range.black) * range.luma);
        }
    }
    Ok(())
}

/// One row of both chroma planes, as wide as luma.
struct Chroma {
    rows: [Vec<f32>; 2],
    near: Vec<u16>,
    other: Vec<u16>,
    between: Vec<f32>,
}

impl Chroma {
    fn new(width: usize) -> Self {
        Self {
            rows: [vec![0.0; width], vec![0.0; width]],
            near: vec![0; width],
            other: vec![0; width],
            between: vec![0.0; width],
        }
    }

    /// Chroma of luma's row `y`: three parts of the nearer sample and one of the next, in both directions.
    fn spread(&mut self, frame: &Frame, y: u32) {
        let Some((across, down)) = frame.chroma else {
            return;
        };
        let (near, other) = match (down, y & 1) {
            (0, _) => (y, y),
            (_, 1) => (y >> 1, (y >> 1) + 1),
            _ => (y >> 1, (y >> 1).saturating_sub(1)),
        };
        let width = (frame.size().0 + across) >> across;
        let count = width as usize;
        for (plane, row) in self.rows.iter_mut().enumerate() {
            frame.row(plane + 1, near, &mut self.near);
            frame.row(plane + 1, other, &mut self.other);
            let both = self.near.iter().zip(&self.other).take(count);
            for (between, (&near, &other)) in self.between.iter_mut().zip(both) {
                *between = f32::from(near) * 0.75 + f32::from(other) * 0.25;
            }
            let between = &self.between[..count];
            if across == 0 {
                row.copy_from_slice(between);
                continue;
            }
            for (x, sample) in row.iter_mut().enumerate() {
                let near = x / 2;
                let other = if x % 2 == 1 {
                    (near + 1).min(count - 1)
                } else {
                    near.saturating_sub(1)
                };
                *sample = between[near] * 0.75 + between[other] * 0.25;
            }
        }
    }
}
