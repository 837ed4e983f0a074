//! From what decoders write to 8 bits a channel, in place: the picture only ever gets smaller, but for grey with alpha.
#![forbid(unsafe_code)]

use image::ColorType;

use crate::convert::Failure;
use crate::convert::pixels::Layout;
use crate::verdict::{Reason, Refusal};

/// Samples of a decoder, in the machine's byte order, as 8-bit samples of one of our layouts.
pub(super) fn to_eight_bits(kind: ColorType, bytes: Vec<u8>) -> Result<(Layout, Vec<u8>), Failure> {
    let channels = kind.channel_count();
    let bytes = match kind.bytes_per_pixel() / channels {
        1 => bytes,
        2 => narrowed(bytes, |two: [u8; 2]| from_16(u16::from_ne_bytes(two))),
        4 => narrowed(bytes, |four: [u8; 4]| from_float(f32::from_ne_bytes(four))),
        other => {
            let detail = format!("samples of {other} bytes are not read");
            return Err(Refusal::new(Reason::UnsupportedFormat, detail).into());
        }
    };
    Ok(match channels {
        1 => (Layout::Grey, bytes),
        2 => (Layout::Rgba, spread(&bytes)),
        3 => (Layout::Rgb, bytes),
        _ => (Layout::Rgba, bytes),
    })
}

/// Samples of two bytes from the order of files to the machine's, in place.
pub(super) fn from_big_endian(kind: ColorType, bytes: &mut [u8]) {
    if kind.bytes_per_pixel() / kind.channel_count() == 2 {
        let (samples, _) = bytes.as_chunks_mut::<2>();
        samples
            .iter_mut()
            .for_each(|two| *two = u16::from_be_bytes(*two).to_ne_bytes());
    }
}

fn narrowed<const WIDTH: usize>(mut bytes: Vec<u8>, sample: impl Fn([u8; WIDTH]) -> u8) -> Vec<u8> {
    let count = bytes.len() / WIDTH;
    for index in 0..count {
        let mut wide = [0; WIDTH];
        wide.copy_from_slice(&bytes[index * WIDTH..(index + 1) * WIDTH]);
        bytes[index] = sample(wide);
    }
    bytes.truncate(count);
    bytes.shrink_to_fit();
    bytes
}

/// To the nearest of 256 levels, 65535 being full.
pub(super) fn from_16(sample: u16) -> u8 {
    ((u32::from(sample) * 255 + 32_767) / 65_535) as u8
}

/// To the nearest of 256 levels, 1.0 being full; what is not a number is black.
fn from_float(sample: f32) -> u8 {
    (sample.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// Grey with alpha over four channels.
pub(super) fn spread(grey_alpha: &[u8]) -> Vec<u8> {
    grey_alpha
        .chunks_exact(2)
        .flat_map(|pixel| [pixel[0], pixel[0], pixel[0], pixel[1]])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_round_to_nearest() {
        for level in 0..=255_u16 {
            assert_eq!(u16::from(from_16(level * 257)), level);
        }
        assert_eq!(
            (from_16(128), from_16(129), from_16(65_406), from_16(65_407)),
            (0, 1, 254, 255)
        );
    }

    #[test]
    fn floats_are_clamped() {
        let samples = [-1.0, 0.0, 0.5, 1.0, 7.0, f32::NAN].map(from_float);
        assert_eq!(samples, [0, 0, 128, 255, 255, 0]);
    }
}
