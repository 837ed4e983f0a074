//! The first bytes of a file: which format they are of, or what else they say. `[pure]`
//!
//! Bytes are compared, within [`Format::MAGIC_BYTES`]; nothing is unpacked. Of XML, what may come before the root element is skipped.
#![forbid(unsafe_code)]

use super::Format;

pub(super) fn sniff(head: &[u8]) -> Option<Format> {
    match head {
        [0xff, 0xd8, 0xff, ..] => Some(Format::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Format::Png),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Format::Gif),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(Format::Tiff),
        [b'B', b'M', ..] => Some(Format::Bmp),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Format::Webp),
        [b'q', b'o', b'i', b'f', ..] => Some(Format::Qoi),
        // An icon (1) or a cursor (2), with at least one picture.
        [0, 0, 1 | 2, 0, low, high, ..] if (*low, *high) != (0, 0) => Some(Format::Ico),
        [b'P', b'1'..=b'6', b'\t' | b'\n' | b'\r' | b' ' | b'#', ..] | [b'P', b'7', b'\n', ..] => Some(Format::Pnm),
        // A gzip file: the child sees whether there is an SVG in it.
        [0x1f, 0x8b, 8, ..] => Some(Format::Svg),
        [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', b'\r', b'\n', 0x87, b'\n', ..] => Some(Format::Jxl),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] if brands(head).any(|brand| matches!(brand, b"avif" | b"avis")) => {
            Some(Format::Avif)
        }
        _ if root(head).is_some_and(svg) => Some(Format::Svg),
        _ => None,
    }
}

/// The brands of an ISO base media file, the major one first.
fn brands(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let length = head
        .first_chunk()
        .map_or(0, |length| u32::from_be_bytes(*length) as usize);
    let body = head.get(8..length.min(head.len())).unwrap_or_default();
    // After the major brand comes its version.
    body.chunks_exact(4)
        .enumerate()
        .filter(|(index, _)| *index != 1)
        .map(|(_, brand)| brand)
}

/// What follows the `<` of an XML document's root element, or the name in its type declaration.
fn root(head: &[u8]) -> Option<&[u8]> {
    let mut rest = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    loop {
        rest = rest.trim_ascii_start();
        rest = match rest {
            [b'<', b'?', ..] => after(rest, b"?>")?,
            [b'<', b'!', b'-', b'-', ..] => after(rest, b"-->")?,
            [b'<', b'!', kind @ ..] if kind.get(..7)?.eq_ignore_ascii_case(b"DOCTYPE") => {
                return kind.get(7..).map(<[u8]>::trim_ascii_start);
            }
            [b'<', name @ ..] => return Some(name),
            _ => return None,
        };
    }
}

fn after<'a>(text: &'a [u8], end: &[u8]) -> Option<&'a [u8]> {
    let at = text.windows(end.len()).position(|window| window == end)?;
    text.get(at + end.len()..)
}

/// Whether a name is `svg`, with a prefix or without.
fn svg(text: &[u8]) -> bool {
    let end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/' | b'[');
    let Some(length) = text.iter().position(end) else {
        return false;
    };
    let name = &text[..length];
    name.rsplit(|&byte| byte == b':').next() == Some(b"svg")
}

/// Why a file is not read whose first bytes are of no [`Format`]: one sentence that names what it is, where that is known, and
/// what to do.
pub fn unread(head: &[u8]) -> &'static str {
    match head {
        [b'I', b'I', 43, 0, ..] | [b'M', b'M', 0, 43, ..] => "BigTIFF is not read",
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] if heic(brand) => {
            "HEIC is not read: no decoder of a permissive licence is to be had; save it as JPEG, on an iPhone by Settings, \
             Camera, Formats, Most Compatible"
        }
        [b'%', b'P', b'D', b'F', ..] => "PDF is not read",
        [0xff, 0xfe, b'<', 0, ..] | [0xfe, 0xff, 0, b'<', ..] => "XML in UTF-16 is not read; save an SVG as UTF-8",
        _ if root(head).is_some() => "XML or HTML that is no SVG",
        _ => "the first bytes are those of no format that is read",
    }
}

/// Whether the first brand of an ISO base media file is one of HEIF's with HEVC in it, or HEIF's own.
fn heic(brand: &[u8]) -> bool {
    let heif = [
        b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1",
    ];
    heif.iter().any(|known| brand.starts_with(*known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magic_bytes_decide() {
        let cases: [(&[u8], Option<Format>); 39] = [
            (b"\xff\xd8\xff\xe0", Some(Format::Jpeg)),
            (b"\x89PNG\r\n\x1a\n", Some(Format::Png)),
            (b"GIF89a", Some(Format::Gif)),
            (b"RIFF\x04\x00\x00\x00WEBP", Some(Format::Webp)),
            (b"RIFF\x04\x00\x00\x00WAVE", None),
            (b"BM", Some(Format::Bmp)),
            (b"MM\x00\x2a", Some(Format::Tiff)),
            (b"qoif", Some(Format::Qoi)),
            (b"\0\0\x01\0\x02\0", Some(Format::Ico)),
            (b"\0\0\x02\0\0\x01", Some(Format::Ico)),
            (b"\0\0\x01\0\0\0", None),
            (b"\0\0\x03\0\x01\0", None),
            (b"P1\n1 1\n1", Some(Format::Pnm)),
            (b"P6#", Some(Format::Pnm)),
            (b"P7\nWIDTH 1", Some(Format::Pnm)),
            (b"P7 WIDTH 1", None),
            (b"P8\n", None),
            (b"PK\x03\x04", None),
            (b"P", None),
            (b"<html>", None),
            (b"\x1f\x8b\x08\0", Some(Format::Svg)),
            (b"\xff\x0a\xfa", Some(Format::Jxl)),
            (b"\0\0\0\x0cJXL \r\n\x87\n", Some(Format::Jxl)),
            (b"\0\0\0\x14ftypavif\0\0\0\0avif", Some(Format::Avif)),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", Some(Format::Avif)),
            (b"\0\0\0\x14ftypmif1\0\0\0\0mif1avif", None),
            (b"\0\0\0\x14ftypheic\0\0\0\0avis", Some(Format::Avif)),
            (b"<svg xmlns=''>", Some(Format::Svg)),
            (b"<svg>", Some(Format::Svg)),
            (b"<svg", None),
            (b"<svgx>", None),
            (
                b"\xef\xbb\xbf <?xml version='1.0'?>\n<!-- <html> -->\n<s:svg xmlns:s=''>",
                Some(Format::Svg),
            ),
            (b"<!DOCTYPE svg PUBLIC '' ''><svg>", Some(Format::Svg)),
            (b"<!doctype html><svg>", None),
            (b"<!-- <svg> --><html><svg></svg></html>", None),
            (b"<!-- never closed <svg>", None),
            (b"<?xml version='1.0'?><rss/>", None),
            (b"text <svg>", None),
            (b"", None),
        ];
        for (head, format) in cases {
            assert_eq!(sniff(head), format, "{head:?}");
        }
    }

    #[test]
    fn what_is_known_and_not_read_is_named() {
        for (head, word) in [
            (&b"II\x2b\0"[..], "BigTIFF"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "JPEG"),
            (b"\0\0\0\x18ftypisom", "no format"),
            (b"%PDF-1.7", "PDF"),
            (b"\xff\xfe<\0s\0", "UTF-16"),
            (b"<!doctype html><svg>", "no SVG"),
            (b"hello", "no format"),
        ] {
            assert_eq!(sniff(head), None);
            assert!(unread(head).contains(word), "{head:?}: {}", unread(head));
        }
    }
}
