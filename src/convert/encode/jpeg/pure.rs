//! By jpeg-encoder.
#![forbid(unsafe_code)]

use std::io::Write;

use jpeg_encoder::{ColorType, Encoder, EncodingError, SamplingFactor};

use super::Settings;
use crate::convert::Failure;
use crate::convert::encode::odd;
use crate::convert::pixels::{Layout, Pixels};

pub(super) fn encode(
    pixels: &Pixels,
    (width, height): (u16, u16),
    settings: Settings,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let colour = match pixels.layout {
        Layout::Grey => ColorType::Luma,
        _ => ColorType::Rgb,
    };
    let sampling = match settings.full_chroma {
        true => SamplingFactor::R_4_4_4,
        false => SamplingFactor::R_4_2_0,
    };
    let mut encoder = Encoder::new(output, settings.quality);
    encoder.set_sampling_factor(sampling);
    // Fitted to a sequential picture, the encoder would write each colour as a scan of its own, which zune-jpeg 0.5.15 gets wrong.
    encoder.set_optimized_huffman_tables(settings.fitted_tables && settings.progressive);
    encoder.set_progressive(settings.progressive);
    encoder
        .encode(&pixels.bytes, width, height, colour)
        .map_err(|error| match error {
            EncodingError::IoError(error) => Failure::Output(error),
            error => odd("JPEG", error),
        })
}

/// Written as it is made.
pub(super) fn written(_samples: u64, _quality: u8) -> u64 {
    0
}
