//! The resampler: `fast_image_resize`, for the kinds of pixels that Lazaret has.
//!
//! A crate of its own for the sake of the build: that library is generic over pixels and pictures, and would be compiled anew, for thirteen
//! kinds of pixels, with every build of the program and of its tests, and without optimisation there. Here it is compiled once, for six.
//!
//! In: samples without gaps between rows. Out: the same, of another size. Starts no thread.

use std::fmt;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3, U8x4, U16, U16x3, U16x4};
use fast_image_resize::{FilterType, MulDiv, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

/// Channels of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// One.
    Grey,
    /// Red, green, blue.
    Rgb,
    /// And alpha.
    Rgba,
}

/// What alpha means for the colours beside it. Without alpha, nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpha {
    /// Colours count as much as they are seen: they are multiplied by alpha on the way.
    Weighs,
    /// Colours are multiplied by it already.
    Weighed,
}

/// A part of a picture, in its pixels; edges may lie between two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// From the left edge.
    pub left: f64,
    /// From the top edge.
    pub top: f64,
    /// How wide.
    pub width: f64,
    /// How high.
    pub height: f64,
}

/// A picture whose length does not fit its size, or a part that is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odd(String);

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Odd {}

/// A part of a picture with 8 bits a channel, resized with the Lanczos filter of three lobes.
///
/// # Errors
/// Where the length of `picture` is not that of `from` pixels, or `part` not in it.
pub fn resize(
    channels: Channels,
    (picture, from): (&[u8], (u32, u32)),
    part: Part,
    to: (u32, u32),
    alpha: Alpha,
) -> Result<Vec<u8>, Odd> {
    let mut resized = vec![0; length(channels, to)];
    match channels {
        Channels::Grey => resample::<U8>(picture, from, part, &mut resized, to, alpha),
        Channels::Rgb => resample::<U8x3>(picture, from, part, &mut resized, to, alpha),
        Channels::Rgba => resample::<U8x4>(picture, from, part, &mut resized, to, alpha),
    }?;
    Ok(resized)
}

/// A whole picture with 16 bits a channel, resized in the same way; colours are multiplied by alpha already.
///
/// # Errors
/// Where the length of `picture` is not that of `from` pixels.
pub fn resize_deep(channels: Channels, (picture, from): (&[u16], (u32, u32)), to: (u32, u32)) -> Result<Vec<u16>, Odd> {
    let mut resized = vec![0_u16; length(channels, to)];
    let whole = Part {
        left: 0.0,
        top: 0.0,
        width: f64::from(from.0),
        height: f64::from(from.1),
    };
    let (picture, bytes) = (bytemuck::cast_slice(picture), bytemuck::cast_slice_mut(&mut resized));
    match channels {
        Channels::Grey => resample::<U16>(picture, from, whole, bytes, to, Alpha::Weighed),
        Channels::Rgb => resample::<U16x3>(picture, from, whole, bytes, to, Alpha::Weighed),
        Channels::Rgba => resample::<U16x4>(picture, from, whole, bytes, to, Alpha::Weighed),
    }?;
    Ok(resized)
}

fn length(channels: Channels, (width, height): (u32, u32)) -> usize {
    let each = match channels {
        Channels::Grey => 1,
        Channels::Rgb => 3,
        Channels::Rgba => 4,
    };
    width as usize * height as usize * each
}

fn resample<P: PixelTrait>(
    picture: &[u8],
    from: (u32, u32),
    part: Part,
    resized: &mut [u8],
    to: (u32, u32),
    alpha: Alpha,
) -> Result<(), Odd> {
    let source = TypedImageRef::<P>::from_buffer(from.0, from.1, picture).map_err(odd)?;
    let mut target = TypedImage::<P>::from_buffer(to.0, to.1, resized).map_err(odd)?;
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .use_alpha(alpha == Alpha::Weighs)
        .crop(part.left, part.top, part.width, part.height);
    Resizer::new().resize_typed(&source, &mut target, &options).map_err(odd)
}

/// Multiplies the colours of RGBA with 8 bits by alpha, in place.
///
/// # Errors
/// Where the length is not that of so many pixels.
pub fn multiply(rgba: &mut [u8], size: (u32, u32)) -> Result<(), Odd> {
    let mut picture = TypedImage::<U8x4>::from_buffer(size.0, size.1, rgba).map_err(odd)?;
    MulDiv::new().multiply_alpha_inplace_typed(&mut picture).map_err(odd)
}

/// Undoes [`multiply`].
///
/// # Errors
/// As there.
pub fn divide(rgba: &mut [u8], size: (u32, u32)) -> Result<(), Odd> {
    let mut picture = TypedImage::<U8x4>::from_buffer(size.0, size.1, rgba).map_err(odd)?;
    MulDiv::new().divide_alpha_inplace_typed(&mut picture).map_err(odd)
}

/// [`multiply`] with 16 bits.
///
/// # Errors
/// As there.
pub fn multiply_deep(rgba: &mut [u16], size: (u32, u32)) -> Result<(), Odd> {
    let bytes = bytemuck::cast_slice_mut(rgba);
    let mut picture = TypedImage::<U16x4>::from_buffer(size.0, size.1, bytes).map_err(odd)?;
    MulDiv::new().multiply_alpha_inplace_typed(&mut picture).map_err(odd)
}

/// [`divide`] with 16 bits.
///
/// # Errors
/// As there.
pub fn divide_deep(rgba: &mut [u16], size: (u32, u32)) -> Result<(), Odd> {
    let bytes = bytemuck::cast_slice_mut(rgba);
    let mut picture = TypedImage::<U16x4>::from_buffer(size.0, size.1, bytes).map_err(odd)?;
    MulDiv::new().divide_alpha_inplace_typed(&mut picture).map_err(odd)
}

fn odd(problem: impl fmt::Display) -> Odd {
    Odd(problem.to_string())
}
