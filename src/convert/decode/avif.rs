//! AVIF through rav1d, on the caller's thread: each AV1 stream that the container names, laid side by side.
//!
//! Clean apertures are not applied. What the AV1 stream says of primaries and transfer is not looked at: the container has the say.

mod av1;
mod colour;

use super::corrupt;
use crate::convert::Failure;
use crate::convert::pixels::{Layout, Pixels};
use crate::convert::preflight::Headers;
use crate::convert::preflight::avif::{Picture, Plane};

use colour::Canvas;

/// Where rav1d panics after every frame that it could not decode: on its way out it looks at a header that it has given away.
/// Unwinding does not pass its C interface, so the panic is known by its place.
const GIVEN_UP: (&str, u32) = ("rav1d-1.1.0/src/decode.rs", 4997);

/// Whether a panic at this place is an error of rav1d's.
pub(super) fn gave_up(file: &str, line: u32) -> bool {
    file.ends_with(GIVEN_UP.0) && line == GIVEN_UP.1
}

/// Decodes the picture, as stored: the caller turns it.
pub(super) fn decode(upload: &[u8], headers: &Headers) -> Result<Pixels, Failure> {
    let picture = Picture::read(upload)?;
    let size = picture.colour.size;
    if size != (headers.width, headers.height) {
        return Err(corrupt("the container says another size than the headers"));
    }
    let layout = if picture.alpha.is_some() {
        Layout::Rgba
    } else {
        Layout::Rgb
    };
    let length = size.0 as usize * size.1 as usize * layout.channels();
    let mut pixels = Pixels::new(size, layout, vec![0; length]);
    each_tile(upload, &picture.colour, |frame, place| {
        let mut canvas = Canvas::new(&mut pixels, place);
        colour::paint(frame, picture.colour.nclx, &mut canvas)
    })?;
    if let Some(alpha) = &picture.alpha {
        each_tile(upload, alpha, |frame, place| {
            let mut canvas = Canvas::new(&mut pixels, place);
            colour::paint_alpha(frame, alpha.nclx, &mut canvas)
        })?;
        if picture.premultiplied {
            pixels.premultiplied = true;
            pixels.unmultiply();
        }
    }
    Ok(pixels.without_idle_alpha())
}

/// Decodes the tiles of a plane one after another: what each shows, and where it lies.
fn each_tile(
    upload: &[u8],
    plane: &Plane,
    mut draw: impl FnMut(&av1::Frame, (u32, u32)) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for (index, &(start, end)) in plane.streams.iter().enumerate() {
        let stream = upload.get(start..end).unwrap_or_default();
        let frame = av1::decode(stream, plane.tile)?;
        let (column, row) = ((index % plane.columns) as u32, (index / plane.columns) as u32);
        draw(&frame, (column * plane.tile.0, row * plane.tile.1))?;
    }
    Ok(())
}
