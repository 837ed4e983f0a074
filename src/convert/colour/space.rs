//! The way from a picture's own colours to sRGB, ready to be walked.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use moxcms::{
    BarycentricWeightScale, ColorProfile, InterpolationMethod, Layout as Order, RenderingIntent, Transform8BitExecutor,
    TransformOptions,
};

use super::curve::{Curve, to_srgb};
use crate::convert::pixels::Layout;

/// Samples that are converted at a time.
const BLOCK: usize = 4096 * 4;

/// Colours that are not sRGB.
pub(in crate::convert) enum Space {
    /// Each sample by itself, alpha left alone.
    Table(Box<[u8; 256]>),
    /// Three channels together, or four with alpha.
    Mixed(Arc<Transform8BitExecutor>),
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table(_) => "Table",
            Self::Mixed(_) => "Mixed",
        })
    }
}

impl Space {
    /// Greys, by their curve; Lab has its own idea of even steps.
    pub(super) fn of_greys(curve: &Curve<'_>, lab: bool) -> Self {
        let mut table = Box::new([0; 256]);
        for (sample, grey) in table.iter_mut().enumerate() {
            let light = curve.light(sample as f64 / 255.0);
            let light = if lab { from_lightness(light) } else { light };
            *grey = eight_bits(to_srgb(light));
        }
        Self::Table(table)
    }

    /// Colours of a profile, for pixels of a layout; nothing where the library finds no way.
    pub(super) fn of_colours(profile: &ColorProfile, layout: Layout) -> Option<Self> {
        match layout {
            Layout::Rgb => transform(profile, Order::Rgb).map(Self::Mixed),
            Layout::Rgba => transform(profile, Order::Rgba).map(Self::Mixed),
            // Grey pixels in a space of three: equal shares of each, of which the middle one is told.
            Layout::Grey => {
                let all: Vec<u8> = (0..=255).flat_map(|grey| [grey; 3]).collect();
                let mut converted = vec![0; all.len()];
                transform(profile, Order::Rgb)?.transform(&all, &mut converted).ok()?;
                let mut table = Box::new([0; 256]);
                for (grey, colour) in table.iter_mut().zip(converted.chunks_exact(3)) {
                    *grey = colour[1];
                }
                Some(Self::Table(table))
            }
        }
    }

    /// Converts samples in place; colours must not be multiplied by alpha.
    pub(in crate::convert) fn convert(&self, layout: Layout, bytes: &mut [u8]) {
        match self {
            Self::Table(table) if layout == Layout::Rgba => {
                for pixel in bytes.chunks_exact_mut(4) {
                    pixel[..3]
                        .iter_mut()
                        .for_each(|sample| *sample = table[usize::from(*sample)]);
                }
            }
            Self::Table(table) => bytes
                .iter_mut()
                .for_each(|sample| *sample = table[usize::from(*sample)]),
            Self::Mixed(transform) => {
                let channels = layout.channels();
                let mut block = vec![0; BLOCK / channels * channels];
                for part in bytes.chunks_mut(block.len()) {
                    let block = &mut block[..part.len()];
                    block.copy_from_slice(part);
                    let done = transform.transform(block, part);
                    debug_assert!(done.is_ok(), "whole pixels, as many out as in");
                }
            }
        }
    }
}

/// A transform of 8 bits a channel to sRGB, of as many channels as come in.
pub(super) fn transform(profile: &ColorProfile, order: Order) -> Option<Arc<Transform8BitExecutor>> {
    profile
        .create_transform_8bit(order, &ColorProfile::new_srgb(), order, options())
        .ok()
}

/// The same from four inks to three channels.
pub(super) fn inks(profile: &ColorProfile) -> Option<Arc<Transform8BitExecutor>> {
    profile
        .create_transform_8bit(Order::Rgba, &ColorProfile::new_srgb(), Order::Rgb, options())
        .ok()
}

fn options() -> TransformOptions {
    TransformOptions {
        rendering_intent: RenderingIntent::Perceptual,
        allow_use_cicp_transfer: false,
        prefer_fixed_point: true,
        interpolation_method: InterpolationMethod::Tetrahedral,
        barycentric_weight_scale: BarycentricWeightScale::High,
    }
}

/// CIE lightness, 0 to 1, to light.
fn from_lightness(lightness: f64) -> f64 {
    let root = (lightness * 100.0 + 16.0) / 116.0;
    if root > 6.0 / 29.0 {
        root.powi(3)
    } else {
        (root - 4.0 / 29.0) * 108.0 / 841.0
    }
}

fn eight_bits(sample: f64) -> u8 {
    (sample.clamp(0.0, 1.0) * 255.0).round() as u8
}
