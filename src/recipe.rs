//! What to make of an upload: a [`Recipe`] is a list of renditions, each with a format and a box to fit, and what else is to be
//! told of the picture: a placeholder, and facts from its headers.
//!
//! In: the wishes of a job, a preset, or the command line. Out: a checked recipe, its [`RecipeKey`],
//! and the geometry of each rendition ([`geometry`]). No pixels here.

mod colour;
pub mod geometry;
mod hundredths;
mod placeholder;
pub mod quality;
pub mod work;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use colour::Colour;
pub use geometry::{Crop, Flip, Geometry, Gravity, Rotate};
pub use hundredths::Hundredths;
pub use placeholder::{Placeholder, Preview};
pub use quality::{LOWEST, Quality};

use crate::digest::Digest;
use crate::format::Format;

/// Most renditions that one job may ask for.
pub const MAX_RENDITIONS: usize = 16;
/// Longest edge of a rendition, in pixels.
pub const MAX_EDGE: u32 = 16_384;
/// Least and most blur, in pixels.
const BLUR: (Hundredths, Hundredths) = (Hundredths(30), Hundredths(10_000));
/// Most sharpening.
const MOST_SHARPEN: Hundredths = Hundredths(1_000);

/// What to make of one upload. Checked: see [`Recipe::of`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wishes", into = "Wishes")]
pub struct Recipe(Wishes);

/// A recipe as it is written, in a preset and to a child.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wishes {
    /// Pictures to make: at most 16, and at least one where nothing else is asked for.
    #[serde(default)]
    pub renditions: Vec<Rendition>,
    /// A text that stands for the picture while it loads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<Placeholder>,
    /// Whether facts from the headers are told.
    #[serde(default, skip_serializing_if = "is_default")]
    pub info: bool,
}

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
    /// Quality of lossy formats, 1 to 100, or found for each picture; absent: 80.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
    /// WebP without loss; ignored by other formats.
    #[serde(default)]
    pub lossless: bool,
    /// Whether a picture smaller than its box may be enlarged.
    #[serde(default)]
    pub enlarge: bool,
    /// What transparent pixels are laid on for JPEG, and what `contain` pads opaque pictures with.
    #[serde(default)]
    pub background: Colour,
    // Fields from here on are not written where they say nothing: the key of a recipe without them is what it always was.
    /// Turns the picture as displayed, clockwise.
    #[serde(default, skip_serializing_if = "Rotate::is_none")]
    pub rotate: Rotate,
    /// Mirrors the turned picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flip: Option<Flip>,
    /// Cuts this part out of the turned picture, before the fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// What `cover` keeps, and where `contain` lays it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gravity: Gravity,
    /// Most bytes of the rendition, 1 to 2^32 − 1; lossy formats are lowered in quality until they fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u32>,
    /// Blurs by a Gaussian of this standard deviation, in pixels of the rendition, 0.3 to 100; 0: not at all.
    #[serde(default, skip_serializing_if = "Hundredths::is_zero")]
    pub blur: Hundredths,
    /// Sharpens after resizing: how many times the difference to the neighbourhood is added, 0 (not at all) to 10.
    #[serde(default, skip_serializing_if = "Hundredths::is_zero")]
    pub sharpen: Hundredths,
    /// Colours of a JPEG or an AVIF: of every pixel, or of every second in both directions; absent: of every pixel from quality 90.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chroma: Option<Chroma>,
    /// JPEG whose scans show the whole picture from coarse to fine: up to 5 % fewer bytes than otherwise, for four times the encoder's
    /// time; ignored by other formats.
    #[serde(default, skip_serializing_if = "is_default")]
    pub progressive: bool,
    /// Whether pixels are mixed as light and not as samples, when the picture is resized; slower, and fine bright detail stays bright.
    #[serde(default, skip_serializing_if = "is_default")]
    pub linear: bool,
    /// Metadata of the upload that goes into the rendition; nothing else does, where it was taken least of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<Keep>,
    /// PNG with a palette of at most 256 colours: smaller files, for graphics; exact where the picture has no more colours. Ignored by
    /// other formats.
    #[serde(default, skip_serializing_if = "is_default")]
    pub palette: bool,
    /// What becomes of an animation.
    #[serde(default, skip_serializing_if = "is_default")]
    pub animation: Animation,
    /// Whether an upload that ends early is converted as far as it goes. One decode serves all renditions: it holds for all where
    /// one says so.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tolerate_truncated: bool,
}

/// Metadata that may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// EXIF's artist and copyright, in fresh EXIF that holds nothing else.
    Copyright,
    /// The pixels' own colours, with their ICC profile, for RGB pictures with a sound one; all others are converted to sRGB.
    Icc,
}

/// The format of a rendition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// JPEG; transparency is laid on the background.
    Jpeg,
    /// PNG, 8 bits a channel, or with a palette.
    Png,
    /// WebP, lossy unless `lossless` is set.
    Webp,
    /// GIF: at most 256 colours a frame; a pixel is opaque or not there.
    Gif,
    /// AVIF, lossy.
    Avif,
    /// The upload's own format where it can be written, else PNG.
    #[default]
    Same,
}

/// What becomes of a GIF, an APNG or a WebP of several frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Animation {
    /// Its first frame is converted.
    #[default]
    First,
    /// It stays an animation where the rendition is a GIF or a WebP, else its first frame is converted.
    Keep,
}

/// For how many pixels a JPEG or an AVIF keeps the colour; brightness is kept for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Chroma {
    /// 4:2:0, one of four.
    #[serde(rename = "420")]
    Quarter,
    /// 4:4:4, each.
    #[serde(rename = "444")]
    Full,
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

/// Identifies what a recipe makes: SHA-256 over its canonical JSON, names included, shortened to 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecipeKey(pub String);

/// What is wrong with a recipe; names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// Nothing to make.
    #[error("renditions: at least one is needed, or else placeholder or info")]
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
    /// A recipe of renditions alone.
    ///
    /// # Errors
    /// As [`Recipe::of`].
    pub fn new(renditions: Vec<Rendition>) -> Result<Self, RecipeError> {
        Self::of(Wishes {
            renditions,
            ..Wishes::default()
        })
    }

    /// Checks what is wished for.
    ///
    /// # Errors
    /// Where nothing is asked for, more than 16 renditions are, two have one name, or a field is out of its range.
    pub fn of(wishes: Wishes) -> Result<Self, RecipeError> {
        let renditions = &wishes.renditions;
        if renditions.is_empty() && wishes.placeholder.is_none() && !wishes.info {
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
        Ok(Self(wishes))
    }

    /// The renditions, in the order they are made.
    pub fn renditions(&self) -> &[Rendition] {
        &self.0.renditions
    }

    /// The kind of placeholder that is told.
    pub fn placeholder(&self) -> Option<Placeholder> {
        self.0.placeholder
    }

    /// Whether facts from the headers are told.
    pub fn info(&self) -> bool {
        self.0.info
    }

    /// Whether headers are all that is looked at.
    pub fn needs_no_pixels(&self) -> bool {
        self.0.renditions.is_empty() && self.0.placeholder.is_none()
    }

    /// As it is written.
    pub fn wishes(&self) -> &Wishes {
        &self.0
    }

    /// Whether an upload that ends early is converted as far as it goes.
    pub fn tolerates_truncated(&self) -> bool {
        self.renditions().iter().any(|rendition| rendition.tolerate_truncated)
    }

    /// What the ledger knows this recipe by.
    pub fn key(&self) -> RecipeKey {
        // A list alone where there is nothing else, as it was before there was.
        let canonical = match &self.0 {
            Wishes {
                renditions,
                placeholder: None,
                info: false,
            } => serde_json::to_vec(renditions),
            wishes => serde_json::to_vec(wishes),
        };
        let canonical = canonical.unwrap_or_default();
        RecipeKey(Digest::of(&canonical).to_string()[..32].to_owned())
    }
}

impl TryFrom<Wishes> for Recipe {
    type Error = RecipeError;

    fn try_from(wishes: Wishes) -> Result<Self, Self::Error> {
        Self::of(wishes)
    }
}

impl From<Recipe> for Wishes {
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
            chroma: None,
            progressive: false,
            lossless: false,
            enlarge: false,
            background: Colour::default(),
            rotate: Rotate::Not,
            flip: None,
            crop: None,
            gravity: Gravity::Centre,
            max_bytes: None,
            blur: Hundredths::default(),
            sharpen: Hundredths::default(),
            linear: false,
            keep: Vec::new(),
            palette: false,
            animation: Animation::First,
            tolerate_truncated: false,
        }
    }

    /// The format that is written for an upload of format `source`. Where animations are kept, a GIF stays a GIF.
    pub fn output(&self, source: Format) -> Format {
        match (self.format, source, self.animation) {
            (Target::Same, Format::Gif, Animation::Keep) => Format::Gif,
            (format, source, _) => format.resolve(source),
        }
    }

    /// Whether an upload of format `source` with so many frames stays an animation.
    pub fn moves(&self, source: Format, frames: u64) -> bool {
        let can = source.moves() && matches!(self.output(source), Format::Gif | Format::Webp);
        self.animation == Animation::Keep && frames > 1 && can
    }

    /// Whether the colours of every pixel are kept, at this quality, where the format knows the difference.
    pub fn keeps_chroma(&self, quality: u8) -> bool {
        match self.chroma {
            Some(chroma) => chroma == Chroma::Full,
            None => quality >= quality::FULL_CHROMA,
        }
    }

    /// Quality of a lossy format: 80 unless asked otherwise.
    pub fn quality(&self) -> Quality {
        self.quality.unwrap_or_default()
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
        if !self.format.is_built() {
            let problem = "avif is not in this build: it was left out by its feature, avif-out";
            return Err(("format", problem.to_owned()));
        }
        if let Quality::Fixed(quality) = self.quality()
            && !(1..=100).contains(&quality)
        {
            return Err(("quality", format!("{quality} is not between 1 and 100")));
        }
        if (1..self.keep.len()).any(|index| self.keep[..index].contains(&self.keep[index])) {
            return Err(("keep", "a word is there twice".to_owned()));
        }
        if self.max_bytes == Some(0) {
            return Err(("max_bytes", "0 leaves nothing".to_owned()));
        }
        if self.blur != Hundredths(0) && !(BLUR.0..=BLUR.1).contains(&self.blur) {
            return Err((
                "blur",
                format!("{} px is not between {} and {}", self.blur, BLUR.0, BLUR.1),
            ));
        }
        if self.sharpen > MOST_SHARPEN {
            return Err((
                "sharpen",
                format!("{} is not between 0 and {MOST_SHARPEN}", self.sharpen),
            ));
        }
        self.crop.map_or(Ok(()), |crop| crop.check())
    }
}

impl Target {
    /// Whether its encoder is in this build.
    pub fn is_built(self) -> bool {
        self != Self::Avif || cfg!(feature = "avif-out")
    }

    /// The format that is written for an upload of format `source`.
    pub fn resolve(self, source: Format) -> Format {
        match (self, source) {
            (Self::Jpeg, _) | (Self::Same, Format::Jpeg) => Format::Jpeg,
            (Self::Webp, _) | (Self::Same, Format::Webp) => Format::Webp,
            (Self::Gif, _) => Format::Gif,
            (Self::Avif, _) => Format::Avif,
            (Self::Same, Format::Avif) if Self::Avif.is_built() => Format::Avif,
            (Self::Png | Self::Same, _) => Format::Png,
        }
    }
}

impl RecipeKey {
    /// The same for one tenant alone: no other one's key is like it.
    #[must_use]
    pub fn of_tenant(&self, tenant: &str) -> Self {
        // Neither has a line break in it.
        let both = format!("{}\n{tenant}", self.0);
        Self(Digest::of(both.as_bytes()).to_string()[..32].to_owned())
    }
}

impl fmt::Display for RecipeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Renditions that were made before a field was added are found again.
    #[test]
    fn the_key_of_a_recipe_is_what_it_always_was() {
        let thumb = Rendition {
            format: Target::Webp,
            width: Some(320),
            height: Some(320),
            fit: Fit::Cover,
            ..Rendition::named("thumb")
        };
        let large = Rendition {
            format: Target::Jpeg,
            width: Some(1600),
            quality: Some(Quality::Fixed(85)),
            background: Colour::opaque([16, 32, 48]),
            ..Rendition::named("large")
        };
        let recipe = Recipe::new(vec![thumb.clone(), large.clone()]).unwrap();
        assert_eq!(recipe.key().0, "4e8d3be59818578c8cdd33b3eb2bb952");

        let key = recipe.key();
        assert_ne!(key.of_tenant("acme"), key);
        assert_ne!(key.of_tenant("acme"), key.of_tenant("acme2"));

        let turned = Rendition {
            rotate: Rotate::Right,
            ..thumb
        };
        assert_ne!(Recipe::new(vec![turned, large]).unwrap().key(), recipe.key());
        let told = |placeholder, info| {
            let renditions = recipe.renditions().to_vec();
            let wishes = Wishes {
                renditions,
                placeholder,
                info,
            };
            Recipe::of(wishes).unwrap().key()
        };
        assert_eq!(told(None, false), recipe.key());
        let others = [
            told(None, true),
            told(Some(Placeholder::Blurhash), false),
            told(Some(Placeholder::Dominant), false),
        ];
        assert!(others.iter().all(|key| *key != recipe.key()) && others[0] != others[1] && others[1] != others[2]);
    }

    #[test]
    fn renditions_may_be_absent_where_something_else_is_told() {
        assert_eq!(Recipe::new(Vec::new()), Err(RecipeError::Empty));
        for wishes in [
            r#"{"info":true}"#,
            r#"{"placeholder":"thumbhash"}"#,
            r#"{"renditions":[],"info":true}"#,
        ] {
            assert!(
                serde_json::from_str::<Recipe>(wishes).unwrap().renditions().is_empty(),
                "{wishes}"
            );
        }
        let unknown = serde_json::from_str::<Recipe>(r#"{"placeholders":"blurhash"}"#).unwrap_err();
        assert!(
            unknown.to_string().contains("unknown field `placeholders`"),
            "{unknown}"
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

    #[test]
    fn options_that_are_off_leave_no_trace() {
        let plain = serde_json::to_value(Rendition::named("a")).unwrap();
        for option in ["linear", "keep", "palette", "animation", "tolerate_truncated"] {
            assert_eq!(plain.get(option), None);
        }
        let twice = Rendition {
            keep: vec![Keep::Icc, Keep::Icc],
            ..Rendition::named("a")
        };
        let error = Recipe::new(vec![twice]).unwrap_err().to_string();
        assert_eq!(error, "renditions[0].keep: a word is there twice");
    }
}
