//! From the master to the pixels of one rendition: cut, resize, turn, blur or sharpen, pad, in this order, because the small result is
//! cheaper to turn than the master. EXIF's turn and that of the recipe are one.
//!
//! Absent on purpose: threads; the resampler runs on the caller's.
#![forbid(unsafe_code)]

mod attention;
pub(super) mod blur;
pub(super) mod sharpen;

use std::rc::Rc;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::convert::Failure;
use crate::convert::light;
use crate::convert::orientation::Orientation;
use crate::convert::pixels::{Layout, Pixels};
use crate::convert::placeholder;
use crate::convert::preflight::Headers;
use crate::convert::scale::Scale;
use crate::recipe::{Colour, Geometry, Hundredths, Recipe, Rendition};
use crate::verdict::{Reason, Refusal};

/// The side of the squares in which a quarter turn walks a picture, so that both of its sides stay in the cache.
const TILE: u32 = 32;

/// Whether the master's colours may be multiplied by alpha once, for all renditions: not where one takes its pixels as they
/// are, for the way there and back is not exact, nor where one mixes light.
pub(super) fn may_premultiply(recipe: &Recipe, headers: &Headers) -> bool {
    let (width, height) = headers.displayed();
    let small = recipe.placeholder().map(|_| placeholder::rendition());
    let mut renditions = recipe.renditions().iter().chain(&small);
    renditions.all(|rendition| resizes(&rendition.geometry(width, height)) && !rendition.linear)
}

/// Whether the master's colours are converted once, for all renditions: where these together have as many pixels, one takes its pixels as
/// they are, so that each conversion would need a copy, or one mixes light, which is known of sRGB alone.
pub(super) fn converts_early(renditions: &[Rendition], headers: &Headers, master: &Pixels) -> bool {
    let (width, height) = headers.displayed();
    let geometries = renditions.iter().map(|rendition| rendition.geometry(width, height));
    let (mut pixels, mut needed) = (0, renditions.iter().any(|rendition| rendition.linear));
    for geometry in geometries {
        pixels += u64::from(geometry.resized.0) * u64::from(geometry.resized.1);
        needed |= !resizes(&geometry);
    }
    needed || pixels >= u64::from(master.width) * u64::from(master.height)
}

/// Whether pixels are computed, and not only copied.
pub(super) fn resizes(geometry: &Geometry) -> bool {
    (geometry.crop.2, geometry.crop.3) != geometry.resized
}

/// In which colours a rendition is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colouring {
    /// sRGB.
    Srgb,
    /// The master's own, whose profile goes with it.
    Own,
}

/// The pixels of `rendition`, from the master that was decoded at `scale`. Padding has the colour of the rendition's background; where
/// `alpha` can be written and the source has some, an opaque background means a transparent one.
pub(super) fn render(
    master: Rc<Pixels>,
    scale: Scale,
    rendition: &Rendition,
    headers: &Headers,
    alpha: bool,
    colouring: Colouring,
) -> Result<Rc<Pixels>, Failure> {
    let orientation = headers.orientation;
    let store = (headers.width, headers.height);
    let (width, height) = headers.displayed();
    let anchor = attention::anchor(&master, rendition, orientation);
    let geometry = rendition.geometry_toward(width, height, anchor);
    let orientation = orientation.then(Orientation::of(rendition));
    let part = orientation.stored_part(geometry.crop, store);
    let size = orientation.turn(geometry.resized);

    let whole = part == (0, 0, store.0, store.1);
    let cut = match (resizes(&geometry), whole) {
        (true, _) if rendition.linear => Rc::new(light::resize(&master, part, size).map_err(|problem| odd(&problem))?),
        (true, _) => Rc::new(resize(&master, scale, part, size)?),
        (false, true) => Rc::clone(&master),
        (false, false) => Rc::new(crop(&master, part)),
    };
    drop(master);
    // Before anything is laid beside it that is in sRGB.
    let cut = match colouring {
        Colouring::Srgb => Pixels::in_srgb(cut),
        Colouring::Own => cut,
    };

    let turned = if orientation == Orientation::UPRIGHT {
        cut
    } else {
        Rc::new(turn(&cut, orientation))
    };
    let turned = filtered(turned, rendition);
    if geometry.canvas == geometry.resized {
        return Ok(turned);
    }
    let fill = match (alpha, rendition.background) {
        (false, colour) => Colour::opaque(colour.on_white()),
        (true, colour) if turned.layout == Layout::Rgba && colour.is_opaque() => Colour([0; 4]),
        (true, colour) => colour,
    };
    Ok(Rc::new(pad(turned, geometry, fill)))
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

fn resize(master: &Pixels, scale: Scale, part: (u32, u32, u32, u32), size: (u32, u32)) -> Result<Pixels, Failure> {
    let kind = master.layout.pixel_type();
    let source = ImageRef::new(master.width, master.height, &master.bytes, kind).map_err(|problem| odd(&problem))?;
    let mut target = Image::new(size.0, size.1, kind);
    // The last pixel of a scaled row may be there in part: it is used in part.
    let at = |edge: u32| f64::from(edge) * scale.factor();
    let (x, y, width, height) = part;
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .use_alpha(!master.premultiplied)
        .crop(at(x), at(y), at(width), at(height));
    Resizer::new()
        .resize(&source, &mut target, &options)
        .map_err(|problem| odd(&problem))?;
    let mut pixels = Pixels {
        space: master.space.clone(),
        ..Pixels::new(size, master.layout, target.into_vec())
    };
    if master.premultiplied {
        pixels.unmultiply();
    }
    Ok(pixels)
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
