//! From the size of a picture to the place of every pixel of a rendition. `[pure]`
//!
//! In: a [`Rendition`] and the size of the upload as displayed (after EXIF orientation). Out: its [`Geometry`]. The order is that of
//! a person at a desk: turn the picture (`rotate`, then `flip`), cut a part out (`crop`), fit that into the box (`fit`,
//! `gravity`). Child and supervisor compute the same sizes from the same few numbers; only where `attention` moves the cut is
//! decided by pixels, and that changes no size.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use super::{Fit, MAX_EDGE, Rendition};

/// How to get from source pixels to a rendition: cut out `crop`, resize that to `resized`, lay it at `offset` on `canvas`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Part of the source to use: x, y, width, height, in source pixels as displayed and turned.
    pub crop: (u32, u32, u32, u32),
    /// Size of the resized part.
    pub resized: (u32, u32),
    /// Size of the rendition.
    pub canvas: (u32, u32),
    /// Where the resized part lies on the canvas.
    pub offset: (u32, u32),
}

/// Which part of a picture `cover` keeps, and where on its canvas `contain` lays it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gravity {
    /// The middle.
    #[default]
    #[serde(alias = "center")]
    Centre,
    /// The top.
    North,
    /// The top right corner.
    NorthEast,
    /// The right.
    East,
    /// The bottom right corner.
    SouthEast,
    /// The bottom.
    South,
    /// The bottom left corner.
    SouthWest,
    /// The left.
    West,
    /// The top left corner.
    NorthWest,
    /// With `cover`, where edges, strong colours and skin are; with `contain`, the middle.
    Attention,
}

/// How free space is shared: 0 keeps all of it on the right (below), [`Anchor::ONE`] all of it on the left (above).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Share of the left.
    pub x: u32,
    /// Share of the top.
    pub y: u32,
}

/// A part of the picture, as displayed and turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// Distance from the left.
    #[serde(default)]
    pub x: Length,
    /// Distance from the top.
    #[serde(default)]
    pub y: Length,
    /// Width.
    pub width: Length,
    /// Height.
    pub height: Length,
}

/// A length on the source: a number of pixels, or a text like `"12.5%"` of the picture's width or height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Length {
    /// So many pixels.
    Pixels(u32),
    /// So many hundredths of a percent, 0 to 10,000.
    Share(u32),
}

/// A quarter turn, or two or three of them, clockwise; written in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub enum Rotate {
    /// 0: as it is.
    #[default]
    Not,
    /// 90.
    Right,
    /// 180.
    Around,
    /// 270.
    Left,
}

/// Mirrors a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flip {
    /// Left and right change places.
    Horizontal,
    /// Top and bottom change places.
    Vertical,
    /// Both.
    Both,
}

impl Geometry {
    /// Size of the part of the source that is used.
    pub fn crop_size(&self) -> (u32, u32) {
        (self.crop.2, self.crop.3)
    }

    /// The same for a source that was decoded at another size: `decoded` in place of `size`, both as displayed and turned.
    ///
    /// Where the part to use is then as large as its result, give or take a pixel, it is taken as it is.
    pub fn on(self, size: (u32, u32), decoded: (u32, u32)) -> Self {
        if size == decoded {
            return self;
        }
        let (x, y, width, height) = self.crop;
        let part = |from: u32, length: u32, edge: u32, decoded: u32, result: u32| {
            let scale = f64::from(decoded) / f64::from(edge.max(1));
            let scaled = (f64::from(length) * scale).round().clamp(1.0, f64::from(decoded)) as u32;
            let near = scaled.abs_diff(result) <= 1 && result <= decoded;
            let length = if near { result } else { scaled };
            let from = ((f64::from(from) * scale).round() as u32).min(decoded - length);
            (from, length)
        };
        let (x, width) = part(x, width, size.0, decoded.0, self.resized.0);
        let (y, height) = part(y, height, size.1, decoded.1, self.resized.1);
        Self {
            crop: (x, y, width, height),
            ..self
        }
    }
}

impl Gravity {
    /// How it shares free space; `attention` as the middle, until pixels tell otherwise.
    pub fn anchor(self) -> Anchor {
        let x = match self {
            Self::NorthWest | Self::West | Self::SouthWest => 0,
            Self::NorthEast | Self::East | Self::SouthEast => Anchor::ONE,
            _ => Anchor::ONE / 2,
        };
        let y = match self {
            Self::NorthWest | Self::North | Self::NorthEast => 0,
            Self::SouthWest | Self::South | Self::SouthEast => Anchor::ONE,
            _ => Anchor::ONE / 2,
        };
        Anchor { x, y }
    }
}

impl Anchor {
    /// All of the free space.
    pub const ONE: u32 = 1 << 16;

    /// The left's and the top's part of what is free.
    fn share(self, free: (u32, u32)) -> (u32, u32) {
        let part = |free: u32, share: u32| u64::from(free) * u64::from(share.min(Self::ONE)) / u64::from(Self::ONE);
        (part(free.0, self.x) as u32, part(free.1, self.y) as u32)
    }
}

impl Rotate {
    /// Whether width and height change places.
    pub fn swaps(self) -> bool {
        matches!(self, Self::Right | Self::Left)
    }

    pub(super) fn is_none(&self) -> bool {
        *self == Self::Not
    }
}

impl Crop {
    /// The part of a picture of `width` × `height`, cut at its edges; `None` where it lies outside.
    pub fn of(&self, width: u32, height: u32) -> Option<(u32, u32, u32, u32)> {
        let (x, y) = (self.x.down(width), self.y.down(height));
        if x >= width || y >= height {
            return None;
        }
        let kept_width = self.width.nearest(width).clamp(1, width - x);
        let kept_height = self.height.nearest(height).clamp(1, height - y);
        Some((x, y, kept_width, kept_height))
    }

    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let empty = |length: Length| matches!(length, Length::Pixels(0) | Length::Share(0));
        for (field, length) in [("crop.width", self.width), ("crop.height", self.height)] {
            if empty(length) {
                return Err((field, "0 leaves nothing".to_owned()));
            }
        }
        for (field, length) in [("crop.x", self.x), ("crop.y", self.y)] {
            if length == Length::Share(Length::WHOLE) {
                return Err((field, "100% leaves nothing".to_owned()));
            }
        }
        Ok(())
    }
}

impl Length {
    /// 100 %.
    const WHOLE: u32 = 10_000;

    fn down(self, edge: u32) -> u32 {
        self.of(edge, 0)
    }

    fn nearest(self, edge: u32) -> u32 {
        self.of(edge, u64::from(Self::WHOLE) / 2)
    }

    fn of(self, edge: u32, more: u64) -> u32 {
        match self {
            Self::Pixels(pixels) => pixels,
            Self::Share(share) => ((u64::from(edge) * u64::from(share) + more) / u64::from(Self::WHOLE)) as u32,
        }
    }
}

impl Default for Length {
    fn default() -> Self {
        Self::Pixels(0)
    }
}

/// A length as it stands in JSON.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number of pixels, or a text like \"12.5%\"")]
enum Written {
    Pixels(u32),
    Share(String),
}

impl TryFrom<Written> for Length {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let text = match written {
            Written::Pixels(pixels) => return Ok(Self::Pixels(pixels)),
            Written::Share(text) => text,
        };
        let wrong = || {
            let shown: String = text.chars().take(80).collect();
            format!(
                "{shown:?} is neither a number of pixels nor a share like \"12.5%\", at most 100%, of at most two decimals"
            )
        };
        let number = text.strip_suffix('%').ok_or_else(wrong)?;
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 3 || decimals.len() > 2 || !digits(whole) || !digits(decimals) {
            return Err(wrong());
        }
        let hundredths = format!("{whole}{decimals:0<2}").parse().map_err(|_| wrong())?;
        match hundredths {
            0..=Self::WHOLE => Ok(Self::Share(hundredths)),
            _ => Err(wrong()),
        }
    }
}

impl From<Length> for Written {
    fn from(length: Length) -> Self {
        match length {
            Length::Pixels(pixels) => Self::Pixels(pixels),
            Length::Share(share) => {
                let (whole, decimals) = (share / 100, share % 100);
                let text = match (decimals, decimals % 10) {
                    (0, _) => format!("{whole}%"),
                    (_, 0) => format!("{whole}.{}%", decimals / 10),
                    _ => format!("{whole}.{decimals:02}%"),
                };
                Self::Share(text)
            }
        }
    }
}

impl TryFrom<u16> for Rotate {
    type Error = String;

    fn try_from(degrees: u16) -> Result<Self, Self::Error> {
        match degrees {
            0 => Ok(Self::Not),
            90 => Ok(Self::Right),
            180 => Ok(Self::Around),
            270 => Ok(Self::Left),
            _ => Err(format!("{degrees} is not 0, 90, 180 or 270 degrees clockwise")),
        }
    }
}

impl From<Rotate> for u16 {
    fn from(rotate: Rotate) -> Self {
        match rotate {
            Rotate::Not => 0,
            Rotate::Right => 90,
            Rotate::Around => 180,
            Rotate::Left => 270,
        }
    }
}

impl Rendition {
    /// The geometry for a source of `width` × `height` pixels as displayed; both at least 1. No edge of the result is 0.
    pub fn geometry(&self, width: u32, height: u32) -> Geometry {
        self.geometry_toward(width, height, self.gravity.anchor())
    }

    /// As [`geometry`](Self::geometry), with free space shared by `anchor`: the same sizes, another place.
    pub fn geometry_toward(&self, width: u32, height: u32, anchor: Anchor) -> Geometry {
        let (x, y, width, height) = self.part(width.max(1), height.max(1));
        let fitted = self.fitted(width, height, anchor);
        let (left, top, width, height) = fitted.crop;
        Geometry {
            crop: (x + left, y + top, width, height),
            ..fitted
        }
    }

    /// What is wrong with this rendition of a picture of `width` × `height` as displayed, where something is: the field, and why.
    pub fn misfit(&self, width: u32, height: u32) -> Option<String> {
        let (width, height) = self.turned(width, height);
        match self.crop?.of(width, height) {
            Some(_) => None,
            None => Some(format!("crop begins outside the picture of {width} × {height} px")),
        }
    }

    /// The part of the turned picture that is fitted; where `crop` lies outside, the last pixel.
    fn part(&self, width: u32, height: u32) -> (u32, u32, u32, u32) {
        let (width, height) = self.turned(width, height);
        match self.crop {
            Some(crop) => crop.of(width, height).unwrap_or((width - 1, height - 1, 1, 1)),
            None => (0, 0, width, height),
        }
    }

    /// A size as displayed, turned as this rendition is.
    pub fn turned(&self, width: u32, height: u32) -> (u32, u32) {
        if self.rotate.swaps() {
            (height, width)
        } else {
            (width, height)
        }
    }

    fn fitted(&self, width: u32, height: u32, anchor: Anchor) -> Geometry {
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
                    offset: anchor.share((box_width - w, box_height - h)),
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
                let (x, y) = anchor.share((width - kept_width, height - kept_height));
                Geometry {
                    crop: (x, y, kept_width, kept_height),
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

#[cfg(test)]
mod tests;
