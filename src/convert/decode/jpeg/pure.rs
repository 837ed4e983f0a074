//! By zune-jpeg, whole.
#![forbid(unsafe_code)]

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::{Target, paint};
use crate::convert::Failure;
use crate::convert::decode::corrupt;
use crate::convert::preflight::Headers;
use crate::convert::scale::Scale;
use crate::verdict::{Reason, Refusal};

pub(super) const SCALES: bool = false;

pub(super) fn decode(
    upload: &[u8],
    headers: &Headers,
    _whole: Scale,
    target: Target,
    scans: u64,
) -> Result<Vec<u8>, Failure> {
    let space = match target {
        Target::Grey => ColorSpace::Luma,
        Target::Inks => ColorSpace::CMYK,
        // Inverted inks are turned to light by the decoder itself.
        Target::Rgb | Target::InvertedInks => ColorSpace::RGB,
    };
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_max_scans(usize::try_from(scans).unwrap_or(usize::MAX))
        .jpeg_set_out_colorspace(space);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(upload), options);
    decoder.decode_headers().map_err(failure)?;
    let found = decoder
        .dimensions()
        .map(|(width, height)| (width as u32, height as u32));
    let inks = decoder
        .input_colorspace()
        .is_some_and(|input| input.num_components() == 4);
    if found != Some((headers.width, headers.height)) || inks != matches!(target, Target::Inks | Target::InvertedInks) {
        return Err(corrupt("the decoder finds another picture than the headers say"));
    }
    let mut bytes = vec![0; decoder.output_buffer_size().unwrap_or(0)];
    decoder.decode_into(&mut bytes).map_err(failure)?;
    Ok(match target {
        Target::Inks => paint(bytes, |ink| 255 - ink),
        _ => bytes,
    })
}

fn failure(error: DecodeErrors) -> Failure {
    match error {
        DecodeErrors::Unsupported(what) => Refusal::new(
            Reason::UnsupportedFormat,
            format_args!("JPEG feature {what:?} is not read"),
        )
        .into(),
        error => corrupt(format_args!("JPEG: {error:?}")),
    }
}
