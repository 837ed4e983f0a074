//! From the master to the pixels of one rendition: [`Cut`] and resize, then [`finish`]: turn, blur or sharpen, pad, in this order, because
//! the small result is cheaper to turn than the master, and what is cut may serve several renditions. EXIF's turn and that of the recipe are one.
//!
//! Absent on purpose: threads; the resampler runs on the caller's.
#![forbid(unsafe_code)]

pub(super) mod attention;
pub(super) mod blur;
pub(super) mod sharpen;

use std::rc::Rc;

use lazaret_resample::{Alpha, Part, resize};

use crate::convert::Failure;
use crate::convert::light;
use crate::convert::orientation::Orientation;
use crate::convert::pixels::{Layout, Pixels};
use crate::convert::plan::{Piece, Wanted};
use crate::convert::preflight::{Headers, Traits};
use crate::convert::scale::Scale;
use crate::recipe::{Colour, Geometry, Hundredths, Rendition};
use crate::verdict::{Reason, Refusal};

/// The side of the squares in which a quarter turn walks a picture, so that both of its sides stay in the cache.
const TILE: u32 = 32;

/// In which colours a rendition is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colouring {
    /// sRGB.
    Srgb,
    /// The master's own, whose profile goes with it.
    Own,
}

/// A picture that pieces are cut from: the master, or a piece.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    /// The pixels, stored as in the file.
    pub(super) pixels: Rc<Pixels>,
    /// What of the whole picture they show: x, y, width, height.
    part: (u32, u32, u32, u32),
    /// Pixels here for each of the whole picture, across and down.
    factor: (f64, f64),
}

impl Cut {
    /// The master of an upload with these headers, decoded at `scale`.
    pub(super) fn master(pixels: Rc<Pixels>, headers: &Headers, scale: Scale) -> Self {
        let (width, height) = headers.master();
        let factor = match headers.traits {
            // Blocks become smaller blocks: the last one may be there in part.
            Traits::Jpeg { .. } => (scale.factor(), scale.factor()),
            _ => (
                f64::from(pixels.width) / f64::from(width),
                f64::from(pixels.height) / f64::from(height),
            ),
        };
        Self {
            pixels,
            part: (0, 0, width, height),
            factor,
        }
    }

    /// A piece of it. The pixels are shared where they are the same.
    pub(super) fn cut(self, piece: &Piece, colouring: Colouring) -> Result<Self, Failure> {
        let same = piece.part == self.part && piece.size == (self.pixels.width, self.pixels.height);
        let pixels = match (same, piece.is_resized()) {
            (true, _) => Rc::clone(&self.pixels),
            (false, true) if piece.linear => {
                let lit = light::resize(&self.pixels, piece.part, piece.size);
                Rc::new(lit.map_err(|problem| odd(&problem))?)
            }
            (false, true) => Rc::new(self.resize(piece)?),
            (false, false) => Rc::new(crop(&self.pixels, piece.part)),
        };
        drop(self);
        Ok(Self {
            // Before anything is laid beside it that is in sRGB.
            pixels: match colouring {
                Colouring::Srgb => Pixels::in_srgb(pixels),
                Colouring::Own => pixels,
            },
            part: piece.part,
            factor: (
                f64::from(piece.size.0) / f64::from(piece.part.2),
                f64::from(piece.size.1) / f64::from(piece.part.3),
            ),
        })
    }

    fn resize(&self, piece: &Piece) -> Result<Pixels, Failure> {
        let from = &self.pixels;
        let (x, y, width, height) = piece.part;
        // Where a scaled row ends with a part of a pixel, that part is used; rounding must not lead beyond it.
        let (across, down) = self.factor;
        let (left, top) = (f64::from(x - self.part.0) * across, f64::from(y - self.part.1) * down);
        let part = Part {
            left,
            top,
            width: (f64::from(width) * across).min(f64::from(from.width) - left),
            height: (f64::from(height) * down).min(f64::from(from.height) - top),
        };
        let alpha = match from.premultiplied {
            true => Alpha::Weighed,
            false => Alpha::Weighs,
        };
        let picture = (&from.bytes[..], (from.width, from.height));
        let resized =
            resize(from.layout.to_resample(), picture, part, piece.size, alpha).map_err(|problem| odd(&problem))?;
        let mut pixels = Pixels {
            space: from.space.clone(),
            ..Pixels::new(piece.size, from.layout, resized)
        };
        if from.premultiplied {
            pixels.unmultiply();
        }
        Ok(pixels)
    }
}

/// What a rendition is padded with: the colour of its background; where `alpha` can be written and the upload is `translucent`, an opaque
/// background means a transparent one.
pub(super) fn padding(rendition: &Rendition, alpha: bool, translucent: bool) -> Colour {
    match (alpha, rendition.background) {
        (false, colour) => Colour::opaque(colour.on_white()),
        (true, colour) if translucent && colour.is_opaque() => Colour([0; 4]),
        (true, colour) => colour,
    }
}

/// The pixels of a rendition from its piece. `orientation` is EXIF's.
pub(super) fn finish(piece: Rc<Pixels>, wanted: &Wanted, orientation: Orientation, padding: Colour) -> Rc<Pixels> {
    let Wanted {
        rendition, geometry, ..
    } = wanted;
    let orientation = orientation.then(Orientation::of(rendition));
    let turned = if orientation == Orientation::UPRIGHT {
        piece
    } else {
        Rc::new(turn(&piece, orientation))
    };
    let turned = filtered(turned, rendition);
    if geometry.canvas == geometry.resized {
        return turned;
    }
    Rc::new(pad(turned, *geometry, padding))
}

/// Blurred, sharpened, in place where nobody else holds the picture.
fn filtered(picture: Rc<Pixels>, rendition: &Rendition) -> Rc<Pixels> {
    if !is_filtered(rendition) {
        return picture;
    }
    let mut own = Rc::unwrap_or_clone(picture);
    if rendition.blur != Hundredths(0) {
        blur::blur(&mut own, rendition.blur);
    }
    if rendition.sharpen != Hundredths(0) {
        sharpen::sharpen(&mut own, rendition.sharpen);
    }
    Rc::new(own)
}

/// Whether pixels are blurred or sharpened.
pub(super) fn is_filtered(rendition: &Rendition) -> bool {
    rendition.blur != Hundredths(0) || rendition.sharpen != Hundredths(0)
}

/// An error of the resampler that no input should lead to.
fn odd(problem: &dyn std::fmt::Display) -> Failure {
    Refusal::new(Reason::Corrupt, format_args!("resizing: {problem}")).into()
}

fn crop(master: &Pixels, (x, y, width, height): (u32, u32, u32, u32)) -> Pixels {
    let channels = master.layout.channels();
    let mut bytes = Vec::with_capacity(width as usize * height as usize * channels);
    let (from, length) = (x as usize * channels, width as usize * channels);
    for row in master
        .bytes
        .chunks_exact(master.stride())
        .skip(y as usize)
        .take(height as usize)
    {
        bytes.extend_from_slice(&row[from..from + length]);
    }
    Pixels {
        space: master.space.clone(),
        ..Pixels::new((width, height), master.layout, bytes)
    }
}

fn turn(picture: &Pixels, orientation: Orientation) -> Pixels {
    match picture.layout {
        Layout::Grey => turn_pixels::<1>(picture, orientation),
        Layout::Rgb => turn_pixels::<3>(picture, orientation),
        Layout::Rgba => turn_pixels::<4>(picture, orientation),
    }
}

fn turn_pixels<const CHANNELS: usize>(picture: &Pixels, orientation: Orientation) -> Pixels {
    let store = (picture.width, picture.height);
    let (width, height) = orientation.turn(store);
    let mut turned = vec![0; picture.bytes.len()];
    let (from, _) = picture.bytes.as_chunks::<CHANNELS>();
    let (to, _) = turned.as_chunks_mut::<CHANNELS>();
    for top in (0..height).step_by(TILE as usize) {
        for left in (0..width).step_by(TILE as usize) {
            for y in top..height.min(top + TILE) {
                for x in left..width.min(left + TILE) {
                    let (stored_x, stored_y) = orientation.stored((x, y), store);
                    let index = stored_y as usize * store.0 as usize + stored_x as usize;
                    to[y as usize * width as usize + x as usize] = from[index];
                }
            }
        }
    }
    Pixels::new((width, height), picture.layout, turned)
}

/// Lays the picture on a canvas of one colour, which may be none at all.
fn pad(picture: Rc<Pixels>, geometry: Geometry, fill: Colour) -> Pixels {
    let Colour([r, g, b, _]) = fill;
    let picture = match fill {
        fill if !fill.is_opaque() => Pixels::with_alpha_channel(picture),
        _ if r != g || g != b => Pixels::coloured(picture),
        _ => picture,
    };
    let channels = picture.layout.channels();
    let fill = fill.0;
    let pixel_count = geometry.canvas.0 as usize * geometry.canvas.1 as usize;
    let mut bytes = vec![fill[0]; pixel_count * channels];
    if fill[..channels].iter().any(|&value| value != fill[0]) {
        bytes
            .chunks_exact_mut(channels)
            .for_each(|pixel| pixel.copy_from_slice(&fill[..channels]));
    }
    let (row, column) = (
        geometry.canvas.0 as usize * channels,
        geometry.offset.0 as usize * channels,
    );
    let rows = bytes.chunks_exact_mut(row).skip(geometry.offset.1 as usize);
    for (to, from) in rows.zip(picture.bytes.chunks_exact(picture.stride())) {
        to[column..column + from.len()].copy_from_slice(from);
    }
    Pixels::new(geometry.canvas, picture.layout, bytes)
}
