//! ICC profiles: the header and the few tags that matter. `[pure]`
#![forbid(unsafe_code)]

use super::curve::Curve;
use super::{Kind, MAX_PROFILE};
use crate::verdict::Note;

/// Bytes before the count of tags.
const HEADER: usize = 128;
/// Tags that are looked at; writers write about 20.
const MOST_TAGS: usize = 256;
/// The white of the connection space, D50, as numbers of 16 and 16 bits.
const D50: [u32; 3] = [0xf6d6, 0x1_0000, 0xd32d];

/// A profile of a device, for one kind of samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Icc<'a> {
    bytes: &'a [u8],
    /// What it is a profile of.
    pub(super) kind: Kind,
    /// Whether its connection space is Lab, else XYZ.
    pub(super) lab: bool,
}

impl<'a> Icc<'a> {
    /// Reads the header; `length` of the file as the container has it may be more than the profile says.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Note> {
        if bytes.len() > MAX_PROFILE {
            return Err(Note::OversizedProfile);
        }
        let claimed = word(bytes, 0).ok_or(Note::BrokenProfile)? as usize;
        let bytes = bytes.get(..claimed).ok_or(Note::BrokenProfile)?;
        if bytes.get(36..40) != Some(b"acsp") || bytes.len() < HEADER + 4 {
            return Err(Note::BrokenProfile);
        }
        match &bytes[12..16] {
            b"scnr" | b"mntr" | b"prtr" | b"spac" => {}
            b"link" | b"abst" | b"nmcl" => return Err(Note::UnsupportedProfile),
            _ => return Err(Note::BrokenProfile),
        }
        let kind = match &bytes[16..20] {
            b"GRAY" => Kind::Grey,
            b"RGB " => Kind::Rgb,
            b"CMYK" => Kind::Inks,
            _ => return Err(Note::MismatchedProfile),
        };
        let lab = match &bytes[20..24] {
            b"XYZ " => false,
            b"Lab " => true,
            _ => return Err(Note::BrokenProfile),
        };
        Ok(Self { bytes, kind, lab })
    }

    /// Its length, as it says itself.
    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }

    /// A tag's data, type included.
    fn tag(&self, name: &[u8; 4]) -> Option<&'a [u8]> {
        let count = (word(self.bytes, HEADER)? as usize).min(MOST_TAGS);
        let entries = (0..count).map(|index| HEADER + 4 + index * 12);
        let mut entries = entries.map_while(|at| self.bytes.get(at..at + 12));
        let entry = entries.find(|entry| entry.starts_with(name))?;
        let (start, length) = (word(entry, 4)? as usize, word(entry, 8)? as usize);
        self.bytes.get(start..start.checked_add(length)?)
    }

    /// A tone curve.
    pub(super) fn curve(&self, name: &[u8; 4]) -> Option<Curve<'a>> {
        Curve::read(self.tag(name)?)
    }

    /// A colour in XYZ.
    pub(super) fn colorant(&self, name: &[u8; 4]) -> Option<[f64; 3]> {
        let tag = self.tag(name)?;
        if tag.get(..4)? != b"XYZ " {
            return None;
        }
        let mut colour = [0.0; 3];
        for (index, number) in colour.iter_mut().enumerate() {
            *number = f64::from(word(tag, 8 + index * 4)?.cast_signed()) / 65_536.0;
        }
        Some(colour)
    }

    /// The table from the device to the connection space, perceptual where there is one, in a fresh profile of its own.
    pub(super) fn table(&self) -> Option<Vec<u8>> {
        let table = [b"A2B0", b"A2B1", b"A2B2"]
            .into_iter()
            .find_map(|name| self.tag(name))?;
        let channels = if self.kind == Kind::Inks { 4 } else { 3 };
        // Types, and the counts of channels, which stand at the same place in all of them.
        let known = matches!(table.get(..4)?, b"mft1" | b"mft2" | b"mAB ");
        if !known || table.get(8..10)? != [channels, 3] {
            return None;
        }
        let length = (HEADER + 4 + 12 + table.len()) as u32;
        let mut fresh = Vec::with_capacity(length as usize);
        fresh.extend(length.to_be_bytes());
        fresh.extend([0; 4]);
        // The version tells how Lab is written in tables of 16 bits.
        let version = if self.bytes[8] >= 4 { 4 } else { 2 };
        fresh.extend([version, 0, 0, 0]);
        fresh.extend(&self.bytes[12..24]);
        fresh.extend([7, 208, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
        fresh.extend(b"acsp");
        fresh.resize(68, 0);
        D50.iter().for_each(|number| fresh.extend(number.to_be_bytes()));
        fresh.resize(HEADER, 0);
        fresh.extend(1_u32.to_be_bytes());
        fresh.extend(b"A2B0");
        fresh.extend(((HEADER + 4 + 12) as u32).to_be_bytes());
        fresh.extend((table.len() as u32).to_be_bytes());
        fresh.extend(table);
        Some(fresh)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
