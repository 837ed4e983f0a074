//! The most frequent colour: of 4,096 equal parts of the colour cube, the mean of the fullest one. `[pure]`
#![forbid(unsafe_code)]

use crate::convert::pixels::Pixels;
use crate::recipe::Colour;

/// Parts of each side of the cube, as bits.
const BITS: u32 = 4;

/// Of a picture with four channels; pixels count as far as they are opaque. White where none is.
pub(super) fn of(picture: &Pixels) -> Colour {
    // Sums of red, green and blue, each times alpha, and of alpha.
    let mut parts = vec![[0_u64; 4]; 1 << (3 * BITS)];
    let (pixels, _) = picture.bytes.as_chunks::<4>();
    for &[r, g, b, alpha] in pixels {
        let index = [r, g, b]
            .into_iter()
            .fold(0, |index, value| index << BITS | usize::from(value >> (8 - BITS)));
        let weighed = [r, g, b, 1].map(|value| u64::from(value) * u64::from(alpha));
        for (sum, value) in parts[index].iter_mut().zip(weighed) {
            *sum += value;
        }
    }
    // Of parts that are equally full, the first: the darkest.
    let fullest = parts.iter().rev().max_by_key(|sums| sums[3]);
    match fullest {
        Some(&[r, g, b, weight @ 1..=u64::MAX]) => Colour::opaque([r, g, b].map(|sum| (sum / weight) as u8)),
        _ => Colour::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::pixels::Layout;

    fn dominant(pixels: &[[u8; 4]]) -> String {
        let picture = Pixels::new((pixels.len() as u32, 1), Layout::Rgba, pixels.concat());
        of(&picture).to_string()
    }

    #[test]
    fn the_colour_that_most_pixels_have() {
        let (red, blue) = ([200, 30, 20, 255], [20, 30, 200, 255]);
        assert_eq!(dominant(&[red, blue, red]), "#c81e14");
        // Two shades of one colour win against one of another, and their mean is told.
        assert_eq!(dominant(&[[100, 0, 0, 255], [104, 0, 0, 255], blue]), "#660000");
    }

    #[test]
    fn what_is_not_seen_does_not_count() {
        assert_eq!(dominant(&[[9, 9, 9, 10], [9, 9, 9, 10], [200, 30, 20, 255]]), "#c81e14");
        assert_eq!(dominant(&[[9, 9, 9, 0]]), "#ffffff");
    }
}
