//! Puts metadata into what an encoder writes, while it is written: JPEG after its start, PNG after its header, WebP around its picture.
//! AVIF comes with it.
#![forbid(unsafe_code)]

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::Kept;
use crate::convert::colour::ICC_SEGMENT;
use crate::format::Format;

/// Most bytes of a JPEG segment, its own length not counted.
const SEGMENT: usize = 65_533;
/// RIFF header, and the extended header of a WebP with its framing.
const RIFF: usize = 12;
const EXTENDED: usize = 18;
/// Flags of the extended header.
const HAS_PROFILE: u8 = 0x20;
const HAS_ALPHA: u8 = 0x10;
const HAS_EXIF: u8 = 0x08;

/// What the extended header of a WebP says of the picture.
#[derive(Debug, Clone, Copy)]
pub(in crate::convert) struct Canvas {
    /// Width and height, 1 to 16,384.
    pub(in crate::convert) size: (u32, u32),
    /// Whether there may be transparent pixels.
    pub(in crate::convert) alpha: bool,
}

/// Takes a whole file, in pieces, and passes it on with what is kept in it.
pub(in crate::convert) struct Embedding<'a> {
    output: &'a mut dyn Write,
    kept: Kept<'a>,
    format: Format,
    canvas: Canvas,
    /// The start of the file, until there is enough of it.
    head: Option<Vec<u8>>,
    /// Bytes that were put in.
    added: u64,
}

impl Kept<'_> {
    /// Bytes that it adds to a file of `format`, at most.
    pub(in crate::convert) fn length(self, format: Format) -> io::Result<u64> {
        let chunk = |name, body: Option<&[u8]>| body.map_or(0, |body| riff(name, body).len());
        let length = match format {
            _ if self.is_empty() || !has_place(format) => 0,
            Format::Jpeg => jpeg(self).len(),
            Format::Webp => EXTENDED + chunk(b"ICCP", self.profile) + chunk(b"EXIF", self.exif),
            _ => png(self)?.len(),
        };
        Ok(length as u64)
    }

    fn is_empty(&self) -> bool {
        self.profile.is_none() && self.exif.is_none()
    }
}

impl<'a> Embedding<'a> {
    pub(in crate::convert) fn new(output: &'a mut dyn Write, kept: Kept<'a>, format: Format, canvas: Canvas) -> Self {
        let nothing = kept.is_empty() || !has_place(format);
        Self {
            output,
            kept,
            format,
            canvas,
            head: (!nothing).then(Vec::new),
            added: 0,
        }
    }

    /// Bytes that the place for metadata has before it.
    fn wanted(&self) -> usize {
        match self.format {
            Format::Jpeg => 2,
            Format::Webp => RIFF + EXTENDED,
            // Signature and header.
            _ => 8 + 25,
        }
    }

    /// Writes what belongs behind the picture; tells how many bytes were added in all.
    pub(in crate::convert) fn finish(mut self) -> io::Result<u64> {
        // A file shorter than any honest one goes through as it is.
        if let Some(head) = self.head.take() {
            self.output.write_all(&head)?;
        } else if let (Format::Webp, Some(exif)) = (self.format, self.kept.exif) {
            let chunk = riff(b"EXIF", exif);
            self.put(&chunk)?;
        }
        Ok(self.added)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.added += bytes.len() as u64;
        self.output.write_all(bytes)
    }

    fn start(&mut self, head: &[u8]) -> io::Result<()> {
        match self.format {
            Format::Webp => self.start_webp(head),
            format => {
                self.output.write_all(head)?;
                let parts = if format == Format::Jpeg {
                    jpeg(self.kept)
                } else {
                    png(self.kept)?
                };
                self.put(&parts)
            }
        }
    }

    fn start_webp(&mut self, head: &[u8]) -> io::Result<()> {
        let (header, rest) = head.split_at(RIFF);
        let is_extended = rest.starts_with(b"VP8X");
        let mut flags = if is_extended { rest[8] } else { 0 };
        let profile = self
            .kept
            .profile
            .map(|profile| riff(b"ICCP", profile))
            .unwrap_or_default();
        let behind = self.kept.exif.map_or(0, |exif| riff(b"EXIF", exif).len());
        for (set, flag) in [
            (!profile.is_empty(), HAS_PROFILE),
            (behind > 0, HAS_EXIF),
            (self.canvas.alpha, HAS_ALPHA),
        ] {
            flags |= if set { flag } else { 0 };
        }
        let (width, height) = self.canvas.size;
        let edge = |edge: u32| (edge - 1).to_le_bytes();
        let body = [&[flags, 0, 0, 0], &edge(width)[..3], &edge(height)[..3]].concat();
        let extended = riff(b"VP8X", &body);

        let fresh = if is_extended { 0 } else { extended.len() };
        let more = (fresh + profile.len() + behind) as u32;
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]).saturating_add(more);
        self.output.write_all(&header[..4])?;
        self.output.write_all(&length.to_le_bytes())?;
        self.output.write_all(&header[8..])?;
        self.output.write_all(&extended)?;
        self.added += fresh as u64;
        self.put(&profile)?;
        self.output
            .write_all(if is_extended { &rest[EXTENDED..] } else { rest })
    }
}

impl Write for Embedding<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let wanted = self.wanted();
        let Some(head) = &mut self.head else {
            return self.output.write(bytes);
        };
        let taken = bytes.len().min(wanted - head.len());
        head.extend(&bytes[..taken]);
        if head.len() == wanted
            && let Some(head) = self.head.take()
        {
            self.start(&head)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Whether it is put in here. GIF has no place for it that others look at; the encoder of AVIF writes it into its container itself.
fn has_place(format: Format) -> bool {
    !matches!(format, Format::Gif | Format::Avif)
}

/// Segments: EXIF first, as it asks to be; a profile in as many parts as it needs.
fn jpeg(kept: Kept<'_>) -> Vec<u8> {
    let mut segments = Vec::new();
    let mut segment = |marker: u8, parts: &[&[u8]]| {
        let length = 2 + parts.iter().map(|part| part.len()).sum::<usize>();
        segments.extend([0xff, marker]);
        segments.extend((length as u16).to_be_bytes());
        parts.iter().for_each(|part| segments.extend(*part));
    };
    if let Some(exif) = kept.exif.filter(|exif| exif.len() + 6 <= SEGMENT) {
        segment(0xe1, &[b"Exif\0\0", exif]);
    }
    let room = SEGMENT - ICC_SEGMENT.len() - 2;
    let parts: Vec<&[u8]> = kept
        .profile
        .map(|profile| profile.chunks(room).collect())
        .unwrap_or_default();
    for (index, part) in parts.iter().enumerate() {
        segment(0xe2, &[ICC_SEGMENT, &[index as u8 + 1, parts.len() as u8], part]);
    }
    segments
}

fn png(kept: Kept<'_>) -> io::Result<Vec<u8>> {
    let mut chunks = Vec::new();
    let mut chunk = |kind: &[u8; 4], body: &[u8]| {
        chunks.extend((body.len() as u32).to_be_bytes());
        let mut sum = flate2::Crc::new();
        for part in [&kind[..], body] {
            sum.update(part);
            chunks.extend(part);
        }
        chunks.extend(sum.sum().to_be_bytes());
    };
    if let Some(profile) = kept.profile {
        let mut body = ZlibEncoder::new(b"icc\0\0".to_vec(), Compression::fast());
        body.write_all(profile)?;
        chunk(b"iCCP", &body.finish()?);
    }
    if let Some(exif) = kept.exif {
        chunk(b"eXIf", exif);
    }
    Ok(chunks)
}

/// A chunk of a WebP.
fn riff(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut chunk = name.to_vec();
    chunk.extend((body.len() as u32).to_le_bytes());
    chunk.extend(body);
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}
