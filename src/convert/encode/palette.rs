//! A picture as indices into a list of its colours. `[pure]`
//!
//! In: pixels of four channels, and how many colours there may be. Out: the colours, and an index for each pixel. A picture with no
//! more colours is exact; of one with more, a neural network (NeuQuant) learns which colours stand for all, from a sample of bounded
//! size, so that the time follows the pixels. Colours that nobody can see, under an alpha of 0, are one colour.
//!
//! Absent on purpose: dithering. Graphics stay clean, they compress better, and what does not move in an animation does not flicker.
#![forbid(unsafe_code)]

use color_quant::NeuQuant;

use crate::convert::pixels::{Layout, Pixels};

/// Most colours of a palette.
pub(super) const MOST: usize = 256;
/// Most pixels that the network learns from.
const SAMPLE: usize = 1 << 17;
/// The share of them that it learns from: one of so many, 1 to 30.
const SHARE: i32 = 10;
/// Slots of the table of colours seen; a power of two, four times as many as colours.
const SLOTS: usize = 1024;
/// Slots of the table of colours that were looked up; a power of two.
const KNOWN: usize = 4096;

/// Bytes that are held beside the indices while a palette is made.
pub(in crate::convert) const SCRATCH: u64 = (SAMPLE * 4 + KNOWN * 8 + (64 << 10)) as u64;

/// A picture of few colours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Indexed {
    /// Red, green, blue, alpha; 1 to [`MOST`] of them, and none but where there is no pixel.
    pub(super) colours: Vec<[u8; 4]>,
    /// One for each pixel, row by row.
    pub(super) indices: Vec<u8>,
}

/// Indexes a picture with at most [`MOST`] colours.
pub(super) fn of(picture: &Pixels) -> Indexed {
    match picture.layout {
        Layout::Grey => index(picture.bytes.iter().map(|&grey| [grey, grey, grey, 255]), MOST),
        Layout::Rgb => {
            let (pixels, _) = picture.bytes.as_chunks::<3>();
            index(pixels.iter().map(|&[r, g, b]| [r, g, b, 255]), MOST)
        }
        Layout::Rgba => {
            let (pixels, _) = picture.bytes.as_chunks::<4>();
            index(pixels.iter().copied(), MOST)
        }
    }
}

/// Indexes pixels with at most `most` colours, 64 to [`MOST`].
pub(super) fn index(pixels: impl ExactSizeIterator<Item = [u8; 4]> + Clone, most: usize) -> Indexed {
    let pixels = pixels.map(|pixel| if pixel[3] == 0 { [0; 4] } else { pixel });
    exactly(pixels.clone(), most).unwrap_or_else(|| nearly(pixels, most))
}

/// Every colour as it is, where there are few.
pub(super) fn exactly(pixels: impl ExactSizeIterator<Item = [u8; 4]>, most: usize) -> Option<Indexed> {
    let mut indices = Vec::with_capacity(pixels.len());
    let mut colours: Vec<[u8; 4]> = Vec::with_capacity(most);
    let mut slots = [None::<u8>; SLOTS];
    let mut last = None;
    for pixel in pixels {
        if let Some((colour, index)) = last
            && colour == pixel
        {
            indices.push(index);
            continue;
        }
        let mut slot = slot(pixel, SLOTS);
        let index = loop {
            match slots[slot] {
                Some(index) if colours[usize::from(index)] == pixel => break index,
                Some(_) => slot = (slot + 1) % SLOTS,
                None if colours.len() == most => return None,
                None => {
                    let index = colours.len() as u8;
                    slots[slot] = Some(index);
                    colours.push(pixel);
                    break index;
                }
            }
        };
        last = Some((pixel, index));
        indices.push(index);
    }
    Some(Indexed { colours, indices })
}

/// The nearest of colours that were learnt. Full transparency has an index of its own, and what is opaque throughout stays so.
pub(super) fn nearly(pixels: impl ExactSizeIterator<Item = [u8; 4]> + Clone, most: usize) -> Indexed {
    let clear = pixels.clone().any(|[.., alpha]| alpha == 0);
    let opaque = pixels.clone().all(|[.., alpha]| alpha == 255 || alpha == 0);
    let learnt = if clear { most - 1 } else { most };
    // An odd step does not walk down the columns of a picture with an even width.
    let step = pixels.len().div_ceil(SAMPLE) | 1;
    let seen = pixels.clone().step_by(step).filter(|[.., alpha]| *alpha != 0);
    let mut sample = Vec::with_capacity(pixels.len().div_ceil(step) * 4);
    seen.for_each(|pixel| sample.extend_from_slice(&pixel));
    if sample.is_empty() {
        sample.extend(pixels.clone().find(|[.., alpha]| *alpha != 0).unwrap_or_default());
    }
    // Of a small sample all is learnt.
    let share = (sample.len() / 4 / 4096).clamp(1, SHARE as usize) as i32;
    let network = NeuQuant::new(share, learnt, &sample);
    drop(sample);

    let mut colours: Vec<[u8; 4]> = (0..learnt).filter_map(|index| network.lookup(index)).collect();
    for [.., alpha] in &mut colours {
        *alpha = if opaque || *alpha > 250 { 255 } else { (*alpha).max(1) };
    }
    if clear {
        colours.push([0; 4]);
    }
    let mut known = vec![None::<([u8; 4], u8)>; KNOWN];
    let find = |pixel: [u8; 4]| {
        if pixel[3] == 0 {
            return learnt as u8;
        }
        let place = &mut known[slot(pixel, KNOWN)];
        match place {
            Some((colour, index)) if *colour == pixel => *index,
            _ => {
                let index = network.index_of(&pixel) as u8;
                *place = Some((pixel, index));
                index
            }
        }
    };
    let mut indices = Vec::with_capacity(pixels.len());
    indices.extend(pixels.map(find));
    Indexed { colours, indices }
}

/// Where a table of so many slots, a power of two, looks for a colour first.
fn slot(pixel: [u8; 4], slots: usize) -> usize {
    let mixed = u32::from_le_bytes(pixel).wrapping_mul(0x9e37_79b1);
    (mixed >> 16) as usize & (slots - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(indexed: &Indexed) -> Vec<[u8; 4]> {
        let colour = |&index: &u8| indexed.colours[usize::from(index)];
        indexed.indices.iter().map(colour).collect()
    }

    /// Each pixel another colour.
    fn many(count: u32, alpha: impl Fn(u32) -> u8) -> Vec<[u8; 4]> {
        let colour = |index: u32| {
            let [a, b, c, _] = index.wrapping_mul(0x9e37_79b1).to_le_bytes();
            [a, b, c, alpha(index)]
        };
        (0..count).map(colour).collect()
    }

    #[test]
    fn one_colour_too_many_is_not_exact_and_still_near() {
        let ramp = |colours: u32| -> Vec<[u8; 4]> {
            (0..colours * 20)
                .map(|index| index % colours)
                .map(|index| [index.min(255) as u8, (index / 256 * 200) as u8, 90, 255])
                .collect()
        };
        let exact = ramp(256);
        assert_eq!(shown(&index(exact.iter().copied(), MOST)), exact);
        let more = ramp(300);
        let near = index(more.iter().copied(), MOST);
        assert_eq!(near.colours.len(), MOST);
        let off = |(seen, wanted): (&[u8; 4], &[u8; 4])| {
            seen.iter()
                .zip(wanted)
                .map(|(a, b)| u32::from(a.abs_diff(*b)))
                .sum::<u32>()
        };
        let total: u32 = shown(&near).iter().zip(&more).map(off).sum();
        assert!(total / (more.len() as u32) < 12, "{total} over {} pixels", more.len());
    }

    #[test]
    fn what_is_opaque_stays_opaque_and_what_is_clear_clear() {
        for alpha in [
            (|_| 255) as fn(u32) -> u8,
            |index| if index % 3 == 0 { 0 } else { 255 },
            |index| [0, 128, 255][index as usize % 3],
        ] {
            let pixels = many(5000, alpha);
            let seen = shown(&index(pixels.iter().copied(), MOST));
            for (seen, pixel) in seen.iter().zip(&pixels) {
                assert_eq!(seen[3] == 0, pixel[3] == 0, "{seen:?} for {pixel:?}");
            }
            if pixels.iter().all(|pixel| pixel[3] != 128) {
                assert!(seen.iter().all(|seen| matches!(seen[3], 0 | 255)));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// However the pixels lie: few colours are exact, but for those that nobody sees.
        #[test]
        fn few_colours_are_exact(
            colours in proptest::collection::vec(any::<[u8; 4]>(), 1..200),
            picks in proptest::collection::vec(any::<proptest::sample::Index>(), 0..2000),
        ) {
            let pixels: Vec<[u8; 4]> = picks.iter().map(|pick| *pick.get(&colours)).collect();
            let seen = shown(&index(pixels.iter().copied(), MOST));
            let expected: Vec<_> = pixels.iter().map(|&pixel| if pixel[3] == 0 { [0; 4] } else { pixel }).collect();
            prop_assert_eq!(seen, expected);
        }

        /// Whatever there is of them, each pixel gets an index of a colour.
        #[test]
        fn many_colours_have_an_index_each(pixels in proptest::collection::vec(any::<[u8; 4]>(), 257..1500), most in 64usize..=256) {
            let indexed = index(pixels.iter().copied(), most);
            prop_assert_eq!(indexed.indices.len(), pixels.len());
            prop_assert!(indexed.colours.len() <= most);
            prop_assert!(indexed.indices.iter().all(|&index| usize::from(index) < indexed.colours.len()));
        }
    }
}
