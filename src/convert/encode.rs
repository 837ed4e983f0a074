//! From the pixels of one rendition to its bytes in the output. Nothing of the source's metadata is written.
//! Grey stays grey where the format knows it.

pub(super) mod avif;
mod changes;
pub(super) mod gif;
pub(super) mod jpeg;
pub(super) mod likeness;
pub(super) mod moving_webp;
pub(super) mod palette;
pub(super) mod png;
pub(super) mod search;
pub(super) mod webp;

use std::io::{self, BufWriter, Write};
use std::rc::Rc;

use crate::convert::Failure;
use crate::convert::metadata::Kept;
use crate::convert::pixels::Pixels;
use crate::format::Format;
use crate::recipe::{LOWEST, Quality, Rendition};
use crate::verdict::{Reason, Refusal};

/// Whether `format` can hold transparency.
pub(super) fn keeps_alpha(format: Format) -> bool {
    matches!(format, Format::Png | Format::Webp | Format::Gif | Format::Avif)
}

/// What is asked of an encoder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order<'a> {
    pub(super) rendition: &'a Rendition,
    /// One of those that [`crate::recipe::Target::resolve`] gives.
    pub(super) format: Format,
    /// What AVIF has a place for in the middle of its file; of other formats it is put in afterwards.
    pub(super) kept: Kept<'a>,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoded {
    /// How many bytes.
    pub(super) bytes: u64,
    /// The quality of a lossy encoding.
    pub(super) quality: Option<u8>,
}

/// Encodes; `beside` are bytes of the rendition that others write.
pub(super) fn encode(
    pixels: Rc<Pixels>,
    order: Order<'_>,
    beside: u64,
    output: &mut dyn Write,
) -> Result<Encoded, Failure> {
    let Order { rendition, format, .. } = order;
    let pixels = match format {
        Format::Jpeg => Pixels::flattened(pixels, rendition.background),
        Format::Webp => Pixels::coloured(pixels),
        Format::Gif => Pixels::with_alpha_channel(pixels),
        _ => pixels,
    };
    let quality = quality(&pixels, order)?;
    let lossy = |quality| rendition.is_lossy(format).then_some(quality);
    let mut output = Counted::new(output);
    let quality = match rendition.max_bytes {
        Some(most) => {
            let (bytes, quality) = search::fit(&pixels, order, quality, (most, beside))?;
            output.write_all(&bytes).map_err(Failure::Output)?;
            quality
        }
        None => {
            write(&pixels, order, quality, &mut output)?;
            quality
        }
    };
    Ok(Encoded {
        bytes: output.finish().map_err(Failure::Output)?,
        quality: lossy(quality),
    })
}

/// The quality that a rendition asks for, found where that is wished; of formats without one it means nothing.
pub(super) fn quality(pixels: &Pixels, order: Order<'_>) -> Result<u8, Failure> {
    match order.rendition.quality() {
        Quality::Auto if order.rendition.is_lossy(order.format) => search::auto(pixels, order),
        Quality::Auto => Ok(LOWEST),
        Quality::Fixed(quality) => Ok(quality),
    }
}

/// One encoding. The pixels are as the format takes them: opaque for JPEG, with colours for WebP, of four channels for GIF.
fn write(pixels: &Pixels, order: Order<'_>, quality: u8, output: &mut dyn Write) -> Result<(), Failure> {
    let rendition = order.rendition;
    match order.format {
        Format::Jpeg => jpeg::encode(pixels, rendition, quality, output),
        Format::Webp => webp::encode(pixels, rendition, quality, output),
        Format::Gif => gif::encode(pixels, output),
        Format::Avif => avif::encode(pixels, order, quality, output),
        _ if rendition.palette => png::encode_with_palette(pixels, output),
        _ => png::encode(pixels, output),
    }
}

/// A rendition that its format has no room for.
fn over(limit: &str, seen: u32, allowed: u32) -> Failure {
    Refusal::over(Reason::TooComplex, limit, seen.into(), allowed.into()).into()
}

/// An encoder's error that no input should lead to.
fn odd(encoder: &str, problem: impl std::fmt::Display) -> Failure {
    Refusal::new(Reason::Corrupt, format_args!("{encoder} encoder: {problem}")).into()
}

/// Counts what is written.
pub(super) struct Counted<'a> {
    output: BufWriter<&'a mut dyn Write>,
    bytes: u64,
}

impl<'a> Counted<'a> {
    pub(super) fn new(output: &'a mut dyn Write) -> Self {
        Self {
            output: BufWriter::new(output),
            bytes: 0,
        }
    }

    /// Passes on what is left; tells how many bytes there were.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.output.flush()?;
        Ok(self.bytes)
    }
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
