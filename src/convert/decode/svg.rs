//! SVG through resvg: parsed, weighed, and drawn at the size that the largest rendition needs.
//!
//! Absent on purpose: files, the network, fonts of the host. Characters are set in the bundled font, whatever the drawing asks for;
//! pictures that lie elsewhere are left out; scripts and animations are nothing to a renderer.
#![forbid(unsafe_code)]

mod layers;

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{ImageHrefResolver, Options, Size, Tree};

use super::corrupt;
use crate::convert::Failure;
use crate::convert::pixels::{Layout, Pixels};
use crate::convert::preflight::Headers;
use crate::convert::preflight::svg::{Drawing, Sized, UNSIZED, document, text};
use crate::sandbox::limits::Limits;
use crate::verdict::{Reason, Refusal};

/// DejaVu Sans 2.37: Latin, Greek, Cyrillic, Arabic, Hebrew and symbols. Its licence lies beside it.
static FONT: &[u8] = include_bytes!("../../../assets/fonts/DejaVuSans.ttf");
const FAMILY: &str = "DejaVu Sans";

/// Draws an SVG that was counted.
pub(super) fn decode(upload: &[u8], headers: &Headers, drawing: Drawing, limits: &Limits) -> Result<Pixels, Failure> {
    let text = text(upload, limits)?;
    let tree = {
        let document = document(&text, limits)?;
        Tree::from_xmltree(&document, &options(drawing.text)).map_err(|error| corrupt(format_args!("SVG: {error}")))?
    };
    let size = match drawing.sized {
        Sized::Itself => tree.size(),
        Sized::ByDefault => Size::from_wh(headers.width as f32, headers.height as f32).unwrap_or(tree.size()),
    };
    let near = |length: f32, edge: u32| (f64::from(length) - f64::from(edge)).abs() < 1.5 + f64::from(edge) * 1e-4;
    if !near(size.width(), headers.width) || !near(size.height(), headers.height) {
        return Err(corrupt("the renderer finds another size than the headers say"));
    }
    let (width, height) = drawing.render;
    let (across, down) = (width as f32 / size.width(), height as f32 / size.height());
    let transform = Transform::from_scale(across, down);
    let needed = layers::bytes(tree.root(), transform, drawing.render);
    if needed > drawing.layer_bytes() {
        return Err(Refusal::over(Reason::TooComplex, "layers", needed, drawing.layer_bytes()).into());
    }
    let mut canvas = Pixmap::new(width, height).ok_or(Failure::OutOfMemory)?;
    resvg::render(&tree, transform, &mut canvas.as_mut());
    drop(tree);
    Ok(Pixels::new(drawing.render, Layout::Rgba, canvas.take_demultiplied()).without_idle_alpha())
}

fn options(text: bool) -> Options<'static> {
    let mut options = Options {
        font_family: FAMILY.to_owned(),
        image_href_resolver: ImageHrefResolver {
            resolve_data: Box::new(|_, _, _| None),
            resolve_string: Box::new(|_, _| None),
        },
        ..Options::default()
    };
    if let Some(size) = Size::from_wh(UNSIZED.0, UNSIZED.1) {
        options.default_size = size;
    }
    if text {
        let fonts = options.fontdb_mut();
        fonts.load_font_source(resvg::usvg::fontdb::Source::Binary(Arc::new(FONT)));
        fonts.set_serif_family(FAMILY);
        fonts.set_sans_serif_family(FAMILY);
        fonts.set_cursive_family(FAMILY);
        fonts.set_fantasy_family(FAMILY);
        fonts.set_monospace_family(FAMILY);
    }
    options
}
