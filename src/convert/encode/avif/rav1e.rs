//! The encoder, which is a package of its own.
#![forbid(unsafe_code)]

use lazaret_av1::Picture;

use super::{Chroma, DEPTH, Plan};
use crate::convert::Failure;
use crate::convert::encode::odd;

const _: () = assert!(
    lazaret_av1::DEPTH == DEPTH as u32,
    "samples have as many bits as the encoder takes"
);

/// The AV1 stream of one picture, whose samples `fill` writes, row by row.
pub(super) fn stream(plan: &Plan, fill: &mut dyn FnMut(usize, usize, &mut [u16])) -> Result<Vec<u8>, Failure> {
    let pair = |(one, other): (u32, u32)| (one as usize, other as usize);
    let picture = Picture {
        size: pair(plan.size),
        chroma: match plan.chroma {
            Chroma::None => lazaret_av1::Chroma::None,
            Chroma::Quarter => lazaret_av1::Chroma::Quarter,
            Chroma::Full => lazaret_av1::Chroma::Full,
        },
        quantizer: plan.quantizer,
        srgb: plan.srgb,
        tiles: pair(plan.tiles),
    };
    lazaret_av1::encode(&picture, fill).map_err(|trouble| odd("AVIF", trouble))
}
