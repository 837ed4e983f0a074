//! TIFF: the chain of directories, and what the first of them costs. Only the first page is ever decoded.

use std::collections::BTreeSet;

use super::bytes::Bytes;
use super::{Ending, Headers, Traits, area, at_most, corrupt, unsupported};
use crate::convert::colour::{Colours, Kind, Told};
use crate::convert::metadata::Exif;
use crate::convert::orientation::Orientation;
use crate::format::Format;
use crate::sandbox::limits::Limits;
use crate::verdict::Refusal;

/// Bytes of a directory entry.
const ENTRY: usize = 12;
/// Samples of a pixel that are still looked at.
const MOST_SAMPLES: u32 = 64;
/// What a decoder keeps for each strip or tile: offset and length, also as tagged values while it reads them.
const CHUNK_BYTES: u64 = 96;

/// Tags that matter here.
mod tag {
    pub(super) const WIDTH: u16 = 256;
    pub(super) const HEIGHT: u16 = 257;
    pub(super) const BITS: u16 = 258;
    pub(super) const COMPRESSION: u16 = 259;
    pub(super) const PHOTOMETRIC: u16 = 262;
    pub(super) const STRIP_OFFSETS: u16 = 273;
    pub(super) const ORIENTATION: u16 = 274;
    pub(super) const SAMPLES: u16 = 277;
    pub(super) const STRIP_BYTES: u16 = 279;
    pub(super) const PLANES: u16 = 284;
    pub(super) const TILE_WIDTH: u16 = 322;
    pub(super) const TILE_HEIGHT: u16 = 323;
    pub(super) const TILE_OFFSETS: u16 = 324;
    pub(super) const TILE_BYTES: u16 = 325;
    pub(super) const EXTRA_SAMPLES: u16 = 338;
    pub(super) const SAMPLE_FORMAT: u16 = 339;
    pub(super) const PROFILE: u16 = 34_675;
}

/// The first directory, as far as it matters.
#[derive(Debug, Default)]
struct Page {
    width: u32,
    height: u32,
    bits: u32,
    compression: u32,
    photometric: u32,
    orientation: u32,
    samples: u32,
    /// 2 where each colour has a plane of its own.
    planes: u32,
    /// What the first sample beside colours is: 1 for alpha that they are multiplied by.
    extra: u32,
    tile: (u32, u32),
    chunks: u64,
    offsets: Option<Entry>,
    lengths: Option<Entry>,
    profile: Option<Entry>,
}

/// One tag and where its values are.
#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u16,
    kind: u16,
    count: u32,
    at: usize,
}

pub(super) fn read(upload: &[u8], limits: &Limits) -> Result<Headers, Refusal> {
    let bytes = if upload.starts_with(b"II") {
        Bytes::little(upload)
    } else {
        Bytes::big(upload)
    };
    let mut seen = BTreeSet::new();
    let mut page = None;
    let mut next = bytes.u32(4).ok_or_else(|| corrupt("a TIFF header that is cut short"))?;
    while next != 0 {
        if !seen.insert(next) {
            return Err(corrupt("TIFF directories that lead in a circle"));
        }
        at_most("directories", seen.len() as u64, limits.directories)?;
        let after = walk(bytes, next as usize, limits, &mut page)?;
        next = bytes.u32(after).unwrap_or(0);
    }
    let page = page.ok_or_else(|| corrupt("a TIFF without a directory"))?;
    page.check(bytes, limits)?;
    Ok(page.headers(seen.len() as u64))
}

/// Walks one directory, keeps it if it is the first, and gives the place of the next one's offset.
fn walk(bytes: Bytes<'_>, start: usize, limits: &Limits, page: &mut Option<Page>) -> Result<usize, Refusal> {
    let count = bytes
        .u16(start)
        .ok_or_else(|| corrupt("a TIFF directory past the end of the file"))?;
    let mut found = Page {
        bits: 1,
        compression: 1,
        orientation: 1,
        samples: 1,
        ..Page::default()
    };
    for index in 0..usize::from(count) {
        let entry = Entry::read(bytes, start + 2 + index * ENTRY)?;
        if page.is_none() {
            found.take(entry, bytes, limits)?;
        }
    }
    page.get_or_insert(found);
    Ok(start + 2 + usize::from(count) * ENTRY)
}

impl Entry {
    /// Values of up to four bytes lie in the entry, others where it points; all of them must be in the file.
    fn read(bytes: Bytes<'_>, at: usize) -> Result<Self, Refusal> {
        let fields = (bytes.u16(at), bytes.u16(at + 2), bytes.u32(at + 4), bytes.u32(at + 8));
        let (Some(tag), Some(kind), Some(count), Some(pointer)) = fields else {
            return Err(corrupt("a TIFF directory past the end of the file"));
        };
        let length = u64::from(count) * width_of(kind);
        let place = if length <= 4 { at + 8 } else { pointer as usize };
        if place as u64 + length > bytes.len() as u64 {
            return Err(corrupt(format_args!(
                "TIFF tag {tag} has values past the end of the file"
            )));
        }
        Ok(Self {
            tag,
            kind,
            count,
            at: place,
        })
    }

    /// The value at `index`, of the integer types.
    fn value(&self, bytes: Bytes<'_>, index: usize) -> Option<u32> {
        if index >= self.count as usize {
            return None;
        }
        match self.kind {
            1 => bytes.u8(self.at + index).map(u32::from),
            3 => bytes.u16(self.at + index * 2).map(u32::from),
            4 | 13 => bytes.u32(self.at + index * 4),
            _ => None,
        }
    }
}

/// Bytes of one value of a type; unknown types are taken for bytes.
fn width_of(kind: u16) -> u64 {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 1,
    }
}

impl Page {
    fn take(&mut self, entry: Entry, bytes: Bytes<'_>, limits: &Limits) -> Result<(), Refusal> {
        let first = entry.value(bytes, 0).unwrap_or(0);
        match entry.tag {
            tag::WIDTH => self.width = first,
            tag::HEIGHT => self.height = first,
            tag::BITS => self.bits = first,
            tag::COMPRESSION => self.compression = first,
            tag::PHOTOMETRIC => self.photometric = first,
            tag::ORIENTATION => self.orientation = first,
            tag::SAMPLES => self.samples = first,
            tag::PLANES => self.planes = first,
            tag::EXTRA_SAMPLES => self.extra = first,
            tag::TILE_WIDTH => self.tile.0 = first,
            tag::TILE_HEIGHT => self.tile.1 = first,
            tag::STRIP_OFFSETS | tag::TILE_OFFSETS => self.offsets = Some(entry),
            tag::STRIP_BYTES | tag::TILE_BYTES => self.lengths = Some(entry),
            tag::PROFILE if matches!(entry.kind, 1 | 7) => self.profile = Some(entry),
            _ => {}
        }
        match entry.tag {
            tag::STRIP_OFFSETS | tag::TILE_OFFSETS | tag::STRIP_BYTES | tag::TILE_BYTES => {
                self.chunks = self.chunks.max(entry.count.into());
                at_most("strips", self.chunks, limits.strips)
            }
            tag::BITS | tag::EXTRA_SAMPLES | tag::SAMPLE_FORMAT if entry.count > MOST_SAMPLES => Err(unsupported(
                format_args!("TIFF of {} samples a pixel is not read", entry.count),
            )),
            _ => Ok(()),
        }
    }

    fn check(&self, bytes: Bytes<'_>, limits: &Limits) -> Result<(), Refusal> {
        if matches!(self.compression, 6 | 7) {
            return Err(unsupported("JPEG within TIFF is not read"));
        }
        if self.samples > MOST_SAMPLES || self.bits > 64 {
            return Err(unsupported(format_args!(
                "TIFF of {} × {} bits is not read",
                self.samples, self.bits
            )));
        }
        // tiff 0.11.3 takes the last row of tiles for a whole one in all planes but the first, and panics.
        if self.tiles() > 0 && self.planes == 2 && self.samples > 1 && !self.height.is_multiple_of(self.tile.1) {
            return Err(unsupported("TIFF in planes whose last tiles are cut is not read"));
        }
        if self.tiles() > 0 {
            let across = u64::from(self.width.div_ceil(self.tile.0));
            at_most(
                "strips",
                across * u64::from(self.height.div_ceil(self.tile.1)),
                limits.strips,
            )?;
        }
        let (Some(offsets), Some(lengths)) = (self.offsets, self.lengths) else {
            return Err(corrupt("a TIFF without strips or tiles"));
        };
        for index in 0..lengths.count as usize {
            let (Some(offset), Some(length)) = (offsets.value(bytes, index), lengths.value(bytes, index)) else {
                return Err(corrupt("TIFF strips that do not pair offsets with lengths"));
            };
            if u64::from(offset) + u64::from(length) > bytes.len() as u64 {
                return Err(corrupt(format_args!(
                    "TIFF strip {index} runs past the end of the file"
                )));
            }
        }
        Ok(())
    }

    /// Pixels of one tile; 0 where the page is in strips.
    fn tiles(&self) -> u64 {
        area(self.tile.0, self.tile.1)
    }

    fn headers(&self, frames: u64) -> Headers {
        let pixels = area(self.width, self.height);
        let bits = u64::from(self.samples) * u64::from(self.bits);
        // Colours that come out, alpha included: inks become RGB, everything over four is dropped.
        let decoded = match (self.photometric, self.samples) {
            // Inks are read as they are, and become three colours in place.
            (5, _) => 4,
            (_, samples) => u64::from(samples.clamp(1, 4)),
        };
        let stored = pixels.saturating_mul(bits).div_ceil(8);
        // Inks of 8 bits become light in place, others are narrowed first.
        let output = match (self.photometric, self.bits) {
            (5, 8) => 0,
            _ => pixels.saturating_mul(decoded * u64::from(self.bits.div_ceil(8))),
        };
        let spread = if decoded == 2 { pixels.saturating_mul(4) } else { 0 };
        let chunk = self
            .tiles()
            .saturating_mul(bits)
            .div_ceil(8)
            .max(u64::from(self.width) * bits / 8);
        let parts = [stored, output, spread, chunk, self.chunks * CHUNK_BYTES];
        Headers {
            format: Format::Tiff,
            width: self.width,
            height: self.height,
            frames,
            largest: self.tiles(),
            orientation: Orientation::from_exif(self.orientation),
            channels: match (self.photometric, decoded) {
                (5, _) => 3,
                (_, 2) => 4,
                _ => decoded,
            },
            decode_bytes: parts.into_iter().fold(0, u64::saturating_add),
            exif: Some(Exif {
                at: 0,
                length: usize::MAX,
            }),
            ending: Ending::Whole,
            colours: Colours {
                kind: match self.photometric {
                    0 | 1 => Kind::Grey,
                    5 => Kind::Inks,
                    _ => Kind::Rgb,
                },
                told: self.profile.map_or(Told::Nothing, |entry| Told::Profile {
                    at: entry.at,
                    length: entry.count as usize,
                }),
            },
            traits: if self.extra == 1 {
                Traits::Premultiplied
            } else {
                Traits::Plain
            },
        }
    }
}
