//! How alike two pictures look to people: SSIMULACRA2 (Jon Sneyers, Cloudinary). `[pure]`
//!
//! It looks at both as eyes do, in XYB at six sizes, and asks for structure, for edges that were not there (blocks, ringing) and for edges
//! that are gone. 100 is the same; 90 cannot be told apart, 70 is of high quality, 50 of medium one. A picture with alpha is judged on a dark
//! ground and on a bright one, by the worse of both.
#![forbid(unsafe_code)]

use fast_ssim2::{PixelDescriptor, PixelSlice, Ssimulacra2Error, Ssimulacra2Reference};

use super::odd;
use crate::convert::Failure;
use crate::convert::pixels::{Layout, Pixels};
use crate::recipe::work::SAMPLE_SIDE;

/// A picture that others are compared with.
pub(super) struct Original(Ssimulacra2Reference);

impl Original {
    pub(super) fn of(picture: &Pixels) -> Result<Self, Failure> {
        let reference = Ssimulacra2Reference::new(&slice(picture)?).map_err(not_compared)?;
        Ok(Self(reference))
    }

    /// How alike a picture of the same size is, at most 100.
    pub(super) fn score(&self, other: &Pixels) -> Result<f64, Failure> {
        self.0.compare(&slice(other)?).map_err(not_compared)
    }
}

fn slice(picture: &Pixels) -> Result<PixelSlice<'_>, Failure> {
    let layout = match picture.layout {
        Layout::Grey => PixelDescriptor::GRAY8_SRGB,
        Layout::Rgb => PixelDescriptor::RGB8_SRGB,
        Layout::Rgba => PixelDescriptor::RGBA8_SRGB,
    };
    let (width, height) = (picture.width, picture.height);
    PixelSlice::new(&picture.bytes, width, height, picture.stride(), layout)
        .map_err(|problem| odd("SSIMULACRA2", format_args!("{problem:?}")))
}

fn not_compared(problem: Ssimulacra2Error) -> Failure {
    odd("SSIMULACRA2", problem)
}

/// Bytes that are held for the original, and while another is compared, that picture itself not counted: planes of 32 bits at all sizes.
/// Measured at 48 and 121 bytes a pixel, twice 48 and 177 with alpha; each edge is padded to 8 pixels.
pub(in crate::convert) fn holds(pixels: u64, alpha: bool) -> (u64, u64) {
    let (original, comparing) = if alpha { (97, 178) } else { (49, 122) };
    let pixels = pixels + 8 * u64::from(SAMPLE_SIDE);
    (pixels * original, pixels * comparing)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picture(width: u32, layout: Layout, bytes: Vec<u8>) -> Pixels {
        let height = (bytes.len() / layout.channels()) as u32 / width;
        Pixels::new((width, height), layout, bytes)
    }

    fn score(one: &Pixels, other: &Pixels) -> f64 {
        Original::of(one).unwrap().score(other).unwrap()
    }

    #[test]
    fn grey_is_judged_as_the_same_grey_in_three_channels() {
        let grey: Vec<u8> = (0..32 * 32).map(|index| (index * 7 % 200) as u8).collect();
        let worse: Vec<u8> = grey.iter().map(|value| value / 8 * 8).collect();
        let coloured = |grey: &[u8]| picture(32, Layout::Rgb, grey.iter().flat_map(|&value| [value; 3]).collect());
        let original = picture(32, Layout::Grey, grey.clone());
        let same = score(&original, &coloured(&grey));
        let seen = score(&original, &coloured(&worse));
        assert!((same - 100.0).abs() < 1e-6 && seen < 99.0, "{same} {seen}");
        assert!((seen - score(&original, &picture(32, Layout::Grey, worse))).abs() < 1e-6);
    }

    #[test]
    fn colours_that_nobody_sees_do_not_count() {
        let painted = |colour: u8, alpha: u8| {
            let pixel = |index: u32| {
                [
                    (index % 251) as u8,
                    colour,
                    90,
                    if index.is_multiple_of(3) { alpha } else { 255 },
                ]
            };
            picture(16, Layout::Rgba, (0..16 * 16).flat_map(pixel).collect())
        };
        // One third of the pixels are changed in the second case, the visible ones.
        let hidden = |colour| {
            let mut pixels = painted(10, 0);
            for pixel in pixels.bytes.chunks_exact_mut(4).filter(|pixel| pixel[3] == 0) {
                pixel[1] = colour;
            }
            pixels
        };
        assert!((score(&hidden(10), &hidden(240)) - 100.0).abs() < 1e-6);
        assert!(score(&painted(10, 0), &painted(240, 0)) < 50.0);
    }

    #[test]
    fn pictures_of_two_sizes_are_an_error_and_not_a_panic() {
        let (one, other) = (
            picture(9, Layout::Grey, vec![7; 81]),
            picture(9, Layout::Grey, vec![7; 90]),
        );
        assert!(Original::of(&one).unwrap().score(&other).is_err());
    }

    proptest! {
        #[test]
        fn the_same_is_a_hundred_whatever_its_size(
            (width, height) in (1u32..20, 1u32..20), seed in any::<u8>(),
        ) {
            let bytes = (0..width * height * 3).map(|index| (index as u8).wrapping_mul(31) ^ seed).collect();
            let one = picture(width, Layout::Rgb, bytes);
            prop_assert!((score(&one, &one) - 100.0).abs() < 1e-6);
        }

        #[test]
        fn the_more_noise_the_less_alike(seed in proptest::collection::vec(-1i32..=1, 32 * 32)) {
            let noisy = |noise: i32| {
                let ramp = (0..32 * 32).map(|index| 60 + (index % 32) * 4);
                picture(32, Layout::Grey, ramp.zip(&seed).map(|(value, sign)| (value + sign * noise) as u8).collect())
            };
            let original = Original::of(&noisy(0)).unwrap();
            let alike = |noise| original.score(&noisy(noise)).unwrap();
            prop_assert!(alike(4) >= alike(12) && alike(12) >= alike(36));
        }
    }
}
