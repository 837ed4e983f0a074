//! How alike two pictures look: structural similarity (Wang, Bovik, Sheikh, Simoncelli, 2004) of brightness. `[pure]`
//!
//! In windows of 8 × 8 pixels, four pixels apart, mean, variance and covariance are compared; 1 is the same. Eyes go where it is
//! worst: the measure is the mean over the worst quarter of all windows. Of a picture with alpha, brightness counts as far as it
//! is seen.
#![forbid(unsafe_code)]

use crate::convert::pixels::{Layout, Pixels};

/// Side of a window.
const WINDOW: usize = 8;
/// Distance between windows.
const STEP: usize = 4;
/// The two constants that keep flat windows from dividing by nothing: (0.01 × 255)² and (0.03 × 255)².
const FLAT: (f64, f64) = (6.5025, 58.5225);

/// The brightness of a picture, one byte a pixel.
pub(super) struct Brightness {
    width: usize,
    height: usize,
    values: Vec<u8>,
}

impl Brightness {
    pub(super) fn of(picture: &Pixels) -> Self {
        let luma =
            |pixel: &[u8]| (77 * u32::from(pixel[0]) + 150 * u32::from(pixel[1]) + 29 * u32::from(pixel[2])) >> 8;
        let values = match picture.layout {
            Layout::Grey => picture.bytes.clone(),
            Layout::Rgb => picture.bytes.chunks_exact(3).map(|pixel| luma(pixel) as u8).collect(),
            Layout::Rgba => {
                let seen = |pixel: &[u8]| (luma(pixel) * u32::from(pixel[3]) / 255) as u8;
                picture.bytes.chunks_exact(4).map(seen).collect()
            }
        };
        Self {
            width: picture.width as usize,
            height: picture.height as usize,
            values,
        }
    }
}

/// How alike two pictures of one size are, at most 1.
pub(super) fn of(one: &Brightness, other: &Brightness) -> f64 {
    if (one.width, one.height) != (other.width, other.height) {
        return 0.0;
    }
    let places = |edge: usize| (0..=edge.saturating_sub(WINDOW)).step_by(STEP);
    let mut all: Vec<f32> = places(one.height)
        .flat_map(|top| places(one.width).map(move |left| (left, top)))
        .map(|place| window(one, other, place) as f32)
        .collect();
    all.sort_unstable_by(f32::total_cmp);
    let worst = &all[..all.len().div_ceil(4)];
    worst.iter().copied().map(f64::from).sum::<f64>() / worst.len().max(1) as f64
}

fn window(one: &Brightness, other: &Brightness, (left, top): (usize, usize)) -> f64 {
    let (right, bottom) = ((left + WINDOW).min(one.width), (top + WINDOW).min(one.height));
    let [mut a, mut b, mut aa, mut bb, mut ab] = [0_u32; 5];
    for y in top..bottom {
        let row = y * one.width + left..y * one.width + right;
        for (&x, &y) in one.values[row.clone()].iter().zip(&other.values[row]) {
            let (x, y) = (u32::from(x), u32::from(y));
            a += x;
            b += y;
            aa += x * x;
            bb += y * y;
            ab += x * y;
        }
    }
    let count = ((right - left) * (bottom - top)) as f64;
    let mean = |sum: u32| f64::from(sum) / count;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (variance_a, variance_b) = (mean(aa) - mean_a * mean_a, mean(bb) - mean_b * mean_b);
    let covariance = mean(ab) - mean_a * mean_b;
    let means = (2.0 * mean_a * mean_b + FLAT.0) / (mean_a * mean_a + mean_b * mean_b + FLAT.0);
    means * (2.0 * covariance + FLAT.1) / (variance_a + variance_b + FLAT.1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grey(width: u32, values: Vec<u8>) -> Brightness {
        let height = values.len() as u32 / width;
        Brightness::of(&Pixels::new((width, height), Layout::Grey, values))
    }

    #[test]
    fn the_formula_is_that_of_the_paper() {
        // One window: 32 pixels of 100 and 32 of 140, against 110 and 130.
        let one = grey(8, [[100; 32], [140; 32]].concat());
        let other = grey(8, [[110; 32], [130; 32]].concat());
        let (variance_a, variance_b, covariance) = (400.0, 100.0, 200.0);
        let expected = (2.0 * covariance + 58.5225) / (variance_a + variance_b + 58.5225);
        assert!((of(&one, &other) - expected).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn the_same_is_one_and_nothing_is_more(
            one in proptest::collection::vec(any::<u8>(), 12 * 10), other in proptest::collection::vec(any::<u8>(), 12 * 10),
        ) {
            let (one, other) = (grey(12, one), grey(12, other));
            prop_assert!((of(&one, &one) - 1.0).abs() < 1e-6);
            prop_assert!(of(&one, &other) <= 1.0 + 1e-6);
            prop_assert!((of(&one, &other) - of(&other, &one)).abs() < 1e-6);
        }

        #[test]
        fn the_more_noise_the_less_alike(seed in proptest::collection::vec(-1i32..=1, 32 * 32)) {
            let picture = |noise: i32| {
                let ramp = (0..32 * 32).map(|index| 60 + (index % 32) * 4);
                grey(32, ramp.zip(&seed).map(|(value, sign)| (value + sign * noise) as u8).collect())
            };
            let alike = |noise| of(&picture(0), &picture(noise));
            prop_assert!(alike(4) >= alike(12) && alike(12) >= alike(36));
        }
    }
}
