//! By how much a decoder scales down while it decodes. `[pure]`
//!
//! A scaled decoder saves time and memory, and takes detail away in a coarser way than the resampler: where all reduction is the
//! decoder's, pictures are visibly worse, where the resampler has at least a factor of 2 left, hardly.
#![forbid(unsafe_code)]

use crate::convert::placeholder;
use crate::recipe::{Geometry, Gravity, Recipe};

/// Reduction that the resampler keeps, at least.
pub(super) const KEPT: f64 = 2.0;

/// A scale in eighths: a JPEG's blocks of 8 × 8 become blocks of as many pixels; a WebP's pixels are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scale(u32);

impl Scale {
    /// Every pixel.
    pub(super) const WHOLE: Self = Self(8);
    /// Those for which libjpeg-turbo has vector code, the smallest first.
    const QUICK: [Self; 4] = [Self(1), Self(2), Self(4), Self::WHOLE];

    /// The smallest scale that leaves the resampler its factor for every rendition of a picture of `displayed` size.
    pub(super) fn fitting(recipe: &Recipe, (width, height): (u32, u32)) -> Self {
        let small = recipe.placeholder().map(|_| placeholder::rendition());
        let factors = recipe
            .renditions()
            .iter()
            .chain(&small)
            .map(|rendition| match rendition.gravity {
                // Where the cut goes is seen in the picture itself.
                Gravity::Attention => 1.0,
                // A decoder mixes samples, not light.
                _ if rendition.linear => 1.0,
                _ => reduction(&rendition.geometry(width, height)),
            });
        let least = factors.fold(f64::INFINITY, f64::min);
        let fits = |scale: &&Self| least * f64::from(scale.0) >= KEPT * 8.0;
        *Self::QUICK.iter().find(fits).unwrap_or(&Self::WHOLE)
    }

    /// The scale as a number of eighths, 1 to 8.
    #[cfg_attr(
        not(feature = "turbo"),
        allow(dead_code, reason = "only libjpeg-turbo counts in them")
    )]
    pub(super) fn eighths(self) -> u32 {
        self.0
    }

    /// The scale as a factor, 0.125 to 1.
    pub(super) fn factor(self) -> f64 {
        f64::from(self.0) / 8.0
    }

    /// An edge at this scale; what is left of the last pixel is one.
    pub(super) fn edge(self, edge: u32) -> u32 {
        (u64::from(edge) * u64::from(self.0)).div_ceil(8) as u32
    }

    /// Both edges.
    pub(super) fn size(self, (width, height): (u32, u32)) -> (u32, u32) {
        (self.edge(width), self.edge(height))
    }
}

/// By how much the resampler reduces the part that it is given, the smaller of both directions.
fn reduction(geometry: &Geometry) -> f64 {
    let (_, _, width, height) = geometry.crop;
    let across = f64::from(width) / f64::from(geometry.resized.0);
    let down = f64::from(height) / f64::from(geometry.resized.1);
    across.min(down)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::recipe::{Fit, Rendition};

    fn boxed(width: u32, height: u32, fit: Fit) -> Rendition {
        Rendition {
            width: Some(width),
            height: Some(height),
            fit,
            ..Rendition::named("one")
        }
    }

    fn scale(size: (u32, u32), renditions: impl Into<Vec<Rendition>>) -> u32 {
        Scale::fitting(&Recipe::new(renditions.into()).unwrap(), size).eighths()
    }

    #[test]
    fn the_resampler_keeps_a_factor_of_two() {
        let size = (4096, 3072);
        for (edge, eighths) in [(256, 1), (257, 2), (512, 2), (513, 4), (1024, 4), (1025, 8), (4096, 8)] {
            assert_eq!(scale(size, [boxed(edge, edge, Fit::Inside)]), eighths, "{edge}");
        }
    }

    #[test]
    fn a_crop_counts_by_what_is_left_of_it() {
        // 300 × 3000 of the picture is used: a factor of 10, though the picture is 40 times as wide as the box.
        assert_eq!(scale((4000, 3000), [boxed(100, 1000, Fit::Cover)]), 8);
        assert_eq!(scale((4000, 3000), [boxed(30, 300, Fit::Cover)]), 2);
    }

    #[test]
    fn the_least_reduced_rendition_decides() {
        let mut renditions = vec![boxed(100, 100, Fit::Inside), Rendition::named("whole")];
        assert_eq!(scale((4000, 3000), renditions.clone()), 8);
        renditions.pop();
        assert_eq!(scale((4000, 3000), renditions), 1);
    }

    proptest! {
        #[test]
        fn no_rendition_is_cut_from_too_little(
            width in 1u32..70_000, height in 1u32..70_000, box_width in 1u32..3000, box_height in 1u32..3000,
            fit in prop_oneof![Just(Fit::Inside), Just(Fit::Cover), Just(Fit::Contain), Just(Fit::Fill)],
        ) {
            let rendition = boxed(box_width, box_height, fit);
            let geometry = rendition.geometry(width, height);
            let scale = Scale::fitting(&Recipe::new(vec![rendition]).unwrap(), (width, height));
            if scale != Scale::WHOLE {
                prop_assert!(reduction(&geometry) * scale.factor() >= KEPT);
            }
        }
    }
}
