//! Uploads: what their headers declare, and what decoding shows.

use bytesize::ByteSize;
use lazaret::convert::{self, Failure};
use lazaret::format::Format;
use lazaret::recipe::{Recipe, Rendition, Target};
use lazaret::sandbox::limits::Limits;
use lazaret::sandbox::protocol::Declaration;
use lazaret::verdict::{Reason, Refusal};

/// Small enough that decoding takes milliseconds.
fn limits() -> Limits {
    Limits {
        pixels: 1 << 20,
        frame_pixels: 4 << 20,
        memory: ByteSize::mib(256),
        output: ByteSize::mib(16),
        ..Limits::default()
    }
}

/// One PNG of the upload's own size.
fn recipe() -> Recipe {
    let whole = Rendition {
        format: Target::Png,
        ..Rendition::named("whole")
    };
    Recipe::new(vec![whole]).unwrap()
}

fn is(format: Format, bytes: &[u8]) -> bool {
    let head = bytes.get(..Format::MAGIC_BYTES).unwrap_or(bytes);
    Format::sniff(head) == Some(format)
}

/// Either a declaration within the limits, or a refusal that speaks of the upload.
pub fn inspect(format: Format, bytes: &[u8]) -> bool {
    if !is(format, bytes) {
        return false;
    }
    let limits = limits();
    match convert::inspect(bytes, &recipe(), &limits) {
        Ok(declared) => within(&declared, format, &limits),
        Err(refusal) => speaks_of_the_upload(&refusal),
    }
    true
}

/// The pictures that are made are of the size that was declared.
pub fn decode(format: Format, bytes: &[u8]) -> bool {
    if !is(format, bytes) {
        return false;
    }
    let limits = limits();
    let Ok(declared) = convert::inspect(bytes, &recipe(), &limits) else {
        return false;
    };
    match convert::convert(bytes, &recipe(), &limits, &mut |_| {}, &mut std::io::sink()) {
        Ok(product) => assert!(
            product
                .made
                .iter()
                .all(|made| (made.width, made.height) == (declared.width, declared.height)),
            "declared {declared:?}, made {:?}",
            product.made
        ),
        Err(Failure::Refused(refusal)) => speaks_of_the_upload(&refusal),
        Err(other) => panic!("nothing was in the way of the output: {other:?}"),
    }
    true
}

fn within(declared: &Declaration, format: Format, limits: &Limits) {
    assert_eq!(declared.format, format);
    let pixels = u64::from(declared.width) * u64::from(declared.height);
    assert!((1..=limits.pixels).contains(&pixels), "{declared:?}");
    assert!(declared.frames >= 1, "{declared:?}");
    assert!(declared.memory_bytes <= limits.memory.as_u64(), "{declared:?}");
}

fn speaks_of_the_upload(refusal: &Refusal) {
    use Reason::*;
    assert!(
        matches!(
            refusal.reason,
            UnsupportedFormat | Corrupt | Empty | TooManyPixels | TooManyFrames | TooComplex
        ),
        "{refusal:?}"
    );
}
