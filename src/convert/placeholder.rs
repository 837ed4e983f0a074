//! Placeholders: the whole picture in a few bytes of text.
//!
//! In: the picture, upright, at most [`EDGE`] pixels a side. Out: a [`Preview`] of the kind that was asked for.
#![forbid(unsafe_code)]

mod blurhash;
mod dominant;

use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::convert::Failure;
use crate::convert::pixels::Pixels;
use crate::recipe::{Colour, Placeholder, Preview, Rendition};
use crate::verdict::{Reason, Refusal};

/// Longest side of what placeholders are made from. More shows nowhere, and ThumbHash takes 100 at most.
const EDGE: u32 = 64;

/// The small picture that a placeholder is made from, as the transform knows renditions.
pub(super) fn rendition() -> Rendition {
    Rendition {
        width: Some(EDGE),
        height: Some(EDGE),
        ..Rendition::named("placeholder")
    }
}

/// Makes a placeholder.
pub(super) fn of(kind: Placeholder, picture: Rc<Pixels>) -> Result<Preview, Failure> {
    let text = match kind {
        Placeholder::Blurhash => {
            let flat = Pixels::coloured(Pixels::flattened(picture, Colour::default()));
            blurhash::encode(&flat)
        }
        Placeholder::Thumbhash => {
            let picture = Pixels::with_alpha_channel(picture);
            let (width, height) = (picture.width as usize, picture.height as usize);
            STANDARD.encode(thumbhash::rgba_to_thumb_hash(width, height, &picture.bytes))
        }
        Placeholder::Dominant => dominant::of(&Pixels::with_alpha_channel(picture)).to_string(),
    };
    Preview::try_from(text).map_err(|problem| Refusal::new(Reason::Corrupt, problem).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::pixels::Layout;
    use crate::convert::samples;

    fn picture(size: (u32, u32), layout: Layout) -> Rc<Pixels> {
        let bytes = samples::samples(size.0, size.1, layout.channels() as u32);
        Rc::new(Pixels::new(size, layout, bytes))
    }

    #[test]
    fn every_picture_has_every_placeholder() {
        for size in [(1, 1), (64, 1), (1, 64), (64, 43), (31, 64)] {
            for layout in [Layout::Grey, Layout::Rgb, Layout::Rgba] {
                for kind in [Placeholder::Blurhash, Placeholder::Thumbhash, Placeholder::Dominant] {
                    let preview = of(kind, picture(size, layout)).unwrap();
                    assert!(kind.admits(&preview), "{kind:?} of {size:?}: {preview:?}");
                }
            }
        }
    }

    #[test]
    fn a_thumbhash_keeps_proportions_and_mean_colour() {
        let red = Rc::new(Pixels::new((60, 30), Layout::Rgb, [200, 40, 20].repeat(1800)));
        let preview = of(Placeholder::Thumbhash, red).unwrap();
        let hash = STANDARD.decode(preview.as_str()).unwrap();
        let ratio = thumbhash::thumb_hash_to_approximate_aspect_ratio(&hash).unwrap();
        let (r, g, b, alpha) = thumbhash::thumb_hash_to_average_rgba(&hash).unwrap();
        assert!((1.7..2.4).contains(&ratio), "{ratio}");
        let near = [(r, 200.0), (g, 40.0), (b, 20.0), (alpha, 255.0)];
        assert!(
            near.iter().all(|(seen, wanted)| (seen * 255.0 - wanted).abs() < 9.0),
            "{near:?}"
        );
    }
}
