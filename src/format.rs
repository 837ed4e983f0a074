//! Image formats, told apart by their first bytes alone; names and declared content types are never believed.

mod magic;
mod switches;

use serde::{Deserialize, Serialize};

pub use magic::unread;
pub use switches::{Formats, Switch};

/// A format that can be read. The child decodes it; the supervisor only looks at the first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JPEG (ITU-T T.81), baseline and progressive.
    Jpeg,
    /// PNG and APNG (W3C PNG 3rd edition).
    Png,
    /// GIF 87a and 89a.
    Gif,
    /// WebP (RFC 9649), lossy, lossless and animated.
    Webp,
    /// Windows bitmap.
    Bmp,
    /// TIFF 6.0, both byte orders.
    Tiff,
    /// Windows icons and cursors.
    Ico,
    /// QOI 1.0.
    Qoi,
    /// Netpbm: PBM, PGM and PPM (P1 to P6), and PAM (P7).
    Pnm,
    /// SVG, plain or compressed by gzip (SVGZ).
    Svg,
    /// JPEG XL (ISO/IEC 18181), with or without a container.
    Jxl,
    /// AVIF: AV1 in HEIF.
    Avif,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Jpeg,
        Self::Png,
        Self::Gif,
        Self::Webp,
        Self::Bmp,
        Self::Tiff,
        Self::Ico,
        Self::Qoi,
        Self::Pnm,
        Self::Svg,
        Self::Jxl,
        Self::Avif,
    ];

    /// How many leading bytes [`Format::sniff`] looks at.
    ///
    /// An SVG may begin with comments and a type declaration.
    pub const MAGIC_BYTES: usize = 4096;

    /// The format whose magic bytes `head` starts with. What it is none of, [`unread`] names.
    pub fn sniff(head: &[u8]) -> Option<Self> {
        magic::sniff(head)
    }

    /// Whether several frames of it are an animation, and not pages or sizes.
    pub fn moves(self) -> bool {
        matches!(self, Self::Gif | Self::Png | Self::Webp)
    }

    /// Lower-case name, as in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Bmp => "bmp",
            Self::Tiff => "tiff",
            Self::Ico => "ico",
            Self::Qoi => "qoi",
            Self::Pnm => "pnm",
            Self::Svg => "svg",
            Self::Jxl => "jxl",
            Self::Avif => "avif",
        }
    }

    /// Whether its decoder is in this build.
    pub fn built(self) -> bool {
        match self {
            Self::Svg => cfg!(feature = "svg"),
            Self::Jxl => cfg!(feature = "jxl"),
            Self::Avif => cfg!(feature = "avif"),
            _ => true,
        }
    }

    /// Usual file name extension, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            other => other.name(),
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
