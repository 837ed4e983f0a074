//! By zune-jpeg, whole.
#![forbid(unsafe_code)]

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::Target;
use crate::convert::Failure;
use crate::convert::decode::corrupt;
use crate::convert::preflight::{Ending, Headers};
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
        Target::Rgb => ColorSpace::RGB,
    };
    let options = DecoderOptions::default()
        .set_strict_mode(headers.ending == Ending::Whole)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_max_scans(usize::try_from(scans).unwrap_or(usize::MAX))
        .jpeg_set_out_colorspace(space);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(upload), options);
    decoder.decode_headers().map_err(failure)?;
    let found = decoder
        .dimensions()
        .map(|(width, height)| (width as u32, height as u32));
    let stored = decoder.input_colorspace();
    let inks = stored.is_some_and(|stored| stored.num_components() == 4);
    if found != Some((headers.width, headers.height)) || inks != (target == Target::Inks) {
        return Err(corrupt("the decoder finds another picture than the headers say"));
    }
    let lumas = stored == Some(ColorSpace::YCCK);
    if lumas {
        decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::YCCK));
    }
    let mut bytes = vec![0; decoder.output_buffer_size().unwrap_or(0)];
    decoder.decode_into(&mut bytes).map_err(failure)?;
    if lumas {
        bytes.as_chunks_mut::<4>().0.iter_mut().for_each(to_inks);
    }
    Ok(bytes)
}

/// Luma and chroma to inverted inks, as they are stored beside them: these are the complement of JFIF's colours.
fn to_inks(pixel: &mut [u8; 4]) {
    let [y, cb, cr, _] = pixel.map(i32::from);
    let (cb, cr) = (cb - 128, cr - 128);
    let ink = |chroma: i32| 255 - (y + ((chroma + (1 << 15)) >> 16)).clamp(0, 255) as u8;
    pixel[0] = ink(91_881 * cr);
    pixel[1] = ink(-22_554 * cb - 46_802 * cr);
    pixel[2] = ink(116_130 * cb);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_without_chroma_is_three_equal_inks() {
        let mut pixel = [255, 128, 128, 9];
        to_inks(&mut pixel);
        assert_eq!(pixel, [0, 0, 0, 9]);
        let mut red = [76, 85, 255, 0];
        to_inks(&mut red);
        assert_eq!(red.map(|ink| ink / 4), [0, 63, 63, 0]);
    }
}
