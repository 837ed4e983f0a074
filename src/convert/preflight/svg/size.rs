//! The size of a drawing: `width` and `height`, else `viewBox`, else 300 × 150, as CSS has it for what has no size.

use resvg::usvg::roxmltree::{Document, Node};

use super::{corrupt, unsupported};
use crate::verdict::Refusal;

const SVG: &str = "http://www.w3.org/2000/svg";
/// What is as large as nothing says.
pub(in crate::convert) const UNSIZED: (f32, f32) = (300.0, 150.0);
/// Font size that `em` is measured by.
const EM: f64 = 12.0;

/// Width and height in pixels, rounded up to whole ones, and whether they are those of the renderer: of a drawing without a view box
/// and without a size it takes what is drawn in it.
pub(super) fn of(document: &Document<'_>) -> Result<((u32, u32), Sized), Refusal> {
    let root = document.root_element();
    if root.tag_name().name() != "svg" || !matches!(root.tag_name().namespace(), None | Some(SVG)) {
        return Err(unsupported("XML whose root element is not svg"));
    }
    let view = view_box(root);
    let (width, height) = (length(root, "width"), length(root, "height"));
    let (whole_width, whole_height) = view.unwrap_or((UNSIZED.0.into(), UNSIZED.1.into()));
    let size = match (width, height, view) {
        (Some(width), None, Some((across, down))) => {
            let width = width.of(whole_width);
            (width, down * width / across)
        }
        (None, Some(height), Some((across, down))) => {
            let height = height.of(whole_height);
            (across * height / down, height)
        }
        _ => (
            width.map_or(whole_width, |width| width.of(whole_width)),
            height.map_or(whole_height, |height| height.of(whole_height)),
        ),
    };
    let absolute = |length| matches!(length, Some(Length::Pixels(_)));
    let sized = if view.is_some() || (absolute(width) && absolute(height)) {
        Sized::Itself
    } else {
        Sized::ByDefault
    };
    Ok(((edge(size.0)?, edge(size.1)?), sized))
}

/// Where a drawing has its size from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::convert) enum Sized {
    /// It says so.
    Itself,
    /// It does not say; a unit of its own is a pixel.
    ByDefault,
}

fn edge(length: f64) -> Result<u32, Refusal> {
    if length.is_finite() && length > 0.0 {
        Ok(length.ceil().min(f64::from(u32::MAX)) as u32)
    } else {
        Err(corrupt("an SVG of no size"))
    }
}

/// A length of the root element.
#[derive(Debug, Clone, Copy)]
enum Length {
    Pixels(f64),
    /// Of the view box.
    Part(f64),
}

impl Length {
    fn of(self, whole: f64) -> f64 {
        match self {
            Self::Pixels(pixels) => pixels,
            Self::Part(part) => whole * part,
        }
    }
}

/// A length, where there is one that can be read.
fn length(root: Node<'_, '_>, name: &str) -> Option<Length> {
    let value = root.attribute(name)?.trim();
    let digits = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.');
    let mut end = value.find(|c| !digits(c)).unwrap_or(value.len());
    // An exponent, and not the start of em or ex.
    let rest = &value[end..];
    if rest.starts_with(['e', 'E']) && rest[1..].starts_with(digits) {
        end += 1 + rest[1..].find(|c| !digits(c)).unwrap_or(rest.len() - 1);
    }
    let (number, unit) = value.split_at(end);
    let number: f64 = number.parse().ok()?;
    let pixels = |each: f64| Some(Length::Pixels(number * each));
    match unit.trim() {
        "" | "px" => pixels(1.0),
        "in" => pixels(96.0),
        "cm" => pixels(96.0 / 2.54),
        "mm" => pixels(96.0 / 25.4),
        "pt" => pixels(96.0 / 72.0),
        "pc" => pixels(16.0),
        "em" => pixels(EM),
        "ex" => pixels(EM / 2.0),
        "%" => Some(Length::Part(number / 100.0)),
        _ => None,
    }
}

/// Width and height of the view box, where it makes sense.
fn view_box(root: Node<'_, '_>) -> Option<(f64, f64)> {
    let value = root.attribute("viewBox")?;
    let numbers = value.split(|c: char| c == ',' || c.is_ascii_whitespace());
    let mut numbers = numbers
        .filter(|word| !word.is_empty())
        .map(|word| word.parse::<f64>().ok());
    let (_x, _y) = (numbers.next()??, numbers.next()??);
    let (width, height) = (numbers.next()??, numbers.next()??);
    (width > 0.0 && height > 0.0 && width.is_finite() && height.is_finite()).then_some((width, height))
}
