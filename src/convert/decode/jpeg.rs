//! JPEG through zune-jpeg: strict, so that a file that ends early is an error and not half grey.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::corrupt;
use crate::convert::Failure;
use crate::convert::pixels::{Layout, Pixels};
use crate::convert::preflight::Headers;
use crate::verdict::{Reason, Refusal};

/// Decodes a JPEG of 1, 3 or 4 components; four inks are inverted where an Adobe marker says who wrote them.
pub(super) fn decode(
    upload: &[u8],
    headers: &Headers,
    (components, adobe): (u8, bool),
    scans: u64,
) -> Result<Pixels, Failure> {
    let (space, layout) = match (components, adobe) {
        (1, _) => (ColorSpace::Luma, Layout::Grey),
        (4, false) => (ColorSpace::CMYK, Layout::Rgb),
        _ => (ColorSpace::RGB, Layout::Rgb),
    };
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_max_scans(usize::try_from(scans).unwrap_or(usize::MAX))
        .jpeg_set_out_colorspace(space);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(upload), options);
    decoder.decode_headers().map_err(failure)?;
    let size = (headers.width, headers.height);
    let found = decoder
        .dimensions()
        .map(|(width, height)| (width as u32, height as u32));
    let inks = decoder
        .input_colorspace()
        .is_some_and(|input| input.num_components() == 4);
    if found != Some(size) || inks != (components == 4) {
        return Err(corrupt("the decoder finds another picture than the headers say"));
    }
    let mut bytes = vec![0; decoder.output_buffer_size().unwrap_or(0)];
    decoder.decode_into(&mut bytes).map_err(failure)?;
    if space == ColorSpace::CMYK {
        bytes = paint(bytes);
    }
    Ok(Pixels::new(size, layout, bytes))
}

/// Inks, 255 for full, to light, in place.
fn paint(mut inks: Vec<u8>) -> Vec<u8> {
    let count = inks.len() / 4;
    for index in 0..count {
        let from = index * 4;
        let paper = u32::from(255 - inks[from + 3]);
        for channel in 0..3 {
            let light = u32::from(255 - inks[from + channel]);
            inks[index * 3 + channel] = ((light * paper + 127) / 255) as u8;
        }
    }
    inks.truncate(count * 3);
    inks.shrink_to_fit();
    inks
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
