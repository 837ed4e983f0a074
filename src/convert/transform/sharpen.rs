//! Sharpening after resizing: an unsharp mask on brightness, so that no edge gets a coloured fringe. `[pure]`
//!
//! What a pixel is brighter than its neighbourhood (a Gaussian of 0.8 px), less one level so that noise stays, times the
//! amount, is added to all of its colours. Transparent pixels are no neighbours. Five rows are held beside the picture.
#![forbid(unsafe_code)]

use crate::convert::pixels::{Layout, Pixels};
use crate::recipe::Hundredths;

/// The Gaussian, in 256ths, from its middle.
const KERNEL: [u32; 3] = [128, 58, 6];
/// Rows at a time.
const ROWS: usize = 2 * KERNEL.len() - 1;
/// Differences are counted in sixteenths of a level; this much of them is left to noise.
const NOISE: i32 = 16;

/// What sharpening holds beside a picture of this width, in bytes.
pub(in crate::convert) fn scratch(width: u32) -> u64 {
    u64::from(width) * (ROWS as u64 + 1) * size_of::<(u32, u32)>() as u64
}

/// Sharpens in place; 1 adds what differs once.
pub(super) fn sharpen(picture: &mut Pixels, amount: Hundredths) {
    match picture.layout {
        Layout::Grey => run::<1>(picture, amount),
        Layout::Rgb => run::<3>(picture, amount),
        Layout::Rgba => run::<4>(picture, amount),
    }
}

/// Brightness (BT.601, 0 to 255) and weight of a pixel; without alpha all weigh alike.
fn seen<const CHANNELS: usize>(pixel: &[u8; CHANNELS]) -> (u32, u32) {
    let channel = |index: usize| u32::from(pixel[index]);
    match CHANNELS {
        1 => (channel(0), 255),
        3 => ((77 * channel(0) + 150 * channel(1) + 29 * channel(2)) >> 8, 255),
        _ => ((77 * channel(0) + 150 * channel(1) + 29 * channel(2)) >> 8, channel(3)),
    }
}

fn run<const CHANNELS: usize>(picture: &mut Pixels, amount: Hundredths) {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let (pixels, _) = picture.bytes.as_chunks_mut::<CHANNELS>();
    let mut plain = vec![(0, 0); width];
    // Rows of the picture as it was, smoothed across: sums of weighed brightness, and of weights.
    let mut smoothed = vec![vec![(0_u32, 0_u32); width]; ROWS];
    let mut next = 0;
    for y in 0..height {
        while next < height && next < y + KERNEL.len() {
            let row = &pixels[next * width..(next + 1) * width];
            plain.iter_mut().zip(row).for_each(|(sum, pixel)| {
                let (brightness, weight) = seen(pixel);
                *sum = (brightness * weight, weight);
            });
            across(&plain, &mut smoothed[next % ROWS]);
            next += 1;
        }
        let near = |off: usize, up: bool| {
            let row = if up {
                y.saturating_sub(off)
            } else {
                (y + off).min(height - 1)
            };
            smoothed[row % ROWS].as_slice()
        };
        let rows = [
            near(2, true),
            near(1, true),
            near(0, true),
            near(1, false),
            near(2, false),
        ];
        for (x, pixel) in pixels[y * width..(y + 1) * width].iter_mut().enumerate() {
            let (sum, weight) = down(&rows, x);
            let (brightness, own) = seen(pixel);
            if own == 0 || weight == 0 {
                continue;
            }
            let around = (u64::from(sum) * 16 / u64::from(weight)) as i32;
            let differs = (brightness * 16) as i32 - around;
            let beyond = differs.signum() * (differs.abs() - NOISE).max(0);
            let added = beyond * amount.0 as i32 / 1600;
            let colours = if CHANNELS == 4 { 3 } else { CHANNELS };
            for colour in &mut pixel[..colours] {
                *colour = (i32::from(*colour) + added).clamp(0, 255) as u8;
            }
        }
    }
}

/// Smooths a row; beyond its ends it goes on with its last pixel.
fn across(row: &[(u32, u32)], to: &mut [(u32, u32)]) {
    let last = row.len().saturating_sub(1);
    for (x, to) in to.iter_mut().enumerate() {
        let pairs = [
            (row[x], KERNEL[0]),
            (row[x.saturating_sub(1)], KERNEL[1]),
            (row[(x + 1).min(last)], KERNEL[1]),
            (row[x.saturating_sub(2)], KERNEL[2]),
            (row[(x + 2).min(last)], KERNEL[2]),
        ];
        *to = weighed(pairs);
    }
}

fn down(rows: &[&[(u32, u32)]; ROWS], x: usize) -> (u32, u32) {
    let weights = [KERNEL[2], KERNEL[1], KERNEL[0], KERNEL[1], KERNEL[2]];
    weighed([0, 1, 2, 3, 4].map(|row: usize| (rows[row][x], weights[row])))
}

/// At most 255 × 255 × 256 × 256, which 32 bits hold.
fn weighed(pairs: [((u32, u32), u32); ROWS]) -> (u32, u32) {
    pairs.iter().fold((0, 0), |(sum, weight), ((value, own), by)| {
        (sum + value * by, weight + own * by)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A soft edge, from dark to bright within four pixels.
    fn edge() -> Pixels {
        let row: Vec<u8> = (0..32)
            .flat_map(|x| [[60, 50, 40], [110, 100, 90], [160, 150, 140]][(x / 2_usize).saturating_sub(7).min(2)])
            .collect();
        Pixels::new((32, 8), Layout::Rgb, row.repeat(8))
    }

    fn steepest(picture: &Pixels) -> i32 {
        let row = &picture.bytes[4 * picture.stride()..5 * picture.stride()];
        let steps = row.chunks(3).zip(row.chunks(3).skip(1));
        steps
            .map(|(one, other)| i32::from(other[1]) - i32::from(one[1]))
            .max()
            .unwrap()
    }

    #[test]
    fn the_more_the_steeper() {
        let mut before = steepest(&edge());
        for amount in [50, 100, 200] {
            let mut picture = edge();
            sharpen(&mut picture, Hundredths(amount));
            let now = steepest(&picture);
            assert!(now > before, "amount {amount}: {now} after {before}");
            before = now;
        }
    }

    #[test]
    fn colours_keep_their_distance() {
        let mut picture = edge();
        sharpen(&mut picture, Hundredths(100));
        for pixel in picture.bytes.chunks(3) {
            assert_eq!((pixel[0] - pixel[1], pixel[1] - pixel[2]), (10, 10), "{pixel:?}");
        }
    }

    #[test]
    fn what_is_not_seen_sharpens_nothing() {
        // Opaque grey beside transparent white: no rim.
        let row: Vec<u8> = (0..16)
            .flat_map(|x| if x < 8 { [90, 90, 90, 255] } else { [255, 255, 255, 0] })
            .collect();
        let before = Pixels::new((16, 6), Layout::Rgba, row.repeat(6));
        let mut after = before.clone();
        sharpen(&mut after, Hundredths(1000));
        assert_eq!(after.bytes, before.bytes);
    }

    proptest! {
        #[test]
        fn rows_do_not_depend_on_those_already_sharpened(
            bytes in proptest::collection::vec(any::<u8>(), 9 * 7), amount in 1u32..=1000,
        ) {
            // A picture upside down is sharpened to the same, upside down.
            let turned: Vec<u8> = bytes.chunks(9).rev().flatten().copied().collect();
            let mut one = Pixels::new((9, 7), Layout::Grey, bytes);
            let mut other = Pixels::new((9, 7), Layout::Grey, turned);
            sharpen(&mut one, Hundredths(amount));
            sharpen(&mut other, Hundredths(amount));
            let back: Vec<u8> = other.bytes.chunks(9).rev().flatten().copied().collect();
            prop_assert_eq!(one.bytes, back);
        }

        #[test]
        fn nothing_plain_changes(width in 1u32..9, height in 1u32..9, value: u8) {
            let plain = vec![value; (width * height) as usize];
            let mut picture = Pixels::new((width, height), Layout::Grey, plain.clone());
            sharpen(&mut picture, Hundredths(1000));
            prop_assert_eq!(picture.bytes, plain);
        }
    }
}
