//! Pixels as samples of 10 bits, full range: brightness and two differences by the matrix of BT.601, or alpha. `[pure]`
//!
//! Where nothing is to be seen, the colour of what is seen nearby is written: what is lost in coding then does not show at the edges,
//! and costs hardly a byte.
#![forbid(unsafe_code)]

use super::Chroma;
use crate::convert::pixels::{Layout, Pixels};

/// Side of the squares of which each has one colour where nothing is to be seen: that of the encoder's blocks.
const SQUARE: usize = 16;
/// Shares of red, green and blue, in 2^-16, for samples from 0 … 255 to 0 … 1023.
const LUMA: [i32; 3] = [78_612, 154_331, 29_972];
const BLUE: [i32; 3] = [-44_363, -87_095, 131_458];
const RED: [i32; 3] = [131_458, -110_079, -21_379];
const BITS: u32 = 16;
/// No difference.
const MIDDLE: i32 = 512;
const MOST: i32 = 1023;

/// A picture, to be read as rows of samples.
pub(super) struct Samples<'a> {
    pixels: &'a Pixels,
    /// A colour for each square, row by row, where some pixel is not opaque.
    unseen: Option<Vec<[u8; 3]>>,
}

impl<'a> Samples<'a> {
    pub(super) fn of(pixels: &'a Pixels) -> Self {
        let translucent = pixels.layout == Layout::Rgba && pixels.bytes.chunks_exact(4).any(|pixel| pixel[3] != 255);
        Self {
            pixels,
            unseen: translucent.then(|| unseen(pixels)),
        }
    }

    /// Whether something is to be seen through it.
    pub(super) fn is_translucent(&self) -> bool {
        self.unseen.is_some()
    }

    /// Row `y` of a plane; 0 is brightness, 1 what blue has more, 2 what red has more.
    pub(super) fn colour(&self, chroma: Chroma, plane: usize, y: usize, row: &mut [u16]) {
        if chroma == Chroma::None && self.pixels.layout == Layout::Grey {
            let greys = self.row(y).iter();
            row.iter_mut().zip(greys).for_each(|(to, &grey)| *to = ten(grey));
            return;
        }
        let (shares, middle) = match plane {
            0 => (LUMA, 0),
            1 => (BLUE, MIDDLE),
            _ => (RED, MIDDLE),
        };
        // Of one pixel, or of the mean of four, at the edges of those that are there.
        let halves = plane > 0 && chroma == Chroma::Quarter;
        let sample = |sum: [i32; 3], more: u32| {
            let light = shares[0] * sum[0] + shares[1] * sum[1] + shares[2] * sum[2];
            let bits = BITS + more;
            (((light + (1 << (bits - 1))) >> bits) + middle).clamp(0, MOST) as u16
        };
        if !halves {
            let pixel = |x| self.pixel(x, y);
            row.iter_mut().enumerate().for_each(|(x, to)| *to = sample(pixel(x), 0));
            return;
        }
        let (width, height) = (self.pixels.width as usize, self.pixels.height as usize);
        let lines = [2 * y, (2 * y + 1).min(height - 1)];
        for (x, to) in row.iter_mut().enumerate() {
            let columns = [2 * x, (2 * x + 1).min(width - 1)];
            let four = lines.iter().flat_map(|&y| columns.map(|x| self.pixel(x, y)));
            let sum = four.fold([0; 3], |sum, pixel| [0, 1, 2].map(|one| sum[one] + pixel[one]));
            *to = sample(sum, 2);
        }
    }

    /// Row `y` of transparency.
    pub(super) fn alpha(&self, y: usize, row: &mut [u16]) {
        let pixels = self.row(y).chunks_exact(4);
        row.iter_mut().zip(pixels).for_each(|(to, pixel)| *to = ten(pixel[3]));
    }

    fn row(&self, y: usize) -> &[u8] {
        let stride = self.pixels.stride();
        &self.pixels.bytes[y * stride..(y + 1) * stride]
    }

    fn pixel(&self, x: usize, y: usize) -> [i32; 3] {
        let channels = self.pixels.layout.channels();
        let at = (y * self.pixels.width as usize + x) * channels;
        let bytes = &self.pixels.bytes[at..at + channels];
        let seen = match (bytes, &self.unseen) {
            ([_, _, _, 0], Some(squares)) => squares[y / SQUARE * squares_across(self.pixels) + x / SQUARE],
            ([r, g, b, ..], _) => [*r, *g, *b],
            _ => [bytes[0]; 3],
        };
        seen.map(i32::from)
    }
}

/// 255 becomes 1023.
fn ten(sample: u8) -> u16 {
    u16::from(sample) << 2 | u16::from(sample) >> 6
}

fn squares_across(pixels: &Pixels) -> usize {
    (pixels.width as usize).div_ceil(SQUARE)
}

/// The mean colour of what is seen in each square, each pixel as much as it is seen; where nothing is, that of the square before, or above.
fn unseen(pixels: &Pixels) -> Vec<[u8; 3]> {
    let (width, across) = (pixels.width as usize, squares_across(pixels));
    let mut squares: Vec<[u8; 3]> = Vec::with_capacity(across * (pixels.height as usize).div_ceil(SQUARE));
    for rows in pixels.bytes.chunks(width * 4 * SQUARE) {
        let mut sums = vec![[0_u32; 4]; across];
        for row in rows.chunks_exact(width * 4) {
            for (square, part) in sums.iter_mut().zip(row.chunks(SQUARE * 4)) {
                part.chunks_exact(4).for_each(|pixel| weigh(square, pixel));
            }
        }
        for (column, sum) in sums.into_iter().enumerate() {
            let before = match column {
                0 => squares.len().checked_sub(across),
                _ => squares.len().checked_sub(1),
            };
            let before = before.map_or([0; 3], |index| squares[index]);
            squares.push(mean(sum).unwrap_or(before));
        }
    }
    squares
}

fn weigh(sum: &mut [u32; 4], pixel: &[u8]) {
    let alpha = u32::from(pixel[3]);
    for (sum, &sample) in sum.iter_mut().zip(&pixel[..3]) {
        *sum += u32::from(sample) * alpha;
    }
    sum[3] += alpha;
}

fn mean([r, g, b, weight]: [u32; 4]) -> Option<[u8; 3]> {
    let mean = |sum: u32| Some((sum + weight / 2).checked_div(weight)? as u8);
    Some([mean(r)?, mean(g)?, mean(b)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(picture: &Pixels, chroma: Chroma, plane: usize, size: (usize, usize)) -> Vec<u16> {
        let samples = Samples::of(picture);
        let mut all = vec![0; size.0 * size.1];
        let rows = all.chunks_mut(size.0).enumerate();
        rows.for_each(|(y, row)| samples.colour(chroma, plane, y, row));
        all
    }

    #[test]
    fn the_matrix_is_that_of_bt_601() {
        for (colour, expected) in [
            ([255, 255, 255], [1023, 512, 512]),
            ([0, 0, 0], [0, 512, 512]),
            ([128, 128, 128], [514, 512, 512]),
            ([255, 0, 0], [306, 339, 1023]),
            ([0, 255, 0], [601, 173, 84]),
            ([0, 0, 255], [117, 1023, 429]),
        ] {
            let picture = Pixels::new((1, 1), Layout::Rgb, colour.to_vec());
            let seen = [0, 1, 2].map(|plane| rows(&picture, Chroma::Full, plane, (1, 1))[0]);
            assert_eq!(seen, expected, "{colour:?}");
        }
        let grey = Pixels::new((3, 1), Layout::Grey, vec![0, 128, 255]);
        assert_eq!(rows(&grey, Chroma::None, 0, (3, 1)), [0, 514, 1023]);
    }

    #[test]
    fn four_pixels_share_their_chroma_and_fewer_at_odd_edges() {
        let (red, black) = ([255, 0, 0], [0, 0, 0]);
        let bytes = [red, black, red, black, black, black, red, red, red].concat();
        let picture = Pixels::new((3, 3), Layout::Rgb, bytes);
        // One of four, half, all, all.
        let expected = [640, 768, 1023, 1023];
        assert_eq!(rows(&picture, Chroma::Quarter, 2, (2, 2)), expected);
    }

    #[test]
    fn what_is_unseen_has_the_colour_of_what_is_seen() {
        let (width, height) = (40, 20);
        let seen = |index: usize| index % width < 8;
        let bytes: Vec<u8> = (0..width * height)
            .flat_map(|index| {
                if seen(index) {
                    [200, 100, 50, 255]
                } else {
                    [0, 255, 0, 0]
                }
            })
            .collect();
        let picture = Pixels::new((40, 20), Layout::Rgba, bytes);
        let samples = Samples::of(&picture);
        assert!(samples.is_translucent());
        assert!((0..40).all(|x| samples.pixel(x, 19) == [200, 100, 50]));
        let mut alpha = [0; 40];
        samples.alpha(3, &mut alpha);
        assert_eq!((alpha[7], alpha[8]), (1023, 0));
    }

    #[test]
    fn alpha_that_says_nothing_is_none() {
        let picture = Pixels::new((2, 1), Layout::Rgba, vec![1, 2, 3, 255, 4, 5, 6, 255]);
        assert!(!Samples::of(&picture).is_translucent());
        let clear = Pixels::new((2, 1), Layout::Rgba, vec![1, 2, 3, 0, 4, 5, 6, 0]);
        assert!(Samples::of(&clear).is_translucent());
    }
}
