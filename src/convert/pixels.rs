//! Decoded pixels, 8 bits a channel, rows without gaps. `[pure]`
#![forbid(unsafe_code)]

use std::rc::Rc;

use lazaret_resample::{self as resample, Channels};

use crate::convert::colour::Space;
use crate::recipe::Colour;

/// Channels of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Grey,
    Rgb,
    Rgba,
}

/// A picture in memory.
#[derive(Debug, Clone)]
pub(super) struct Pixels {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) layout: Layout,
    /// `width` × `height` × channels.
    pub(super) bytes: Vec<u8>,
    /// Whether colours are multiplied by alpha; only ever true of a master.
    pub(super) premultiplied: bool,
    /// The way to sRGB; nothing where the samples are there.
    pub(super) space: Option<Rc<Space>>,
}

impl Layout {
    /// Bytes of one pixel.
    pub(super) fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    /// The same, as the resampler calls it.
    pub(super) fn to_resample(self) -> Channels {
        match self {
            Self::Grey => Channels::Grey,
            Self::Rgb => Channels::Rgb,
            Self::Rgba => Channels::Rgba,
        }
    }
}

impl Pixels {
    /// A picture from its bytes: `width` × `height` × channels of them.
    pub(super) fn new((width, height): (u32, u32), layout: Layout, bytes: Vec<u8>) -> Self {
        debug_assert_eq!(bytes.len(), width as usize * height as usize * layout.channels());
        Self {
            width,
            height,
            layout,
            bytes,
            premultiplied: false,
            space: None,
        }
    }

    /// Bytes of one row.
    pub(super) fn stride(&self) -> usize {
        self.width as usize * self.layout.channels()
    }

    /// Converts to sRGB, in place where nobody else holds the picture.
    pub(super) fn in_srgb(picture: Rc<Self>) -> Rc<Self> {
        if picture.space.is_none() {
            return picture;
        }
        let mut own = Rc::unwrap_or_clone(picture);
        own.become_srgb();
        Rc::new(own)
    }

    /// Converts to sRGB, in place; colours must not be multiplied by alpha.
    pub(super) fn become_srgb(&mut self) {
        debug_assert!(!self.premultiplied, "colours times alpha are no colours");
        if let Some(space) = self.space.take() {
            space.convert(self.layout, &mut self.bytes);
        }
    }

    /// Multiplies colours by alpha, in place; nothing to do without alpha.
    pub(super) fn premultiply(&mut self) {
        self.with_alpha(resample::multiply);
        self.premultiplied = self.layout == Layout::Rgba;
    }

    /// Undoes [`Pixels::premultiply`], in place.
    pub(super) fn unmultiply(&mut self) {
        self.with_alpha(resample::divide);
        self.premultiplied = false;
    }

    fn with_alpha(&mut self, change: impl FnOnce(&mut [u8], (u32, u32)) -> Result<(), resample::Odd>) {
        if self.layout != Layout::Rgba {
            return;
        }
        let done = change(&mut self.bytes, (self.width, self.height));
        debug_assert!(done.is_ok(), "length and size fit by construction");
    }

    /// Drops an alpha channel that says nothing, in place.
    pub(super) fn without_idle_alpha(mut self) -> Self {
        let idle = self.layout == Layout::Rgba && self.bytes.chunks_exact(4).all(|pixel| pixel[3] == 255);
        if idle {
            self.shrink_to_rgb(|[r, g, b, _]| [r, g, b]);
        }
        self
    }

    /// Lays transparent pixels on `background`, in place where nobody else holds the picture.
    pub(super) fn flattened(picture: Rc<Self>, background: Colour) -> Rc<Self> {
        if picture.layout != Layout::Rgba {
            return picture;
        }
        let mut own = Rc::unwrap_or_clone(picture);
        own.shrink_to_rgb(|[r, g, b, alpha]| {
            let [under_r, under_g, under_b] = background.on_white();
            [
                blend(r, under_r, alpha),
                blend(g, under_g, alpha),
                blend(b, under_b, alpha),
            ]
        });
        Rc::new(own)
    }

    /// The same picture with at least three channels.
    pub(super) fn coloured(picture: Rc<Self>) -> Rc<Self> {
        if picture.layout != Layout::Grey {
            return picture;
        }
        let bytes = picture.bytes.iter().flat_map(|&grey| [grey; 3]).collect();
        Rc::new(Self::new((picture.width, picture.height), Layout::Rgb, bytes))
    }

    /// The same picture with four channels.
    pub(super) fn with_alpha_channel(picture: Rc<Self>) -> Rc<Self> {
        let bytes = match picture.layout {
            Layout::Rgba => return picture,
            Layout::Grey => picture.bytes.iter().flat_map(|&grey| [grey, grey, grey, 255]).collect(),
            Layout::Rgb => {
                let (colours, _) = picture.bytes.as_chunks::<3>();
                colours.iter().flat_map(|&[r, g, b]| [r, g, b, 255]).collect()
            }
        };
        Rc::new(Self::new((picture.width, picture.height), Layout::Rgba, bytes))
    }

    fn shrink_to_rgb(&mut self, pixel: impl Fn([u8; 4]) -> [u8; 3]) {
        let count = self.bytes.len() / 4;
        for index in 0..count {
            let from = index * 4;
            let four = [
                self.bytes[from],
                self.bytes[from + 1],
                self.bytes[from + 2],
                self.bytes[from + 3],
            ];
            self.bytes[index * 3..index * 3 + 3].copy_from_slice(&pixel(four));
        }
        self.bytes.truncate(count * 3);
        self.bytes.shrink_to_fit();
        self.layout = Layout::Rgb;
    }
}

/// `over` on `under`, rounded to nearest.
fn blend(over: u8, under: u8, alpha: u8) -> u8 {
    let (over, under, alpha) = (u32::from(over), u32::from(under), u32::from(alpha));
    ((over * alpha + under * (255 - alpha) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flattening_blends_and_drops_alpha() {
        let bytes = vec![200, 100, 0, 255, 200, 100, 0, 0, 200, 100, 0, 128];
        let picture = Rc::new(Pixels::new((3, 1), Layout::Rgba, bytes));
        let flat = Pixels::flattened(picture, Colour::opaque([0, 0, 255]));
        assert_eq!(flat.layout, Layout::Rgb);
        assert_eq!(flat.bytes, [200, 100, 0, 0, 0, 255, 100, 50, 127]);
    }

    #[test]
    fn idle_alpha_goes_and_used_alpha_stays() {
        let opaque = Pixels::new((1, 2), Layout::Rgba, vec![1, 2, 3, 255, 4, 5, 6, 255]).without_idle_alpha();
        assert_eq!((opaque.layout, opaque.bytes), (Layout::Rgb, vec![1, 2, 3, 4, 5, 6]));
        let used = Pixels::new((1, 1), Layout::Rgba, vec![1, 2, 3, 254]).without_idle_alpha();
        assert_eq!(used.layout, Layout::Rgba);
    }
}
