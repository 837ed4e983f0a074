//! What the headers of an upload say, read without decoding a pixel.
//!
//! In: an upload's bytes. Out: [`Headers`], or a refusal that names the limit. Every reader walks its container once, from
//! front to back, holds nothing that grows with the file, and never trusts a length. It counts what costs a decoder
//! memory or time, also where a decoder would not look: the larger count wins.
//!
//! Absent on purpose: checksums, pixels, and everything that a decoder finds out by itself without much cost.
#![forbid(unsafe_code)]

#[cfg(feature = "avif")]
pub(super) mod avif;
mod bmp;
mod bytes;
mod exif;
mod gif;
mod ico;
mod inflate;
mod info;
mod jpeg;
#[cfg(feature = "jxl")]
mod jxl;
mod png;
mod pnm;
mod qoi;
#[cfg(feature = "svg")]
pub(super) mod svg;
mod tiff;
mod webp;

pub(super) use bytes::Bytes;
pub(super) use info::read as info;

use crate::convert::colour::{Colours, Kind};
use crate::convert::metadata::Exif;
use crate::convert::orientation::Orientation;
use crate::convert::scale::Scale;
use crate::format::{Format, unread};
use crate::recipe::geometry::Anchor;
use crate::recipe::{Geometry, Recipe, Rendition};
use crate::sandbox::limits::Limits;
use crate::verdict::{Reason, Refusal};

/// What a decoder is going to meet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Headers {
    /// Format by magic bytes.
    pub(super) format: Format,
    /// Width as stored.
    pub(super) width: u32,
    /// Height as stored.
    pub(super) height: u32,
    /// Frames of an animation, pages of a TIFF; at least 1.
    pub(super) frames: u64,
    /// Pixels of the largest thing that a decoder may lay out: canvas, frame or tile.
    pub(super) largest: u64,
    /// How the pixels are displayed.
    pub(super) orientation: Orientation,
    /// Channels of the decoded picture, at most.
    pub(super) channels: u64,
    /// Peak heap of the decoder, the decoded picture included, at most.
    pub(super) decode_bytes: u64,
    /// Where EXIF lies.
    pub(super) exif: Option<Exif>,
    /// How the file ends; [`Ending::Whole`] unless that is tolerated.
    pub(super) ending: Ending,
    /// What the samples are, and what is said of their colours.
    pub(super) colours: Colours,
    /// What else the decoder should know.
    pub(super) traits: Traits,
}

/// How a file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// As it should, as far as headers tell.
    Whole,
    /// Between two parts, without its end: its decoder finds out whether anything is missing.
    Open,
    /// Within a part, as this says.
    Cut(&'static str),
    /// It lacks something before its end, as this says: that is never tolerated.
    Short(&'static str),
}

/// What is done with a file that ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truncated {
    /// It is refused as corrupt.
    Refused,
    /// It is converted as far as it goes.
    Tolerated,
}

impl Truncated {
    /// As a recipe says.
    pub(super) fn of(recipe: &Recipe) -> Self {
        if recipe.tolerates_truncated() {
            Self::Tolerated
        } else {
            Self::Refused
        }
    }
}

/// Facts that one format's decoder needs from the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Traits {
    /// None.
    Plain,
    /// Of a TIFF whose colours are multiplied by alpha.
    Premultiplied,
    /// Of a JPEG.
    Jpeg {
        /// Components: 1, 3 or 4.
        components: u8,
        /// Whether an Adobe marker was seen: four inks are then stored inverted.
        adobe: bool,
        /// What the decoder holds beside the decoded picture, at most, whatever its scale.
        beside: u64,
    },
    /// Of an icon: its largest picture.
    Icon {
        /// Where it starts.
        start: u32,
        /// Its bytes.
        length: u32,
        /// Whether it is a PNG, else a bitmap.
        png: bool,
    },
    /// Of a WebP that is no animation.
    Webp {
        /// What the decoder holds beside the decoded picture, at most, whatever its scale.
        beside: u64,
    },
    /// Of an SVG: what was counted, and the size at which it is drawn.
    #[cfg(feature = "svg")]
    Svg(svg::Drawing),
}

impl Headers {
    /// Of a still picture of `size`, stored upright, that decodes to `channels` in a heap of `decode_bytes`.
    pub(super) fn still(format: Format, (width, height): (u32, u32), channels: u64, decode_bytes: u64) -> Self {
        Self {
            format,
            width,
            height,
            frames: 1,
            largest: 0,
            orientation: Orientation::UPRIGHT,
            channels,
            decode_bytes,
            exif: None,
            ending: Ending::Whole,
            colours: Colours::plain(if channels == 1 { Kind::Grey } else { Kind::Rgb }),
            traits: Traits::Plain,
        }
    }

    /// Width and height as displayed.
    pub(super) fn displayed(&self) -> (u32, u32) {
        self.orientation.turn((self.width, self.height))
    }

    /// Width and height of the decoded picture: as stored, but for drawings.
    pub(super) fn master(&self) -> (u32, u32) {
        match self.traits {
            #[cfg(feature = "svg")]
            Traits::Svg(drawing) => drawing.render,
            _ => (self.width, self.height),
        }
    }

    /// The geometry of a rendition on the decoded picture, shown upright and turned as the rendition is.
    pub(super) fn geometry(&self, rendition: &Rendition) -> Geometry {
        self.geometry_toward(rendition, rendition.gravity.anchor())
    }

    /// The same, with free space shared by `anchor`.
    pub(super) fn geometry_toward(&self, rendition: &Rendition, anchor: Anchor) -> Geometry {
        let (width, height) = self.displayed();
        let geometry = rendition.geometry_toward(width, height, anchor);
        let decoded = self.orientation.turn(self.master());
        geometry.on(rendition.turned(width, height), rendition.turned(decoded.0, decoded.1))
    }

    /// The same picture, where it is a drawing, decoded as large as `recipe` needs it.
    pub(super) fn for_recipe(self, recipe: &Recipe, limits: &Limits) -> Result<Self, Refusal> {
        match self.traits {
            #[cfg(feature = "svg")]
            Traits::Svg(drawing) => drawing.for_recipe(self, recipe, limits),
            _ => {
                let _ = (recipe, limits);
                Ok(self)
            }
        }
    }

    /// Work of decoding, in pixels of a JPEG, where size and format do not say it; else 0.
    pub(super) fn decode_work(&self) -> u64 {
        match self.traits {
            #[cfg(feature = "svg")]
            Traits::Svg(drawing) => drawing.work(),
            _ => 0,
        }
    }

    /// Heap of what headers are read from: little, but for drawings, which are all header.
    pub(super) fn document_bytes(&self) -> u64 {
        match self.traits {
            #[cfg(feature = "svg")]
            Traits::Svg(drawing) => drawing.document_bytes(),
            _ => 0,
        }
    }

    /// Pixels of the decoded picture.
    pub(super) fn pixels(&self) -> u64 {
        let (width, height) = self.master();
        area(width, height)
    }

    /// Peak heap of the decoder at `scale`, the decoded picture included, at most.
    pub(super) fn decode_bytes_at(&self, scale: Scale) -> u64 {
        match self.traits {
            Traits::Jpeg { components, beside, .. } if scale != Scale::WHOLE => {
                let (width, height) = scale.size((self.width, self.height));
                area(width, height) * u64::from(components) + beside
            }
            Traits::Webp { beside } if scale != Scale::WHOLE => {
                let (width, height) = scale.size((self.width, self.height));
                // What is scaled down is mixed in rows of 32 bits a sample.
                area(width, height) * self.channels + beside + u64::from(width) * 64
            }
            _ => self.decode_bytes,
        }
    }

    fn check(&self, limits: &Limits) -> Result<(), Refusal> {
        if self.width == 0 || self.height == 0 {
            return Err(corrupt("a picture of no pixels"));
        }
        let pixels = area(self.width, self.height).max(self.largest);
        if pixels > limits.pixels {
            return Err(Refusal::over(Reason::TooManyPixels, "pixels", pixels, limits.pixels));
        }
        let frame_pixels = pixels.saturating_mul(self.frames);
        if frame_pixels > limits.frame_pixels {
            return Err(Refusal::over(
                Reason::TooManyFrames,
                "frame_pixels",
                frame_pixels,
                limits.frame_pixels,
            ));
        }
        Ok(())
    }
}

/// The headers of `upload`, within the limits that are counted without a recipe.
pub(super) fn examine(upload: &[u8], limits: &Limits, truncated: Truncated) -> Result<Headers, Refusal> {
    if upload.is_empty() {
        return Err(Refusal::new(Reason::Empty, "the upload has no bytes"));
    }
    let head = upload.get(..Format::MAGIC_BYTES).unwrap_or(upload);
    let format = Format::sniff(head).ok_or_else(|| unsupported(unread(head)))?;
    if let Some(refusal) = limits.formats.refusal(format) {
        return Err(refusal);
    }
    let read = match format {
        Format::Jpeg => jpeg::read,
        Format::Png => png::read,
        Format::Gif => gif::read,
        Format::Webp => webp::read,
        Format::Bmp => bmp::read,
        Format::Tiff => tiff::read,
        Format::Ico => ico::read,
        Format::Qoi => qoi::read,
        Format::Pnm => pnm::read,
        #[cfg(feature = "svg")]
        Format::Svg => svg::read,
        #[cfg(feature = "jxl")]
        Format::Jxl => jxl::read,
        #[cfg(feature = "avif")]
        Format::Avif => avif::read,
        #[cfg(not(all(feature = "svg", feature = "jxl", feature = "avif")))]
        absent => return Err(unsupported(format_args!("{absent} is not in this build"))),
    };
    let mut headers = read(upload, limits)?;
    headers.check(limits)?;
    match (truncated, headers.ending) {
        (_, Ending::Short(why)) | (Truncated::Refused, Ending::Cut(why)) => return Err(corrupt(why)),
        (Truncated::Tolerated, _) => {}
        (Truncated::Refused, _) => headers.ending = Ending::Whole,
    }
    Ok(headers)
}

fn corrupt(detail: impl std::fmt::Display) -> Refusal {
    Refusal::new(Reason::Corrupt, detail)
}

fn unsupported(detail: impl std::fmt::Display) -> Refusal {
    Refusal::new(Reason::UnsupportedFormat, detail)
}

/// Refuses a count over its limit as too complex.
fn at_most(limit: &str, seen: u64, allowed: u64) -> Result<(), Refusal> {
    if seen > allowed {
        Err(Refusal::over(Reason::TooComplex, limit, seen, allowed))
    } else {
        Ok(())
    }
}

fn area(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}

#[cfg(test)]
mod tests;
