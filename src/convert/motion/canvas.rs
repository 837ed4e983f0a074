//! The canvas of an animation, on which one frame after another is drawn. `[pure]`
#![forbid(unsafe_code)]

/// A part of the canvas: left, top, width, height. May reach over its edges: what does is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// What a frame does to what is below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blend {
    /// Takes its place, transparent pixels too.
    Source,
    /// Is laid over it.
    Over,
}

/// What becomes of a frame's part of the canvas when its time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposal {
    /// It stays.
    Keep,
    /// It becomes transparent. A background colour that a file names is not followed, as in browsers.
    Clear,
    /// It becomes what it was before.
    Restore,
}

/// How a frame is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Drawing {
    /// Where.
    pub(super) rect: Rect,
    /// Over what.
    pub(super) blend: Blend,
    /// Until what.
    pub(super) disposal: Disposal,
}

/// Four channels a pixel, transparent at first.
#[derive(Debug)]
pub(super) struct Canvas {
    width: u32,
    height: u32,
    pixels: Vec<[u8; 4]>,
    /// What was drawn last.
    last: Option<(Rect, Disposal)>,
    /// What lay below that, where it comes back.
    below: Vec<[u8; 4]>,
}

impl Canvas {
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            pixels: vec![[0; 4]; width as usize * height as usize],
            last: None,
            below: Vec::new(),
        }
    }

    /// Red, green, blue and alpha of all pixels, row by row.
    pub(super) fn bytes(&self) -> &[u8] {
        self.pixels.as_flattened()
    }

    /// Disposes of the frame before, and draws one, whose pixels are asked for by their places in it.
    pub(super) fn draw(&mut self, drawing: Drawing, pixel: impl Fn(usize, usize) -> [u8; 4]) {
        self.dispose();
        let rect = self.within(drawing.rect);
        if drawing.disposal == Disposal::Restore {
            let mut below = std::mem::take(&mut self.below);
            below.clear();
            self.rows(rect).for_each(|row| below.extend_from_slice(row));
            self.below = below;
        }
        for (y, row) in self.rows(rect).enumerate() {
            for (x, under) in row.iter_mut().enumerate() {
                let over = pixel(x, y);
                *under = match drawing.blend {
                    Blend::Source => over,
                    Blend::Over => lay(over, *under),
                };
            }
        }
        self.last = Some((rect, drawing.disposal));
    }

    fn dispose(&mut self) {
        match self.last.take() {
            None | Some((_, Disposal::Keep)) => {}
            Some((rect, Disposal::Clear)) => self.rows(rect).for_each(|row| row.fill([0; 4])),
            Some((rect, Disposal::Restore)) => {
                let below = std::mem::take(&mut self.below);
                let width = (rect.width as usize).max(1);
                for (row, below) in self.rows(rect).zip(below.chunks_exact(width)) {
                    row.copy_from_slice(below);
                }
                self.below = below;
            }
        }
    }

    /// What of a part lies on the canvas.
    fn within(&self, rect: Rect) -> Rect {
        let (left, top) = (rect.left.min(self.width), rect.top.min(self.height));
        Rect {
            left,
            top,
            width: rect.width.min(self.width - left),
            height: rect.height.min(self.height - top),
        }
    }

    /// The rows of a part that lies on the canvas.
    fn rows(&mut self, rect: Rect) -> impl Iterator<Item = &mut [[u8; 4]]> {
        let (left, width) = (rect.left as usize, rect.width as usize);
        let rows = self.pixels.chunks_exact_mut((self.width as usize).max(1));
        rows.skip(rect.top as usize)
            .take(rect.height as usize)
            .map(move |row| &mut row[left..left + width])
    }
}

/// One pixel over another, neither multiplied by its alpha.
fn lay(over: [u8; 4], under: [u8; 4]) -> [u8; 4] {
    match (over[3], under[3]) {
        (0, _) => under,
        (255, _) | (_, 0) => over,
        (above, below) => {
            // Shares of 255 × 255.
            let (above, below) = (u32::from(above) * 255, u32::from(below) * (255 - u32::from(above)));
            let all = above + below;
            let mix = |channel: usize| {
                let (over, under) = (u32::from(over[channel]), u32::from(under[channel]));
                ((over * above + under * below + all / 2) / all) as u8
            };
            [mix(0), mix(1), mix(2), ((all + 127) / 255) as u8]
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RED: [u8; 4] = [255, 0, 0, 255];
    const BLUE: [u8; 4] = [0, 0, 255, 255];

    fn drawing(left: u32, width: u32, disposal: Disposal) -> Drawing {
        let rect = Rect {
            left,
            top: 0,
            width,
            height: 1,
        };
        Drawing {
            rect,
            blend: Blend::Over,
            disposal,
        }
    }

    /// Four pixels after two frames, the second of which draws nothing.
    fn after(disposal: Disposal) -> Vec<[u8; 4]> {
        let mut canvas = Canvas::new(4, 1);
        canvas.draw(drawing(0, 4, Disposal::Keep), |_, _| BLUE);
        canvas.draw(drawing(1, 2, disposal), |_, _| RED);
        assert_eq!(canvas.pixels, [BLUE, RED, RED, BLUE]);
        canvas.draw(drawing(3, 9, Disposal::Keep), |_, _| [9; 4]);
        canvas.draw(drawing(9, 9, Disposal::Keep), |_, _| RED);
        canvas.pixels[..3].to_vec()
    }

    #[test]
    fn a_frame_is_disposed_of_as_it_says() {
        assert_eq!(after(Disposal::Keep), [BLUE, RED, RED]);
        assert_eq!(after(Disposal::Clear), [BLUE, [0; 4], [0; 4]]);
        assert_eq!(after(Disposal::Restore), [BLUE, BLUE, BLUE]);
    }

    #[test]
    fn transparency_shows_what_is_below_or_replaces_it() {
        let mut canvas = Canvas::new(1, 1);
        canvas.draw(drawing(0, 1, Disposal::Keep), |_, _| BLUE);
        canvas.draw(drawing(0, 1, Disposal::Keep), |_, _| [255, 0, 0, 128]);
        assert_eq!(canvas.pixels, [[128, 0, 127, 255]]);
        let blend = Blend::Source;
        let source = Drawing {
            blend,
            ..drawing(0, 1, Disposal::Keep)
        };
        canvas.draw(source, |_, _| [255, 0, 0, 128]);
        assert_eq!(canvas.pixels, [[255, 0, 0, 128]]);
    }

    proptest! {
        /// Wherever a frame lies, drawing it, and restoring what was there, ends well.
        #[test]
        fn no_place_is_wrong(left: u32, top: u32, width: u32, height: u32) {
            let mut canvas = Canvas::new(5, 3);
            let rect = Rect { left, top, width, height };
            canvas.draw(Drawing { rect, blend: Blend::Source, disposal: Disposal::Restore }, |_, _| RED);
            canvas.draw(drawing(0, 0, Disposal::Keep), |_, _| RED);
            prop_assert!(canvas.pixels.iter().all(|pixel| *pixel == [0; 4]));
        }
    }
}
