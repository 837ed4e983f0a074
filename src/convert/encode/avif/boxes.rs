//! The container: what is in the file, where, and how its samples are to be understood. `[pure]`
//!
//! Of the boxes of HEIF those that a reader needs. Colours are told by code points, which browsers look for in the container, and by the
//! profile where one is kept.
#![forbid(unsafe_code)]

use std::io::{self, Write};

use super::{Chroma, Plan};
use crate::convert::metadata::Kept;

/// Items of the file.
const COLOUR: u16 = 1;
const ALPHA: u16 = 2;
const EXIF: u16 = 3;
/// Code points of ITU-T H.273: primaries of BT.709 with sRGB's curve, or those of the profile; the matrix of BT.601.
const SRGB: [u16; 2] = [1, 13];
const UNSPECIFIED: [u16; 2] = [2, 2];
const BT_601: u16 = 6;
/// Samples use their whole range.
const FULL_RANGE: u8 = 0x80;
/// No level of AV1 is promised.
const ANY_LEVEL: u8 = 31;
/// Who does not understand a property may not show its item.
const ESSENTIAL: u8 = 0x80;
const IS_ALPHA: &[u8] = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0";
/// EXIF begins at once.
const NO_OFFSET: [u8; 4] = [0; 4];

/// What a file is made of.
pub(super) struct File<'a> {
    pub(super) plan: Plan,
    pub(super) colour: &'a [u8],
    pub(super) alpha: Option<&'a [u8]>,
    pub(super) kept: Kept<'a>,
}

/// An item: its number, its kind, and its bytes.
struct Item<'a> {
    id: u16,
    kind: &'static [u8; 4],
    parts: [&'a [u8]; 2],
}

impl<'a> File<'a> {
    pub(super) fn write(&self, output: &mut dyn Write) -> io::Result<()> {
        let items = self.items();
        let kind = boxed(b"ftyp", &[b"avif", &[0; 4], b"avifmif1miaf"]);
        // Where the items begin is written before them, in as many bytes whatever it is.
        let start = kind.len() + self.meta(&items, 0).len() + 8;
        output.write_all(&kind)?;
        output.write_all(&self.meta(&items, start))?;
        let length: usize = 8 + items.iter().map(Item::length).sum::<usize>();
        output.write_all(&(length as u32).to_be_bytes())?;
        output.write_all(b"mdat")?;
        let parts = items.iter().flat_map(|item| item.parts);
        parts.into_iter().try_for_each(|part| output.write_all(part))
    }

    /// In the order in which they lie in the file: transparency before colours, so that what is there of a file is never shown without.
    fn items(&self) -> Vec<Item<'a>> {
        let item = |id, kind, parts| Item { id, kind, parts };
        let exif = self.kept.exif.map(|exif| item(EXIF, b"Exif", [&NO_OFFSET, exif]));
        let alpha = self.alpha.map(|alpha| item(ALPHA, b"av01", [alpha, &[]]));
        let colour = item(COLOUR, b"av01", [self.colour, &[]]);
        exif.into_iter().chain(alpha).chain([colour]).collect()
    }

    fn meta(&self, items: &[Item<'_>], start: usize) -> Vec<u8> {
        let handler = full(b"hdlr", 0, &[&[0; 4], b"pict", &[0; 12], &[0]]);
        let parts = [
            handler,
            full(b"pitm", 0, &[&COLOUR.to_be_bytes()]),
            locations(items, start),
            infos(items),
            self.references(),
            boxed(b"iprp", &[&self.properties(), &self.associations()]),
        ];
        full(b"meta", 0, &parts.each_ref().map(Vec::as_slice))
    }

    /// What an item is to another: transparency of it, or words about it.
    fn references(&self) -> Vec<u8> {
        let refer = |kind, from: u16| boxed(kind, &[&from.to_be_bytes(), &[0, 1], &COLOUR.to_be_bytes()]);
        let alpha = self.alpha.map(|_| refer(b"auxl", ALPHA)).unwrap_or_default();
        let exif = self.kept.exif.map(|_| refer(b"cdsc", EXIF)).unwrap_or_default();
        match (alpha.len(), exif.len()) {
            (0, 0) => Vec::new(),
            _ => full(b"iref", 0, &[&alpha, &exif]),
        }
    }

    /// Size; depth, coding and colours of the picture; depth, coding and meaning of its transparency. Counted from 1.
    fn properties(&self) -> Vec<u8> {
        let Plan {
            size: (width, height),
            chroma,
            srgb,
            ..
        } = self.plan;
        let codes = if srgb { SRGB } else { UNSPECIFIED };
        let codes = [codes[0], codes[1], BT_601].map(u16::to_be_bytes).concat();
        let mut all = [
            full(b"ispe", 0, &[&width.to_be_bytes(), &height.to_be_bytes()]),
            depths(chroma),
            coding(chroma),
            boxed(b"colr", &[b"nclx", &codes, &[FULL_RANGE]]),
        ]
        .concat();
        if self.alpha.is_some() {
            all.extend(depths(Chroma::None));
            all.extend(coding(Chroma::None));
            all.extend(full(b"auxC", 0, &[IS_ALPHA]));
        }
        if let Some(profile) = self.kept.profile {
            all.extend(boxed(b"colr", &[b"prof", profile]));
        }
        boxed(b"ipco", &[&all])
    }

    fn associations(&self) -> Vec<u8> {
        let of = |id: u16, properties: &[u8]| [&id.to_be_bytes()[..], &[properties.len() as u8], properties].concat();
        let mut colour = vec![1, 2, 3 | ESSENTIAL, 4];
        if self.kept.profile.is_some() {
            colour.push(if self.alpha.is_some() { 8 } else { 5 });
        }
        let mut all = of(COLOUR, &colour);
        if self.alpha.is_some() {
            all.extend(of(ALPHA, &[1, 5, 6 | ESSENTIAL, 7]));
        }
        let count = 1 + u32::from(self.alpha.is_some());
        full(b"ipma", 0, &[&count.to_be_bytes(), &all])
    }
}

impl Item<'_> {
    fn length(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }
}

/// Where the items lie, one after another from `start` on. Offsets and lengths have four bytes each.
fn locations(items: &[Item<'_>], start: usize) -> Vec<u8> {
    let mut at = start;
    let mut all = Vec::new();
    for item in items {
        all.extend(item.id.to_be_bytes());
        // In this file, in one part.
        all.extend([0, 0, 0, 1]);
        all.extend((at as u32).to_be_bytes());
        all.extend((item.length() as u32).to_be_bytes());
        at += item.length();
    }
    full(b"iloc", 0, &[&[0x44, 0], &(items.len() as u16).to_be_bytes(), &all])
}

fn infos(items: &[Item<'_>]) -> Vec<u8> {
    let info = |item: &Item<'_>| full(b"infe", 2, &[&item.id.to_be_bytes(), &[0; 2], item.kind, &[0]]);
    let all: Vec<u8> = items.iter().flat_map(info).collect();
    full(b"iinf", 0, &[&(items.len() as u16).to_be_bytes(), &all])
}

/// Bits of each channel.
fn depths(chroma: Chroma) -> Vec<u8> {
    let channels = if chroma == Chroma::None { 1 } else { 3 };
    full(b"pixi", 0, &[&[channels], &[super::DEPTH; 3][..channels.into()]])
}

/// What a decoder must be able to: the same as in the stream's own header.
fn coding(chroma: Chroma) -> Vec<u8> {
    let (profile, sampling) = match chroma {
        Chroma::None => (0, 0b111),
        Chroma::Quarter => (0, 0b011),
        Chroma::Full => (1, 0b000),
    };
    let more_than_8_bits = 0x40;
    boxed(
        b"av1C",
        &[&[0x81, profile << 5 | ANY_LEVEL, more_than_8_bits | sampling << 2, 0]],
    )
}

fn boxed(name: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&(body.len() as u32 + 8).to_be_bytes(), &name[..], &body].concat()
}

/// A box with a version and no flags.
fn full(name: &[u8; 4], version: u8, parts: &[&[u8]]) -> Vec<u8> {
    boxed(name, &[&[version, 0, 0, 0], &parts.concat()])
}
