//! What AVIF renditions may cost: their encoder takes twenty times as long as any other for the same pixels. `[pure]`
#![forbid(unsafe_code)]

use super::Limits;
use crate::format::Format;
use crate::recipe::{Recipe, Rendition};
use crate::verdict::{Reason, Refusal};

/// What a sender can do about it.
const SMALLER: &str = "ask for a smaller rendition, or for another format than avif";
const FEWER: &str = "ask for fewer or smaller avif renditions, for a lower quality, or for another format";

impl Limits {
    /// Refuses a recipe that would make a larger AVIF than allowed, of an upload of this format and of this size as displayed.
    ///
    /// # Errors
    /// `too-complex`, with the pixels of the first one that is too large.
    pub fn check_avif(&self, recipe: &Recipe, source: Format, (width, height): (u32, u32)) -> Result<(), Refusal> {
        let pixels = |rendition: &Rendition| {
            let (width, height) = rendition.geometry(width, height).canvas;
            u64::from(width) * u64::from(height)
        };
        let made = recipe
            .renditions()
            .iter()
            .filter(|rendition| is_avif(rendition, source));
        match made.map(pixels).find(|&pixels| pixels > self.avif_pixels) {
            Some(pixels) => {
                let refusal = Refusal::over(Reason::TooComplex, "avif_pixels", pixels, self.avif_pixels);
                Err(refusal.advising(SMALLER))
            }
            None => Ok(()),
        }
    }
}

/// What a recipe is refused with whose AVIF renditions take more work than any grant is for.
pub(super) fn too_much(work: u64, allowed: u64) -> Refusal {
    Refusal::over(Reason::TooComplex, "avif_work", work, allowed).advising(FEWER)
}

pub(super) fn is_avif(rendition: &Rendition, source: Format) -> bool {
    rendition.output(source) == Format::Avif
}

#[cfg(all(test, feature = "avif-out"))]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;
    use crate::recipe::{Quality, Target};
    use crate::sandbox::limits::tests::declared;

    fn whole(name: &str) -> Rendition {
        Rendition {
            format: Target::Avif,
            ..Rendition::named(name)
        }
    }

    fn refused(renditions: Vec<Rendition>, size: (u32, u32)) -> Option<(String, String)> {
        let recipe = Recipe::new(renditions).unwrap();
        let refusal = Limits::default().grant(&declared(size.0, size.1), &recipe).err()?;
        assert_eq!(refusal.reason, Reason::TooComplex);
        Some((refusal.exceeded.unwrap().limit, refusal.detail))
    }

    #[test]
    fn a_large_photo_is_granted_what_noise_takes_and_a_larger_one_is_refused() {
        let recipe = Recipe::new(vec![whole("a")]).unwrap();
        let cpu_ms = |width, height| {
            Limits::default()
                .grant(&declared(width, height), &recipe)
                .unwrap()
                .cpu_ms
        };
        // Decoded for 60 ns a pixel, encoded for 24 times that.
        assert_eq!(cpu_ms(1000, 1000), 1000 + 25 * 60);
        // What a phone takes, and all that is allowed.
        assert!(cpu_ms(4032, 3024) < 20_000);
        assert_eq!(cpu_ms(5000, 2500), 1000 + 12_500 * 25 * 60 / 1000);
        let (limit, detail) = refused(vec![whole("a")], (5000, 2501)).unwrap();
        assert_eq!(limit, "avif_pixels");
        assert_eq!(
            detail,
            "avif_pixels: 12505000 seen, 12500000 allowed; ask for a smaller rendition, or for another format than avif"
        );
        // The size of what is made counts, not that of the upload.
        let small = Rendition {
            width: Some(1600),
            ..whole("a")
        };
        assert_eq!(refused(vec![small], (8000, 6000)), None);
    }

    #[test]
    fn what_no_grant_is_for_is_refused_and_not_convicted() {
        let all = |count: usize| (0..count).map(|index| whole(&index.to_string())).collect();
        assert_eq!(refused(all(2), (2000, 3000)), None);
        let (limit, detail) = refused(all(16), (4000, 3000)).unwrap();
        assert_eq!(limit, "avif_work");
        assert!(
            detail.ends_with("; ask for fewer or smaller avif renditions, for a lower quality, or for another format")
        );
        // One that is tried more than once, and one of the highest quality.
        let limited = Rendition {
            max_bytes: Some(100_000),
            ..whole("a")
        };
        let best = Rendition {
            quality: Some(Quality::Fixed(100)),
            ..whole("a")
        };
        for rendition in [limited, best] {
            assert_eq!(refused(vec![rendition.clone()], (4000, 3000)).unwrap().0, "avif_work");
            assert_eq!(refused(vec![rendition], (1600, 1200)), None);
        }
    }
}
