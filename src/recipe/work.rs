//! What a rendition costs, in pixels of work: what CPU grants, ceilings and the number of tries are counted in. `[pure]`
//!
//! One pixel of work is one pixel of a JPEG decoded, for which 60 ns are granted. Costs are upper bounds, which noise keeps,
//! measured at that price: JPEG and PNG take up to 1 to encode, progressive JPEG up to 2, lossy WebP 1 to 4 (noise), lossless WebP up to 10,
//! a palette up to 10, 2 for graphics, beside the time in which it is learnt; AVIF takes 16 for each of its samples up to quality 89, 20
//! up to 95, 33 above, of which photographs need a third to a half;
//! to mix light takes up to half of one for each pixel of the source.
#![forbid(unsafe_code)]

use super::{Fit, Gravity, Hundredths, Quality, Recipe, Rendition};
use crate::format::Format;

/// Most encodings of one rendition that `max_bytes` may take.
const MOST_TRIES: u64 = 8;
/// Pixels of work that all of them may take together, if two do not take more already.
const TRIES_WORK: u64 = 128_000_000;
/// Side of the sample that `quality: auto` is found with, in pixels.
pub const SAMPLE_SIDE: u32 = 384;
/// Most pixels of it.
const SAMPLE: u64 = (SAMPLE_SIDE * SAMPLE_SIDE) as u64;
/// Encodings of that sample.
const SAMPLE_TRIES: u64 = 5;
/// Work of comparing a pixel of it, and of looking at the original once; twice that with transparency. 76 ns with AVX2 and FMA, 660 ns
/// without the first; the rest is for processors that have neither, and are half as fast.
const COMPARING: u64 = 24;
/// Most pixels that a palette is learnt from, how many of fewer, and the work of each.
const LEARNT: (u64, u64, u64) = (13_200, 4_096, 40);
/// Channels of a picture with colours, and of one with transparency beside.
const OPAQUE: u8 = 3;
const TRANSLUCENT: u8 = 4;
/// Pixels that `attention` looks at, and what a placeholder costs.
const GLANCE: u64 = 128 * 128 * 16;

/// An upload, as far as the work depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload {
    /// Its format.
    pub format: Format,
    /// Its frames.
    pub frames: u64,
    /// Width and height as displayed.
    pub size: (u32, u32),
    /// Channels of its pixels: 1, 3, or 4 with transparency.
    pub channels: u8,
}

impl Recipe {
    /// The work after decoding a frame.
    pub fn work(&self, upload: &Upload) -> u64 {
        let glance = if self.placeholder().is_some() { GLANCE } else { 0 };
        let each = self.renditions().iter().map(|rendition| rendition.work(upload));
        each.fold(glance, u64::saturating_add)
    }
}

impl Rendition {
    /// The work after decoding a frame. One that stays an animation is decoded for itself.
    pub fn work(&self, upload: &Upload) -> u64 {
        let frame = self.work_of_one(upload);
        let frames = if self.moves(upload.format, upload.frames) {
            frame.saturating_add(area(upload.size)).saturating_mul(upload.frames)
        } else {
            frame
        };
        frames.saturating_add(self.finding(upload))
    }

    /// The work of finding the quality, once for all frames: a sample is encoded, decoded and compared.
    fn finding(&self, upload: &Upload) -> u64 {
        let format = self.output(upload.format);
        if self.quality() != Quality::Auto || !self.is_lossy(format) {
            return 0;
        }
        let channels = self.channels(upload.channels);
        let grounds = if channels == TRANSLUCENT { 2 } else { 1 };
        let coding = self.encoding_cost(format, channels) + decoding_cost(format);
        let canvas = area(self.geometry(upload.size.0, upload.size.1).canvas);
        SAMPLE.min(canvas) * (coding * SAMPLE_TRIES + COMPARING * grounds * (SAMPLE_TRIES + 1))
    }

    fn work_of_one(&self, upload: &Upload) -> u64 {
        let geometry = self.geometry(upload.size.0, upload.size.1);
        let (resized, canvas) = (area(geometry.resized), area(geometry.canvas));
        let blurring = if self.blur == Hundredths(0) { 0 } else { 2 * resized };
        let sharpening = if self.sharpen == Hundredths(0) { 0 } else { resized };
        let looking = match (self.gravity, self.fit) {
            (Gravity::Attention, Fit::Cover) => GLANCE,
            _ => 0,
        };
        let lighting = if self.linear { area(upload.size) / 2 } else { 0 };
        let format = self.output(upload.format);
        let cost = self.encoding_cost(format, self.channels(upload.channels));
        let encoding = canvas
            .saturating_mul(cost)
            .saturating_mul(self.tries(format, canvas).into());
        let learning = match format {
            Format::Png if self.palette => learning(canvas),
            Format::Gif => learning(canvas),
            _ => 0,
        };
        [encoding, learning, blurring, sharpening, looking, lighting]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// How often this rendition of so many pixels may be encoded, at most: large ones are not tried as often.
    pub fn tries(&self, format: Format, pixels: u64) -> u32 {
        if self.max_bytes.is_none() || !self.is_lossy(format) {
            return 1;
        }
        let once = pixels.saturating_mul(self.encoding_cost(format, OPAQUE)).max(1);
        (TRIES_WORK / once).clamp(2, MOST_TRIES) as u32
    }

    /// Whether it is made with a quality.
    pub fn is_lossy(&self, format: Format) -> bool {
        match format {
            Format::Jpeg | Format::Avif => true,
            Format::Webp => !self.lossless,
            _ => false,
        }
    }

    /// Channels of what is made of pixels with so many.
    fn channels(&self, channels: u8) -> u8 {
        match self.fit {
            Fit::Contain if !self.background.is_opaque() => TRANSLUCENT,
            Fit::Contain => channels.max(OPAQUE),
            _ => channels,
        }
    }

    /// Work of encoding one pixel of so many channels.
    fn encoding_cost(&self, format: Format, channels: u8) -> u64 {
        match (format, self.lossless) {
            (Format::Avif, _) => self.encoding_cost_of_avif(channels),
            (Format::Webp, true) => 10,
            (Format::Webp, false) => 4,
            (Format::Jpeg, _) if self.progressive => 2,
            (Format::Png, _) if self.palette => 10,
            (Format::Gif, _) => 10,
            _ => 1,
        }
    }

    fn encoding_cost_of_avif(&self, channels: u8) -> u64 {
        let quality = self.quality().most(Format::Avif);
        let sample = match quality {
            0..=89 => 16,
            90..=95 => 20,
            _ => 33,
        };
        let halves = match (channels, self.keeps_chroma(quality)) {
            (1, _) => 2,
            (_, false) => 3,
            (_, true) => 6,
        };
        // Transparency has a quality of its own, which is higher.
        let alpha = if channels == TRANSLUCENT { 33 } else { 0 };
        sample * halves / 2 + alpha
    }
}

/// What decoding a pixel costs beside one of a JPEG (60 ns). Measured: JPEG XL 75 to 373 ns, AVIF 25 to 201 ns without assembler.
pub fn decoding_cost(format: Format) -> u64 {
    match format {
        Format::Jxl => 10,
        Format::Avif => 5,
        _ => 1,
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
    use crate::recipe::{Animation, Target};

    const UPLOAD: Upload = Upload {
        format: Format::Png,
        frames: 1,
        size: (1000, 1000),
        channels: 3,
    };

    fn jpeg() -> Rendition {
        Rendition {
            format: Target::Jpeg,
            ..Rendition::named("test")
        }
    }

    #[test]
    fn each_wish_adds_its_work() {
        let work = |rendition: Rendition| rendition.work(&UPLOAD);
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
        assert_eq!(
            work(Rendition { quality, ..jpeg() }),
            1_000_000 + SAMPLE * (2 * 5 + 24 * 6)
        );
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
    fn an_animations_quality_is_found_once() {
        let upload = Upload {
            format: Format::Gif,
            frames: 40,
            size: (640, 480),
            channels: 4,
        };
        let of = |quality| {
            let moving = Rendition {
                format: Target::Webp,
                animation: Animation::Keep,
                quality,
                ..Rendition::named("test")
            };
            moving.work(&upload)
        };
        let (fixed, found) = (of(None), of(Some(Quality::Auto)));
        assert_eq!(fixed, 40 * (640 * 480) * 5);
        assert_eq!(found - fixed, SAMPLE * (5 * 5 + 48 * 6));
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
