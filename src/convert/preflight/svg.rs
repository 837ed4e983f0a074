//! SVG: no header says what it costs, so the whole text is read once, and counted before anything is drawn.
//!
//! In: the text, inflated within its limit. Out: its size, and bounds of what parsing and drawing take. Counted are bytes, elements, points and
//! characters (what `use`, a pattern, a mask or a clip path repeats each time), nesting (through `use`, masks, patterns and whatever else refers to an element, but for
//! references from style sheets), characters, and the words that make a renderer draw into layers of their own.
//!
//! An embedded picture is refused: it would be a nested codec with limits of its own. One that lies elsewhere is left out, as
//! browsers do where an SVG is a picture.

mod count;
mod size;
mod source;

use super::{Headers, Traits, area, corrupt, unsupported};
use crate::convert::placeholder;
use crate::format::Format;
use crate::recipe::Recipe;
use crate::sandbox::limits::Limits;
use crate::verdict::{Reason, Refusal};

use count::Count;
pub(in crate::convert) use size::{Sized, UNSIZED};
pub(in crate::convert) use source::{document, text};

/// What the counts say of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::convert) struct Drawing {
    /// Size at which it is drawn: what the largest rendition needs.
    pub(in crate::convert) render: (u32, u32),
    /// Bytes that the text and what is made of it take, until all is drawn.
    parsed: u64,
    /// Pictures of the size of the whole that may lie over each other while it is drawn.
    layers: u64,
    /// Pixels of work for what does not depend on the size.
    work: u64,
    /// Work of each pixel.
    pixel_work: u64,
    /// Whether there are characters to set.
    pub(in crate::convert) text: bool,
    /// Where its size is from.
    pub(in crate::convert) sized: Sized,
}

/// Heap of an element: in the document, in the tree, and as a path. Measured with shapes, groups and `use`: 600 to 1,300 bytes.
const ELEMENT: u64 = 2048;
/// Heap of a byte of text, its entities unfolded: itself, and as a point of a path in the making. Measured with paths of one-digit steps: up to 14.
const BYTE: u64 = 16;
/// Heap of a character that is set: its outline. Measured: 600 to 1,050 bytes.
const CHARACTER: u64 = 1536;
/// The bundled font, read: its tables stay where they are.
const FONT: u64 = 1 << 20;
/// Layers of a drawing that has some: for all but filters, and for each step of a filter.
const LAYERS: u64 = 8;
const FILTER_STEP: u64 = 1;
/// What the edges of small layers add.
const BORDERS: u64 = 1 << 20;
/// Work in pixels of a JPEG (60 ns): of a byte, an element, a character. Measured: up to 30 ns, 9 µs, 42 µs.
const BYTE_WORK: u64 = 3;
const ELEMENT_WORK: u64 = 500;
const CHARACTER_WORK: u64 = 2000;
/// Work of a pixel: at least, and for every twenty elements, as if one of them covered all (measured: 4 to 7 ns); for each layer
/// (up to 26 ns, a mask), and for each step of a filter (80 to 530 ns, a blur and turbulence).
const PIXEL_WORK: u64 = 8;
const ELEMENTS_A_LAYER: u64 = 20;
const MOST_COVERED: u64 = 56;
const LAYER_WORK: u64 = 2;
const STEP_WORK: u64 = 16;

pub(super) fn read(upload: &[u8], limits: &Limits) -> Result<Headers, Refusal> {
    let text = text(upload, limits)?;
    let document = document(&text, limits)?;
    let count = Count::of(&document, limits)?;
    let ((width, height), sized) = size::of(&document)?;
    let bytes = source::unfolded(&text);
    let still = Headers::still(Format::Svg, (width, height), 4, 0);
    let drawing = Drawing {
        render: (width, height),
        parsed: count.parsed(bytes),
        layers: if count.layered {
            LAYERS + count.filter_steps * FILTER_STEP
        } else {
            0
        },
        work: count.work(bytes),
        pixel_work: count.pixel_work(),
        text: count.characters > 0,
        sized,
    };
    Ok(drawing.drawn(still))
}

impl Count {
    fn parsed(&self, bytes: u64) -> u64 {
        let font = if self.characters > 0 { FONT } else { 0 };
        // What is in the text once is counted with it.
        let repeated = self.points.saturating_sub(bytes) * BYTE;
        let elements = self.elements.saturating_add(self.markers());
        let drawn = elements.saturating_mul(ELEMENT);
        let set = self.characters.saturating_mul(CHARACTER);
        (bytes * BYTE + font)
            .saturating_add(repeated)
            .saturating_add(drawn)
            .saturating_add(set)
    }

    /// Elements of all markers that may be drawn, each in a group of its own.
    fn markers(&self) -> u64 {
        // A point takes two bytes at least; the ends of a path are two.
        let points = if self.mid_markers { self.points / 2 } else { 0 };
        let places = points.saturating_add(self.elements.saturating_mul(2));
        places.saturating_mul(self.marker)
    }

    fn work(&self, bytes: u64) -> u64 {
        let drawn = self
            .elements
            .saturating_add(self.markers())
            .saturating_mul(ELEMENT_WORK);
        let path = u64::max(bytes, self.points).saturating_mul(BYTE_WORK);
        path.saturating_add(drawn)
            .saturating_add(self.characters.saturating_mul(CHARACTER_WORK))
    }

    fn pixel_work(&self) -> u64 {
        let covered = PIXEL_WORK + u64::min(self.elements / ELEMENTS_A_LAYER, MOST_COVERED);
        let layers = if self.layered { LAYERS * LAYER_WORK } else { 0 };
        covered + layers + self.filter_steps * STEP_WORK
    }
}

impl Drawing {
    /// The size at which the renditions of `recipe` lose nothing, no larger than `limits` allow.
    pub(super) fn for_recipe(self, headers: Headers, recipe: &Recipe, limits: &Limits) -> Result<Headers, Refusal> {
        let (width, height) = (headers.width, headers.height);
        let mut scale = (0_f64, 0_f64);
        let small = recipe.placeholder().map(|_| placeholder::rendition());
        for rendition in recipe.renditions().iter().chain(&small) {
            let geometry = rendition.geometry(width, height);
            let across = f64::from(geometry.resized.0) / f64::from(geometry.crop.2);
            let down = f64::from(geometry.resized.1) / f64::from(geometry.crop.3);
            let (across, down) = if rendition.rotate.swaps() {
                (down, across)
            } else {
                (across, down)
            };
            scale = (scale.0.max(across), scale.1.max(down));
        }
        let edge = |edge: u32, scale: f64| (f64::from(edge) * scale).round().clamp(1.0, f64::from(i32::MAX / 8)) as u32;
        let render = (edge(width, scale.0), edge(height, scale.1));
        let pixels = area(render.0, render.1);
        if pixels > limits.pixels {
            return Err(Refusal::over(Reason::TooManyPixels, "pixels", pixels, limits.pixels));
        }
        Ok(Self { render, ..self }.drawn(headers))
    }

    fn drawn(self, headers: Headers) -> Headers {
        Headers {
            decode_bytes: self
                .parsed
                .saturating_add(self.canvas())
                .saturating_add(self.layer_bytes()),
            traits: Traits::Svg(self),
            ..headers
        }
    }

    /// Bytes that the text and what is made of it take.
    pub(super) fn document_bytes(&self) -> u64 {
        self.parsed
    }

    fn canvas(&self) -> u64 {
        area(self.render.0, self.render.1).saturating_mul(4)
    }

    /// Bytes that layers may take in all.
    pub(in crate::convert) fn layer_bytes(&self) -> u64 {
        if self.layers == 0 {
            return 0;
        }
        self.canvas().saturating_mul(self.layers).saturating_add(BORDERS)
    }

    /// Pixels of work to draw it.
    pub(super) fn work(&self) -> u64 {
        area(self.render.0, self.render.1)
            .saturating_mul(self.pixel_work)
            .saturating_add(self.work)
    }
}
