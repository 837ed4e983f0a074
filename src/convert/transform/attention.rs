//! A smart crop: where in a picture people look first. `[pure]`
//!
//! In: the master and a rendition that asks for `attention`. Out: the [`Anchor`] that moves the cut there. A copy of at most
//! [`EDGE`] pixels a side, averaged from a few samples a pixel, is scored by what stands out: edges, colours stronger than
//! the picture's mean, and tones of skin; transparent pixels count for nothing. The cut is laid where it holds the highest
//! score, its middle weighing more than its rim; where nothing stands out, that is the middle of the picture. Integers
//! throughout: the same pixels give the same cut on every machine.
//!
//! Absent on purpose: faces and other models. They would be a decoder's worth of code beside hostile bytes.
#![forbid(unsafe_code)]

use crate::convert::orientation::Orientation;
use crate::convert::pixels::{Layout, Pixels};
use crate::recipe::geometry::Anchor;
use crate::recipe::{Fit, Geometry, Gravity, Rendition};

/// Longest side of the copy that is scored.
const EDGE: u32 = 128;
/// Samples that are averaged for one of its pixels, each way.
const SAMPLES: u32 = 4;

/// Where the free space of `rendition` goes; `orientation` is EXIF's, and `geometry` tells the cut in the master for an anchor.
pub(in crate::convert) fn anchor(
    master: &Pixels,
    rendition: &Rendition,
    orientation: Orientation,
    geometry: impl Fn(Anchor) -> Geometry,
) -> Anchor {
    let still = rendition.gravity.anchor();
    if rendition.gravity != Gravity::Attention || rendition.fit != Fit::Cover {
        return still;
    }
    // The whole of what may be kept: the cut at either end of its way.
    let end = Anchor {
        x: Anchor::ONE,
        y: Anchor::ONE,
    };
    let first = geometry(Anchor { x: 0, y: 0 });
    let last = geometry(end);
    let free = (last.crop.0 - first.crop.0, last.crop.1 - first.crop.1);
    if free == (0, 0) {
        return still;
    }
    let (kept_width, kept_height) = first.crop_size();
    let part = (first.crop.0, first.crop.1, kept_width + free.0, kept_height + free.1);
    let small = Small::of(master, part, orientation.then(Orientation::of(rendition)));
    let scores = small.scores();
    let columns = (0..small.width).map(|x| (0..small.height).map(|y| scores[y * small.width + x]).sum());
    let rows = scores.chunks_exact(small.width).map(|row| row.iter().sum());
    Anchor {
        x: best(&columns.collect::<Vec<u64>>(), kept_width, part.2, still.x),
        y: best(&rows.collect::<Vec<u64>>(), kept_height, part.3, still.y),
    }
}

/// The share of the free space before the cut that holds most of `scores`, when it keeps `kept` of `edge` pixels.
fn best(scores: &[u64], kept: u32, edge: u32, middle: u32) -> u32 {
    let count = scores.len() as u64;
    let length = (u64::from(kept) * count).div_ceil(u64::from(edge.max(1))) as usize;
    let length = length.clamp(1, scores.len().max(1));
    let places = scores.len().saturating_sub(length);
    if places == 0 || kept >= edge {
        return middle;
    }
    // What lies in the middle of the cut counts in full, at its rim a quarter: the thing is centred, not only caught.
    let weight = |index: usize| {
        let (twice, length) = (2 * index as u64 + 1, length as u64);
        let off = twice.abs_diff(length);
        1024 - 768 * off * off / (length * length)
    };
    let weights: Vec<u64> = (0..length).map(weight).collect();
    let score = |place: usize| -> u64 {
        scores[place..]
            .iter()
            .zip(&weights)
            .map(|(score, weight)| score * weight)
            .sum()
    };
    let from_middle = |place: usize| (2 * place).abs_diff(places);
    let found = (0..=places).max_by_key(|&place| (score(place), std::cmp::Reverse(from_middle(place))));
    let found = found.unwrap_or(places / 2);
    if 2 * found == places || score(found) == 0 {
        return middle;
    }
    (found as u64 * u64::from(Anchor::ONE) / places as u64) as u32
}

/// A small copy, turned as the rendition will be: red, green, blue, alpha.
struct Small {
    width: usize,
    height: usize,
    pixels: Vec<[i32; 4]>,
}

impl Small {
    /// Of a part of the turned picture.
    fn of(master: &Pixels, (left, top, width, height): (u32, u32, u32, u32), orientation: Orientation) -> Self {
        let longest = width.max(height).max(1);
        let edge = |edge: u32| {
            let scaled = u64::from(edge) * u64::from(EDGE) / u64::from(longest.max(EDGE));
            (scaled as u32).clamp(1, EDGE)
        };
        let (small_width, small_height) = (edge(width), edge(height));
        // Sample k of n on an edge lies in the middle of its nth part.
        let place = |index: u32, count: u32, edge: u32| {
            (u64::from(edge) * (2 * u64::from(index) + 1) / (2 * u64::from(count))) as u32
        };
        let store = (master.width, master.height);
        let mut pixels = Vec::with_capacity((small_width * small_height) as usize);
        for (y, x) in (0..small_height).flat_map(|y| (0..small_width).map(move |x| (y, x))) {
            let mut sum = [0; 4];
            for (down, across) in (0..SAMPLES).flat_map(|down| (0..SAMPLES).map(move |across| (down, across))) {
                let from_x = left + place(x * SAMPLES + across, small_width * SAMPLES, width);
                let from_y = top + place(y * SAMPLES + down, small_height * SAMPLES, height);
                let sample = sample(master, orientation.stored((from_x, from_y), store));
                sum = [0, 1, 2, 3].map(|channel| sum[channel] + sample[channel]);
            }
            pixels.push(sum.map(|sum| sum / (SAMPLES * SAMPLES) as i32));
        }
        Self {
            width: small_width as usize,
            height: small_height as usize,
            pixels,
        }
    }

    /// What each pixel is worth.
    fn scores(&self) -> Vec<u64> {
        let saturation = |[r, g, b, _]: [i32; 4]| r.max(g).max(b) - r.min(g).min(b);
        let mean = self.pixels.iter().map(|&pixel| saturation(pixel)).sum::<i32>() / self.pixels.len().max(1) as i32;
        let score = |index: usize| {
            let (x, y) = (index % self.width, index / self.width);
            let pixel = self.pixels[index];
            let luma =
                |x: usize, y: usize| seen(self.pixels[y.min(self.height - 1) * self.width + x.min(self.width - 1)]);
            let across = luma(x + 1, y) - luma(x.saturating_sub(1), y);
            let down = luma(x, y + 1) - luma(x, y.saturating_sub(1));
            let edges = across.abs() + down.abs();
            let colour = (saturation(pixel) - mean).max(0);
            let skin = if is_skin(pixel) { 80 } else { 0 };
            let worth = 2 * edges + colour + skin;
            // Below that, it is noise.
            if worth < 16 { 0 } else { (worth * pixel[3] / 255) as u64 }
        };
        (0..self.pixels.len()).map(score).collect()
    }
}

fn sample(picture: &Pixels, (x, y): (u32, u32)) -> [i32; 4] {
    let channels = picture.layout.channels();
    let at = (y as usize * picture.width as usize + x as usize) * channels;
    let pixel = &picture.bytes[at..at + channels];
    match picture.layout {
        Layout::Grey => [pixel[0], pixel[0], pixel[0], 255],
        Layout::Rgb => [pixel[0], pixel[1], pixel[2], 255],
        Layout::Rgba => [pixel[0], pixel[1], pixel[2], pixel[3]],
    }
    .map(i32::from)
}

/// BT.601, as JPEG has it.
fn luma([r, g, b, _]: [i32; 4]) -> i32 {
    (299 * r + 587 * g + 114 * b) / 1000
}

/// Brightness on middle grey: what is transparent hides what is in it, and its rim is an edge.
fn seen(pixel: [i32; 4]) -> i32 {
    let alpha = pixel[3];
    (luma(pixel) * alpha + 128 * (255 - alpha)) / 255
}

/// The range of chroma that skin of all shades has: Cb 77 to 127, Cr 133 to 173 (Chai and Ngan, 1999); not in the dark.
fn is_skin(pixel: [i32; 4]) -> bool {
    let [r, _, b, _] = pixel;
    let luma = luma(pixel);
    let blue = 128 + (b - luma) * 564 / 1000;
    let red = 128 + (r - luma) * 713 / 1000;
    luma > 30 && (77..=127).contains(&blue) && (133..=173).contains(&red)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::recipe::{Flip, Geometry, Rotate};

    fn cover(width: u32, height: u32) -> Rendition {
        Rendition {
            width: Some(width),
            height: Some(height),
            fit: Fit::Cover,
            gravity: Gravity::Attention,
            ..Rendition::named("test")
        }
    }

    fn holds(geometry: &Geometry, (x, y): (u32, u32)) -> bool {
        let (left, top, width, height) = geometry.crop;
        (left..left + width).contains(&x) && (top..top + height).contains(&y)
    }

    /// A plain picture with one chequered square of 24 pixels a side, whose middle is at (x, y).
    fn picture(width: u32, height: u32, layout: Layout, thing: Option<(u32, u32)>) -> Pixels {
        let mut bytes = Vec::new();
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let inside = thing.is_some_and(|(left, top)| x.abs_diff(left) < 12 && y.abs_diff(top) < 12);
            let pixel = match (inside, (x / 6 + y / 6) % 2) {
                (false, _) => [90, 100, 120, 255],
                (true, 0) => [220, 40, 30, 255],
                (true, _) => [20, 20, 20, 255],
            };
            match layout {
                Layout::Grey => bytes.push(pixel[0]),
                layout => bytes.extend_from_slice(&pixel[..layout.channels()]),
            }
        }
        Pixels::new((width, height), layout, bytes)
    }

    /// The anchor on a master as large as its picture.
    fn found(master: &Pixels, rendition: &Rendition, orientation: Orientation) -> Anchor {
        let (width, height) = orientation.turn((master.width, master.height));
        anchor(master, rendition, orientation, |anchor| {
            rendition.geometry_toward(width, height, anchor)
        })
    }

    #[test]
    fn a_plain_picture_is_cut_in_the_middle() {
        let plain = picture(300, 100, Layout::Rgb, None);
        assert_eq!(
            found(&plain, &cover(50, 50), Orientation::UPRIGHT),
            Gravity::Centre.anchor()
        );
    }

    #[test]
    fn what_is_transparent_draws_no_attention() {
        // The left half is transparent, and the thing in it cannot be seen; its rim can.
        let mut ghost = picture(300, 100, Layout::Rgba, Some((40, 50)));
        for row in ghost.bytes.chunks_exact_mut(4 * 300) {
            row[..4 * 150].chunks_exact_mut(4).for_each(|pixel| pixel[3] = 0);
        }
        let found = found(&ghost, &cover(50, 50), Orientation::UPRIGHT);
        assert!(found.x > Anchor::ONE / 4, "{found:?}");
    }

    #[test]
    fn skin_outweighs_plain_colours() {
        // A wide blue field, with a face of one plain tone on the right.
        let mut bytes = Vec::new();
        for x in (0..80).flat_map(|_| 0..320_u32) {
            bytes.extend_from_slice(if (240..280).contains(&x) {
                &[205, 150, 125]
            } else {
                &[130, 140, 160]
            });
        }
        let field = Pixels::new((320, 80), Layout::Rgb, bytes);
        let rendition = cover(80, 80);
        let geometry = rendition.geometry_toward(320, 80, found(&field, &rendition, Orientation::UPRIGHT));
        assert!(
            holds(&geometry, (240, 40)) && holds(&geometry, (279, 40)),
            "{geometry:?}"
        );
    }

    fn orientations() -> impl Strategy<Value = Orientation> {
        (1u32..=8).prop_map(Orientation::from_exif)
    }

    fn turns() -> impl Strategy<Value = (Rotate, Option<Flip>)> {
        let rotates = proptest::sample::select(vec![Rotate::Not, Rotate::Right, Rotate::Around, Rotate::Left]);
        let flips = proptest::sample::select(vec![
            None,
            Some(Flip::Horizontal),
            Some(Flip::Vertical),
            Some(Flip::Both),
        ]);
        (rotates, flips)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// However the picture lies and is turned: the cut holds the thing, and the thing is near its middle where there is room.
        #[test]
        fn the_cut_moves_with_the_thing(
            x in 24u32..376, y in 24u32..176, exif in orientations(), (rotate, flip) in turns(),
            layout in proptest::sample::select(vec![Layout::Grey, Layout::Rgb, Layout::Rgba]),
            edges in proptest::sample::select(vec![(64, 64), (40, 80), (100, 20)]),
        ) {
            let master = picture(400, 200, layout, Some((x, y)));
            let rendition = Rendition { rotate, flip, ..cover(edges.0, edges.1) };
            let (width, height) = exif.turn((400, 200));
            let found = found(&master, &rendition, exif);
            let geometry = rendition.geometry_toward(width, height, found);
            let turn = exif.then(Orientation::of(&rendition));
            let (left, top, cut_width, cut_height) = turn.stored_part(geometry.crop, (400, 200));
            prop_assert!(left + cut_width <= 400 && top + cut_height <= 200);
            prop_assert!((left..left + cut_width).contains(&x) && (top..top + cut_height).contains(&y), "{:?}", geometry);
            // Where the cut is not stopped by an edge, its middle is the thing's.
            let off = |from: u32, length: u32, edge: u32, thing: u32| {
                let free = from > 0 && from + length < edge;
                if free { (from + length / 2).abs_diff(thing) } else { 0 }
            };
            prop_assert!(off(left, cut_width, 400, x) < 20 && off(top, cut_height, 200, y) < 20, "{:?}", geometry);
        }
    }
}
