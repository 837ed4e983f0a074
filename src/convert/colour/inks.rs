//! Four inks to light, in place, as they come from a decoder.
#![forbid(unsafe_code)]

use std::sync::Arc;

use moxcms::Transform8BitExecutor;

/// Pixels that are converted at a time.
const BLOCK: usize = 4096;

/// How four samples of a pixel stand for inks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::convert) enum Inks {
    /// 255 is full ink.
    Full,
    /// 255 is bare paper: as Adobe's programs write JPEG.
    Inverted,
}

/// Converts pixels of four inks to pixels of three channels, in place; by `transform` where there is one, else as if inks were filters.
pub(super) fn paint(mut bytes: Vec<u8>, inks: Inks, transform: Option<&Arc<Transform8BitExecutor>>) -> Vec<u8> {
    let count = bytes.len() / 4;
    let mut block = vec![0; BLOCK * 4];
    for start in (0..count).step_by(BLOCK) {
        let pixels = (count - start).min(BLOCK);
        let block = &mut block[..pixels * 4];
        block.copy_from_slice(&bytes[start * 4..(start + pixels) * 4]);
        block.chunks_exact_mut(4).for_each(|pixel| full(pixel, inks));
        let light = &mut bytes[start * 3..(start + pixels) * 3];
        match transform {
            Some(transform) => {
                let done = transform.transform(block, light);
                debug_assert!(done.is_ok(), "whole pixels, as many out as in");
            }
            None => filter(block, light),
        }
    }
    bytes.truncate(count * 3);
    bytes.shrink_to_fit();
    bytes
}

/// The same pixel with 255 for full ink.
fn full(pixel: &mut [u8], inks: Inks) {
    match inks {
        Inks::Full => {}
        Inks::Inverted => pixel.iter_mut().for_each(|ink| *ink = 255 - *ink),
    }
}

fn filter(inks: &[u8], light: &mut [u8]) {
    for (ink, light) in inks.chunks_exact(4).zip(light.chunks_exact_mut(3)) {
        let paper = u32::from(255 - ink[3]);
        for (light, ink) in light.iter_mut().zip(ink) {
            *light = ((u32::from(255 - ink) * paper + 127) / 255) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inks_filter_light_however_they_are_stored() {
        let pixels = [
            [0, 255, 255, 0],
            [255, 0, 0, 0],
            [0, 0, 0, 255],
            [0, 0, 0, 0],
            [0, 128, 0, 128],
        ];
        let expected = [[255, 0, 0], [0, 255, 255], [0, 0, 0], [255; 3], [127, 63, 127]];
        let inverted: Vec<u8> = pixels.concat().iter().map(|ink| 255 - ink).collect();
        assert_eq!(paint(pixels.concat(), Inks::Full, None), expected.concat());
        assert_eq!(paint(inverted, Inks::Inverted, None), expected.concat());
    }

    #[test]
    fn blocks_join() {
        let many = [10, 20, 30, 40].repeat(BLOCK * 2 + 7);
        let one = paint(vec![10, 20, 30, 40], Inks::Full, None);
        assert_eq!(paint(many, Inks::Full, None), one.repeat(BLOCK * 2 + 7));
    }
}
