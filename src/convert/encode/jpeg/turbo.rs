//! By libjpeg-turbo.
#![forbid(unsafe_code)]

use std::io::Write;

use super::Settings;
use crate::convert::Failure;
use crate::convert::encode::odd;
use crate::convert::pixels::{Layout, Pixels};
use crate::convert::turbo::{self, Encoding, Samples, Trouble};

pub(super) fn encode(
    pixels: &Pixels,
    size: (u16, u16),
    settings: Settings,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let samples = match pixels.layout {
        Layout::Grey => Samples::Grey,
        _ => Samples::Rgb,
    };
    debug_assert_ne!(pixels.layout, Layout::Rgba, "laid on the background before");
    let encoding = Encoding {
        quality: settings.quality,
        full_chroma: settings.full_chroma,
        fitted_tables: settings.fitted_tables,
        progressive: settings.progressive,
    };
    let encoded = turbo::encode(&pixels.bytes, size, samples, encoding).map_err(|trouble| match trouble {
        Trouble::Memory => Failure::OutOfMemory,
        Trouble::Damage(words) | Trouble::Error(words) => odd("JPEG", words),
    })?;
    output.write_all(encoded.bytes()).map_err(Failure::Output)
}

/// The file in memory, which grows by doubling, in bytes for a number of samples; measured with noise.
pub(super) fn written(samples: u64, quality: u8) -> u64 {
    // Hundredths of a byte a sample, twice.
    let hundredths = match quality {
        0..=50 => 70,
        51..=80 => 110,
        81..=90 => 150,
        91..=95 => 220,
        _ => 360,
    };
    samples * hundredths / 100
}
