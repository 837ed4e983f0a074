//! Integers at places that may not exist, in either byte order.

/// Untrusted bytes with a byte order.
#[derive(Debug, Clone, Copy)]
pub(in crate::convert) struct Bytes<'a> {
    data: &'a [u8],
    big: bool,
}

impl<'a> Bytes<'a> {
    /// Most significant byte first.
    pub(in crate::convert) fn big(data: &'a [u8]) -> Self {
        Self { data, big: true }
    }

    /// Least significant byte first.
    pub(in crate::convert) fn little(data: &'a [u8]) -> Self {
        Self { data, big: false }
    }

    /// How many there are.
    pub(in crate::convert) fn len(self) -> usize {
        self.data.len()
    }

    /// `length` bytes at `at`, all of them or none.
    pub(in crate::convert) fn part(self, at: usize, length: usize) -> Option<&'a [u8]> {
        self.data.get(at..at.checked_add(length)?)
    }

    /// At most `length` bytes at `at`.
    pub(in crate::convert) fn rest(self, at: usize, length: usize) -> &'a [u8] {
        let start = at.min(self.data.len());
        let end = start.saturating_add(length).min(self.data.len());
        &self.data[start..end]
    }

    pub(in crate::convert) fn u8(self, at: usize) -> Option<u8> {
        self.data.get(at).copied()
    }

    pub(in crate::convert) fn u16(self, at: usize) -> Option<u16> {
        let bytes = self.part(at, 2)?.try_into().ok()?;
        Some(if self.big {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    pub(in crate::convert) fn u32(self, at: usize) -> Option<u32> {
        let bytes = self.part(at, 4)?.try_into().ok()?;
        Some(if self.big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    /// Three bytes, least significant first: only RIFF has such.
    pub(in crate::convert) fn u24_little(self, at: usize) -> Option<u32> {
        let bytes = self.part(at, 3)?;
        Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]))
    }
}
