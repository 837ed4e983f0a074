//! JPEG: markers, scans, and the cost of coefficients.

use memchr::memchr;

use super::bytes::Bytes;
use super::{Ending, Headers, Traits, at_most, corrupt, exif, unsupported};
use crate::convert::colour::{Colours, ICC_SEGMENT, Kind, Told};
use crate::convert::metadata::Exif;
use crate::convert::orientation::Orientation;
use crate::format::Format;
use crate::sandbox::limits::Limits;
use crate::verdict::{Reason, Refusal};

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP14: u8 = 0xee;

/// A frame header (SOF).
#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    width: u32,
    height: u32,
    components: u8,
    progressive: bool,
    ids: [u8; 4],
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
    /// Where the data of the scan in work begins, and how many bits it takes at least.
    scan: Option<(usize, u64)>,
    starved: bool,
    /// Where the first segment of a profile is, and the bytes of all.
    profile: Option<(usize, u64)>,
    exif: Option<Exif>,
}

pub(super) fn read(upload: &[u8], limits: &Limits) -> Result<Headers, Refusal> {
    let mut walk = Walk::default();
    let mut at = 2;
    while let Some((marker, after)) = next_marker(upload, at, walk.scans > 0) {
        walk.scan_ends(marker, after);
        at = match marker {
            EOI => {
                walk.ended = walk.scans > 0;
                break;
            }
            0x01 | 0xd0..=SOI => after,
            _ => {
                let Some(body) = segment(upload, after)? else { break };
                walk.segment(marker, body, limits)?;
                walk.places(marker, after - 2, body);
                let next = after + 2 + body.len();
                if marker == SOS {
                    walk.scan_starts(body, next);
                }
                next
            }
        };
    }
    walk.headers()
}

/// The next marker and the place after it. Between segments `FF 00` does not separate, in entropy-coded data it is a byte.
fn next_marker(upload: &[u8], mut at: usize, in_scan: bool) -> Option<(u8, usize)> {
    loop {
        at += memchr(0xff, upload.get(at..)?)? + 1;
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
    fn scan_starts(&mut self, header: &[u8], data: usize) {
        self.scan = self.frame.map(|frame| (data, frame.least_bits(header)));
    }

    /// Restart markers are within a scan; any other ends it. Few bits for many blocks cost a decoder time that no byte was sent for.
    fn scan_ends(&mut self, marker: u8, after: usize) {
        if matches!(marker, 0x01 | 0xd0..=0xd7) {
            return;
        }
        if let Some((data, bits)) = self.scan.take() {
            let bytes = after.saturating_sub(data + 2) as u64;
            self.starved |= bytes * 8 < bits;
        }
    }

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

    /// Where things lie that are looked at later; `at` is the place of the marker.
    fn places(&mut self, marker: u8, at: usize, body: &[u8]) {
        if marker == APP1 && body.starts_with(b"Exif\0\0") {
            let length = body.len();
            self.exif.get_or_insert(Exif { at: at + 4, length });
        }
        if marker == APP2 && self.scans == 0 && body.starts_with(ICC_SEGMENT) {
            self.profile.get_or_insert((at, 0)).1 += body.len() as u64;
        }
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
        let mut ids = [0; 4];
        let mut sampling = [(1, 1); 4];
        for (index, factors) in sampling.iter_mut().enumerate().take(usize::from(components)) {
            let both = bytes
                .u8(7 + index * 3)
                .ok_or_else(|| corrupt("a JPEG frame header that is cut short"))?;
            ids[index] = bytes.u8(6 + index * 3).unwrap_or(0);
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
            ids,
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
        // zune-jpeg 0.5.15 takes their colours for none.
        if cfg!(not(feature = "turbo")) && self.split && !frame.progressive && frame.largest_factors() != (1, 1) {
            return Err(Refusal::new(
                Reason::UnsupportedFormat,
                "a sequential JPEG with a scan for each colour, at fewer pixels, is read by the build with libjpeg-turbo alone",
            ));
        }
        let beside = frame.beside(keeps_coefficients) + 2 * self.application;
        // Four inks become three channels in place.
        let output = u64::from(frame.components.max(1));
        Ok(Headers {
            format: Format::Jpeg,
            width: frame.width,
            height: frame.height,
            frames: 1,
            largest: 0,
            orientation: self.orientation.unwrap_or(Orientation::UPRIGHT),
            channels: if frame.components == 1 { 1 } else { 3 },
            decode_bytes: super::area(frame.width, frame.height) * output + beside,
            exif: self.exif,
            ending: match (self.starved, self.ended) {
                (true, _) => Ending::Short("a scan of the JPEG is too short for its blocks"),
                (false, true) => Ending::Whole,
                (false, false) => Ending::Cut("the JPEG ends before its end marker"),
            },
            colours: Colours {
                kind: match frame.components {
                    1 => Kind::Grey,
                    3 => Kind::Rgb,
                    _ => Kind::Inks,
                },
                told: self
                    .profile
                    .map_or(Told::Nothing, |(at, length)| Told::Segments { at, length }),
            },
            traits: Traits::Jpeg {
                components: frame.components,
                adobe: self.adobe,
                beside,
            },
        })
    }
}

impl Frame {
    fn used(&self) -> &[(u32, u32)] {
        &self.sampling[..usize::from(self.components)]
    }

    /// The largest sampling factors; a lone component is never subsampled, whatever it says.
    fn largest_factors(&self) -> (u32, u32) {
        let most = |pick: fn(&(u32, u32)) -> u32| match self.used() {
            [_] => 1,
            several => several.iter().map(pick).max().unwrap_or(1),
        };
        (most(|factors| factors.0), most(|factors| factors.1))
    }

    /// What a decoder holds beside the picture: rows of the stripe in work, and all coefficients where they are kept (16 bits each).
    fn beside(&self, keeps_coefficients: bool) -> u64 {
        let used = self.used();
        let (across, down) = self.largest_factors();
        let columns = u64::from(self.width.div_ceil(8 * across));
        let rows = u64::from(self.height.div_ceil(8 * down));
        let lone = used.len() == 1;
        let blocks: u64 = used.iter().map(|&(h, v)| if lone { 1 } else { u64::from(h * v) }).sum();

        let kept = if keeps_coefficients {
            columns * rows * blocks * 128
        } else {
            0
        };
        kept + columns * 128 * (blocks + 2 * u64::from(across * down) * used.len() as u64)
    }

    /// The bits that a scan with this header takes at least: its blocks, each with the shortest codes there can be.
    fn least_bits(&self, header: &[u8]) -> u64 {
        let count = usize::from(header.first().copied().unwrap_or(0));
        let named = header.get(1..).unwrap_or_default().chunks_exact(2).take(count);
        let blocks: u64 = named.map(|part| self.blocks(part[0])).sum();
        let first = header.get(1 + 2 * count).copied().unwrap_or(0);
        match (self.progressive, first) {
            // A difference, and an end of block.
            (false, _) => blocks * 2,
            (true, 0) => blocks,
            // The longest run of empty blocks: a code, and 14 bits of length.
            (true, _) => blocks / 32_767 * 15,
        }
    }

    /// Blocks of one component, without those that only fill up.
    fn blocks(&self, id: u8) -> u64 {
        let (across, down) = self.largest_factors();
        let known = self.ids.iter().zip(self.used()).find(|(known, _)| **known == id);
        let Some((_, &(h, v))) = known else { return 0 };
        let edge = |edge: u32, own: u32, most: u32| u64::from((edge * own.min(most)).div_ceil(8 * most));
        edge(self.width, h, across) * edge(self.height, v, down)
    }
}
