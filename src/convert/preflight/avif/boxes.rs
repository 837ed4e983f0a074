//! Boxes of the ISO base media file format: length, name, body.

use crate::convert::preflight::bytes::Bytes;

/// Most boxes that are walked in one place; a file with more is cut off there.
const MOST: usize = 4096;

/// A box: its name and where its body lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) name: &'a [u8],
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The boxes between two places, in order; those that are cut short end the walk.
pub(super) fn boxes(bytes: Bytes<'_>, start: usize, end: usize) -> impl Iterator<Item = Found<'_>> {
    let mut at = start;
    let next = move || {
        let (length, name) = (bytes.u32(at)?, bytes.part(at + 4, 4)?);
        let (body, length) = match length {
            // To the end of the file.
            0 => (at + 8, end.checked_sub(at)?),
            1 => (
                at + 16,
                usize::try_from(u64::from(bytes.u32(at + 8)?) << 32 | u64::from(bytes.u32(at + 12)?)).ok()?,
            ),
            length => (at + 8, length as usize),
        };
        let after = at.checked_add(length)?;
        if after < body || after > end {
            return None;
        }
        at = after;
        Some(Found {
            name,
            start: body,
            end: after,
        })
    };
    std::iter::from_fn(next).take(MOST)
}

/// Integers one after another, of widths that the file chooses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: Bytes<'a>,
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: Bytes<'a>, found: Found<'_>) -> Self {
        Self {
            bytes,
            at: found.start,
            end: found.end,
        }
    }

    /// An integer of 0, 1, 2, 4 or 8 bytes.
    pub(super) fn integer(&mut self, width: usize) -> Option<u64> {
        let after = self.at.checked_add(width)?;
        if after > self.end {
            return None;
        }
        let part = self.bytes.part(self.at, width)?;
        self.at = after;
        Some(part.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.integer(1).map(|value| value as u8)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.integer(2).map(|value| value as u16)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.integer(4).map(|value| value as u32)
    }

    /// Version and flags of a full box.
    pub(super) fn version(&mut self) -> Option<(u8, u32)> {
        let both = self.u32()?;
        Some(((both >> 24) as u8, both & 0xff_ffff))
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.rest(self.at, self.end.saturating_sub(self.at))
    }
}
