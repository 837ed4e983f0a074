//! Gaussian blur, for previews and backgrounds: the same cost per pixel however wide. `[pure]`
//!
//! Three box filters in a row are a Gaussian to within 3 %; boxes of a fractional width (Gwosdek et al., "Theoretical foundations
//! of Gaussian convolution by extended box filtering", 2011) make it exactly as wide as asked. Sixteen lines are worked on at
//! once, in whole numbers with six bits after the point; beyond its edges the picture goes on with its last pixel.
#![forbid(unsafe_code)]

use crate::convert::pixels::{Layout, Pixels};
use crate::recipe::Hundredths;

/// Lines side by side.
const LANES: usize = 16;
/// Bits after the point.
const FRACTION: u32 = 6;
/// Kernel filters in a row.
const PASSES: usize = 3;

/// One sample of each line.
type Samples = [i32; LANES];

/// What blurring holds beside a picture with this longest edge, in bytes: the lines in work, twice.
pub(in crate::convert) fn scratch(longest_edge: u32) -> u64 {
    u64::from(longest_edge) * 2 * size_of::<Samples>() as u64
}

/// Blurs in place, `sigma` in pixels. Transparent pixels lend nothing of their colour to others.
pub(super) fn blur(picture: &mut Pixels, sigma: Hundredths) {
    let kernel = Kernel::of(sigma.value());
    let alpha = picture.layout == Layout::Rgba;
    if alpha {
        picture.premultiply();
    }
    let longest = picture.width.max(picture.height) as usize;
    let mut lines = vec![[0; LANES]; longest];
    let mut other = lines.clone();
    rows(picture, &kernel, &mut lines, &mut other);
    columns(picture, &kernel, &mut lines, &mut other);
    if alpha {
        picture.unmultiply();
    }
}

fn rows(picture: &mut Pixels, kernel: &Kernel, lines: &mut [Samples], other: &mut [Samples]) {
    let (width, stride, channels) = (picture.width as usize, picture.stride(), picture.layout.channels());
    for block in picture.bytes.chunks_mut(stride * LANES) {
        for channel in 0..channels {
            for (lane, row) in block.chunks_exact(stride).enumerate() {
                let samples = row[channel..].iter().step_by(channels);
                lines
                    .iter_mut()
                    .zip(samples)
                    .for_each(|(line, &sample)| line[lane] = i32::from(sample) << FRACTION);
            }
            kernel.smooth(&mut lines[..width], &mut other[..width]);
            for (lane, row) in block.chunks_exact_mut(stride).enumerate() {
                let samples = row[channel..].iter_mut().step_by(channels);
                lines
                    .iter()
                    .zip(samples)
                    .for_each(|(line, sample)| *sample = rounded(line[lane]));
            }
        }
    }
}

fn columns(picture: &mut Pixels, kernel: &Kernel, lines: &mut [Samples], other: &mut [Samples]) {
    let (height, stride) = (picture.height as usize, picture.stride());
    for left in (0..stride).step_by(LANES) {
        let right = stride.min(left + LANES);
        for (line, row) in lines.iter_mut().zip(picture.bytes.chunks_exact(stride)) {
            line.iter_mut()
                .zip(&row[left..right])
                .for_each(|(lane, &sample)| *lane = i32::from(sample) << FRACTION);
        }
        kernel.smooth(&mut lines[..height], &mut other[..height]);
        for (line, row) in lines.iter().zip(picture.bytes.chunks_exact_mut(stride)) {
            row[left..right]
                .iter_mut()
                .zip(line)
                .for_each(|(sample, &lane)| *sample = rounded(lane));
        }
    }
}

fn rounded(value: i32) -> u8 {
    ((value + (1 << (FRACTION - 1))) >> FRACTION).clamp(0, 255) as u8
}

/// A box of `2 × radius + 1` samples, and one more at each end that counts in part.
struct Kernel {
    radius: usize,
    /// Weight of the two at the ends, in 256ths.
    rim: i32,
    /// One over the sum of all weights, in 256ths.
    inverse: f32,
}

impl Kernel {
    /// The box that, run [`PASSES`] times, spreads by `sigma`.
    fn of(sigma: f64) -> Self {
        let variance = sigma * sigma / PASSES as f64;
        let radius = ((12.0 * variance + 1.0).sqrt() - 1.0) / 2.0;
        let radius = radius.floor().max(0.0);
        let rim = (2.0 * radius + 1.0) * (radius * (radius + 1.0) - 3.0 * variance)
            / (6.0 * (variance - (radius + 1.0) * (radius + 1.0)));
        let rim = (rim * 256.0).round().clamp(0.0, 256.0);
        Self {
            radius: radius as usize,
            rim: rim as i32,
            inverse: (1.0 / ((2.0 * radius + 1.0) * 256.0 + 2.0 * rim)) as f32,
        }
    }

    /// Smooths lines, all passes; the result is in `lines` again.
    fn smooth(&self, lines: &mut [Samples], other: &mut [Samples]) {
        self.pass(lines, other);
        self.pass(other, lines);
        self.pass(lines, other);
        lines.copy_from_slice(other);
    }

    fn pass(&self, from: &[Samples], to: &mut [Samples]) {
        let Some(last) = from.len().checked_sub(1) else { return };
        let radius = self.radius;
        let before = |at: usize, back: usize| &from[at.saturating_sub(back).min(last)];
        let mut sum = [0; LANES];
        add(&mut sum, &from[0], radius as i32);
        (0..=radius).for_each(|at| add(&mut sum, &from[at.min(last)], 1));
        for (at, to) in to.iter_mut().enumerate() {
            let (gone, come) = (before(at, radius + 1), before(at + radius + 1, 0));
            for lane in 0..LANES {
                let weighed = (sum[lane] << 8) + self.rim * (gone[lane] + come[lane]);
                to[lane] = (weighed as f32 * self.inverse + 0.5) as i32;
            }
            let leaves = before(at, radius);
            for lane in 0..LANES {
                sum[lane] += come[lane] - leaves[lane];
            }
        }
    }
}

fn add(sum: &mut Samples, samples: &Samples, times: i32) {
    sum.iter_mut()
        .zip(samples)
        .for_each(|(sum, sample)| *sum += sample * times);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A grey picture, blurred.
    fn blurred(width: u32, height: u32, hundredths: u32, pixel: impl Fn(u32, u32) -> u8) -> Vec<u8> {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let bytes = places.map(|(x, y)| pixel(x, y)).collect();
        let mut picture = Pixels::new((width, height), Layout::Grey, bytes);
        blur(&mut picture, Hundredths(hundredths));
        picture.bytes
    }

    /// Standard deviation of a row of weights.
    fn spread(weights: &[f64]) -> f64 {
        let sum: f64 = weights.iter().sum();
        let moment = |power: i32| {
            weights
                .iter()
                .zip(0..)
                .map(|(weight, x)| weight * f64::from(x).powi(power))
                .sum::<f64>()
                / sum
        };
        (moment(2) - moment(1) * moment(1)).sqrt()
    }

    #[test]
    fn an_edge_is_spread_as_a_gaussian_spreads_it() {
        for (sigma, tolerance) in [(0.5, 0.06), (1.0, 0.05), (3.0, 0.1), (10.0, 0.3), (40.0, 1.0)] {
            let row = blurred(401, 3, (sigma * 100.0) as u32, |x, _| if x < 200 { 0 } else { 255 });
            // The slope of a blurred edge is the kernel.
            let slope: Vec<f64> = row[401..802]
                .windows(2)
                .map(|pair| f64::from(pair[1]) - f64::from(pair[0]))
                .collect();
            assert!(slope.iter().all(|&step| step >= 0.0), "sigma {sigma}");
            assert!(
                (spread(&slope) - sigma).abs() < tolerance,
                "sigma {sigma}: {}",
                spread(&slope)
            );
        }
    }

    #[test]
    fn both_ways_are_blurred_alike() {
        let dot = blurred(41, 41, 400, |x, y| if (x, y) == (20, 20) { 255 } else { 0 });
        let wide = blurred(41, 41, 400, |x, _| if x == 20 { 255 } else { 0 });
        let tall = blurred(41, 41, 400, |_, y| if y == 20 { 255 } else { 0 });
        for (x, y) in (0..41).flat_map(|x| (0..41).map(move |y| (x, y))) {
            assert!(wide[y * 41 + x].abs_diff(tall[x * 41 + y]) <= 1);
            assert!(dot[y * 41 + x].abs_diff(dot[x * 41 + y]) <= 1);
        }
    }

    #[test]
    fn transparent_colours_do_not_bleed() {
        let row: Vec<u8> = (0..32)
            .flat_map(|x| if x < 16 { [255, 0, 0, 255] } else { [0, 255, 0, 0] })
            .collect();
        let mut picture = Pixels::new((32, 8), Layout::Rgba, row.repeat(8));
        blur(&mut picture, Hundredths(300));
        let seam = &picture.bytes[4 * 15..4 * 18];
        assert!(
            seam.chunks(4)
                .all(|pixel| pixel[1] < 3 && (60..200).contains(&pixel[3])),
            "{seam:?}"
        );
    }

    proptest! {
        #[test]
        fn no_picture_is_too_small_and_nothing_plain_changes(
            width in 1u32..40, height in 1u32..40, hundredths in 30u32..=10_000, value: u8,
            layout in proptest::sample::select(vec![Layout::Grey, Layout::Rgb]),
        ) {
            let plain = vec![value; (width * height) as usize * layout.channels()];
            let mut picture = Pixels::new((width, height), layout, plain.clone());
            blur(&mut picture, Hundredths(hundredths));
            prop_assert_eq!(picture.bytes, plain);
        }

        #[test]
        fn a_blur_invents_no_values(pixels in proptest::collection::vec(any::<u8>(), 64), hundredths in 30u32..=10_000) {
            let (low, high) = (pixels.iter().min().copied(), pixels.iter().max().copied());
            let mut picture = Pixels::new((8, 8), Layout::Grey, pixels);
            blur(&mut picture, Hundredths(hundredths));
            prop_assert!(picture.bytes.iter().min().copied() >= low && picture.bytes.iter().max().copied() <= high);
        }
    }
}
