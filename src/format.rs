//! Image formats, told apart by their magic bytes alone; names and declared content types are never believed.

use serde::{Deserialize, Serialize};

/// A format that can be read. The child decodes it; the supervisor only compares magic bytes.
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
}

impl Format {
    /// How many leading bytes [`Format::sniff`] looks at.
    pub const MAGIC_BYTES: usize = 16;

    /// The format whose magic bytes `head` starts with.
    pub fn sniff(head: &[u8]) -> Option<Self> {
        let webp = |head: &[u8]| head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP");
        match head {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(Self::Tiff),
            [b'B', b'M', ..] => Some(Self::Bmp),
            _ if webp(head) => Some(Self::Webp),
            _ => None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magic_bytes_decide() {
        let cases: [(&[u8], Option<Format>); 9] = [
            (b"\xff\xd8\xff\xe0", Some(Format::Jpeg)),
            (b"\x89PNG\r\n\x1a\n", Some(Format::Png)),
            (b"GIF89a", Some(Format::Gif)),
            (b"RIFF\x04\x00\x00\x00WEBP", Some(Format::Webp)),
            (b"RIFF\x04\x00\x00\x00WAVE", None),
            (b"BM", Some(Format::Bmp)),
            (b"MM\x00\x2a", Some(Format::Tiff)),
            (b"<svg", None),
            (b"", None),
        ];
        for (head, format) in cases {
            assert_eq!(Format::sniff(head), format, "{head:?}");
        }
    }
}
