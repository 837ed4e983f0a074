//! QOI: fourteen bytes of header.

use super::bytes::Bytes;
use super::{Headers, area, corrupt};
use crate::format::Format;
use crate::sandbox::limits::Limits;
use crate::verdict::Refusal;

const HEADER: u64 = 14;
/// Seven zeros and a one.
const END: u64 = 8;
/// Most pixels that one byte stands for: a run.
const RUN: u64 = 62;

pub(super) fn read(upload: &[u8], limits: &Limits) -> Result<Headers, Refusal> {
    let bytes = Bytes::big(upload);
    let fields = (bytes.u32(4), bytes.u32(8), bytes.u8(12));
    let (Some(width), Some(height), Some(channels)) = fields else {
        return Err(corrupt("a QOI header that is cut short"));
    };
    if !matches!(channels, 3 | 4) {
        return Err(corrupt(format_args!("a QOI of {channels} channels")));
    }
    let pixels = area(width, height);
    let needed = HEADER + pixels.div_ceil(RUN) + END;
    // More pixels than the limit are refused as such by the caller.
    if needed > upload.len() as u64 && pixels <= limits.pixels {
        let there = upload.len();
        return Err(corrupt(format_args!(
            "a QOI of at least {needed} bytes, {there} in the file"
        )));
    }
    let channels = u64::from(channels);
    Ok(Headers::still(
        Format::Qoi,
        (width, height),
        channels,
        pixels.saturating_mul(channels),
    ))
}
