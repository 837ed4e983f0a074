//! JPEG: markers, scans, and the cost of coefficients.

use super::bytes::Bytes;
use super::{Headers, Traits, at_most, corrupt, exif, unsupported};
use crate::convert::orientation::Orientation;
use crate::format::Format;
use crate::sandbox::limits::Limits;
use crate::verdict::Refusal;

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const APP1: u8 = 0xe1;
const APP14: u8 = 0xee;

/// A frame header (SOF).
#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    width: u32,
    height: u32,
    components: u8,
    progressive: bool,
    /// Horizontal and vertical sampling factors, 1 to 4.
    sampling: [(u32, u32); 4],
}

/// What the walk has seen so far.
#[derive(Debug, Default)]
struct Walk {
    /// The largest of all frame headers.
    frame: Option<Frame>,
    scans: u64,
    /// Whether a scan holds fewer components than the frame: all coefficients are then kept.
    split: bool,
    /// Bytes of application segments, which the decoder keeps in part.
    application: u64,
    orientation: Option<Orientation>,
    adobe: bool,
    ended: bool,
}

pub(super) fn read(upload: &[u8], limits: &Limits) -> Result<Headers, Refusal> {
    let mut walk = Walk::default();
    let mut at = 2;
    while let Some((marker, after)) = next_marker(upload, at, walk.scans > 0) {
        at = match marker {
            EOI => {
                walk.ended = walk.scans > 0;
                break;
            }
            0x01 | 0xd0..=SOI => after,
            _ => {
                let Some(body) = segment(upload, after)? else { break };
                walk.segment(marker, body, limits)?;
                after + 2 + body.len()
            }
        };
    }
    walk.headers()
}

/// The next marker and the place after it. Between segments `FF 00` does not separate, in entropy-coded data it is a byte.
fn next_marker(upload: &[u8], mut at: usize, in_scan: bool) -> Option<(u8, usize)> {
    loop {
        at += upload.get(at..)?.iter().position(|&byte| byte == 0xff)? + 1;
        let fill = |byte: &u8| *byte == 0xff || (!in_scan && *byte == 0);
        at += upload.get(at..)?.iter().take_while(|byte| fill(byte)).count();
        let marker = *upload.get(at)?;
        at += 1;
        if marker != 0 {
            return Some((marker, at));
        }
    }
}

/// The body of a segment; nothing where the file ends within it.
fn segment(upload: &[u8], at: usize) -> Result<Option<&[u8]>, Refusal> {
    let bytes = Bytes::big(upload);
    let Some(length) = bytes.u16(at) else { return Ok(None) };
    let Some(length) = usize::from(length).checked_sub(2) else {
        return Err(corrupt("a JPEG segment shorter than its own length"));
    };
    Ok(bytes.part(at + 2, length))
}

impl Walk {
    fn segment(&mut self, marker: u8, body: &[u8], limits: &Limits) -> Result<(), Refusal> {
        match marker {
            0xc0..=0xc2 => self.frame_header(body, marker == 0xc2)?,
            0xc3 => return Err(unsupported("lossless JPEG is not read")),
            0xc5..=0xc7 | 0xcd..=0xcf => return Err(unsupported("hierarchical or differential JPEG is not read")),
            0xc9..=0xcb => return Err(unsupported("arithmetic-coded JPEG is not read")),
            SOS => {
                self.scans += 1;
                let whole = self.frame.map(|frame| frame.components);
                self.split |= body.first().copied() != whole;
                at_most("scans", self.scans, limits.scans)?;
            }
            APP1 if body.starts_with(b"Exif\0\0") && self.orientation.is_none() => {
                self.orientation = Some(exif::orientation(body));
            }
            APP14 if body.starts_with(b"Adobe") => self.adobe = true,
            _ => {}
        }
        if (0xe0..=0xef).contains(&marker) {
            self.application += body.len() as u64;
        }
        Ok(())
    }

    fn frame_header(&mut self, body: &[u8], progressive: bool) -> Result<(), Refusal> {
        let bytes = Bytes::big(body);
        let fields = (bytes.u8(0), bytes.u16(1), bytes.u16(3), bytes.u8(5));
        let (Some(precision), Some(height), Some(width), Some(components)) = fields else {
            return Err(corrupt("a JPEG frame header that is cut short"));
        };
        if precision != 8 {
            return Err(unsupported(format_args!(
                "JPEG of {precision} bits a sample is not read"
            )));
        }
        if !matches!(components, 1 | 3 | 4) {
            return Err(unsupported(format_args!("JPEG of {components} components is not read")));
        }
        let mut sampling = [(1, 1); 4];
        for (index, factors) in sampling.iter_mut().enumerate().take(usize::from(components)) {
            let both = bytes
                .u8(7 + index * 3)
                .ok_or_else(|| corrupt("a JPEG frame header that is cut short"))?;
            *factors = (u32::from(both >> 4), u32::from(both & 15));
            if !(1..=4).contains(&factors.0) || !(1..=4).contains(&factors.1) {
                return Err(corrupt(format_args!(
                    "JPEG sampling factors {} × {}",
                    factors.0, factors.1
                )));
            }
        }
        let frame = Frame {
            width: width.into(),
            height: height.into(),
            components,
            progressive,
            sampling,
        };
        let size = |frame: &Frame| super::area(frame.width, frame.height);
        if self.frame.is_none_or(|known| size(&known) < size(&frame)) {
            self.frame = Some(frame);
        }
        Ok(())
    }

    fn headers(self) -> Result<Headers, Refusal> {
        let frame = self.frame.ok_or_else(|| corrupt("a JPEG without a frame header"))?;
        let keeps_coefficients = frame.progressive || self.split;
        Ok(Headers {
            format: Format::Jpeg,
            width: frame.width,
            height: frame.height,
            frames: 1,
            largest: 0,
            orientation: self.orientation.unwrap_or(Orientation::UPRIGHT),
            channels: if frame.components == 1 { 1 } else { 3 },
            decode_bytes: frame.decode_bytes(keeps_coefficients, self.adobe) + 2 * self.application,
            traits: Traits::Jpeg {
                components: frame.components,
                adobe: self.adobe,
                ended: self.ended,
            },
        })
    }
}

impl Frame {
    /// Output, rows of the stripe in work, and all coefficients where they are kept (16 bits each).
    fn decode_bytes(&self, keeps_coefficients: bool, adobe: bool) -> u64 {
        let used = &self.sampling[..usize::from(self.components)];
        // A lone component is never subsampled, whatever it says.
        let lone = used.len() == 1;
        let most = |pick: fn(&(u32, u32)) -> u32| {
            if lone {
                1
            } else {
                used.iter().map(pick).max().unwrap_or(1)
            }
        };
        let (across, down) = (most(|factors| factors.0), most(|factors| factors.1));
        let columns = u64::from(self.width.div_ceil(8 * across));
        let rows = u64::from(self.height.div_ceil(8 * down));
        let blocks: u64 = used.iter().map(|&(h, v)| if lone { 1 } else { u64::from(h * v) }).sum();

        let kept = if keeps_coefficients {
            columns * rows * blocks * 128
        } else {
            0
        };
        let stripe = columns * 128 * (blocks + 2 * u64::from(across * down) * used.len() as u64);
        let output = match (self.components, adobe) {
            (1, _) => 1,
            (4, false) => 4,
            _ => 3,
        };
        super::area(self.width, self.height) * output + kept + stripe
    }
}
