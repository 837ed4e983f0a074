//! What a rendition costs, in pixels of work: what CPU grants, ceilings and the number of tries are counted in. `[pure]`
//!
//! One pixel of work is one pixel of a JPEG decoded, for which 60 ns are granted. Costs are upper bounds, which noise keeps,
//! measured at that price: JPEG and PNG take up to 1 to encode, progressive JPEG up to 2, lossy WebP 1 to 4 (noise), lossless WebP up to 10,
//! a palette up to 10, 2 for graphics, beside the time in which it is learnt;
//! to mix light takes up to half of one for each pixel of the source.
#![forbid(unsafe_code)]

use super::{Fit, Gravity, Hundredths, Quality, Recipe, Rendition};
use crate::format::Format;

/// Most encodings of one rendition that `max_bytes` may take.
const MOST_TRIES: u64 = 8;
/// Pixels of work that all of them may take together, if two do not take more already.
const TRIES_WORK: u64 = 128_000_000;
/// Most pixels of the sample that `quality: auto` is found with.
pub const SAMPLE: u64 = 512 * 512;
/// Encodings of that sample.
const SAMPLE_TRIES: u64 = 7;
/// Most pixels that a palette is learnt from, how many of fewer, and the work of each.
const LEARNT: (u64, u64, u64) = (13_200, 4_096, 40);
/// Pixels that `attention` looks at, and what a placeholder costs.
const GLANCE: u64 = 128 * 128 * 16;

impl Recipe {
    /// The work after decoding a frame, for an upload of this format, with so many frames, of this size as displayed.
    pub fn work(&self, source: Format, frames: u64, width: u32, height: u32) -> u64 {
        let glance = if self.placeholder().is_some() { GLANCE } else { 0 };
        let each = self
            .renditions()
            .iter()
            .map(|rendition| rendition.work(source, frames, width, height));
        each.fold(glance, u64::saturating_add)
    }
}

impl Rendition {
    /// The work after decoding a frame, for an upload of this format, with so many frames, of this size as displayed. One that stays an
    /// animation is decoded for itself.
    pub fn work(&self, source: Format, frames: u64, width: u32, height: u32) -> u64 {
        if self.moves(source, frames) {
            let frame = self
                .work_of_one(source, width, height)
                .saturating_add(area((width, height)));
            return frame.saturating_mul(frames);
        }
        self.work_of_one(source, width, height)
    }

    fn work_of_one(&self, source: Format, width: u32, height: u32) -> u64 {
        let geometry = self.geometry(width, height);
        let (resized, canvas) = (area(geometry.resized), area(geometry.canvas));
        let blurring = if self.blur == Hundredths(0) { 0 } else { 2 * resized };
        let sharpening = if self.sharpen == Hundredths(0) { 0 } else { resized };
        let looking = match (self.gravity, self.fit) {
            (Gravity::Attention, Fit::Cover) => GLANCE,
            _ => 0,
        };
        let lighting = if self.linear { area((width, height)) / 2 } else { 0 };
        let format = self.output(source);
        let cost = self.encoding_cost(format);
        // Encoded, decoded, and compared.
        let finding = match self.quality() {
            Quality::Auto if self.is_lossy(format) => SAMPLE.min(canvas) * (cost + 2) * SAMPLE_TRIES,
            _ => 0,
        };
        let encoding = canvas
            .saturating_mul(cost)
            .saturating_mul(self.tries(format, canvas).into());
        let learning = match format {
            Format::Png if self.palette => learning(canvas),
            Format::Gif => learning(canvas),
            _ => 0,
        };
        [encoding, finding, learning, blurring, sharpening, looking, lighting]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// How often this rendition of so many pixels may be encoded, at most: large ones are not tried as often.
    pub fn tries(&self, format: Format, pixels: u64) -> u32 {
        if self.max_bytes.is_none() || !self.is_lossy(format) {
            return 1;
        }
        let once = pixels.saturating_mul(self.encoding_cost(format)).max(1);
        (TRIES_WORK / once).clamp(2, MOST_TRIES) as u32
    }

    /// Whether it is made with a quality.
    pub fn is_lossy(&self, format: Format) -> bool {
        match format {
            Format::Jpeg => true,
            Format::Webp => !self.lossless,
            _ => false,
        }
    }

    /// Work of encoding one pixel.
    fn encoding_cost(&self, format: Format) -> u64 {
        match (format, self.lossless) {
            (Format::Webp, true) => 10,
            (Format::Webp, false) => 4,
            (Format::Jpeg, _) if self.progressive => 2,
            (Format::Png, _) if self.palette => 10,
            (Format::Gif, _) => 10,
            _ => 1,
        }
    }
}

/// Work of learning a palette for so many pixels.
fn learning(pixels: u64) -> u64 {
    let (most, few, each) = LEARNT;
    (pixels / 10).clamp(pixels.min(few), most) * each
}

fn area((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Target;

    fn jpeg() -> Rendition {
        Rendition {
            format: Target::Jpeg,
            ..Rendition::named("test")
        }
    }

    #[test]
    fn each_wish_adds_its_work() {
        let work = |rendition: Rendition| rendition.work(Format::Png, 1, 1000, 1000);
        assert_eq!(work(jpeg()), 1_000_000);
        let blur = Hundredths(200);
        assert_eq!(work(Rendition { blur, ..jpeg() }), 3_000_000);
        assert_eq!(
            work(Rendition {
                sharpen: blur,
                ..jpeg()
            }),
            2_000_000
        );
        let palette = Rendition {
            palette: true,
            format: Target::Png,
            ..jpeg()
        };
        assert_eq!(work(palette), 10_000_000 + 13_200 * 40);
        let linear = true;
        assert_eq!(work(Rendition { linear, ..jpeg() }), 1_500_000);
        let max_bytes = Some(1000);
        assert_eq!(work(Rendition { max_bytes, ..jpeg() }), 8_000_000);
        let quality = Some(Quality::Auto);
        assert_eq!(work(Rendition { quality, ..jpeg() }), 1_000_000 + SAMPLE * 21);
        let lossless = Rendition {
            format: Target::Webp,
            lossless: true,
            max_bytes,
            quality,
            ..jpeg()
        };
        assert_eq!(work(lossless), 10_000_000);
    }

    #[test]
    fn the_larger_the_fewer_tries() {
        let limited = Rendition {
            max_bytes: Some(1000),
            ..jpeg()
        };
        let tries = |format, megapixels: u64| limited.tries(format, megapixels * 1_000_000);
        assert_eq!(
            (
                tries(Format::Jpeg, 12),
                tries(Format::Jpeg, 32),
                tries(Format::Jpeg, 100)
            ),
            (8, 4, 2)
        );
        assert_eq!(
            (
                tries(Format::Webp, 4),
                tries(Format::Webp, 12),
                tries(Format::Webp, 100)
            ),
            (8, 2, 2)
        );
        assert_eq!((tries(Format::Png, 1), jpeg().tries(Format::Jpeg, 1)), (1, 1));
    }
}
