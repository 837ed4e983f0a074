//! GIF: blocks, and one image descriptor a frame.

use super::bytes::Bytes;
use super::{Ending, Headers, Traits, area, corrupt};
use crate::convert::colour::{Colours, Kind};
use crate::convert::orientation::Orientation;
use crate::format::Format;
use crate::sandbox::limits::Limits;
use crate::verdict::Refusal;

pub(super) fn read(upload: &[u8], _limits: &Limits) -> Result<Headers, Refusal> {
    let bytes = Bytes::little(upload);
    let (Some(width), Some(height), Some(flags)) = (bytes.u16(6), bytes.u16(8), bytes.u8(10)) else {
        return Err(corrupt("a GIF header that is cut short"));
    };
    let (width, height) = (u32::from(width), u32::from(height));
    let (mut frames, mut largest) = (0, 0);
    let mut first = None;
    let mut at = 13 + table(flags);
    let mut ending = Ending::Open;
    while let Some(block) = bytes.u8(at) {
        let next = match block {
            b',' => Frame::read(bytes, at + 1).and_then(|frame| {
                frames += 1;
                largest = largest.max(area(frame.width, frame.height));
                first.get_or_insert(frame);
                after_blocks(bytes, at + 11 + table(frame.flags))
            }),
            b'!' => after_blocks(bytes, at + 2),
            _ => {
                ending = Ending::Whole;
                break;
            }
        };
        let Some(next) = next else {
            ending = Ending::Cut("a GIF that ends within a block");
            break;
        };
        at = next;
    }
    // A frame that is not the screen is decoded beside it.
    let beside = first.filter(|frame| (frame.left, frame.top, frame.width, frame.height) != (0, 0, width, height));
    let beside = beside.map_or(0, |frame| area(frame.width, frame.height));
    Ok(Headers {
        format: Format::Gif,
        width,
        height,
        frames: u64::max(frames, 1),
        largest,
        orientation: Orientation::UPRIGHT,
        channels: 4,
        // Four channels, and the indices they are looked up with.
        decode_bytes: area(width, height) * 4 + u64::max(beside, area(width, height)) + beside * 4,
        exif: None,
        ending,
        colours: Colours::plain(Kind::Rgb),
        traits: Traits::Plain,
    })
}

/// An image descriptor.
#[derive(Debug, Clone, Copy)]
struct Frame {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
    flags: u8,
}

impl Frame {
    fn read(bytes: Bytes<'_>, at: usize) -> Option<Self> {
        let field = |index: usize| bytes.u16(at + index * 2).map(u32::from);
        let flags = bytes.u8(at + 8)?;
        Some(Self {
            left: field(0)?,
            top: field(1)?,
            width: field(2)?,
            height: field(3)?,
            flags,
        })
    }
}

/// Bytes of the colour table that these flags announce.
fn table(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// The place after a chain of sub-blocks and its terminator.
fn after_blocks(bytes: Bytes<'_>, mut at: usize) -> Option<usize> {
    while let Some(length) = bytes.u8(at) {
        at += 1 + usize::from(length);
        if length == 0 {
            return Some(at);
        }
    }
    None
}
