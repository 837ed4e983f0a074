//! Items of an AVIF: which is the picture, of which tiles it is made, which is its alpha, and how it is shown.

use super::boxes::{Cursor, Found, boxes};
use super::unsupported;
use crate::convert::colour::Told;
use crate::convert::orientation::Orientation;
use crate::convert::preflight::bytes::Bytes;
use crate::convert::preflight::corrupt;
use crate::verdict::Refusal;

/// Most items, properties and tiles that are held.
const MOST_ITEMS: usize = 1024;
const MOST_PROPERTIES: usize = 1024;
const MOST_TILES: usize = 256;
/// What an auxiliary item must be called to be alpha.
const ALPHA: [&[u8]; 2] = [
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0",
    b"urn:mpeg:hevc:2015:auxid:1\0",
];

/// The picture in a file.
#[derive(Debug)]
pub(in crate::convert) struct Picture {
    pub(in crate::convert) colour: Plane,
    pub(in crate::convert) alpha: Option<Plane>,
    /// Whether colours are multiplied by alpha.
    pub(in crate::convert) premultiplied: bool,
    pub(in crate::convert) orientation: Orientation,
}

/// Colours, or alpha: AV1 streams that lie side by side.
#[derive(Debug)]
pub(in crate::convert) struct Plane {
    /// Width and height of the whole.
    pub(in crate::convert) size: (u32, u32),
    /// Width and height of each tile.
    pub(in crate::convert) tile: (u32, u32),
    pub(in crate::convert) columns: usize,
    /// Where each stream lies in the file: start and end. Row by row.
    pub(in crate::convert) streams: Vec<(usize, usize)>,
    /// Bits of a sample, as the container says.
    pub(in crate::convert) depth: u8,
    /// Chroma as the container says: none, 4:2:0, 4:2:2 or 4:4:4.
    chroma: Chroma,
    /// Colour description of the container, which wins over the stream's: primaries, transfer, matrix, full range.
    pub(in crate::convert) nclx: Option<Nclx>,
    /// Where an ICC profile lies in the file, and its length.
    profile: Option<(usize, usize)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chroma {
    None,
    Quarter,
    Half,
    Full,
}

/// Coding-independent code points (ITU-T H.273) that pixels are computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::convert) struct Nclx {
    primaries: u16,
    transfer: u16,
    pub(in crate::convert) matrix: u16,
    pub(in crate::convert) full_range: bool,
}

impl Plane {
    /// What the container says of colours: a profile, else code points. Those of BT.709 are shown as sRGB, as what is unspecified is (MIAF,
    /// ISO/IEC 23000-22, 7.3.6.4).
    pub(super) fn told(&self) -> Told {
        if let Some((at, length)) = self.profile {
            return Told::Profile { at, length };
        }
        let Some(Nclx {
            primaries, transfer, ..
        }) = self.nclx
        else {
            return Told::Nothing;
        };
        let code = |code: u16, default: u8| match code {
            2 => default,
            code => u8::try_from(code).unwrap_or(u8::MAX),
        };
        match (code(primaries, 1), code(transfer, 13)) {
            (1, 1 | 6 | 13 | 14 | 15) => Told::Nothing,
            (primaries, transfer) => Told::Coded { primaries, transfer },
        }
    }

    /// Whether there is no chroma, as the container says.
    pub(super) fn is_grey(&self) -> bool {
        self.chroma == Chroma::None
    }

    /// Samples of two pixels.
    pub(in crate::convert) fn samples(&self) -> u64 {
        match self.chroma {
            Chroma::None => 2,
            Chroma::Quarter => 3,
            Chroma::Half => 4,
            Chroma::Full => 6,
        }
    }
}

/// A property that matters here.
#[derive(Debug, Clone, Copy)]
enum Property {
    Size(u32, u32),
    Configuration {
        depth: u8,
        chroma: Chroma,
    },
    Colour(Nclx),
    /// Where a profile lies, and its length.
    Profile(usize, usize),
    Rotation(u8),
    Mirror(u8),
    Alpha,
    Other,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    id: u32,
    kind: [u8; 4],
}

/// What the meta box holds.
#[derive(Debug, Default)]
struct Meta {
    primary: Option<u32>,
    items: Vec<Item>,
    /// Item, start and end in the file; `None` where it is in several parts.
    places: Vec<(u32, Option<(usize, usize)>)>,
    properties: Vec<Property>,
    /// Item, index of a property from 1.
    associations: Vec<(u32, usize)>,
    /// Kind of reference, from, to.
    references: Vec<([u8; 4], u32, u32)>,
}

impl Picture {
    pub(in crate::convert) fn read(upload: &[u8]) -> Result<Self, Refusal> {
        let bytes = Bytes::big(upload);
        let found = boxes(bytes, 0, upload.len()).find(|found| found.name == b"meta");
        let meta = found.and_then(|found| Meta::read(bytes, found));
        let meta = meta.ok_or_else(|| corrupt("an AVIF without a still picture"))?;
        let primary = meta.primary.ok_or_else(|| corrupt("an AVIF that names no picture"))?;
        let colour = meta.plane(bytes, primary)?;
        let alpha_item = meta.references.iter().find(|(kind, from, to)| {
            kind == b"auxl" && *to == primary && meta.has(*from, |p| matches!(p, Property::Alpha))
        });
        let alpha = alpha_item.map(|(_, from, _)| meta.plane(bytes, *from)).transpose()?;
        if alpha.as_ref().is_some_and(|alpha| alpha.size != colour.size) {
            return Err(corrupt("an AVIF whose alpha is of another size"));
        }
        let premultiplied = alpha_item.is_some_and(|(_, from, _)| meta.refers(b"prem", primary, *from));
        Ok(Self {
            orientation: meta.orientation(primary),
            colour,
            alpha,
            premultiplied,
        })
    }
}

impl Meta {
    fn read(bytes: Bytes<'_>, found: Found<'_>) -> Option<Self> {
        let mut meta = Self::default();
        let (start, end) = (found.start + 4, found.end);
        let data = boxes(bytes, start, end)
            .find(|found| found.name == b"idat")
            .map_or(0, |found| found.start);
        for found in boxes(bytes, start, end) {
            let mut cursor = Cursor::new(bytes, found);
            match found.name {
                b"pitm" => {
                    let (version, _) = cursor.version()?;
                    meta.primary = cursor.integer(if version == 0 { 2 } else { 4 }).map(|id| id as u32);
                }
                b"iinf" => meta.infos(bytes, found)?,
                b"iloc" => meta.locations(cursor, data)?,
                b"iprp" => meta.descriptions(bytes, found)?,
                b"iref" => meta.relations(bytes, found)?,
                _ => {}
            }
        }
        Some(meta)
    }

    fn infos(&mut self, bytes: Bytes<'_>, found: Found<'_>) -> Option<()> {
        let (version, _) = Cursor::new(bytes, found).version()?;
        let start = found.start + if version == 0 { 6 } else { 8 };
        for entry in boxes(bytes, start, found.end)
            .filter(|entry| entry.name == b"infe")
            .take(MOST_ITEMS)
        {
            let mut cursor = Cursor::new(bytes, entry);
            let (version, _) = cursor.version()?;
            let id = cursor.integer(if version == 3 { 4 } else { 2 })? as u32;
            let _protection = cursor.u16()?;
            let kind = cursor.u32()?.to_be_bytes();
            self.items.push(Item { id, kind });
        }
        Some(())
    }

    fn locations(&mut self, mut cursor: Cursor<'_>, data: usize) -> Option<()> {
        let (version, _) = cursor.version()?;
        let sizes = cursor.u16()?;
        let width = |shift: u16| usize::from(sizes >> shift & 15);
        let index = if version == 0 { 0 } else { width(0) };
        let (offset, length, base) = (width(12), width(8), width(4));
        let wide = if version < 2 { 2 } else { 4 };
        let count = cursor.integer(wide)?;
        for _ in 0..count.min(MOST_ITEMS as u64) {
            let id = cursor.integer(wide)? as u32;
            let method = if version == 0 { 0 } else { cursor.u16()? & 15 };
            let _reference = cursor.u16()?;
            let base = cursor.integer(base)?;
            let extents = cursor.u16()?;
            let mut place = None;
            for number in 0..extents {
                cursor.integer(index)?;
                let start = base.checked_add(cursor.integer(offset)?)?;
                let length = cursor.integer(length)?;
                let start = match method {
                    0 => start,
                    1 => start.checked_add(data as u64)?,
                    _ => u64::MAX >> 1,
                };
                let end = start.checked_add(length)?;
                place = (number == 0).then_some((usize::try_from(start).ok()?, usize::try_from(end).ok()?));
            }
            self.places.push((id, place));
        }
        Some(())
    }

    fn descriptions(&mut self, bytes: Bytes<'_>, found: Found<'_>) -> Option<()> {
        for inner in boxes(bytes, found.start, found.end) {
            match inner.name {
                b"ipco" => {
                    let properties = boxes(bytes, inner.start, inner.end).take(MOST_PROPERTIES);
                    self.properties = properties
                        .map(|found| Property::read(bytes, found).unwrap_or(Property::Other))
                        .collect();
                }
                b"ipma" => self.associate(Cursor::new(bytes, inner))?,
                _ => {}
            }
        }
        Some(())
    }

    fn associate(&mut self, mut cursor: Cursor<'_>) -> Option<()> {
        let (version, flags) = cursor.version()?;
        let count = cursor.u32()?;
        for _ in 0..count.min(MOST_ITEMS as u32) {
            let id = cursor.integer(if version == 0 { 2 } else { 4 })? as u32;
            for _ in 0..cursor.u8()? {
                // The highest bit says that the property is essential.
                let index = match flags & 1 {
                    0 => usize::from(cursor.u8()? & 0x7f),
                    _ => usize::from(cursor.u16()? & 0x7fff),
                };
                if self.associations.len() < MOST_ITEMS * 8 {
                    self.associations.push((id, index));
                }
            }
        }
        Some(())
    }

    fn relations(&mut self, bytes: Bytes<'_>, found: Found<'_>) -> Option<()> {
        let (version, _) = Cursor::new(bytes, found).version()?;
        let wide = if version == 0 { 2 } else { 4 };
        for inner in boxes(bytes, found.start + 4, found.end) {
            let mut cursor = Cursor::new(bytes, inner);
            let kind = <[u8; 4]>::try_from(inner.name).ok()?;
            let from = cursor.integer(wide)? as u32;
            for _ in 0..cursor.u16()? {
                let to = cursor.integer(wide)? as u32;
                if self.references.len() < MOST_ITEMS {
                    self.references.push((kind, from, to));
                }
            }
        }
        Some(())
    }

    fn of(&self, item: u32) -> impl Iterator<Item = Property> {
        let own = self.associations.iter().filter(move |(id, _)| *id == item);
        own.filter_map(|(_, index)| self.properties.get(index.checked_sub(1)?).copied())
    }

    fn has(&self, item: u32, what: impl Fn(Property) -> bool) -> bool {
        self.of(item).any(what)
    }

    fn refers(&self, kind: &[u8; 4], from: u32, to: u32) -> bool {
        self.references.contains(&(*kind, from, to))
    }

    fn kind(&self, item: u32) -> Option<[u8; 4]> {
        self.items.iter().find(|known| known.id == item).map(|known| known.kind)
    }

    fn size(&self, item: u32) -> Result<(u32, u32), Refusal> {
        let sizes = self.of(item).find_map(|property| match property {
            Property::Size(width, height) => Some((width, height)),
            _ => None,
        });
        sizes.ok_or_else(|| corrupt("an AVIF item of no size"))
    }

    fn place(&self, upload: Bytes<'_>, item: u32) -> Result<(usize, usize), Refusal> {
        match self.places.iter().find(|(id, _)| *id == item) {
            Some((_, Some((start, end)))) if end <= &upload.len() && start < end => Ok((*start, *end)),
            Some((_, None)) => Err(unsupported("AVIF whose picture lies in several parts is not read")),
            _ => Err(corrupt("an AVIF that ends before its picture")),
        }
    }

    /// The AV1 streams of an item, which is one of them or a grid.
    fn plane(&self, bytes: Bytes<'_>, item: u32) -> Result<Plane, Refusal> {
        let size = self.size(item)?;
        let (tiles, columns) = match self.kind(item).as_ref() {
            Some(b"av01") => (vec![item], 1),
            Some(b"grid") => self.grid(bytes, item, size)?,
            Some(kind) => {
                let kind = String::from_utf8_lossy(kind).into_owned();
                return Err(unsupported(format_args!(
                    "AVIF with a picture of kind {kind:?} is not read"
                )));
            }
            None => return Err(corrupt("an AVIF that names no picture")),
        };
        let first = *tiles.first().ok_or_else(|| corrupt("an AVIF grid of no tiles"))?;
        let tile = self.size(first)?;
        if tile.0 == 0 || tile.1 == 0 {
            return Err(corrupt("an AVIF item of no size"));
        }
        let rows = tiles.len() / columns;
        let covered = (u64::from(tile.0) * columns as u64, u64::from(tile.1) * rows as u64);
        let whole = (u64::from(size.0), u64::from(size.1));
        if covered.0 < whole.0 || covered.1 < whole.1 || (tiles.len() == 1 && covered != whole) {
            return Err(corrupt("AVIF tiles that do not cover the picture"));
        }
        let mut streams = Vec::with_capacity(tiles.len());
        for id in &tiles {
            if self.kind(*id).as_ref() != Some(b"av01") || self.size(*id)? != tile {
                return Err(corrupt("AVIF tiles that differ in kind or size"));
            }
            streams.push(self.place(bytes, *id)?);
        }
        let (depth, chroma) = self.of(first).find_map(configuration).unwrap_or((12, Chroma::Full));
        let nclx = |item| {
            self.of(item).find_map(|property| match property {
                Property::Colour(nclx) => Some(nclx),
                _ => None,
            })
        };
        let profile = |item| {
            self.of(item).find_map(|property| match property {
                Property::Profile(at, length) => Some((at, length)),
                _ => None,
            })
        };
        Ok(Plane {
            size,
            tile,
            columns,
            streams,
            depth,
            chroma,
            nclx: nclx(item).or_else(|| nclx(first)),
            profile: profile(item).or_else(|| profile(first)),
        })
    }

    /// The tiles of a grid, and how many lie side by side.
    fn grid(&self, bytes: Bytes<'_>, item: u32, size: (u32, u32)) -> Result<(Vec<u32>, usize), Refusal> {
        let odd = || corrupt("an AVIF grid that makes no sense");
        let (start, _) = self.place(bytes, item)?;
        let fields = (bytes.u8(start + 1), bytes.u8(start + 2), bytes.u8(start + 3));
        let (Some(flags), Some(rows), Some(columns)) = fields else {
            return Err(odd());
        };
        let (rows, columns) = (usize::from(rows) + 1, usize::from(columns) + 1);
        let output = match flags & 1 {
            0 => bytes
                .u16(start + 4)
                .zip(bytes.u16(start + 6))
                .map(|(w, h)| (w.into(), h.into())),
            _ => bytes.u32(start + 4).zip(bytes.u32(start + 8)),
        };
        let tiles = self
            .references
            .iter()
            .filter(|(kind, from, _)| kind == b"dimg" && *from == item);
        let tiles: Vec<u32> = tiles.map(|(_, _, to)| *to).take(MOST_TILES + 1).collect();
        if output != Some(size) || tiles.len() != rows * columns || tiles.len() > MOST_TILES {
            return Err(odd());
        }
        Ok((tiles, columns))
    }

    /// Rotation (anticlockwise), then mirroring, as one of the eight EXIF orientations.
    fn orientation(&self, item: u32) -> Orientation {
        let (mut angle, mut axis) = (0, None);
        for property in self.of(item) {
            match property {
                Property::Rotation(quarters) => angle = quarters,
                Property::Mirror(mirror) => axis = Some(mirror),
                _ => {}
            }
        }
        Orientation::from_exif(match (angle, axis) {
            (0, None) => 1,
            (0, Some(0)) => 4,
            (0, Some(_)) => 2,
            (1, None) => 8,
            (1, Some(0)) => 5,
            (1, Some(_)) => 7,
            (2, None) => 3,
            (2, Some(0)) => 2,
            (2, Some(_)) => 4,
            (_, None) => 6,
            (_, Some(0)) => 7,
            (_, Some(_)) => 5,
        })
    }
}

fn configuration(property: Property) -> Option<(u8, Chroma)> {
    match property {
        Property::Configuration { depth, chroma } => Some((depth, chroma)),
        _ => None,
    }
}

impl Property {
    fn read(bytes: Bytes<'_>, found: Found<'_>) -> Option<Self> {
        let mut cursor = Cursor::new(bytes, found);
        Some(match found.name {
            b"ispe" => {
                cursor.version()?;
                Self::Size(cursor.u32()?, cursor.u32()?)
            }
            b"av1C" => {
                let (_marker, _profile, flags) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
                let bit = |index: u8| flags >> index & 1 == 1;
                let depth = match (bit(6), bit(5)) {
                    (true, true) => 12,
                    (true, false) => 10,
                    _ => 8,
                };
                let chroma = match (bit(4), bit(3), bit(2)) {
                    (true, ..) => Chroma::None,
                    (false, true, true) => Chroma::Quarter,
                    (false, true, false) => Chroma::Half,
                    _ => Chroma::Full,
                };
                Self::Configuration { depth, chroma }
            }
            b"colr" => match &cursor.u32()?.to_be_bytes() {
                b"nclx" => Self::Colour(Nclx {
                    primaries: cursor.u16()?,
                    transfer: cursor.u16()?,
                    matrix: cursor.u16()?,
                    full_range: cursor.u8()? & 0x80 != 0,
                }),
                b"prof" | b"rICC" => Self::Profile(found.start + 4, found.end - (found.start + 4)),
                _ => Self::Other,
            },
            b"irot" => Self::Rotation(cursor.u8()? & 3),
            b"imir" => Self::Mirror(cursor.u8()? & 1),
            b"auxC" => {
                cursor.version()?;
                let name = cursor.rest();
                if ALPHA.iter().any(|alpha| name.starts_with(alpha)) {
                    Self::Alpha
                } else {
                    Self::Other
                }
            }
            _ => Self::Other,
        })
    }
}
