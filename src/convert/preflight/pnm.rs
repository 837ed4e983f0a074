//! PNM and PAM: a few words of text before the samples.

use super::{Headers, area, corrupt};
use crate::format::Format;
use crate::sandbox::limits::Limits;
use crate::verdict::Refusal;

/// Bytes within which the header must end, comments included.
const MOST_HEADER: usize = 64 * 1024;

/// What the header says.
#[derive(Debug, Clone, Copy)]
struct Header {
    /// The digit after the P.
    kind: u8,
    width: u32,
    height: u32,
    /// Samples of a pixel.
    depth: u32,
    /// Largest sample.
    most: u32,
    /// Where the samples start.
    end: usize,
}

pub(super) fn read(upload: &[u8], limits: &Limits) -> Result<Headers, Refusal> {
    let header = Header::of(upload).ok_or_else(|| corrupt("a PNM header that makes no sense"))?;
    if !(1..=65_535).contains(&header.most) || !(1..=4).contains(&header.depth) {
        return Err(corrupt(format_args!(
            "a PNM of {} samples up to {}",
            header.depth, header.most
        )));
    }
    let pixels = area(header.width, header.height);
    let (needed, there) = (header.needed(), (upload.len() - header.end) as u64);
    // More pixels than the limit are refused as such by the caller.
    if needed > there && pixels <= limits.pixels {
        return Err(corrupt(format_args!(
            "PNM samples of {needed} bytes, {there} in the file"
        )));
    }
    let decoded = u64::from(header.depth) * if header.most > 255 { 2 } else { 1 };
    // Grey with alpha is spread over four channels after that.
    let spread = if header.depth == 2 { 4 } else { 0 };
    let channels = if header.depth == 2 { 4 } else { u64::from(header.depth) };
    let size = (header.width, header.height);
    Ok(Headers::still(
        Format::Pnm,
        size,
        channels,
        pixels.saturating_mul(decoded + spread),
    ))
}

/// Whether it has brightness only, with alpha or without.
pub(super) fn is_grey(upload: &[u8]) -> bool {
    Header::of(upload).is_some_and(|header| header.depth <= 2)
}

impl Header {
    fn of(upload: &[u8]) -> Option<Self> {
        let head = upload.get(..MOST_HEADER).unwrap_or(upload);
        let kind = head.get(1).copied().unwrap_or_default();
        if kind == b'7' { pam(head) } else { plain(head, kind) }
    }

    /// Bytes that the samples take at least.
    fn needed(&self) -> u64 {
        let pixels = area(self.width, self.height);
        let samples = pixels.saturating_mul(self.depth.into());
        match self.kind {
            b'1' => pixels,
            // A digit each, and something between them.
            b'2' | b'3' => samples.saturating_mul(2).saturating_sub(1),
            b'4' => u64::from(self.width.div_ceil(8)) * u64::from(self.height),
            _ if self.most > 255 => samples.saturating_mul(2),
            _ => samples,
        }
    }
}

/// P1 to P6: width, height and, but for bitmaps, the largest sample, then one blank.
fn plain(head: &[u8], kind: u8) -> Option<Header> {
    let mut at = 2;
    let (width, height) = (number(head, &mut at)?, number(head, &mut at)?);
    let bitmap = matches!(kind, b'1' | b'4');
    let most = if bitmap { 1 } else { number(head, &mut at)? };
    let depth = if matches!(kind, b'3' | b'6') { 3 } else { 1 };
    Some(Header {
        kind,
        width,
        height,
        depth,
        most,
        end: at,
    })
}

/// The next number, and the one byte after it; comments go from `#` to the end of their line.
fn number(head: &[u8], at: &mut usize) -> Option<u32> {
    let mut value: Option<u32> = None;
    let mut comment = false;
    loop {
        let byte = *head.get(*at)?;
        *at += 1;
        match byte {
            b'\n' | b'\r' if comment => comment = false,
            _ if comment => continue,
            b'#' => comment = true,
            b'0'..=b'9' => {
                let digit = u32::from(byte - b'0');
                value = Some(value.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
                continue;
            }
            byte if byte.is_ascii_whitespace() || byte == 0x0b => {}
            _ => return None,
        }
        if value.is_some() && !comment {
            return value;
        }
    }
}

/// P7: lines of a name and a value up to ENDHDR.
fn pam(head: &[u8]) -> Option<Header> {
    let (mut width, mut height, mut depth, mut most) = (None, None, None, None);
    let mut end = 3;
    loop {
        let length = head.get(end..)?.iter().position(|&byte| byte == b'\n')?;
        let line = str::from_utf8(head.get(end..end + length)?).ok()?;
        end += length + 1;
        let mut words = line.split_ascii_whitespace();
        let (name, value) = (words.next(), words.next());
        let field = match name {
            Some("WIDTH") => &mut width,
            Some("HEIGHT") => &mut height,
            Some("DEPTH") => &mut depth,
            Some("MAXVAL") => &mut most,
            Some("ENDHDR") => break,
            // A kind of tuples that its depth contradicts is the decoder's to refuse.
            _ => continue,
        };
        *field = Some(value?.parse().ok()?);
    }
    Some(Header {
        kind: b'7',
        width: width?,
        height: height?,
        depth: depth?,
        most: most?,
        end,
    })
}
