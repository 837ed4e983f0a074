//! What to make of an upload: a [`Recipe`] is a list of renditions, each with a format and a box to fit.
//!
//! In: the `renditions` of a job, a preset, or `--rendition` of the command line. Out: a checked recipe, its [`RecipeKey`],
//! and the geometry of each rendition. No pixels here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::format::Format;

/// Most renditions that one job may ask for.
pub const MAX_RENDITIONS: usize = 16;
/// Longest edge of a rendition, in pixels.
pub const MAX_EDGE: u32 = 16_384;

/// What to make of one upload. Checked: see [`Recipe::new`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Rendition>", into = "Vec<Rendition>")]
pub struct Recipe(Vec<Rendition>);

/// One picture to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rendition {
    /// Names the rendition in results and file names: 1 to 64 of `a-z A-Z 0-9 . _ -`, not starting with a dot.
    pub name: String,
    /// Format to encode to.
    #[serde(default)]
    pub format: Target,
    /// Width of the box in pixels, 1 to 16,384; absent: as the height allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Height of the box in pixels, 1 to 16,384; absent: as the width allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// How the picture meets the box.
    #[serde(default)]
    pub fit: Fit,
    /// Quality of lossy formats, 1 to 100; absent: 80.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<u8>,
    /// WebP without loss; ignored by other formats.
    #[serde(default)]
    pub lossless: bool,
    /// Whether a picture smaller than its box may be enlarged.
    #[serde(default)]
    pub enlarge: bool,
    /// What transparent pixels are laid on for JPEG, and what `contain` pads opaque pictures with; `#rrggbb`.
    #[serde(default)]
    pub background: Colour,
}

/// The format of a rendition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Baseline JPEG; transparency is laid on the background.
    Jpeg,
    /// PNG, 8 bits a channel.
    Png,
    /// WebP, lossy unless `lossless` is set.
    Webp,
    /// The upload's own format where it can be written, else PNG.
    #[default]
    Same,
}

/// How a picture meets its box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Whole picture within the box, proportions kept.
    #[default]
    Inside,
    /// Box filled, proportions kept, the excess cut off evenly.
    Cover,
    /// Whole picture within the box, proportions kept, the rest padded: the result is exactly the box.
    Contain,
    /// Stretched to the box.
    Fill,
}

/// An opaque colour in sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Colour(pub [u8; 3]);

/// Identifies what a recipe makes: SHA-256 over its canonical JSON, names included, shortened to 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecipeKey(pub String);

/// How to get from source pixels to a rendition: cut out `crop`, resize that to `resized`, lay it at `offset` on `canvas`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Part of the source to use: x, y, width, height, in source pixels as displayed.
    pub crop: (u32, u32, u32, u32),
    /// Size of the resized part.
    pub resized: (u32, u32),
    /// Size of the rendition.
    pub canvas: (u32, u32),
    /// Where the resized part lies on the canvas.
    pub offset: (u32, u32),
}

/// What is wrong with a recipe; names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// Nothing to make.
    #[error("renditions: at least one is needed")]
    Empty,
    /// More than [`MAX_RENDITIONS`].
    #[error("renditions: {0} asked for, at most {MAX_RENDITIONS} allowed")]
    TooMany(usize),
    /// A field of one rendition is out of its range.
    #[error("renditions[{index}].{field}: {problem}")]
    Field {
        /// Which rendition, from 0.
        index: usize,
        /// Its field.
        field: &'static str,
        /// Value and range.
        problem: String,
    },
}

impl Recipe {
    /// Checks the renditions: 1 to 16 of them, unique names, edges of 1 to 16,384 px, quality 1 to 100.
    pub fn new(renditions: Vec<Rendition>) -> Result<Self, RecipeError> {
        if renditions.is_empty() {
            return Err(RecipeError::Empty);
        }
        if renditions.len() > MAX_RENDITIONS {
            return Err(RecipeError::TooMany(renditions.len()));
        }
        for (index, rendition) in renditions.iter().enumerate() {
            rendition
                .check()
                .map_err(|(field, problem)| RecipeError::Field { index, field, problem })?;
            if renditions[..index].iter().any(|other| other.name == rendition.name) {
                let problem = format!("{:?} is used twice", rendition.name);
                return Err(RecipeError::Field {
                    index,
                    field: "name",
                    problem,
                });
            }
        }
        Ok(Self(renditions))
    }

    /// The renditions, in the order they are made.
    pub fn renditions(&self) -> &[Rendition] {
        &self.0
    }

    /// What the ledger knows this recipe by.
    pub fn key(&self) -> RecipeKey {
        let canonical = serde_json::to_vec(&self.0).unwrap_or_default();
        RecipeKey(Digest::of(&canonical).to_string()[..32].to_owned())
    }
}

impl TryFrom<Vec<Rendition>> for Recipe {
    type Error = RecipeError;

    fn try_from(renditions: Vec<Rendition>) -> Result<Self, Self::Error> {
        Self::new(renditions)
    }
}

impl From<Recipe> for Vec<Rendition> {
    fn from(recipe: Recipe) -> Self {
        recipe.0
    }
}

impl Rendition {
    /// A rendition of this name, with defaults for all else: same format, original size.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            format: Target::Same,
            width: None,
            height: None,
            fit: Fit::Inside,
            quality: None,
            lossless: false,
            enlarge: false,
            background: Colour::default(),
        }
    }

    /// Quality of a lossy format: 80 unless asked otherwise.
    pub fn quality(&self) -> u8 {
        self.quality.unwrap_or(80)
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let name = &self.name;
        if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(legal) {
            let shown: String = name.chars().take(80).collect();
            return Err((
                "name",
                format!("{shown:?} is not 1 to 64 of a-z A-Z 0-9 . _ - (no leading dot)"),
            ));
        }
        for (field, edge) in [("width", self.width), ("height", self.height)] {
            if let Some(edge) = edge.filter(|edge| !(1..=MAX_EDGE).contains(edge)) {
                return Err((field, format!("{edge} px is not between 1 and {MAX_EDGE}")));
            }
        }
        if let Some(quality) = self.quality.filter(|quality| !(1..=100).contains(quality)) {
            return Err(("quality", format!("{quality} is not between 1 and 100")));
        }
        Ok(())
    }

    /// The geometry for a source of `width` × `height` pixels as displayed; both at least 1. No edge of the result is 0.
    pub fn geometry(&self, width: u32, height: u32) -> Geometry {
        let (width, height) = (width.max(1), height.max(1));
        let whole = (0, 0, width, height);
        let plain = |size| Geometry {
            crop: whole,
            resized: size,
            canvas: size,
            offset: (0, 0),
        };
        let (box_width, box_height) = match (self.width, self.height) {
            (None, None) => return plain((width, height)),
            (Some(w), Some(h)) => (w, h),
            // One edge given: the other follows the proportions, so every fit is the same.
            (Some(w), None) => return plain(self.scaled(width, height, f64::from(w) / f64::from(width))),
            (None, Some(h)) => return plain(self.scaled(width, height, f64::from(h) / f64::from(height))),
        };
        let across = f64::from(box_width) / f64::from(width);
        let down = f64::from(box_height) / f64::from(height);
        match self.fit {
            Fit::Inside => plain(self.scaled(width, height, across.min(down))),
            Fit::Fill if self.enlarge => plain((box_width, box_height)),
            Fit::Fill => plain((box_width.min(width), box_height.min(height))),
            Fit::Contain => {
                let (w, h) = self.scaled(width, height, across.min(down));
                let (w, h) = (w.min(box_width), h.min(box_height));
                Geometry {
                    crop: whole,
                    resized: (w, h),
                    canvas: (box_width, box_height),
                    offset: ((box_width - w) / 2, (box_height - h) / 2),
                }
            }
            Fit::Cover => {
                let scale = self.bounded(across.max(down));
                let part = |box_edge: u32, edge: u32| {
                    let kept = (f64::from(box_edge) / scale).round() as u32;
                    kept.clamp(1, edge)
                };
                let (kept_width, kept_height) = (part(box_width, width), part(box_height, height));
                let edge = |box_edge: u32, kept: u32| {
                    let scaled = (f64::from(kept) * scale).round() as u32;
                    scaled.clamp(1, box_edge)
                };
                let size = (edge(box_width, kept_width), edge(box_height, kept_height));
                Geometry {
                    crop: (
                        (width - kept_width) / 2,
                        (height - kept_height) / 2,
                        kept_width,
                        kept_height,
                    ),
                    resized: size,
                    canvas: size,
                    offset: (0, 0),
                }
            }
        }
    }

    fn bounded(&self, scale: f64) -> f64 {
        if self.enlarge { scale } else { scale.min(1.0) }
    }

    fn scaled(&self, width: u32, height: u32, scale: f64) -> (u32, u32) {
        let scale = self.bounded(scale);
        let edge = |edge: u32| ((f64::from(edge) * scale).round() as u32).clamp(1, MAX_EDGE.max(edge));
        (edge(width), edge(height))
    }
}

impl Target {
    /// The format that is written for an upload of format `source`.
    pub fn resolve(self, source: Format) -> Format {
        match (self, source) {
            (Self::Jpeg, _) | (Self::Same, Format::Jpeg) => Format::Jpeg,
            (Self::Webp, _) | (Self::Same, Format::Webp) => Format::Webp,
            (Self::Png | Self::Same, _) => Format::Png,
        }
    }
}

impl Default for Colour {
    fn default() -> Self {
        Self([255; 3])
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [r, g, b] = self.0;
        write!(f, "#{r:02x}{g:02x}{b:02x}")
    }
}

impl TryFrom<String> for Colour {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wrong = || {
            format!(
                "{:?} is not a colour like #ffffff",
                text.chars().take(80).collect::<String>()
            )
        };
        let digits = text.strip_prefix('#').ok_or_else(wrong)?;
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let value = u32::from_str_radix(digits, 16).map_err(|_| wrong())?;
        let [_, r, g, b] = value.to_be_bytes();
        Ok(Self([r, g, b]))
    }
}

impl From<Colour> for String {
    fn from(colour: Colour) -> Self {
        colour.to_string()
    }
}

impl fmt::Display for RecipeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn boxed(width: u32, height: u32, fit: Fit) -> Rendition {
        Rendition {
            width: Some(width),
            height: Some(height),
            fit,
            ..Rendition::named("test")
        }
    }

    #[test]
    fn inside_keeps_proportions_and_never_enlarges() {
        assert_eq!(boxed(100, 100, Fit::Inside).geometry(400, 200).canvas, (100, 50));
        assert_eq!(boxed(900, 900, Fit::Inside).geometry(400, 200).canvas, (400, 200));
        let enlarging = Rendition {
            enlarge: true,
            ..boxed(800, 800, Fit::Inside)
        };
        assert_eq!(enlarging.geometry(400, 200).canvas, (800, 400));
    }

    #[test]
    fn cover_cuts_evenly() {
        let geometry = boxed(100, 100, Fit::Cover).geometry(400, 200);
        assert_eq!(geometry.crop, (100, 0, 200, 200));
        assert_eq!(geometry.canvas, (100, 100));
    }

    #[test]
    fn contain_is_exactly_the_box() {
        let geometry = boxed(100, 100, Fit::Contain).geometry(400, 200);
        assert_eq!(
            (geometry.resized, geometry.canvas, geometry.offset),
            ((100, 50), (100, 100), (0, 25))
        );
    }

    #[test]
    fn fields_out_of_range_are_named() {
        let wide = Rendition {
            width: Some(0),
            ..Rendition::named("thumb")
        };
        let error = Recipe::new(vec![wide]).unwrap_err().to_string();
        assert_eq!(error, "renditions[0].width: 0 px is not between 1 and 16384");
        let climbing = Recipe::new(vec![Rendition::named("../etc")]).unwrap_err().to_string();
        assert!(climbing.starts_with("renditions[0].name:"), "{climbing}");
    }

    proptest! {
        #[test]
        fn geometry_stays_within_source_and_box(
            width in 1u32..70_000, height in 1u32..70_000,
            box_width in 1u32..=MAX_EDGE, box_height in 1u32..=MAX_EDGE,
            fit in prop_oneof![Just(Fit::Inside), Just(Fit::Cover), Just(Fit::Contain), Just(Fit::Fill)],
            enlarge: bool,
        ) {
            let rendition = Rendition { enlarge, ..boxed(box_width, box_height, fit) };
            let Geometry { crop: (x, y, w, h), resized, canvas, offset } = rendition.geometry(width, height);
            prop_assert!(w >= 1 && h >= 1 && x + w <= width && y + h <= height);
            prop_assert!(resized.0 >= 1 && resized.1 >= 1);
            prop_assert!(canvas.0 <= box_width && canvas.1 <= box_height);
            prop_assert!(offset.0 + resized.0 <= canvas.0 && offset.1 + resized.1 <= canvas.1);
            if !enlarge && fit != Fit::Contain {
                prop_assert!(canvas.0 <= width && canvas.1 <= height);
            }
            if fit == Fit::Contain {
                prop_assert_eq!(canvas, (box_width, box_height));
            }
        }
    }
}
