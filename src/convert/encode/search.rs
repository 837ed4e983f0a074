//! The quality that fits: the highest within `max_bytes`, the lowest that still looks as it should.
//!
//! Both are searches by halves with few steps, and what they may take is in the CPU grant (`recipe/work.rs`) and in the memory
//! estimate. Encodings are buffered here; what is over is counted, and not kept.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::io::{self, Write};

use super::likeness::Original;
use super::{Order, write};
use crate::convert::colour::Source;
use crate::convert::pixels::Pixels;
use crate::convert::preflight::Truncated;
use crate::convert::scale::Scale;
use crate::convert::{Failure, decode, metadata, preflight};
use crate::recipe::work::SAMPLE_SIDE as SIDE;
use crate::recipe::{LOWEST, quality};
use crate::sandbox::limits::Limits;
use crate::verdict::{Reason, Refusal};

/// How alike a picture and its encoding must be, see [`likeness`](super::likeness): a little less than photographs of usual detail have as JPEG of quality
/// 80, so that all together take about as many bytes.
const ALIKE: f64 = 76.0;
/// What a picture that never gets there may fall short of the best that was seen: more bytes would hardly be noticed.
const NEARLY: f64 = 1.0;
/// How near the quality is found.
const NEAR: u8 = 2;
/// Tiles along a side of the sample.
const TILES: u32 = 3;

/// Most bytes that are kept of an encoding of so many pixels. No codec takes more for noise; what does, does not fit.
pub(in crate::convert) fn buffer(pixels: u64) -> u64 {
    pixels * 8 + (64 << 10)
}

/// The encoding with the highest quality, at most `top`, that is not longer than `most` bytes, `beside` more included, and its quality.
///
/// Where not even the lowest quality fits, the rendition is refused: too complex, with the smallest size seen.
pub(super) fn fit(
    pixels: &Pixels,
    order: Order<'_>,
    top: u8,
    (most, beside): (u32, u64),
) -> Result<(Vec<u8>, u8), Failure> {
    let area = u64::from(pixels.width) * u64::from(pixels.height);
    let encode = |quality, kept: &mut Kept| write(pixels, order, quality, kept);
    highest(
        order.rendition.tries(order.format, area),
        top,
        (u64::from(most), beside),
        buffer(area),
        encode,
    )
}

fn highest(
    tries: u32,
    top: u8,
    (all, beside): (u64, u64),
    buffer: u64,
    mut encode: impl FnMut(u8, &mut Kept) -> Result<(), Failure>,
) -> Result<(Vec<u8>, u8), Failure> {
    let most = all.saturating_sub(beside);
    let mut best: Option<(Kept, u8)> = None;
    let mut spare = None;
    let mut smallest = u64::MAX;
    let floor = LOWEST.min(top);
    // Everything from `over` on is too long, everything up to `under` is short enough, or not known.
    let (mut under, mut over) = (floor - 1, top + 1);
    for left in (0..tries).rev() {
        if over - under <= 1 {
            break;
        }
        let quality = match (left, &best) {
            _ if over == top + 1 => top,
            // The last try of all is for the lowest quality, where none has fitted yet.
            (0, None) => floor,
            _ => under + (over - under) / 2,
        };
        let mut kept = spare.take().unwrap_or_else(|| Kept::new(most.min(buffer)));
        encode(quality, &mut kept)?;
        smallest = smallest.min(kept.length);
        if kept.fits() {
            under = quality;
            spare = best.replace((kept, quality)).map(|(kept, _)| kept.emptied());
        } else {
            over = quality;
            spare = Some(kept.emptied());
        }
    }
    match best {
        Some((kept, quality)) => Ok((kept.bytes, quality)),
        None => Err(Refusal::over(Reason::TooComplex, "max_bytes", smallest.saturating_add(beside), all).into()),
    }
}

/// The lowest quality at which a sample of the picture looks as it should. Where none does, because the format leaves colours out or the
/// picture is of noise, the lowest that is hardly worse than the best.
pub(super) fn auto(pixels: &Pixels, order: Order<'_>) -> Result<u8, Failure> {
    let sample = sample(pixels);
    let original = Original::of(&sample)?;
    // What a rendition keeps is no part of its looks, and a profile may be longer than all that is held of a sample.
    let order = Order {
        kept: metadata::Kept::default(),
        ..order
    };
    let mut kept = Kept::new(buffer(u64::from(sample.width) * u64::from(sample.height)));
    lowest(quality::auto(order.format), |quality| {
        kept.empty();
        write(&sample, order, quality, &mut kept)?;
        original.score(&decoded(&kept.bytes)?)
    })
}

fn lowest((lowest, highest): (u8, u8), mut score: impl FnMut(u8) -> Result<f64, Failure>) -> Result<u8, Failure> {
    // Nothing up to `under` looks as it should; `enough` does, or was not tried.
    let (mut under, mut enough) = (lowest - 1, highest);
    let mut seen = Vec::new();
    while enough - under > NEAR {
        let quality = under + (enough - under) / 2;
        let alike = score(quality)?;
        seen.push((quality, alike));
        if alike >= ALIKE {
            enough = quality;
        } else {
            under = quality;
        }
    }
    if enough < highest {
        return Ok(enough);
    }
    let best = seen.iter().fold(f64::MIN, |best, (_, alike)| best.max(*alike));
    let nearly = seen.into_iter().filter(|(_, alike)| *alike >= best - NEARLY);
    Ok(nearly.map(|(quality, _)| quality).min().unwrap_or(highest))
}

/// What was just encoded, as others will see it.
fn decoded(bytes: &[u8]) -> Result<Pixels, Failure> {
    let limits = Limits::default();
    let headers = preflight::examine(bytes, &limits, Truncated::Refused)?;
    let mut colours = Source::read(bytes, headers.colours);
    decode::decode(bytes, &headers, Scale::WHOLE, &limits, &mut colours)
}

/// The picture itself where it is small, else a mosaic of tiles from all over it, which lie where blocks of codecs begin.
fn sample(pixels: &Pixels) -> Cow<'_, Pixels> {
    if pixels.width <= SIDE && pixels.height <= SIDE {
        return Cow::Borrowed(pixels);
    }
    let spans = |edge: u32| -> Vec<(usize, usize)> {
        if edge <= SIDE {
            return vec![(0, edge as usize)];
        }
        let tile = SIDE / TILES;
        let place = |index: u32| (u64::from(edge - tile) * u64::from(index) / u64::from(TILES - 1)) as usize;
        (0..TILES).map(|index| (place(index), tile as usize)).collect()
    };
    let (columns, rows) = (spans(pixels.width), spans(pixels.height));
    let channels = pixels.layout.channels();
    let mut bytes = Vec::with_capacity((SIDE * SIDE) as usize * channels);
    for y in rows.iter().flat_map(|&(top, height)| top..top + height) {
        let row = &pixels.bytes[y * pixels.stride()..(y + 1) * pixels.stride()];
        for &(left, width) in &columns {
            bytes.extend_from_slice(&row[left * channels..(left + width) * channels]);
        }
    }
    let size = (pixels.width.min(SIDE), pixels.height.min(SIDE));
    Cow::Owned(Pixels::new(size, pixels.layout, bytes))
}

/// An encoding in memory, as far as it fits.
struct Kept {
    bytes: Vec<u8>,
    most: u64,
    length: u64,
}

impl Kept {
    fn new(most: u64) -> Self {
        Self {
            bytes: Vec::with_capacity(usize::try_from(most).unwrap_or(0)),
            most,
            length: 0,
        }
    }

    fn empty(&mut self) {
        self.bytes.clear();
        self.length = 0;
    }

    fn emptied(mut self) -> Self {
        self.empty();
        self
    }

    fn fits(&self) -> bool {
        self.length <= self.most
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.length += bytes.len() as u64;
        if self.fits() {
            self.bytes.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::convert::pixels::Layout;

    /// Searches among encodings of these lengths, one for each quality from 1; tells what came out, and how often was tried.
    fn found(lengths: &[u64], tries: u32, top: u8, most: u64) -> (Option<u8>, u32) {
        let mut count = 0;
        let found = highest(tries, top, (most, 0), 1 << 20, |quality, kept| {
            count += 1;
            let bytes = vec![quality; lengths[usize::from(quality) - 1] as usize];
            kept.write_all(&bytes).map_err(Failure::Output)
        });
        match found {
            Ok((bytes, quality)) => {
                assert_eq!(bytes, vec![quality; lengths[usize::from(quality) - 1] as usize]);
                (Some(quality), count)
            }
            Err(Failure::Refused(refusal)) => {
                let exceeded = refusal.exceeded.unwrap();
                assert_eq!(
                    (refusal.reason, exceeded.limit.as_str()),
                    (Reason::TooComplex, "max_bytes")
                );
                assert!(exceeded.seen > exceeded.allowed);
                (None, count)
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn eight_tries_find_the_highest_quality_that_fits(
            steps in proptest::collection::vec(0u64..20, 100), top in 1u8..=100, most in 0u64..2000,
        ) {
            let lengths: Vec<u64> = steps.iter().scan(0, |sum, step| { *sum += step; Some(*sum) }).collect();
            let (quality, tries) = found(&lengths, 8, top, most);
            let expected = (LOWEST.min(top)..=top).rev().find(|&quality| lengths[usize::from(quality) - 1] <= most);
            prop_assert_eq!(quality, expected);
            prop_assert!(tries <= 8);
        }

        #[test]
        fn fewer_tries_find_one_that_fits_where_there_is_one(
            steps in proptest::collection::vec(0u64..20, 100), top in 1u8..=100, most in 0u64..2000, tries in 2u32..8,
        ) {
            let lengths: Vec<u64> = steps.iter().scan(0, |sum, step| { *sum += step; Some(*sum) }).collect();
            let (quality, count) = found(&lengths, tries, top, most);
            let lowest = lengths[usize::from(LOWEST.min(top)) - 1] <= most;
            prop_assert_eq!(quality.is_some(), lowest);
            prop_assert!(count <= tries);
        }
    }

    proptest! {
        #[test]
        fn the_lowest_quality_that_looks_as_it_should_is_found_in_few_tries(
            steps in proptest::collection::vec(0u8..8, 56), worst in 0u8..90,
        ) {
            let all: Vec<f64> = steps.iter().scan(f64::from(worst), |sum, step| { *sum += f64::from(*step) / 4.0; Some(*sum) }).collect();
            let of = |quality: u8| all[usize::from(quality) - 40];
            let mut seen = Vec::new();
            let found = lowest((40, 95), |quality| { seen.push(of(quality)); Ok(of(quality)) }).unwrap();
            prop_assert!(seen.len() <= 5);
            let best = seen.into_iter().fold(f64::MIN, f64::max);
            if best >= ALIKE {
                prop_assert!(of(found) >= ALIKE);
                prop_assert!(found < 40 + NEAR || of(found - NEAR) < ALIKE);
            } else {
                prop_assert!(of(found) >= best - NEARLY);
            }
        }
    }

    #[test]
    fn what_never_looks_as_it_should_costs_no_bytes_that_nobody_sees() {
        // Nothing gets better from 70 on: of those tried, 67 and 81 first, 81 is the lowest as good.
        let found = lowest((40, 95), |quality| Ok(f64::from(quality.min(70)) / 2.0));
        assert_eq!(found.unwrap(), 81);
    }

    #[test]
    fn a_sample_is_small_and_comes_from_everywhere() {
        let (width, height) = (1000_u32, 600_u32);
        let bytes = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x / 4) as u8 ^ (y / 4) as u8))
            .collect();
        let picture = Pixels::new((width, height), Layout::Grey, bytes);
        let sample = sample(&picture);
        assert_eq!((sample.width, sample.height, sample.bytes.len()), (384, 384, 384 * 384));
        assert_eq!(sample.bytes.first(), picture.bytes.first());
        assert_eq!(sample.bytes.last(), picture.bytes.last());
        let small = Pixels::new((384, 2), Layout::Grey, vec![7; 768]);
        assert!(matches!(super::sample(&small), Cow::Borrowed(_)));
    }
}
