//! From an upload to its one decoded picture, 8 bits a channel: the master that every rendition is cut from.
//!
//! Of an animation the first frame is decoded, of a TIFF the first page. No limit of a decoder is relied upon: counts were
//! checked before, memory is the allocator's business, time the supervisor's. A decoder that finds another size than the
//! headers said has been fooled, or has fooled us; either way the file is refused.
// Not forbidden: the bindings of rav1d and libwebp are below, and allow it for themselves.
#![deny(unsafe_code)]

#[cfg(feature = "avif")]
mod avif;
mod ico;
mod inks;
mod jpeg;
#[cfg(feature = "jxl")]
mod jxl;
mod samples;
#[cfg(feature = "svg")]
mod svg;
mod webp;

use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::pnm::PnmDecoder;
use image::codecs::qoi::QoiDecoder;
use image::codecs::tiff::TiffDecoder;
use image::codecs::webp::WebPDecoder;
use image::error::LimitErrorKind;
use image::{ImageDecoder, ImageError, Limits as DecoderLimits};

use crate::convert::Failure;
use crate::convert::colour::{Kind, Source};
use crate::convert::pixels::{Layout, Pixels};
use crate::convert::preflight::{Ending, Headers, Traits};
use crate::convert::scale::Scale;
use crate::format::Format;
use crate::recipe::Recipe;
use crate::sandbox::limits::Limits;
use crate::verdict::{Note, Reason, Refusal};

/// The scale at which an upload is decoded for `recipe`.
pub(super) fn scale(headers: &Headers, recipe: &Recipe) -> Scale {
    match headers.traits {
        Traits::Jpeg { .. } if jpeg::SCALES => Scale::fitting(recipe, headers.displayed()),
        // Hidden colours must not be mixed with those that are seen.
        Traits::Webp { .. } if headers.channels == 3 => Scale::fitting(recipe, headers.displayed()),
        _ => Scale::WHOLE,
    }
}

/// Decodes `upload`, whose headers were examined, at a scale that [`scale`] gave, or whole.
///
/// Of one that ends early, where that is tolerated, what is there is decoded; the rest is grey, black or transparent, and noted in `source`.
pub(super) fn decode(
    upload: &[u8],
    headers: &Headers,
    scale: Scale,
    limits: &Limits,
    source: &mut Source<'_>,
) -> Result<Pixels, Failure> {
    if let Traits::Jpeg { components, adobe, .. } = headers.traits {
        if headers.ending != Ending::Whole {
            source.notes = source.notes.with(Note::Truncated);
        }
        return jpeg::decode(upload, headers, scale, (components, adobe), limits.scans, source);
    }
    if let Traits::Webp { .. } = headers.traits {
        return webp::decode(upload, headers, scale);
    }
    if let Traits::Icon { start, length, png } = headers.traits {
        return ico::decode(upload, headers, (start, length), png, source);
    }
    #[cfg(feature = "svg")]
    if let Traits::Svg(drawing) = headers.traits {
        return svg::decode(upload, headers, drawing, limits);
    }
    let input = Cursor::new(upload);
    match headers.format {
        Format::Png => read(PngDecoder::new(input), headers, source),
        Format::Gif => read(GifDecoder::new(input), headers, source),
        Format::Webp => read(WebPDecoder::new(input), headers, source),
        Format::Bmp => read(BmpDecoder::new(input), headers, source),
        Format::Tiff if headers.colours.kind == Kind::Inks => inks::decode(upload, headers, source),
        Format::Tiff => read(tiff(input), headers, source).map(|pixels| unmultiplied(pixels, headers)),
        Format::Qoi => read(QoiDecoder::new(input), headers, source),
        Format::Pnm => read(PnmDecoder::new(input), headers, source),
        #[cfg(feature = "jxl")]
        Format::Jxl => jxl::decode(upload, headers, source),
        #[cfg(feature = "avif")]
        Format::Avif => avif::decode(upload, headers),
        _ => Err(corrupt("headers without their traits")),
    }
}

/// A TIFF decoder without its default limits: 256 MiB would refuse honest scans.
fn tiff(input: Cursor<&[u8]>) -> Result<TiffDecoder<Cursor<&[u8]>>, ImageError> {
    let mut decoder = TiffDecoder::new(input)?;
    decoder.set_limits(DecoderLimits::no_limits())?;
    Ok(decoder)
}

/// Colours as they are without their alpha, where the file says that they are multiplied by it.
fn unmultiplied(mut pixels: Pixels, headers: &Headers) -> Pixels {
    if headers.traits == Traits::Premultiplied && pixels.layout == Layout::Rgba {
        pixels.premultiplied = true;
        pixels.unmultiply();
    }
    pixels
}

fn read<D: ImageDecoder>(
    decoder: Result<D, ImageError>,
    headers: &Headers,
    source: &mut Source<'_>,
) -> Result<Pixels, Failure> {
    let decoder = decoder.map_err(failure)?;
    let size = decoder.dimensions();
    if size != (headers.width, headers.height) {
        return Err(corrupt("the decoder finds another size than the headers say"));
    }
    let kind = decoder.color_type();
    let mut bytes = vec![0; usize::try_from(decoder.total_bytes()).map_err(|_| Failure::OutOfMemory)?];
    match decoder.read_image(&mut bytes) {
        Ok(()) => {}
        // Where not one sample was decoded there is nothing to show.
        Err(_) if headers.ending != Ending::Whole && bytes.iter().any(|&sample| sample != 0) => {
            source.notes = source.notes.with(Note::Truncated);
            // The decoder did not come to put samples of two bytes in order.
            if headers.format == Format::Png {
                samples::from_big_endian(kind, &mut bytes);
            }
        }
        Err(error) => return Err(failure(error)),
    }
    let (layout, bytes) = samples::to_eight_bits(kind, bytes)?;
    Ok(Pixels::new(size, layout, bytes).without_idle_alpha())
}

/// What a panic at this place means, where it is a decoder's way to return an error.
pub(super) fn gave_up(file: &str, line: u32) -> Option<Refusal> {
    #[cfg(feature = "avif")]
    if avif::gave_up(file, line) {
        return Some(Refusal::new(Reason::Corrupt, "an AV1 stream that cannot be decoded"));
    }
    let _ = (file, line);
    None
}

pub(super) fn failure(error: ImageError) -> Failure {
    match error {
        ImageError::Unsupported(error) => Refusal::new(Reason::UnsupportedFormat, error).into(),
        ImageError::Limits(error) if error.kind() == LimitErrorKind::InsufficientMemory => Failure::OutOfMemory,
        error => corrupt(error),
    }
}

pub(super) fn corrupt(detail: impl std::fmt::Display) -> Failure {
    Refusal::new(Reason::Corrupt, detail).into()
}
