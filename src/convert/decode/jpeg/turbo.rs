//! By libjpeg-turbo, scaled while it decodes.
#![forbid(unsafe_code)]

use super::Target;
use crate::convert::Failure;
use crate::convert::preflight::{Ending, Headers};
use crate::convert::scale::Scale;
use crate::convert::turbo::{Damage, Decoder, Samples, Trouble};

pub(super) const SCALES: bool = true;

/// Most stray bytes in one place: with more, something is missing.
const STRAY_BYTES: u32 = 64;

pub(super) fn decode(
    upload: &[u8],
    headers: &Headers,
    scale: Scale,
    target: Target,
    scans: u64,
) -> Result<Vec<u8>, Failure> {
    let samples = match target {
        Target::Grey => Samples::Grey,
        Target::Rgb => Samples::Rgb,
        Target::Inks => Samples::Inks,
    };
    let size = scale.size((headers.width, headers.height));
    let mut pixels = vec![0; size.0 as usize * size.1 as usize * samples.bytes()];
    let mut attempt = |damage| {
        let decoder = Decoder::new(upload, scans, damage)?;
        if decoder.size() != (headers.width, headers.height) {
            return Err(Trouble::Error(
                "the decoder finds another picture than the headers say".into(),
            ));
        }
        decoder.decode(scale, samples, &mut pixels)
    };
    if headers.ending != Ending::Whole {
        attempt(Damage::IsMended)?;
        return Ok(pixels);
    }
    match attempt(Damage::Ends) {
        Err(Trouble::Damage(words)) if harmless(&words) => attempt(Damage::IsMended)?,
        other => other?,
    }
    Ok(pixels)
}

/// Whether this is the one kind of damage that harms no pixel: a few bytes before a marker that is no restart, which some cameras
/// write. libjpeg says `Corrupt JPEG data: 2 extraneous bytes before marker 0xd9`.
fn harmless(words: &str) -> bool {
    let told = words.strip_prefix("Corrupt JPEG data: ");
    let Some((bytes, marker)) = told.and_then(|told| told.split_once(" extraneous bytes before marker 0x")) else {
        return false;
    };
    let restart = marker.starts_with('d') && !matches!(marker, "d8" | "d9");
    bytes.parse().is_ok_and(|bytes: u32| bytes <= STRAY_BYTES) && !restart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bytes_before_the_end_are_harmless_and_lost_restarts_are_not() {
        let words = |bytes, marker| format!("Corrupt JPEG data: {bytes} extraneous bytes before marker 0x{marker}");
        assert!(harmless(&words(2, "d9")) && harmless(&words(64, "c4")));
        assert!(!harmless(&words(65, "d9")) && !harmless(&words(2, "d3")) && !harmless(&words(2, "d0")));
        assert!(!harmless("Corrupt JPEG data: premature end of data segment"));
    }
}
